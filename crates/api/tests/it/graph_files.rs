//! Workflows that come as files: pictures that ComfyUI made, as the body or in a form.

use serde_json::{Value, json};
use test_support::fake_comfy::FakeComfy;

use crate::world::{Server, World};

fn graph() -> Value {
    json!({"1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 3}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}})
}

/// A picture of no pixels with this text in its metadata.
fn picture(keyword: &str, text: &str) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let chunk = [keyword.as_bytes(), b"\0", text.as_bytes()].concat();
    for (kind, data) in [(b"tEXt", chunk), (b"IEND", Vec::new())] {
        bytes.extend((data.len() as u32).to_be_bytes());
        bytes.extend(kind);
        bytes.extend(data);
        bytes.extend([0; 4]);
    }
    bytes
}

async fn post(server: &Server, path: &str, content_type: &str, body: Vec<u8>) -> (u16, Value) {
    let request = server.client.post(server.url(path)).header("Content-Type", content_type).body(body);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn form(file: &[u8]) -> (&'static str, Vec<u8>) {
    let head =
        "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n";
    ("multipart/form-data; boundary=xyz", [head.as_bytes(), file, b"\r\n--xyz--\r\n"].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn picture_is_converted_judged_run_and_saved() {
    let comfy = FakeComfy::start();
    let server = World::new().beside(&comfy).serve().await;
    let file = picture("prompt", &graph().to_string());
    for (content_type, body) in [("image/png", file.clone()), ("application/octet-stream", file.clone()), form(&file)] {
        let (status, converted) = post(&server, "/api/workflows/convert", content_type, body.clone()).await;
        assert_eq!((status, &converted["workflow"]), (200, &graph()), "{content_type}");
        let (status, needs) = post(&server, "/api/workflows/requirements", content_type, body.clone()).await;
        assert_eq!((status, &needs["ready"]), (200, &json!(true)), "{content_type}: {needs}");
        let (status, kept) = post(&server, "/api/comfyui/execute?priority=3", content_type, body.clone()).await;
        assert_eq!((status, &kept["status"]), (200, &json!("queued")), "{content_type}: {kept}");
        let (status, saved) = post(&server, "/api/workflows?name=From%20a%20picture", content_type, body).await;
        assert_eq!(status, 201, "{content_type}: {saved}");
        let stored = server.get(&format!("/api/workflows/{}", saved["id"].as_str().unwrap())).await;
        assert_eq!(stored["workflow"], graph());
    }
    let (status, needs) =
        post(&server, "/api/workflows/requirements", form(&[]).0, form(graph().to_string().as_bytes()).1).await;
    assert_eq!((status, &needs["ready"]), (200, &json!(true)), "JSON in a form: {needs}");
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn file_without_a_workflow_is_refused_with_its_reason() {
    let server = World::new().serve().await;
    let deep = "[".repeat(1000) + &"]".repeat(1000);
    for (content_type, body, status, code, says) in [
        ("image/png", picture("comment", "{}"), 400, "INVALID_WORKFLOW", "carries none"),
        ("image/png", picture("workflow", "{"), 400, "INVALID_WORKFLOW", "EOF"),
        ("image/png", picture("workflow", "{}"), 400, "INVALID_WORKFLOW", "neither"),
        ("image/png", picture("workflow", &deep), 413, "PAYLOAD_TOO_LARGE", "levels"),
        ("image/png", b"GIF89a".to_vec(), 415, "UNSUPPORTED_MEDIA_TYPE", "PNG, WebP"),
        ("image/png", Vec::new(), 415, "UNSUPPORTED_MEDIA_TYPE", "PNG, WebP"),
        ("multipart/form-data", b"--x\r\n".to_vec(), 400, "INVALID_REQUEST", "body"),
        ("multipart/form-data; boundary=x", b"--x--\r\n".to_vec(), 400, "INVALID_REQUEST", "body"),
        ("text/plain", b"{}".to_vec(), 415, "UNSUPPORTED_MEDIA_TYPE", "JSON"),
    ] {
        let (found, answer) = post(&server, "/api/workflows/requirements", content_type, body).await;
        assert_eq!((found, &answer["error"]["code"]), (status, &json!(code)), "{content_type} {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(says), "{content_type} {says}: {answer}");
    }
    server.stop().await.unwrap();
}
