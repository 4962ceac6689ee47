//! ComfyUI through the API: running, watching, looking back; workflows and their tags; files out and in.

use futures_util::StreamExt;
use serde_json::{Value, json};
use test_support::fake_comfy::FakeComfy;
use tokio_tungstenite::tungstenite::Message;

use crate::world::{Server, TIMEOUT, World, socket::Client};

/// A graph that counts.
fn counting(color: u64) -> Value {
    json!({
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": color}},
        "5": {"class_type": "ProbeSleep", "inputs": {"image": ["1", 0], "steps": 3, "seconds": 0.2}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "probe"}},
    })
}

async fn execute(server: &Server, body: Value) -> String {
    let (status, accepted) = server.json("POST", "/api/comfyui/execute", Some(body)).await;
    assert_eq!((status, &accepted["status"]), (200, &json!("queued")), "{accepted}");
    accepted["prompt_id"].as_str().unwrap().to_owned()
}

async fn ended(server: &Server, prompt: &str) -> Value {
    let watch = async {
        let mut look = tokio::time::interval(std::time::Duration::from_millis(10));
        loop {
            look.tick().await;
            let record = server.get(&format!("/api/comfyui/history/{prompt}")).await;
            if !record["completed"].is_null() {
                return record;
            }
        }
    };
    tokio::time::timeout(TIMEOUT, watch).await.unwrap()
}

/// The forms in which people hold a graph, and what is none.
#[tokio::test(flavor = "multi_thread")]
async fn graph_is_taken_in_every_wrapper_and_nothing_else_is() {
    let comfy = FakeComfy::start();
    let server = World::new().beside(&comfy).serve().await;
    let graph = counting(1);
    let forms = [
        graph.clone(),
        json!({"workflow": graph}),
        json!({"prompt": graph}),
        json!({"input": {"workflow": graph}}),
        json!({"workflow": {"prompt": graph}}),
        json!({"workflow": graph.to_string()}),
    ];
    for form in forms {
        for operation in ["workflows/convert", "workflows/requirements", "comfyui/execute"] {
            let (status, answer) = server.json("POST", &format!("/api/{operation}"), Some(form.clone())).await;
            assert_eq!(status, 200, "{operation} {form}: {answer}");
            if operation == "workflows/convert" {
                assert_eq!(answer["workflow"], graph);
            }
        }
    }
    for form in [json!({"workflow": {}}), json!({"a": 1}), json!({"workflow": "text"}), json!({"workflow": {"a": 1}})] {
        for operation in ["workflows/convert", "workflows/requirements", "comfyui/execute"] {
            let (status, answer) = server.json("POST", &format!("/api/{operation}"), Some(form.clone())).await;
            assert_eq!((status, &answer["error"]["code"]), (400, &json!("INVALID_WORKFLOW")), "{operation} {form}");
        }
    }
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_runs_and_its_history_is_as_documented() {
    let comfy = FakeComfy::start();
    let server = World::new().beside(&comfy).serve().await;
    let id = execute(&server, json!({"workflow": counting(1)})).await;
    let record = ended(&server, &id).await;
    assert_eq!(record["status"], "completed");
    let image = &record["outputs"]["images"][0];
    assert_eq!((&image["subfolder"], &image["type"]), (&json!(""), &json!("output")));
    assert_eq!(record["outputs"]["nodes"]["9"]["images"][0], *image);
    assert!(record["started"].as_str().unwrap().ends_with('Z') && record["number"].is_u64());
    let list = server.get(&format!("/api/outputs?prompt_id={id}")).await;
    assert_eq!((&list["outputs"][0]["filename"], &list["complete"]), (&image["filename"], &json!(false)));
    assert!(list["outputs"][0]["size_bytes"].as_u64().unwrap() > 0);
    let path = format!("/api/outputs/view?filename={}", image["filename"].as_str().unwrap());
    let request = server.client.get(server.url(&path)).header("Range", "bytes=1-3");
    let part = request.send().await.unwrap();
    assert_eq!((part.status().as_u16(), part.headers()["content-type"].to_str().unwrap()), (206, "image/png"));
    assert!(part.headers()["content-range"].to_str().unwrap().starts_with("bytes 1-3/"));
    assert_eq!(part.bytes().await.unwrap().as_ref(), b"PNG");
    let request = server.client.get(server.url(&path)).header("Range", "bytes=99999-");
    assert_eq!(request.send().await.unwrap().status(), 416);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_has_its_code() {
    let comfy = FakeComfy::start();
    let server = World::new().beside(&comfy).flag("--comfyui-max-queue").flag("1").serve().await;
    let mut broken = counting(1);
    broken["1"]["inputs"]["width"] = json!(7_000_000);
    let ask = async |body: Value| server.json("POST", "/api/comfyui/execute", Some(body)).await;
    let (status, refused) = ask(json!({"workflow": broken})).await;
    assert_eq!((status, &refused["error"]["code"]), (400, &json!("INVALID_WORKFLOW")));
    let fault = &refused["error"]["details"]["faults"][0];
    assert_eq!((&fault["node"], &fault["input"]), (&json!("1"), &json!("width")));
    let (status, refused) = ask(json!({"workflow": counting(1), "priority": -1})).await;
    assert_eq!((status, &refused["error"]["code"]), (400, &json!("INVALID_REQUEST")));
    let (status, _) = ask(json!({})).await;
    assert_eq!(status, 400);
    comfy.hold();
    execute(&server, json!({"workflow": counting(1)})).await;
    let (status, refused) = ask(json!({"workflow": counting(2)})).await;
    assert_eq!((status, &refused["error"]["code"]), (507, &json!("QUEUE_FULL")));
    assert_eq!(
        (&refused["error"]["details"]["needed"], &refused["error"]["details"]["available"]),
        (&json!(2), &json!(1))
    );
    comfy.go_down();
    for (method, path) in [
        ("GET", "/api/comfyui/health"),
        ("GET", "/api/comfyui/queue"),
        ("POST", "/api/comfyui/interrupt"),
        ("POST", "/api/comfyui/free"),
        ("GET", "/api/comfyui/history/nobodys"),
        ("GET", "/api/outputs"),
        ("GET", "/api/outputs/view?filename=a.png"),
    ] {
        let (status, refused) = server.json(method, path, None).await;
        assert_eq!((status, &refused["error"]["code"]), (503, &json!("COMFYUI_UNAVAILABLE")), "{method} {path}");
        assert!(refused["error"]["details"]["tried"].as_str().unwrap().contains(&comfy.url()), "{refused}");
    }
    assert_eq!(server.get("/api/workflows?category=Audio%20Generation").await["total"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_is_guarded_by_its_tag() {
    let server = World::new().serve().await;
    let body = json!({"name": "My flow", "workflow": {"nodes": [], "links": [], "z": 1, "a": 2}});
    let (status, saved) = server.json("POST", "/api/workflows", Some(body.clone())).await;
    assert_eq!((status, &saved["status"]), (201, &json!("saved")));
    let path = format!("/api/workflows/{}", saved["id"].as_str().unwrap());
    let answer = server.client.get(server.url(&path)).send().await.unwrap();
    let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
    let text = answer.text().await.unwrap();
    assert!(text.contains(r#""workflow":{"nodes":[],"links":[],"z":1,"a":2}"#), "kept as it was given: {text}");
    let again = server.client.get(server.url(&path)).header("If-None-Match", &tag).send().await.unwrap();
    assert_eq!(again.status(), 304);

    let change = |tag: &str, name: &str| {
        let request = server.client.put(server.url(&path)).header("If-Match", tag);
        request.json(&json!({"name": name})).send()
    };
    let first = change(&tag, "First").await.unwrap();
    assert_eq!(first.status(), 200, "{tag}: {}", first.text().await.unwrap());
    let late = change(&tag, "Second").await.unwrap();
    assert_eq!(late.status(), 412);
    let unreadable = server.client.put(server.url(&path)).header("If-Match", &b"\"\xff\""[..]);
    let refused = unreadable.json(&json!({"name": "Second"})).send().await.unwrap();
    assert_eq!(refused.status(), 412, "a tag that is no text is nobody's");
    let refused: Value = serde_json::from_str(&late.text().await.unwrap()).unwrap();
    assert_eq!(refused["error"]["code"], "PRECONDITION_FAILED");
    let now = server.get(&path).await;
    assert_eq!((&now["name"], &now["workflow"]), (&json!("First"), &body["workflow"]));
    let answer = server.client.get(server.url(&path)).send().await.unwrap();
    let one_of_two = format!(r#""of another", {}"#, answer.headers()["etag"].to_str().unwrap());
    assert_eq!(change(&one_of_two, "Third").await.unwrap().status(), 200);
    let (status, gone) = server.json("DELETE", &path, None).await;
    assert_eq!((status, &gone["status"], &gone["workflow_id"]), (200, &json!("deleted"), &saved["id"]));
    let (status, refused) = server.json("GET", &path, None).await;
    assert_eq!((status, &refused["error"]["details"]["resource"]), (404, &json!("workflow")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_workflow_is_kept_and_a_too_large_one_refused() {
    let server = World::new().serve().await;
    let graph = |megabytes: usize| json!({"name": "Large", "workflow": {"text": "x".repeat(megabytes << 20)}});
    let (status, _) = server.json("POST", "/api/workflows", Some(graph(9))).await;
    assert_eq!(status, 201);
    let (status, refused) = server.json("POST", "/api/workflows", Some(graph(10))).await;
    assert_eq!((status, &refused["error"]["code"]), (413, &json!("PAYLOAD_TOO_LARGE")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_into_comfyuis_input_folder() {
    let comfy = FakeComfy::start();
    let server = World::new().beside(&comfy).serve().await;
    let request = server.client.post(server.url("/api/inputs?filename=face.png&subfolder=people")).body("a face");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let stored: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(stored, json!({"name": "face.png", "subfolder": "people", "type": "input"}));
    let path = "/api/outputs/view?type=input&subfolder=people&filename=face.png";
    let back = server.client.get(server.url(path)).send().await.unwrap();
    assert_eq!(back.bytes().await.unwrap().as_ref(), b"a face");
    for hostile in ["filename=..%2Fescape.png", "filename=a.png&subfolder=..%2F..", "filename=a.png&type=models"] {
        let (status, refused) = server.json("GET", &format!("/api/outputs/view?{hostile}"), None).await;
        assert_eq!((status, &refused["error"]["code"]), (400, &json!("INVALID_REQUEST")), "{hostile}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_hears_the_queue_the_steps_the_outputs_and_sees_pictures_if_it_asks() {
    let comfy = FakeComfy::start();
    comfy.hold();
    let server = World::new().beside(&comfy).serve().await;
    let mut client = Client::connect(&server).await;
    client.say(json!({"type": "subscribe", "channels": ["queue", "workflows"], "previews": true})).await;
    let snapshot = client.hear_one_of(&["queue_update"]).await;
    assert_eq!(snapshot["snapshot"], true);
    assert_eq!(
        snapshot["data"],
        json!({"queue_pending": 0, "queue_running": 0, "current_task": null, "paused": false})
    );
    comfy.wait_until(|comfy| !comfy.sockets().is_empty()).await;
    let action =
        json!({"type": "action", "action": "execute_workflow", "data": {"workflow": counting(1)}, "request_id": 5});
    client.say(action).await;
    let result = client.hear_one_of(&["action_result"]).await;
    assert_eq!((&result["request_id"], &result["data"]["status"]), (&json!(5), &json!("success")), "{result}");
    let id = result["data"]["result"]["prompt_id"].as_str().unwrap().to_owned();
    comfy.wait_until(|comfy| comfy.queued().len() == 1).await;
    comfy.send_preview(&comfy.sockets()[0], &id, "5", b"a picture");
    let picture = loop {
        match client.0.next().await.unwrap().unwrap() {
            Message::Binary(picture) => break picture,
            _ => continue,
        }
    };
    assert!(picture.ends_with(b"a picture") && picture.starts_with(&[0, 0, 0, 4]));
    comfy.go_on();
    let mut heard = Vec::new();
    loop {
        let message = client.hear().await;
        let is_last = message["type"] == "workflow_progress" && message["data"]["status"] == "completed";
        heard.push(message);
        if is_last {
            break;
        }
    }
    let output = heard.iter().find(|message| message["type"] == "workflow_output").unwrap();
    assert_eq!((&output["data"]["prompt_id"], output["data"]["output"]["images"].is_array()), (&json!(id), true));
    let last = &heard.last().unwrap()["data"];
    assert_eq!((&last["node"], &last["overall"], &last["type"]), (&Value::Null, &json!(100.0), &json!("executed")));
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_sockets_miss_no_end_of_many_prompts() {
    const PROMPTS: usize = 150;
    let comfy = FakeComfy::start();
    comfy.set_step(std::time::Duration::ZERO);
    let server = World::new().beside(&comfy).flag("--comfyui-max-queue").flag("1000").serve().await;
    let mut watchers = Vec::new();
    for _ in 0..20 {
        let mut client = Client::connect(&server).await;
        client.say(json!({"type": "subscribe", "channels": ["queue", "workflows"]})).await;
        client.hear_one_of(&["subscribed"]).await;
        watchers.push(tokio::spawn(async move {
            let mut ended = Vec::new();
            while ended.len() < PROMPTS {
                let message = client.hear_one_of(&["workflow_progress"]).await;
                if message["data"]["status"] == "completed" {
                    ended.push(message["data"]["prompt_id"].as_str().unwrap().to_owned());
                }
            }
            ended
        }));
    }
    let mut ids = Vec::new();
    for color in 0..PROMPTS {
        ids.push(execute(&server, json!({"workflow": counting(color as u64)})).await);
    }
    for watcher in watchers {
        assert_eq!(watcher.await.unwrap(), ids);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_outputs_say_more_than_the_least() {
    let comfy = FakeComfy::start();
    let server = World::new().beside(&comfy).serve().await;
    comfy.wait_until(|comfy| !comfy.sockets().is_empty()).await;
    let health = server.get("/api/comfyui/health").await;
    assert!(health["socket"]["open"].is_boolean() && health["stuck"].is_null(), "{health}");
    comfy.put_file("output", "", "für dich.png", b"a picture");
    comfy.put_file("output", "", "a scene.glb", b"a scene");
    for (name, disposition) in [
        ("f%C3%BCr%20dich.png", "inline; filename*=UTF-8''f%C3%BCr%20dich.png"),
        ("a%20scene.glb", "inline; filename=\"a scene.glb\""),
    ] {
        let answer = server.client.get(server.url(&format!("/api/outputs/view?filename={name}"))).send().await.unwrap();
        assert_eq!(answer.headers()["content-disposition"], disposition);
        assert_eq!(answer.headers()["cache-control"], "private, no-cache");
    }
    let (status, refused) = server.json("GET", "/api/comfyui/history/a%2Fb", None).await;
    assert_eq!((status, &refused["error"]["details"]["resource"]), (404, &json!("prompt")));
}

#[tokio::test(flavor = "multi_thread")]
async fn intermediate_pictures_come_after_results() {
    let comfy = FakeComfy::start();
    let server = World::new().beside(&comfy).serve().await;
    let mut graph = counting(1);
    let object = graph.as_object_mut().unwrap();
    object.insert("2".to_owned(), json!({"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}));
    let id = execute(&server, json!({"workflow": graph})).await;
    let images = ended(&server, &id).await["outputs"]["images"].clone();
    let types: Vec<&str> = images.as_array().unwrap().iter().map(|image| image["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["output", "temp"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn prompt_that_may_wait_is_accepted_while_comfyui_is_down() {
    let comfy = FakeComfy::start();
    let server = World::new().beside(&comfy).serve().await;
    comfy.go_down();
    let body = json!({"workflow": counting(1), "when_unavailable": "queue"});
    let (status, accepted) = server.json("POST", "/api/comfyui/execute", Some(body)).await;
    assert_eq!((status, &accepted["status"]), (202, &json!("queued")), "{accepted}");
}

/// Python's `json.dumps` writes numbers that JSON does not have; Windows' editors put a mark before the text.
#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_json_lacks_are_named_and_a_mark_is_skipped() {
    let server = World::new().serve().await;
    let send = async |body: &[u8]| {
        let request = server.client.post(server.url("/api/workflows")).header("Content-Type", "application/json");
        let answer = request.body(body.to_vec()).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, words) = send(br#"{"name": "n", "workflow": {"1": {"is_changed": [NaN]}}}"#).await;
    assert!(status == 400 && words.contains("NaN at line 1 column"), "{words}");
    let (status, words) = send(b"\xef\xbb\xbf{\"name\": \"n\", \"workflow\": {}}").await;
    assert_eq!(status, 201, "{words}");
    let (status, words) = send(b"\xff\xfe{\0}\0").await;
    assert!(status == 400 && words.contains("UTF-16"), "{words}");
}
