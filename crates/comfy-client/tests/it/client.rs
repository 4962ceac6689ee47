//! The client against a ComfyUI that is up, busy, down, slow or something else.

use std::time::Duration;

use bytes::Bytes;
use comfy_client::{Client, ComfyError, FileReference, NodeFailure, Outcome, Submission, Submitted, Trouble};
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use test_support::fake_comfy::FakeComfy;

pub(crate) fn client_of(fake: &FakeComfy) -> Client {
    Client::new(fake.url().parse().unwrap(), Duration::from_millis(400)).unwrap()
}

/// A picture that is counted over and saved.
pub(crate) fn counting(color: u32, steps: u32) -> Submission {
    let prompt = json!({
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": color}},
        "5": {"class_type": "ProbeSleep", "inputs": {"image": ["1", 0], "steps": steps, "seconds": 0.2}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "probe"}},
    });
    let Value::Object(prompt) = prompt else { unreachable!("it is an object") };
    Submission { prompt, client_id: Some("client-a".to_owned()), ..Submission::default() }
}

pub(crate) async fn accepted(client: &Client, submission: &Submission) -> String {
    match client.submit(submission).await.unwrap() {
        Submitted::Accepted { prompt_id, .. } => prompt_id,
        Submitted::Rejected { error, node_errors } => panic!("refused: {error} {node_errors}"),
    }
}

#[tokio::test]
async fn a_prompt_is_handed_in_runs_and_is_found_in_the_history() {
    let fake = FakeComfy::start();
    let client = client_of(&fake);
    let extra = json!({"tag": "probe"}).as_object().cloned();
    let submission = Submission { prompt_id: Some("mine".to_owned()), extra_data: extra, ..counting(1, 3) };
    assert_eq!(accepted(&client, &submission).await, "mine");
    fake.wait_until(|fake| fake.finished() == ["mine"]).await;
    let execution = client.history("mine").await.unwrap().unwrap();
    assert_eq!(execution.outcome, Outcome::Completed);
    let sent = fake.requests().into_iter().find(|seen| seen.method == "POST").unwrap();
    assert_eq!(sent.body["extra_data"], json!({"tag": "probe"}));
    assert_eq!(execution.row.client_id.as_deref(), Some("client-a"));
    assert_eq!(execution.row.outputs, ["9"]);
    assert!(execution.started_at_ms.unwrap() <= execution.ended_at_ms.unwrap());
    assert_eq!(execution.outputs["9"]["images"][0]["filename"], "probe_00001_.png");
    assert_eq!(client.history("unknown").await.unwrap(), None);
}

#[tokio::test]
async fn the_queue_shows_what_runs_and_waits_in_the_order_of_its_numbers() {
    let fake = FakeComfy::start();
    fake.hold();
    let client = client_of(&fake);
    let first = accepted(&client, &counting(1, 1)).await;
    fake.wait_until(|fake| fake.queued().len() == 1).await;
    let back = accepted(&client, &counting(2, 1)).await;
    let front = accepted(&client, &Submission { number: Some(-5.5), ..counting(3, 1) }).await;
    let queue = client.queue().await.unwrap();
    assert_eq!(queue.running[0].prompt_id, first);
    let pending: Vec<_> = queue.pending.iter().map(|row| (row.prompt_id.as_str(), row.number)).collect();
    assert_eq!(pending, [(front.as_str(), -5.5), (back.as_str(), 1.0)]);

    client.delete_from_queue(&[&front]).await.unwrap();
    assert_eq!(client.queue().await.unwrap().pending.len(), 1);
    client.clear_queue().await.unwrap();
    assert_eq!(client.queue().await.unwrap().pending.len(), 0);

    client.interrupt(Some("another")).await.unwrap();
    fake.steps(1);
    client.interrupt(Some(&first)).await.unwrap();
    fake.wait_until(|fake| fake.finished().len() == 1).await;
    let outcome = client.history(&first).await.unwrap().unwrap().outcome;
    assert!(matches!(outcome, Outcome::Interrupted { node: Some(_), .. }), "{outcome:?}");
    client.clear_history().await.unwrap();
    assert_eq!(client.history(&first).await.unwrap(), None);
}

#[tokio::test]
async fn a_node_that_fails_is_told_with_its_message() {
    let fake = FakeComfy::start();
    let client = client_of(&fake);
    let mut submission = counting(1, 1);
    submission.prompt.insert("5".to_owned(), json!({"class_type": "ProbeFail", "inputs": {"image": ["1", 0]}}));
    let prompt_id = accepted(&client, &submission).await;
    fake.wait_until(|fake| fake.finished().len() == 1).await;
    let Outcome::Failed(failure) = client.history(&prompt_id).await.unwrap().unwrap().outcome else {
        panic!("it failed")
    };
    let NodeFailure { node, node_type, message, exception_type, .. } = failure;
    assert_eq!((node.as_deref(), node_type.as_deref()), (Some("5"), Some("ProbeFail")));
    assert_eq!((message.as_str(), exception_type.as_str()), ("probe failure", "RuntimeError"));
}

#[tokio::test]
async fn a_refused_prompt_brings_comfyuis_own_words_unchanged() {
    let fake = FakeComfy::start();
    let mut submission = counting(1, 1);
    submission.prompt.insert("1".to_owned(), json!({"class_type": "EmptyImage", "inputs": {"width": 64}}));
    let Submitted::Rejected { error, node_errors } = client_of(&fake).submit(&submission).await.unwrap() else {
        panic!("it is refused")
    };
    assert_eq!(error["type"], "prompt_outputs_failed_validation");
    assert_eq!(node_errors["1"]["errors"][0]["type"], "required_input_missing");
}

#[tokio::test]
async fn a_comfyui_that_is_down_hangs_or_talks_nonsense_is_unavailable_and_says_what_was_tried() {
    let fake = FakeComfy::start();
    let client = client_of(&fake);
    fake.talk_nonsense();
    let Err(ComfyError::Unavailable { tried, cause: Trouble::NotJson(_) }) = client.system_stats().await else {
        panic!("a web page is no JSON")
    };
    assert_eq!(tried, format!("GET {}/system_stats", fake.url()));
    fake.hang();
    assert!(matches!(client.queue().await, Err(ComfyError::Unavailable { cause: Trouble::TimedOut(_), .. })));
    fake.go_down();
    assert!(matches!(client.queue().await, Err(ComfyError::Unavailable { cause: Trouble::NoConnection(_), .. })));
    fake.behave();
    client.queue().await.unwrap();
    fake.answer_with("/queue", 200, "application/json", r#"{"queue_running": 7}"#);
    assert!(matches!(client.queue().await, Err(ComfyError::Unavailable { cause: Trouble::Unexpected(_), .. })));
    fake.answer_with("/queue", 502, "text/plain", "bad gateway");
    assert!(matches!(
        client.queue().await,
        Err(ComfyError::Unavailable { cause: Trouble::Status { status: 502, .. }, .. })
    ));
}

#[tokio::test]
async fn credentials_in_the_address_are_in_no_error() {
    let fake = FakeComfy::start();
    fake.go_down();
    let base = fake.url().replace("http://", "http://user:secret@").parse().unwrap();
    let error = Client::new(base, Duration::from_millis(400)).unwrap().queue().await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
}

#[tokio::test]
async fn node_types_are_asked_once_until_they_are_to_be_forgotten() {
    let fake = FakeComfy::start();
    let client = client_of(&fake);
    assert_eq!(client.object_info().await.unwrap().len(), 363);
    client.object_info().await.unwrap();
    fake.edit_object_info(|all| drop(all.as_object_mut().unwrap().remove("KSampler")));
    assert!(client.object_info().await.unwrap().get("KSampler").is_some());
    client.forget_object_info();
    assert!(client.object_info().await.unwrap().get("KSampler").is_none());
    assert_eq!(fake.requests().iter().filter(|seen| seen.target == "/object_info").count(), 2);
}

#[tokio::test]
async fn a_file_is_read_as_a_stream_and_in_parts() {
    let fake = FakeComfy::start();
    fake.put_file("output", "sub dir", "a+b.png", b"0123456789");
    let client = client_of(&fake);
    let file = FileReference { filename: "a+b.png".into(), subfolder: "sub dir".into(), folder: "output".into() };
    let whole = client.view(&file, &[]).await.unwrap().unwrap();
    assert_eq!((whole.status, whole.content_length), (200, Some(10)));
    assert_eq!(whole.body.try_collect::<Vec<Bytes>>().await.unwrap().concat(), b"0123456789");
    let part = client.view(&file, &[("range", "bytes=2-4")]).await.unwrap().unwrap();
    assert_eq!((part.status, part.content_range.as_deref()), (206, Some("bytes 2-4/10")));
    assert_eq!(part.body.try_collect::<Vec<Bytes>>().await.unwrap().concat(), b"234");
    assert_eq!(client.view(&file, &[("range", "bytes=99-")]).await.unwrap().unwrap().status, 416);
    let absent = FileReference { filename: "absent.png".into(), ..file };
    assert!(client.view(&absent, &[]).await.unwrap().is_none());
}

#[tokio::test]
async fn an_input_is_sent_as_a_stream_and_keeps_what_is_there() {
    let fake = FakeComfy::start();
    let client = client_of(&fake);
    let to = FileReference { filename: "dog.png".into(), subfolder: "pets".into(), folder: "input".into() };
    let pieces = || futures_util::stream::iter([Ok(Bytes::from_static(b"wo")), Ok(Bytes::from_static(b"of\r\n"))]);
    assert_eq!(client.upload_input(&to, false, pieces()).await.unwrap(), to);
    let second = client.upload_input(&to, false, pieces()).await.unwrap();
    assert_eq!(second.filename, "dog (1).png");
    let back = client.view(&second, &[]).await.unwrap().unwrap();
    assert_eq!(back.body.try_collect::<Vec<Bytes>>().await.unwrap().concat(), b"woof\r\n");
}

#[tokio::test]
async fn folders_models_logs_and_saved_workflows_are_read_and_what_is_absent_is_none() {
    let fake = FakeComfy::start();
    let client = client_of(&fake);
    assert_eq!(client.model_folders().await.unwrap()[0], "checkpoints");
    assert_eq!(client.models("checkpoints").await.unwrap(), Some(vec![]));
    fake.set_models("loras", &["a/b.safetensors"]);
    assert_eq!(client.models("loras").await.unwrap(), Some(vec!["a/b.safetensors".to_owned()]));
    assert_eq!(client.models("no-such-folder").await.unwrap(), None);
    let paths = client.folder_paths().await.unwrap().unwrap();
    assert_eq!(paths["text_encoders"][1].to_str(), Some("/comfyui/models/clip"));
    assert!(client.logs().await.unwrap().unwrap()[1].text.contains("Total VRAM"));
    assert_eq!(client.saved_workflows().await.unwrap(), []);
    fake.save_workflow("mine/first one.json", &json!({"nodes": []}));
    let saved = client.saved_workflows().await.unwrap();
    assert_eq!((saved[0].path.as_str(), saved[0].modified_at_ms), ("mine/first one.json", Some(1_795_468_543_500)));
    assert_eq!(client.saved_workflow("mine/first one.json").await.unwrap(), Some(json!({"nodes": []})));
    assert_eq!(client.saved_workflow("absent.json").await.unwrap(), None);
    client.free(true, true).await.unwrap();
}

/// What a proxy answers for itself is a page for people, and says less than its status.
#[tokio::test]
async fn refusal_of_a_proxy_has_no_markup_and_says_what_to_set() {
    let fake = FakeComfy::start();
    fake.ask_for_authorization("Basic dXNlcjpwQHNzOncvcmQ=");
    let error = client_of(&fake).queue().await.unwrap_err().to_string();
    assert!(error.contains("status 401") && error.contains("COMFYUI_URL") && !error.contains('<'), "{error}");
    let base = fake.url().replace("http://", "http://user:p%40ss%3Aw%2Frd@").parse().unwrap();
    Client::new(base, Duration::from_millis(400)).unwrap().queue().await.unwrap();
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = FakeComfy::start();
    let server = test_support::file_server::FileServer::start();
    let target = format!("{}/queue", elsewhere.url().replace("http://", "http://user:secret@"));
    server.handle("/queue", move |_| test_support::file_server::Reply::redirect(target.clone()));
    let base = format!("http://{}", server.address()).parse().unwrap();
    let error = Client::new(base, Duration::from_secs(2)).unwrap().queue().await.unwrap_err().to_string();
    assert!(error.contains(&format!("redirects to {}/queue", elsewhere.url())), "{error}");
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn error_repeats_no_long_value() {
    let fake = FakeComfy::start();
    let client = client_of(&fake);
    let long = "x".repeat(1 << 20);
    fake.answer_with("/history/abc", 200, "application/json", &json!({"abc": long}).to_string());
    let error = client.history("abc").await.unwrap_err();
    assert!(error.is_unreadable() && error.to_string().len() < 400, "{} bytes", error.to_string().len());
    fake.answer_with("/queue", 400, "text/plain", &long);
    assert!(client.queue().await.unwrap_err().to_string().len() < 400);
}

/// A list in a list takes a hundred times its bytes in memory.
#[tokio::test]
async fn outputs_of_a_prompt_are_bounded() {
    let fake = FakeComfy::start();
    let row = json!([1, "abc", {"9": {"class_type": "SaveImage", "inputs": {}}}, {"client_id": "ours"}, ["9"]]);
    let many = vec![json!([0]); 300_000];
    let record =
        json!({"prompt": row, "outputs": {"9": {"images": many}}, "status": {"completed": true, "messages": []}});
    fake.answer_with("/history/abc", 200, "application/json", &json!({"abc": record}).to_string());
    let execution = client_of(&fake).history("abc").await.unwrap().unwrap();
    assert!(execution.outputs_are_cut && execution.outcome == Outcome::Completed);
    let kept = execution.outputs["9"]["images"].as_array().unwrap().len();
    assert!((1_000..60_000).contains(&kept), "{kept}");
    assert_eq!(
        (execution.row.client_id.as_deref(), &*execution.row.node_types),
        (Some("ours"), &["SaveImage".to_owned()][..])
    );
}

#[tokio::test]
async fn id_with_a_slash_is_an_unknown_prompt() {
    let fake = FakeComfy::start();
    assert_eq!(client_of(&fake).history("a/b").await.unwrap(), None);
    assert_eq!(fake.requests()[0].target, "/history/a%2Fb");
}

#[tokio::test]
async fn saved_workflow_is_read_through_a_proxy_that_decodes_paths() {
    let fake = FakeComfy::start();
    fake.save_workflow("mine/first one.json", &json!({"nodes": []}));
    fake.decode_paths();
    let client = client_of(&fake);
    assert_eq!(client.saved_workflow("mine/first one.json").await.unwrap(), Some(json!({"nodes": []})));
    assert_eq!(client.saved_workflow("absent.json").await.unwrap(), None);
}

#[tokio::test]
async fn requests_name_the_user_of_multi_user_mode() {
    let fake = FakeComfy::start();
    let base = fake.url().parse().unwrap();
    let client = Client::for_user(base, Some("alice".to_owned()), Duration::from_millis(400)).unwrap();
    client.saved_workflows().await.unwrap();
    assert_eq!(fake.requests()[0].user.as_deref(), Some("alice"));
}
