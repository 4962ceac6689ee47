//! In which order prompts run, and how many ComfyUI has at once.

use service::{
    Error,
    prompts::{PromptChange, PromptState},
};

use crate::world::{Running, World, counting, eventually, prompt, submit_as_another_client};

/// Submits graphs with these priorities; the answer is their ids.
async fn submit(running: &Running, priorities: &[u32]) -> Vec<String> {
    let mut ids = Vec::new();
    for (at, priority) in priorities.iter().enumerate() {
        ids.push(running.execute_with(&counting(at as u64, 1), *priority).await.prompt_id);
    }
    ids
}

fn picked(ids: &[String], places: &[usize]) -> Vec<String> {
    places.iter().map(|place| ids[*place].clone()).collect()
}

async fn finish(world: &World, running: &Running, ids: &[String]) -> Vec<String> {
    world.comfy.go_on();
    for id in ids {
        running.completed(id).await;
    }
    world.comfy.finished()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_higher_priority_runs_earlier_and_within_one_the_order_of_submission_holds() {
    let world = World::new();
    world.comfy.hold();
    let running = world.start().await;
    let ids = submit(&running, &[0, 0, 0, 5, 0, 9, 5]).await;
    world.comfy.wait_until(|comfy| comfy.queued().len() == 2).await;
    let wanted = picked(&ids, &[0, 5, 3, 6, 1, 2, 4]);
    world.comfy.wait_until(|comfy| comfy.queued() == wanted[..2]).await;
    eventually(|| async { (running.queue().await == wanted).then_some(()) }).await;
    assert_eq!(finish(&world, &running, &ids).await, wanted);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn comfyui_never_has_more_than_so_many_of_ours() {
    let world = World { ahead: 3, ..World::new() };
    world.comfy.hold();
    let running = world.start().await;
    let ids = submit(&running, &[0; 8]).await;
    world.comfy.wait_until(|comfy| comfy.queued().len() == 3).await;
    let mut most = 0;
    for _ in 0..200 {
        world.comfy.steps(1);
        most = most.max(world.comfy.queued().len());
        tokio::task::yield_now().await;
    }
    assert_eq!(finish(&world, &running, &ids).await, ids);
    assert_eq!(most, 3);
    let numbers: Vec<f64> = world
        .comfy
        .requests()
        .iter()
        .filter(|seen| seen.method == "POST" && seen.target == "/prompt")
        .map(|seen| seen.body["number"].as_f64().unwrap())
        .collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_takes_no_more_until_something_has_ended() {
    let world = World { max_queue: 3, ..World::new() };
    world.comfy.hold();
    let running = world.start().await;
    let ids = submit(&running, &[0, 0, 0]).await;
    let refused = running.dashboard.prompts.execute(prompt(&counting(7, 1))).await;
    assert!(matches!(refused, Err(Error::QueueFull { waiting: 3, limit: 3 })), "{refused:?}");
    finish(&world, &running, &ids).await;
    running.execute(&counting(8, 1)).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_a_priority_overtakes_other_clients_and_the_rest_waits_behind_them() {
    let world = World::new();
    world.comfy.hold();
    let running = world.start().await;
    for (color, id) in [(50, "theirs 1"), (51, "theirs 2"), (52, "theirs 3")] {
        submit_as_another_client(&world.comfy, &counting(color, 1), id).await;
    }
    let ids = submit(&running, &[0, 4]).await;
    let wanted = ["theirs 1", &ids[1], "theirs 2", "theirs 3", &ids[0]];
    eventually(|| async { (running.queue().await == wanted).then_some(()) }).await;
    world.comfy.wait_until(|comfy| comfy.queued().len() == 5).await;
    assert_eq!(world.comfy.queued(), wanted);
    assert_eq!(finish(&world, &running, &ids).await, wanted);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_prompt_can_be_put_before_another_or_given_a_priority() {
    let world = World::new();
    world.comfy.hold();
    let running = world.start().await;
    let ids = submit(&running, &[0; 5]).await;
    world.comfy.wait_until(|comfy| comfy.queued().len() == 2).await;
    let prompts = &running.dashboard.prompts;
    prompts.change(&ids[4], PromptChange::Before(ids[1].clone())).await.unwrap();
    prompts.change(&ids[3], PromptChange::Priority(1)).await.unwrap();
    let wanted = picked(&ids, &[0, 3, 4, 1, 2]);
    world.comfy.wait_until(|comfy| comfy.queued() == wanted[..2]).await;
    eventually(|| async { (running.queue().await == wanted).then_some(()) }).await;
    let refused = prompts.change(&ids[0], PromptChange::Priority(9)).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "what runs has no place to change: {refused:?}");
    assert_eq!(finish(&world, &running, &ids).await, wanted);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_queue_lets_what_runs_go_on_and_nothing_start_also_after_a_restart() {
    let world = World::new();
    world.comfy.hold();
    let running = world.start().await;
    let ids = submit(&running, &[0, 0, 0]).await;
    world.comfy.wait_until(|comfy| comfy.queued().len() == 2).await;
    running.dashboard.prompts.pause().await.unwrap();
    // What waited in ComfyUI is taken back.
    world.comfy.wait_until(|comfy| comfy.queued() == ids[..1]).await;
    world.comfy.go_on();
    running.completed(&ids[0]).await;
    running.stop().await;

    let running = world.start().await;
    let queue = running.dashboard.prompts.queue().await.unwrap();
    assert!(queue.is_paused && queue.running.is_empty());
    let late = running.execute(&counting(9, 1)).await.prompt_id;
    assert_eq!(running.queue().await, [ids[1].clone(), ids[2].clone(), late.clone()]);
    assert!(world.comfy.queued().is_empty());
    running.dashboard.prompts.resume().await.unwrap();
    running.completed(&late).await;
    assert_eq!(world.comfy.finished(), [ids[0].clone(), ids[1].clone(), ids[2].clone(), late]);
    assert_eq!(running.record(&ids[1]).await.state, PromptState::Completed);
    running.stop().await;
}
