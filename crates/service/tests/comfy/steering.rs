//! Ending prompts: one, what waits, what runs, everything.

use service::{
    Error,
    prompts::{Clearing, PromptState},
};

use std::time::Duration;

use crate::world::{Running, World, counting, eventually, failing, submit_as_another_client};

async fn three_held(world: &World, running: &Running) -> Vec<String> {
    let mut ids = Vec::new();
    for color in 0..3 {
        ids.push(running.execute(&counting(color, 2)).await.prompt_id);
    }
    world.comfy.wait_until(|comfy| comfy.queued().len() == 2).await;
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_them_can_be_cancelled_wherever_it_is_and_no_other_ends_with_it() {
    let world = World::new();
    world.comfy.hold();
    let running = world.start().await;
    let ids = three_held(&world, &running).await;
    let prompts = running.dashboard.prompts.clone();
    assert_eq!(prompts.cancel(&ids[2]).await.unwrap(), PromptState::Interrupted, "it is here only");
    assert_eq!(prompts.cancel(&ids[1]).await.unwrap(), PromptState::Interrupted, "it waits in ComfyUI");
    assert_eq!(world.comfy.queued(), ids[..1]);
    let last = running.execute(&counting(7, 1)).await.prompt_id;
    let cancelling = tokio::spawn({
        let (prompts, id) = (prompts.clone(), ids[0].clone());
        async move { prompts.cancel(&id).await.unwrap() }
    });
    world.comfy.wait_until(|comfy| comfy.requests().iter().any(|seen| seen.target == "/interrupt")).await;
    world.comfy.go_on();
    assert_eq!(cancelling.await.unwrap(), PromptState::Interrupted, "it ran");
    running.completed(&last).await;
    assert_eq!(prompts.cancel(&ids[0]).await.unwrap(), PromptState::Interrupted, "once more is no failure");
    assert!(matches!(prompts.cancel(&last).await, Err(Error::Conflict { .. })), "it is completed");
    running.stop().await;
}

/// A cancel arrives while the prompt is being taken back from ComfyUI to make room for a more urgent one.
#[tokio::test(flavor = "multi_thread")]
async fn cancel_during_take_back_ends_the_prompt() {
    let world = World { ahead: 1, ..World::new() };
    world.comfy.hold();
    let mut settings = world.settings();
    settings.comfy.timeout = Duration::from_secs(20);
    let running = world.start_with(settings).await;
    let prompts = running.dashboard.prompts.clone();
    submit_as_another_client(&world.comfy, &counting(1, 1), "theirs").await;
    world.comfy.wait_until(|comfy| comfy.queued().len() == 1).await;
    let cancelled = running.execute(&counting(2, 1)).await.prompt_id;
    world.comfy.wait_until(|comfy| comfy.queued().len() == 2).await;
    world.comfy.hold_answers("/history/");
    let graph = counting(3, 1);
    let urgent = running.execute_with(&graph, 5);
    let cancel = async {
        let asked = format!("/history/{cancelled}");
        world.comfy.wait_until(|comfy| comfy.requests().iter().any(|seen| seen.target == asked)).await;
        let cancelling = tokio::spawn({
            let (prompts, id) = (prompts.clone(), cancelled.clone());
            async move { prompts.cancel(&id).await.unwrap() }
        });
        let is_stored = || async {
            let state = world.text("SELECT state FROM prompts WHERE id = ?", &cancelled).await;
            (state.as_deref() == Some("ending")).then_some(())
        };
        eventually(is_stored).await;
        world.comfy.answer_again();
        assert_eq!(cancelling.await.unwrap(), PromptState::Interrupted);
    };
    let (urgent, ()) = tokio::join!(urgent, cancel);
    world.comfy.go_on();
    running.completed(&urgent.prompt_id).await;
    assert!(!world.comfy.finished().contains(&cancelled));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_clients_prompt_can_be_cancelled_too() {
    let world = World::new();
    world.comfy.hold();
    let running = world.start().await;
    submit_as_another_client(&world.comfy, &counting(1, 2), "runs").await;
    submit_as_another_client(&world.comfy, &counting(2, 2), "waits").await;
    world.comfy.wait_until(|comfy| comfy.queued().len() == 2).await;
    let prompts = &running.dashboard.prompts;
    prompts.cancel("waits").await.unwrap();
    assert_eq!(world.comfy.queued(), ["runs"]);
    prompts.cancel("runs").await.unwrap();
    world.comfy.go_on();
    world.comfy.wait_until(|comfy| comfy.queued().is_empty()).await;
    assert_eq!(running.record("runs").await.state, PromptState::Interrupted);
    assert!(matches!(prompts.cancel("nobody's").await, Err(Error::NotFound { .. })));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clearing_what_waits_leaves_what_runs() {
    let world = World::new();
    world.comfy.hold();
    let running = world.start().await;
    let ids = three_held(&world, &running).await;
    submit_as_another_client(&world.comfy, &counting(9, 1), "theirs").await;
    assert_eq!(running.dashboard.prompts.clear(Clearing::Pending).await.unwrap(), 3);
    running.until(&ids[1], PromptState::Interrupted).await;
    assert_eq!(running.record(&ids[2]).await.state, PromptState::Interrupted);
    assert_eq!(world.comfy.queued(), ids[..1]);
    world.comfy.go_on();
    running.completed(&ids[0]).await;
    assert_eq!(running.dashboard.prompts.clear(Clearing::All).await.unwrap(), 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clearing_everything_ends_what_runs_too() {
    let world = World::new();
    world.comfy.hold();
    let running = world.start().await;
    let ids = three_held(&world, &running).await;
    assert_eq!(running.dashboard.prompts.clear(Clearing::All).await.unwrap(), 3);
    world.comfy.go_on();
    for id in &ids {
        running.until(id, PromptState::Interrupted).await;
    }
    assert_eq!(world.comfy.finished(), ids[..1], "the others never began");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_stops_what_runs_or_only_the_prompt_that_is_named() {
    let world = World::new();
    world.comfy.hold();
    let running = world.start().await;
    let ids = three_held(&world, &running).await;
    let prompts = &running.dashboard.prompts;
    assert!(matches!(prompts.interrupt(Some(&ids[1])).await, Err(Error::Conflict { .. })), "it waits");
    assert!(matches!(prompts.interrupt(Some("nobody's")).await, Err(Error::NotFound { .. })));
    assert_eq!(prompts.interrupt(Some(&ids[0])).await.unwrap(), ids[..1]);
    world.comfy.go_on();
    running.until(&ids[0], PromptState::Interrupted).await;
    running.completed(&ids[1]).await;
    running.completed(&ids[2]).await;
    assert_eq!(prompts.interrupt(None).await.unwrap(), Vec::<String>::new());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_somebody_takes_out_of_comfyuis_own_queue_does_not_come_back() {
    let world = World::new();
    world.comfy.hold();
    let running = world.start().await;
    let ids = three_held(&world, &running).await;
    let client =
        comfy_client::Client::new(world.comfy.url().parse().unwrap(), std::time::Duration::from_secs(5)).unwrap();
    client.delete_from_queue(&[&ids[1]]).await.unwrap();
    running.until(&ids[1], PromptState::Interrupted).await;
    world.comfy.go_on();
    running.completed(&ids[2]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_prompt_does_not_hold_up_the_next() {
    let world = World::new();
    let running = world.start().await;
    let bad = running.execute(&failing()).await.prompt_id;
    let good = running.execute(&counting(1, 1)).await.prompt_id;
    running.completed(&good).await;
    assert_eq!(running.record(&bad).await.state, PromptState::Failed);
    running.stop().await;
}
