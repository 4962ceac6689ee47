//! Many prompts and many who watch: no outcome is lost, and the order is kept.

use std::{collections::BTreeSet, time::Duration};

use service::{
    events::Event,
    prompts::{PromptHistoryQuery, PromptState},
};

use crate::world::{World, counting};

const PROMPTS: usize = 500;
const WATCHERS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_prompts_are_seen_to_their_end_by_twenty_watchers_in_order() {
    let world = World { max_queue: 1000, ..World::new() };
    world.comfy.set_step(Duration::ZERO);
    let running = world.start().await;
    let watchers: Vec<_> = (0..WATCHERS)
        .map(|_| {
            let mut events = running.dashboard.bus.subscribe();
            tokio::spawn(async move {
                let mut ended = Vec::new();
                while ended.len() < PROMPTS {
                    let event = events.recv().await.unwrap();
                    if let Event::WorkflowProgress(step) = event
                        && step.node.is_none()
                    {
                        assert_eq!(step.state, PromptState::Completed);
                        ended.push(step.prompt_id.clone());
                    }
                }
                ended
            })
        })
        .collect();
    let mut ids = Vec::new();
    for color in 0..PROMPTS {
        ids.push(running.execute(&counting(color as u64, 1)).await.prompt_id);
    }
    for watcher in watchers {
        assert_eq!(watcher.await.unwrap(), ids);
    }
    assert_eq!(world.comfy.finished(), ids);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), PROMPTS);
    let history = running.dashboard.prompts.history(&PromptHistoryQuery::default()).await.unwrap();
    assert_eq!(history.total, PROMPTS as u64);
    assert_eq!(running.dashboard.prompts.figures().pending, 0);
    running.stop().await;
}
