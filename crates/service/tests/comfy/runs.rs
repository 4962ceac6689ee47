//! One prompt from its acceptance to its outcome: what is told, what is kept, what is refused.

use serde_json::{Value, json};
use service::{
    Error, Resource,
    events::Event,
    prompts::{GraphToRun, NewPrompt, PromptHistoryQuery, PromptState, StepKind},
};

use test_support::fake_comfy::FakeComfy;

use crate::world::{World, counting, eventually, failing, is_unavailable, prompt, so_far, submit_as_another_client};

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_runs_and_its_record_has_times_and_outputs() {
    let world = World::new();
    let running = world.start().await;
    let accepted = running.execute(&counting(1, 3)).await;
    let record = running.completed(&accepted.prompt_id).await;
    assert_eq!(record.number, Some(accepted.number as f64));
    assert_eq!(record.kind, "image_generation");
    assert_eq!(record.outputs["9"]["images"][0]["type"], "output");
    assert!(record.started_at.unwrap() <= record.ended_at.unwrap());
    assert!(record.created_at.unwrap() <= record.ended_at.unwrap());
    running.stop().await;

    let running = world.start().await;
    assert_eq!(running.record(&accepted.prompt_id).await, record);
    let history = running.dashboard.prompts.history(&PromptHistoryQuery::default()).await.unwrap();
    assert_eq!(history.items, [record]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_hears_of_each_step_and_of_the_end() {
    let world = World::new();
    let running = world.start().await;
    world.comfy.wait_until(|comfy| !comfy.sockets().is_empty()).await;
    let mut events = running.dashboard.bus.subscribe();
    let id = running.execute(&counting(1, 4)).await.prompt_id;
    running.completed(&id).await;
    let queue_is_empty = || async { (running.dashboard.prompts.figures().running == 0).then_some(()) };
    eventually(queue_is_empty).await;

    let mut steps = Vec::new();
    let (mut outputs, mut tasks) = (Vec::new(), Vec::new());
    for event in so_far(&mut events) {
        match event {
            Event::WorkflowProgress(step) => {
                steps.push((step.kind, step.node.clone(), step.value, step.max, step.overall))
            }
            Event::WorkflowOutput(shown) => outputs.push((shown.node.clone(), shown.output.clone())),
            Event::QueueUpdate(figures) => tasks.push(figures.current.clone()),
            Event::WorkflowFailed(failed) => panic!("{failed:?}"),
            _ => {}
        }
    }
    let node = |id: &str| Some(id.to_owned());
    assert_eq!(steps[0], (StepKind::Executing, node("1"), 0.0, 1.0, 0.0));
    assert!(steps.iter().any(|(kind, id, value, max, _)| {
        (*kind, id.as_deref(), *value, *max) == (StepKind::Progress, Some("5"), 3.0, 4.0)
    }));
    assert_eq!(steps.last(), Some(&(StepKind::Executed, None, 1.0, 1.0, 100.0)));
    assert!(steps.windows(2).all(|pair| pair[0].4 <= pair[1].4), "the share never goes back: {steps:?}");
    assert_eq!(outputs.len(), 1);
    assert_eq!((outputs[0].0.as_str(), &outputs[0].1["images"][0]["subfolder"]), ("9", &Value::from("")));
    assert!(tasks.contains(&Some((id, "image_generation".to_owned()))));
    assert_eq!(tasks.last(), Some(&None));
    running.stop().await;
}

/// Short prompts end before their frames are taken in: a round has read the history by then.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_of_a_prompt_after_its_end() {
    let world = World::new();
    let running = world.start().await;
    world.comfy.wait_until(|comfy| !comfy.sockets().is_empty()).await;
    let mut events = running.dashboard.bus.subscribe();
    let id = running.execute(&counting(1, 1)).await.prompt_id;
    running.completed(&id).await;
    let output = json!({"images": [{"filename": "a.png", "subfolder": "", "type": "output"}]});
    for (kind, data) in [
        ("execution_start", json!({"prompt_id": id, "timestamp": 1})),
        ("executing", json!({"prompt_id": id, "node": "5"})),
        ("progress", json!({"prompt_id": id, "node": "5", "value": 1, "max": 9})),
        ("executed", json!({"prompt_id": id, "node": "9", "output": output})),
    ] {
        world.comfy.send_frame(&json!({"type": kind, "data": data}));
    }
    // What is told of the next one shows that the frames above were taken in.
    let next = running.execute(&counting(2, 1)).await.prompt_id;
    running.completed(&next).await;
    let of_the_first: Vec<(PromptState, Option<String>)> = so_far(&mut events)
        .into_iter()
        .filter_map(|event| match event {
            Event::WorkflowProgress(step) if step.prompt_id == id => Some((step.state, step.node.clone())),
            Event::WorkflowOutput(shown) if shown.prompt_id == id => Some((PromptState::Running, None)),
            _ => None,
        })
        .collect();
    assert_eq!(of_the_first.last(), Some(&(PromptState::Completed, None)), "{of_the_first:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_beside_a_graph_are_forgotten_when_it_ends() {
    let world = World::new();
    world.comfy.hold();
    let running = world.start().await;
    let keys = json!({"api_key_comfy_org": "comfyui-0123456789abcdef", "auth_token_comfy_org": "eyJhbGciOi"});
    let keys = keys.as_object().cloned();
    let new = NewPrompt { extra_data: keys.clone(), ..prompt(&counting(1, 1)) };
    let id = running.dashboard.prompts.execute(new).await.unwrap().prompt_id;
    let kept = "SELECT extra_data FROM prompts WHERE id = ?";
    assert_eq!(world.text(kept, &id).await, keys.map(|keys| Value::Object(keys).to_string()), "a restart needs them");
    world.comfy.go_on();
    running.completed(&id).await;
    assert_eq!(world.text(kept, &id).await, None);
    running.stop().await;
    let database = std::fs::read(world.folder.path().join("data/dashboard.db")).unwrap();
    assert!(!database.windows(16).any(|bytes| bytes == b"0123456789abcdef"), "not in a free page either");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_fails_is_told_with_its_words_and_kept() {
    let world = World::new();
    let running = world.start().await;
    let mut events = running.dashboard.bus.subscribe();
    let id = running.execute(&failing()).await.prompt_id;
    let record = running.until(&id, PromptState::Failed).await;
    let failure = record.failure.unwrap();
    assert_eq!((failure.message.as_str(), failure.node.as_deref()), ("probe failure", Some("5")));
    assert_eq!(failure.exception_type.as_deref(), Some("RuntimeError"));
    let told = loop {
        if let Event::WorkflowFailed(failed) = events.recv().await.unwrap() {
            break failed.failure.clone();
        }
    };
    assert_eq!(told, failure);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_graph_is_named_and_nothing_is_kept() {
    let world = World::new();
    let running = world.start().await;
    let mut graph = counting(1, 1);
    graph["1"]["inputs"].as_object_mut().unwrap().remove("width");
    graph["7"] = json!({"class_type": "NodeOfNobody", "inputs": {}});
    let Err(Error::InvalidWorkflow(refused)) = running.dashboard.prompts.execute(prompt(&graph)).await else {
        panic!("it was taken");
    };
    let faults = &refused.faults;
    let named: Vec<(Option<&str>, Option<&str>)> =
        faults.iter().map(|fault| (fault.node.as_deref(), fault.input.as_deref())).collect();
    assert!(named.contains(&(Some("1"), Some("width"))) && named.contains(&(Some("7"), None)), "{faults:?}");
    assert_eq!(running.dashboard.prompts.history(&PromptHistoryQuery::default()).await.unwrap().total, 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comfyui_itself_refuses_comes_back_in_its_own_words() {
    let world = World::new();
    let running = world.start().await;
    let error = json!({"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation"});
    let node_errors = json!({"9": {"errors": [{"type": "custom_validation_failed"}], "class_type": "SaveImage"}});
    let body = json!({"error": error, "node_errors": node_errors});
    world.comfy.answer_with("/prompt", 400, "application/json", &body.to_string());
    let refused = running.dashboard.prompts.execute(prompt(&counting(1, 1))).await;
    match refused {
        Err(Error::InvalidWorkflow(refused)) => assert_eq!((refused.error, refused.node_errors), (error, node_errors)),
        other => panic!("{other:?}"),
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comfyui_that_gives_prompts_ids_of_its_own_is_told_to_be_too_old_and_keeps_none() {
    let world = World::new();
    let running = world.start().await;
    let body = json!({"prompt_id": "its own", "number": 1, "node_errors": {}});
    world.comfy.answer_with("/prompt", 200, "application/json", &body.to_string());
    let Err(Error::InvalidWorkflow(refused)) = running.dashboard.prompts.execute(prompt(&counting(1, 1))).await else {
        panic!("it was taken");
    };
    assert!(refused.error.as_str().unwrap().contains("too old"));
    let deleted = json!({"delete": ["its own"]});
    assert!(world.comfy.requests().iter().any(|seen| seen.target == "/queue" && seen.body == deleted));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comfyui_that_is_down_hangs_or_talks_nonsense_is_said_to_be_unavailable() {
    let world = World::new();
    let running = world.start().await;
    for misbehave in [FakeComfy::go_down, FakeComfy::hang, FakeComfy::talk_nonsense] {
        misbehave(&world.comfy);
        let prompts = &running.dashboard.prompts;
        assert!(is_unavailable(running.dashboard.comfy.health().await));
        assert!(is_unavailable(prompts.execute(prompt(&counting(1, 1))).await));
        assert!(is_unavailable(prompts.queue().await));
        assert!(is_unavailable(prompts.interrupt(None).await));
        assert!(is_unavailable(prompts.get("nobody's").await));
        world.comfy.behave();
        running.dashboard.comfy.health().await.unwrap();
    }
    let id = running.execute(&counting(1, 1)).await.prompt_id;
    running.completed(&id).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_workflow_of_the_page_runs_and_its_pictures_carry_it() {
    let world = World::new();
    let running = world.start().await;
    let graph = json!({
        "nodes": [
            {"id": 1, "type": "EmptyImage", "mode": 0, "inputs": [], "widgets_values": [64, 64, 1, 7],
             "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}]},
            {"id": 2, "type": "SaveImage", "mode": 0, "inputs": [{"name": "images", "type": "IMAGE", "link": 1}],
             "outputs": [], "widgets_values": ["page"]},
        ],
        "links": [[1, 1, 0, 2, 0, "IMAGE"]],
        "version": 0.4,
    });
    let id = running.execute(&graph).await.prompt_id;
    running.completed(&id).await;
    let sent =
        world.comfy.requests().into_iter().find(|seen| seen.method == "POST" && seen.target == "/prompt").unwrap();
    assert_eq!(sent.body["prompt"]["2"]["inputs"]["images"], json!(["1", 0]));
    assert_eq!(sent.body["extra_data"]["extra_pnginfo"]["workflow"], graph);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_of_other_clients_are_seen_and_kept() {
    let world = World::new();
    world.comfy.hold();
    let running = world.start().await;
    submit_as_another_client(&world.comfy, &counting(1, 2), "theirs").await;
    let queue = eventually(|| async {
        let queue = running.dashboard.prompts.queue().await.unwrap();
        (!queue.running.is_empty() && running.dashboard.prompts.figures().running == 1).then_some(queue)
    });
    let queue = queue.await;
    assert!(queue.running[0].by_another_client);
    assert_eq!(queue.running[0].client_id.as_deref(), Some("somebody"));
    assert_eq!(running.record("theirs").await.state, PromptState::Running);
    world.comfy.go_on();
    let kept = || async {
        let history = running.dashboard.prompts.history(&PromptHistoryQuery::default()).await.unwrap();
        history.items.into_iter().next()
    };
    let kept = eventually(kept).await;
    assert_eq!((kept.prompt_id.as_str(), kept.by_another_client), ("theirs", true));
    assert_eq!(kept.state, PromptState::Completed);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_nobody_knows_is_not_found() {
    let world = World::new();
    let running = world.start().await;
    let outcome = running.dashboard.prompts.get("nobody's").await;
    assert!(matches!(outcome, Err(Error::NotFound { resource: Resource::Prompt, .. })), "{outcome:?}");
    let stored = NewPrompt { graph: GraphToRun::Stored("custom_nothing".to_owned()), ..prompt(&json!({})) };
    let outcome = running.dashboard.prompts.execute(stored).await;
    assert!(matches!(outcome, Err(Error::NotFound { resource: Resource::Workflow, .. })), "{outcome:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_the_socket_changes_nothing() {
    let world = World::new();
    world.comfy.hold();
    let running = world.start().await;
    world.comfy.wait_until(|comfy| !comfy.sockets().is_empty()).await;
    let id = running.execute(&counting(1, 3)).await.prompt_id;
    world.comfy.send_garbage();
    world.comfy.send_frame(&json!({"type": "execution_success", "data": {"prompt_id": "somebody else's"}}));
    world.comfy.send_frame(&json!({"type": "executing", "data": {"prompt_id": "somebody else's", "node": "77"}}));
    assert!(running.record(&id).await.state.is_unfinished());
    world.comfy.go_on();
    let record = running.completed(&id).await;
    assert_eq!(record.outputs.len(), 1);
    running.stop().await;
}
