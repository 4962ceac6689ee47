//! The socket: what it tells while a prompt runs, and that it comes back whatever ComfyUI does.

use std::time::Duration;

use comfy_client::{Backoff, Client, ComfyEvent, watch};
use serde_json::json;
use test_support::fake_comfy::FakeComfy;
use test_support::tls_front::{Authority, TlsFront};
use tokio::sync::mpsc::Receiver;

use crate::client::{accepted, client_of, counting};

fn quick() -> Backoff {
    let (first, longest) = (Duration::from_millis(5), Duration::from_millis(20));
    Backoff { first, longest, connect: Duration::from_millis(300), silence: Duration::from_millis(200) }
}

fn watched(fake: &FakeComfy, client_id: &str) -> Receiver<ComfyEvent> {
    let (events, watching) = watch(&client_of(fake), client_id, quick());
    tokio::spawn(watching);
    events
}

/// The events up to the first that `last` takes, which is the last of them.
async fn until(events: &mut Receiver<ComfyEvent>, last: impl Fn(&ComfyEvent) -> bool) -> Vec<ComfyEvent> {
    let mut seen = Vec::new();
    loop {
        let event = tokio::time::timeout(Duration::from_secs(10), events.recv()).await.unwrap().unwrap();
        seen.push(event);
        if seen.last().is_some_and(&last) {
            return seen;
        }
    }
}

fn is_end(event: &ComfyEvent) -> bool {
    matches!(event, ComfyEvent::Executing { node: None, .. })
}

#[tokio::test]
async fn a_running_prompt_is_told_of_step_by_step_to_its_own_client_only() {
    let fake = FakeComfy::start();
    let mut ours = watched(&fake, "client-a");
    let mut theirs = watched(&fake, "client-b");
    fake.wait_until(|fake| fake.sockets().len() == 2).await;
    let prompt_id = accepted(&client_of(&fake), &counting(1, 3)).await;
    let events = until(&mut ours, is_end).await;
    let counts: Vec<(f64, f64)> = events
        .iter()
        .filter_map(|event| match event {
            ComfyEvent::Progress { value, max, node, .. } if node.as_deref() == Some("5") => Some((*value, *max)),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [(1.0, 3.0), (2.0, 3.0), (3.0, 3.0)]);
    let nodes: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            ComfyEvent::Executing { node, .. } => Some(node.as_deref()),
            _ => None,
        })
        .collect();
    assert_eq!(nodes, [Some("1"), Some("5"), Some("9"), None]);
    assert!(events.contains(&ComfyEvent::Started { prompt_id: prompt_id.clone() }));
    assert!(events.contains(&ComfyEvent::Succeeded { prompt_id }));
    let others = until(&mut theirs, |event| *event == ComfyEvent::Status { queue_remaining: 1 }).await;
    let idle = until(&mut theirs, |event| *event == ComfyEvent::Status { queue_remaining: 0 }).await;
    assert!(
        others[1..].iter().chain(&idle).all(|event| matches!(event, ComfyEvent::Status { .. })),
        "{others:?} {idle:?}"
    );
}

#[tokio::test]
async fn a_lost_socket_comes_back_and_goes_on_with_the_node_that_runs() {
    let fake = FakeComfy::start();
    fake.hold();
    let mut events = watched(&fake, "client-a");
    fake.wait_until(|fake| fake.sockets().len() == 1).await;
    accepted(&client_of(&fake), &counting(1, 5)).await;
    fake.steps(2);
    until(&mut events, |event| matches!(event, ComfyEvent::Executing { node: Some(node), .. } if node == "5")).await;
    fake.drop_sockets();
    until(&mut events, |event| matches!(event, ComfyEvent::Disconnected { .. })).await;
    let back = until(&mut events, |event| matches!(event, ComfyEvent::Executing { .. })).await;
    assert_eq!(back[0], ComfyEvent::Connected);
    assert_eq!(back.last().unwrap(), &ComfyEvent::Executing { prompt_id: None, node: Some("5".to_owned()) });
    fake.go_on();
    until(&mut events, is_end).await;
}

#[tokio::test]
async fn a_comfyui_that_goes_down_hangs_or_restarts_is_connected_to_again() {
    let fake = FakeComfy::start();
    let mut events = watched(&fake, "client-a");
    until(&mut events, |event| *event == ComfyEvent::Connected).await;
    fake.go_down();
    until(&mut events, |event| matches!(event, ComfyEvent::Disconnected { .. })).await;
    fake.behave();
    until(&mut events, |event| *event == ComfyEvent::Connected).await;
    fake.restart();
    until(&mut events, |event| matches!(event, ComfyEvent::Disconnected { .. })).await;
    until(&mut events, |event| *event == ComfyEvent::Connected).await;
    fake.go_down();
    fake.hang();
    until(&mut events, |event| matches!(event, ComfyEvent::Disconnected { .. })).await;
    fake.behave();
    until(&mut events, |event| *event == ComfyEvent::Connected).await;
}

#[tokio::test]
async fn garbage_is_passed_over_and_previews_keep_their_node() {
    let fake = FakeComfy::start();
    let mut events = watched(&fake, "client-a");
    fake.wait_until(|fake| fake.sockets().len() == 1).await;
    fake.send_garbage();
    fake.send_preview("client-a", "p", "5", b"picture");
    let seen = until(&mut events, |event| matches!(event, ComfyEvent::Preview { .. })).await;
    assert_eq!(seen.len(), 3, "only connected, status and the preview: {seen:?}");
    let ComfyEvent::Preview { prompt_id, node, media_type, image } = seen[2].clone() else { panic!("it is a preview") };
    assert_eq!((prompt_id.as_deref(), node.as_deref(), media_type.as_str()), (Some("p"), Some("5"), "image/png"));
    assert_eq!(&image[..], b"picture");
}

#[tokio::test]
async fn watching_ends_when_nobody_listens() {
    let fake = FakeComfy::start();
    let (events, watching) = watch(&client_of(&fake), "client-a", quick());
    let watching = tokio::spawn(watching);
    fake.wait_until(|fake| fake.sockets().len() == 1).await;
    drop(events);
    tokio::time::timeout(Duration::from_secs(5), watching).await.unwrap().unwrap();
}

#[tokio::test]
async fn socket_sends_user_and_password_of_the_address() {
    let fake = FakeComfy::start();
    fake.ask_for_authorization("Basic dXNlcjpwQHNzOncvcmQ=");
    let mut refused = watched(&fake, "client-a");
    let told = until(&mut refused, |event| matches!(event, ComfyEvent::Disconnected { .. })).await;
    let ComfyEvent::Disconnected { cause } = &told[0] else { panic!("{told:?}") };
    assert!(cause.contains("401") && !cause.contains('<'), "{cause}");
    let base = fake.url().replace("http://", "http://user:p%40ss%3Aw%2Frd@").parse().unwrap();
    let client = Client::new(base, Duration::from_millis(400)).unwrap();
    let (mut events, watching) = watch(&client, "client-b", quick());
    tokio::spawn(watching);
    assert_eq!(until(&mut events, |_| true).await, [ComfyEvent::Connected]);
}

/// The environment is that of a process, so this one starts itself again.
#[test]
fn https_socket_trusts_the_authorities_in_ssl_cert_file() {
    const URL: &str = "COMFYUI_DASHBOARD_TEST_TLS_URL";
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Ok(url) = std::env::var(URL) {
        return runtime.block_on(async {
            let client = Client::new(url.parse().unwrap(), Duration::from_secs(5)).unwrap();
            client.queue().await.unwrap();
            let (mut events, watching) =
                watch(&client, "client-a", Backoff { connect: Duration::from_secs(5), ..quick() });
            tokio::spawn(watching);
            assert_eq!(until(&mut events, |_| true).await, [ComfyEvent::Connected]);
        });
    }
    let fake = FakeComfy::start();
    let authority = Authority::default();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), authority.pem()).unwrap();
    let behind = fake.url().trim_start_matches("http://").parse().unwrap();
    let front = runtime.block_on(TlsFront::start(&authority, "127.0.0.1", behind));
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "watching::https_socket_trusts_the_authorities_in_ssl_cert_file", "--nocapture"]);
    let ended = command.env(URL, front.url("")).env("SSL_CERT_FILE", file.path()).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&ended.stderr));
}

/// Twenty frames of this size took more memory than most machines have.
#[tokio::test]
async fn output_frame_with_a_deep_list_is_cut() {
    let fake = FakeComfy::start();
    let mut events = watched(&fake, "client-a");
    fake.wait_until(|fake| fake.sockets().len() == 1).await;
    let many = vec![json!([0]); 300_000];
    let data = json!({"prompt_id": "p", "node": "9", "output": {"images": many}});
    fake.send_frame(&json!({"data": data, "type": "executed"}));
    let seen = until(&mut events, |event| matches!(event, ComfyEvent::Executed { .. })).await;
    let Some(ComfyEvent::Executed { output, .. }) = seen.last() else { panic!("{seen:?}") };
    assert!(output["images"].as_array().unwrap().len() < 60_000);
}
