//! What ComfyUI judges and what we refuse; and what is told of a ComfyUI that is not well.

use std::time::Duration;

use serde_json::{Value, json};
use service::{
    Error,
    comfy::Socket,
    outputs::{FileReference, OutputQuery, ViewConditions},
    prompts::{NewPrompt, PromptState, WhenUnavailable},
};

use crate::world::{World, counting, eventually, is_unavailable, prompt, submit_as_another_client};

/// A second output whose checkpoint ComfyUI does not have.
fn with_a_bad_output(color: u64) -> Value {
    let mut graph = counting(color, 1);
    graph["20"] = json!({"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "gone.safetensors"}});
    graph["21"] = json!({"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}});
    graph["22"] = json!({"class_type": "VAEDecode", "inputs": {"samples": ["21", 0], "vae": ["20", 2]}});
    graph["23"] = json!({"class_type": "PreviewImage", "inputs": {"images": ["22", 0]}});
    graph
}

#[tokio::test(flavor = "multi_thread")]
async fn comfyui_runs_the_good_outputs_and_names_the_bad() {
    let world = World::new();
    let running = world.start().await;
    let accepted = running.execute(&with_a_bad_output(1)).await;
    assert_eq!(accepted.node_errors["20"]["errors"][0]["type"], "value_not_in_list");
    assert_eq!(accepted.warnings, Vec::<String>::new(), "ComfyUI has said it");
    let record = running.completed(&accepted.prompt_id).await;
    assert_eq!(record.outputs.keys().collect::<Vec<_>>(), ["9"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prompt_that_waits_has_its_doubts_as_warnings() {
    let world = World { ahead: 1, ..World::new() };
    world.comfy.hold();
    let running = world.start().await;
    running.execute(&counting(1, 1)).await;
    let accepted = running.execute(&with_a_bad_output(2)).await;
    assert!(accepted.warnings.len() == 1 && accepted.warnings[0].contains("gone.safetensors"), "{accepted:?}");
    assert_eq!(accepted.node_errors, Value::Null);
    world.comfy.go_on();
    running.completed(&accepted.prompt_id).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn value_that_comfyui_takes_is_no_reason_to_refuse() {
    let world = World::new();
    let running = world.start().await;
    // Its node reads it by code of its own; to us it is no number.
    let mut graph = counting(1, 1);
    graph["1"]["inputs"]["color"] = json!("#ff0000");
    let accepted = running.execute(&graph).await;
    running.completed(&accepted.prompt_id).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_by_comfyui_has_our_words_beside_its_own() {
    let world = World::new();
    let running = world.start().await;
    let mut graph = counting(1, 1);
    graph["1"]["inputs"]["width"] = json!(7_000_000);
    let Err(Error::InvalidWorkflow(refused)) = running.dashboard.prompts.execute(prompt(&graph)).await else {
        panic!("it was taken");
    };
    assert_eq!(refused.node_errors["1"]["errors"][0]["type"], "value_bigger_than_max");
    assert_eq!((refused.faults[0].node.as_deref(), refused.faults[0].input.as_deref()), (Some("1"), Some("width")));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_wanted_outputs_run() {
    let world = World::new();
    let running = world.start().await;
    let mut graph = counting(1, 1);
    graph["8"] = json!({"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}});
    let new = NewPrompt { targets: Some(vec!["8".to_owned()]), ..prompt(&graph) };
    let id = running.dashboard.prompts.execute(new).await.unwrap().prompt_id;
    let record = running.completed(&id).await;
    assert_eq!(record.outputs.keys().collect::<Vec<_>>(), ["8"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prompt_waits_for_comfyui_where_that_is_asked_for() {
    let world = World::new();
    let running = world.start().await;
    world.comfy.go_down();
    let refused = running.dashboard.prompts.execute(prompt(&counting(1, 1))).await;
    assert!(is_unavailable(refused));
    let new = NewPrompt { when_unavailable: WhenUnavailable::Queue, ..prompt(&counting(1, 1)) };
    let accepted = running.dashboard.prompts.execute(new.clone()).await.unwrap();
    assert!(!accepted.comfyui_answers);
    let mut broken = new;
    broken.graph = service::prompts::GraphToRun::Given(json!({"1": {"inputs": {}}}));
    assert!(matches!(running.dashboard.prompts.execute(broken).await, Err(Error::InvalidWorkflow(_))));
    world.comfy.behave();
    running.completed(&accepted.prompt_id).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn renamed_node_runs_under_its_new_name() {
    let world = World::new();
    let known = json!({"ProbeNap": [{"new_node_id": "ProbeSleep", "old_node_id": "ProbeNap"}]});
    world.comfy.answer_with("/node_replacements", 200, "application/json", &known.to_string());
    let running = world.start().await;
    let mut graph = counting(1, 1);
    graph["5"]["class_type"] = json!("ProbeNap");
    graph["5"].as_object_mut().unwrap().remove("_meta");
    let needs = running.dashboard.workflows.requirements(graph.clone()).await.unwrap();
    assert_eq!(needs.missing_nodes.len(), 0, "{needs:?}");
    let id = running.execute(&graph).await.prompt_id;
    running.completed(&id).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_whether_the_socket_is_open_and_why_not() {
    let world = World::new();
    let running = world.start().await;
    let socket = async || running.dashboard.comfy.health().await.unwrap().socket;
    eventually(|| async { (socket().await == Socket::Open).then_some(()) }).await;
    world.comfy.refuse_sockets();
    let closed = || async {
        match socket().await {
            Socket::Closed { cause } if cause.contains("status 403") => Some(cause),
            _ => None,
        }
    };
    eventually(closed).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupt_without_effect_makes_comfyui_count_as_stuck() {
    let world = World::new();
    world.comfy.hold();
    world.comfy.ignore_interrupts();
    let mut settings = world.settings();
    settings.comfy.interrupt_timeout = Duration::from_millis(50);
    let running = world.start_with(settings).await;
    submit_as_another_client(&world.comfy, &counting(1, 2), "theirs").await;
    world.comfy.wait_until(|comfy| comfy.running().is_some()).await;
    let stuck = async || running.dashboard.comfy.health().await.unwrap().stuck;
    assert_eq!(stuck().await, None);
    assert_eq!(running.dashboard.prompts.interrupt(None).await.unwrap(), ["theirs"]);
    let words = eventually(|| async { stuck().await }).await;
    assert!(words.contains("interrupted"), "{words}");
    world.comfy.go_on();
    eventually(|| async { stuck().await.is_none().then_some(()) }).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_prompt_of_ours_makes_comfyui_count_as_stuck() {
    let world = World::new();
    world.comfy.hold();
    let mut settings = world.settings();
    settings.comfy.silence_timeout = Duration::from_millis(50);
    let running = world.start_with(settings).await;
    world.comfy.wait_until(|comfy| !comfy.sockets().is_empty()).await;
    let id = running.execute(&counting(1, 2)).await.prompt_id;
    running.until(&id, PromptState::Running).await;
    let stuck = async || running.dashboard.comfy.health().await.unwrap().stuck;
    let words = eventually(|| async { stuck().await }).await;
    assert!(words.contains("told nothing"), "{words}");
    world.comfy.go_on();
    running.completed(&id).await;
    running.stop().await;
}

/// A record that cannot be read must not hold up everything behind it.
#[tokio::test(flavor = "multi_thread")]
async fn unreadable_history_fails_its_prompt_alone() {
    let world = World::new();
    world.comfy.hold();
    let running = world.start().await;
    let id = running.execute(&counting(1, 1)).await.prompt_id;
    world.comfy.wait_until(|comfy| comfy.queued().len() == 1).await;
    let strange = json!({ id.as_str(): "x".repeat(1 << 20) });
    world.comfy.answer_with(&format!("/history/{id}"), 200, "application/json", &strange.to_string());
    // Else the socket would tell of the end.
    world.comfy.refuse_sockets();
    world.comfy.go_on();
    let failure = running.until(&id, PromptState::Failed).await.failure.unwrap();
    assert!(failure.message.contains("cannot be read") && failure.message.len() < 500, "{}", failure.message);
    let next = running.execute(&counting(2, 1)).await.prompt_id;
    running.completed(&next).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_of_this_machine_are_there_while_comfyui_is_down() {
    let world = World::new();
    let folder = world.folder.path().join("comfyui/output");
    std::fs::create_dir_all(folder.join("sub")).unwrap();
    std::fs::write(folder.join("sub/a b.mp4"), b"0123456789").unwrap();
    let paths = json!({"checkpoints": [folder.join("checkpoints")]});
    world.comfy.answer_with("/internal/folder_paths", 200, "application/json", &paths.to_string());
    let running = world.start().await;
    let outputs = &running.dashboard.outputs;
    assert_eq!(outputs.list(&OutputQuery::default()).await.unwrap().page.total, 1);
    world.comfy.go_down();
    assert_eq!(outputs.list(&OutputQuery::default()).await.unwrap().page.total, 1);
    let file = FileReference { filename: "a b.mp4".into(), subfolder: "sub".into(), folder: "output".into() };
    let view = async |conditions: ViewConditions<'_>| outputs.view(file.clone(), conditions).await.unwrap();
    let whole = view(ViewConditions::default()).await;
    assert_eq!((whole.status, whole.content_length, whole.content_type.as_deref()), (200, Some(10), Some("video/mp4")));
    let etag = whole.etag.clone().unwrap();
    let known = view(ViewConditions { if_none_match: Some(&etag), ..ViewConditions::default() }).await;
    assert_eq!(known.status, 304);
    let part = ViewConditions { range: Some("bytes=2-4"), if_range: Some(&etag), ..ViewConditions::default() };
    let part = view(part).await;
    assert_eq!((part.status, part.content_range.as_deref()), (206, Some("bytes 2-4/10")));
    let bytes: Vec<bytes::Bytes> = futures_util::TryStreamExt::try_collect(part.body).await.unwrap();
    assert_eq!(bytes.concat(), b"234");
    let other = ViewConditions { range: Some("bytes=2-4"), if_range: Some("\"other\""), ..ViewConditions::default() };
    assert_eq!(view(other).await.status, 200);
    running.stop().await;
}
