//! Kill and restart, of ComfyUI and of ours, at each stage of a run: nothing is lost, nothing runs twice that had ended,
//! nothing stays "running" for ever.

use std::{collections::HashMap, time::Duration};

use serde_json::json;
use service::{prompts::PromptState, workflows::WorkflowQuery};
use test_support::fake_comfy::FakeComfy;

use crate::world::{Running, World, counting, eventually};

/// The steps of `counting(_, 3)`: each of three nodes begins, and one counts to three.
const STEPS: usize = 6;

/// How often each prompt came to an end in ComfyUI, over all its lives.
#[derive(Default)]
struct Ends(HashMap<String, usize>);

impl Ends {
    fn add(&mut self, finished: Vec<String>) {
        for id in finished {
            *self.0.entry(id).or_default() += 1;
        }
    }
}

async fn three_of_which_comfyui_has_two(world: &World, running: &Running) -> Vec<String> {
    let mut ids = Vec::new();
    for color in 0..3 {
        ids.push(running.execute(&counting(color, 3)).await.prompt_id);
    }
    world.comfy.wait_until(|comfy| comfy.queued().len() == 2).await;
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn comfyui_restarts_at_each_step_of_a_run_and_every_prompt_ends_once() {
    for step in 0..=STEPS {
        let world = World::new();
        world.comfy.hold();
        let running = world.start().await;
        let ids = three_of_which_comfyui_has_two(&world, &running).await;
        world.comfy.steps(step);
        if step == STEPS {
            world.comfy.wait_until(|comfy| !comfy.finished().is_empty()).await;
            running.completed(&ids[0]).await;
        }
        let mut ends = Ends::default();
        ends.add(world.comfy.finished());
        world.comfy.restart();
        world.comfy.go_on();
        for id in &ids {
            let record = running.completed(id).await;
            assert_eq!(record.outputs["9"]["images"].as_array().unwrap().len(), 1, "step {step}");
        }
        ends.add(world.comfy.finished());
        assert!(ids.iter().all(|id| ends.0[id] == 1), "step {step}: {:?}", ends.0);
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn comfyui_is_away_for_a_while_at_each_step_and_the_run_goes_on_without_a_second_one() {
    for step in 0..=STEPS {
        let world = World::new();
        world.comfy.hold();
        let running = world.start().await;
        let ids = [running.execute(&counting(1, 3)).await.prompt_id, running.execute(&counting(2, 3)).await.prompt_id];
        world.comfy.wait_until(|comfy| comfy.queued().len() == 2).await;
        world.comfy.steps(step);
        world.comfy.go_down();
        eventually(|| async { running.dashboard.prompts.queue().await.is_err().then_some(()) }).await;
        world.comfy.behave();
        world.comfy.go_on();
        for id in &ids {
            running.completed(id).await;
        }
        assert_eq!(world.comfy.finished(), ids, "step {step}");
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ours_is_killed_at_each_step_and_finds_out_what_became_of_every_prompt() {
    for step in 0..=STEPS {
        let world = World::new();
        world.comfy.hold();
        let running = world.start().await;
        let ids = three_of_which_comfyui_has_two(&world, &running).await;
        world.comfy.steps(step);
        running.kill();
        world.comfy.go_on();
        if step % 2 == 0 {
            world.comfy.wait_until(|comfy| comfy.finished().len() == 2).await;
        }
        let running = world.start().await;
        for id in &ids {
            running.completed(id).await;
        }
        assert_eq!(world.comfy.finished(), ids, "step {step}");
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_only_the_socket_told_of_counts_though_comfyui_died_right_after() {
    let world = World::new();
    world.comfy.hold();
    let running = world.start().await;
    world.comfy.wait_until(|comfy| !comfy.sockets().is_empty()).await;
    let id = running.execute(&counting(1, 1)).await.prompt_id;
    world.comfy.wait_until(|comfy| comfy.queued().len() == 1).await;
    // Its own words, but nothing in its history: as if it died between the two.
    let output = serde_json::json!({"images": [{"filename": "a.png", "subfolder": "", "type": "output"}]});
    let frames = [
        serde_json::json!({"type": "executed", "data": {"prompt_id": id, "node": "9", "output": output}}),
        serde_json::json!({"type": "execution_success", "data": {"prompt_id": id, "timestamp": 1}}),
    ];
    let mut events = running.dashboard.bus.subscribe();
    frames.iter().for_each(|frame| world.comfy.send_frame(frame));
    while !matches!(events.recv().await.unwrap(), service::events::Event::WorkflowOutput(_)) {}
    world.comfy.send_frame(
        &serde_json::json!({"type": "progress", "data": {"prompt_id": id, "node": "9", "value": 1, "max": 2}}),
    );
    while !matches!(events.recv().await.unwrap(), service::events::Event::WorkflowProgress(step) if step.max == 2.0) {}
    world.comfy.restart();
    let record = running.completed(&id).await;
    assert_eq!(record.outputs["9"], output);
    world.comfy.go_on();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_brings_comfyui_down_again_and_again_is_given_up() {
    let world = World::new();
    world.comfy.hold();
    let running = world.start().await;
    let bad = running.execute(&counting(1, 3)).await.prompt_id;
    for _ in 0..3 {
        running.until(&bad, PromptState::Running).await;
        world.comfy.restart();
        eventually(|| async { (running.record(&bad).await.state != PromptState::Running).then_some(()) }).await;
    }
    let record = running.until(&bad, PromptState::Failed).await;
    assert!(record.failure.unwrap().message.contains("3 times"));
    world.comfy.go_on();
    let good = running.execute(&counting(2, 1)).await.prompt_id;
    running.completed(&good).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_comfyui_cannot_take_without_failing_holds_nobody_up_for_ever() {
    let world = World::new();
    let running = world.start().await;
    world.comfy.answer_with("/prompt", 500, "text/plain", "Server got itself in trouble");
    let bad = running.execute(&counting(1, 1)).await.prompt_id;
    let record = running.until(&bad, PromptState::Failed).await;
    let words = record.failure.unwrap().message;
    assert!(words.contains("3 times") && words.contains("got itself in trouble"), "{words}");
    world.comfy.behave();
    let good = running.execute(&counting(2, 1)).await.prompt_id;
    running.completed(&good).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_interrupted_does_not_run_again_after_a_restart() {
    let world = World::new();
    world.comfy.hold();
    let running = world.start().await;
    let id = running.execute(&counting(1, 3)).await.prompt_id;
    running.until(&id, PromptState::Running).await;
    running.dashboard.prompts.interrupt(None).await.unwrap();
    world.comfy.restart();
    running.until(&id, PromptState::Interrupted).await;
    world.comfy.go_on();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_socket_loses_no_outcome() {
    let world = World::new();
    world.comfy.hold();
    let running = world.start().await;
    world.comfy.wait_until(|comfy| !comfy.sockets().is_empty()).await;
    let id = running.execute(&counting(1, 3)).await.prompt_id;
    running.until(&id, PromptState::Running).await;
    world.comfy.drop_sockets();
    world.comfy.go_on();
    let record = running.completed(&id).await;
    assert_eq!(record.outputs.len(), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comfyui_that_keeps_what_it_is_told_to_drop_is_left_in_peace_until_the_next_look() {
    let world = World::new();
    world.comfy.hold();
    let mut settings = world.settings();
    let hour = Duration::from_secs(3600);
    (settings.comfy.look_interval, settings.comfy.probe_interval, settings.comfy.missing_for) = (hour, hour, hour);
    let running = world.start_with(settings).await;
    let ids = [running.execute(&counting(1, 1)).await.prompt_id, running.execute(&counting(2, 1)).await.prompt_id];
    world.comfy.wait_until(|comfy| comfy.queued() == ids).await;
    let rows = ids.each_ref().map(|id| json!([[1, id, {}, {}, []]]));
    let always = json!({"queue_running": rows[0], "queue_pending": rows[1]});
    world.comfy.answer_with("/queue", 200, "application/json", &always.to_string());
    let told = |comfy: &FakeComfy| {
        comfy.requests().iter().filter(|seen| seen.method == "POST" && seen.target == "/queue").count()
    };
    let (prompts, id) = (running.dashboard.prompts.clone(), ids[1].clone());
    let cancelling = tokio::spawn(async move { prompts.cancel(&id).await });
    world.comfy.wait_until(|comfy| told(comfy) > 0).await;
    for _ in 0..100 {
        running.dashboard.workflows.list(&WorkflowQuery::default()).await.unwrap();
    }
    assert_eq!(told(&world.comfy), 1);
    cancelling.abort();
    running.stop().await;
}
