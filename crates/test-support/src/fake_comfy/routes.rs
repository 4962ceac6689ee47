//! The HTTP side: one connection, and what each path answers.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::net::TcpStream;

use super::http::{Reply, Request, unescape};
use super::validation::{self, Verdict};
use super::world::{Queued, Seen, Shared, Temper, World, whole};

/// Answers the requests of one connection until it ends.
pub(super) async fn serve_connection(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut buffer = Vec::new();
    while let Some(request) = Request::read(&mut stream, &mut buffer).await {
        let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        let seen = Seen {
            method: request.method.clone(),
            target: request.target.clone(),
            body,
            user: request.header("comfy-user").map(str::to_owned),
        };
        shared.world().seen.push(seen);
        shared.changed.notify_waiters();
        let temper = *shared.temper.borrow();
        match temper {
            Temper::Hanging => return std::future::pending().await,
            Temper::Down => return,
            Temper::Well | Temper::Nonsense => {}
        }
        let wanted = shared.world().authorization.clone();
        if wanted.is_some() && wanted.as_deref() != request.header("authorization") {
            let page = b"<html>\r\n<head><title>401 Authorization Required</title></head>\r\n</html>\r\n".to_vec();
            if Reply::typed(401, "text/html", page).write(&mut stream).await.is_err() {
                return;
            }
            continue;
        }
        let socket = request.header("upgrade").is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"));
        if socket && shared.world().refuses_sockets {
            if Reply::text(403, "403: Forbidden").write(&mut stream).await.is_err() {
                return;
            }
            continue;
        }
        if socket && temper == Temper::Well {
            return super::socket::serve(stream, &request, shared).await;
        }
        let reply = if temper == Temper::Nonsense {
            Reply::typed(200, "text/html", b"<!DOCTYPE html><title>Router</title><h1>Welcome</h1>".to_vec())
        } else {
            shared.while_held(request.path()).await;
            answer(&request, &shared)
        };
        if reply.write(&mut stream).await.is_err() {
            return;
        }
    }
}

fn answer(request: &Request, shared: &Shared) -> Reply {
    let decoded = shared.world().decodes_paths.then(|| unescape(request.path()));
    let full_path = decoded.as_deref().unwrap_or(request.path());
    let path = full_path.strip_prefix("/api").filter(|rest| rest.starts_with('/')).unwrap_or(full_path);
    let mut world = shared.world();
    if let Some((status, content_type, body)) = world.overrides.get(path) {
        return Reply::typed(*status, content_type, body.clone().into_bytes());
    }
    let (head, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let reply = match (request.method.as_str(), head, rest) {
        ("GET", "prompt", "") => Reply::json(200, &json!({"exec_info": {"queue_remaining": world.queue_remaining()}})),
        ("POST", "prompt", "") if body.is_null() => {
            Reply::text(500, "500 Internal Server Error\n\nServer got itself in trouble")
        }
        ("POST", "prompt", "") => submit(&mut world, body, shared),
        ("GET", "queue", "") => Reply::json(200, &queue(&world)),
        ("POST", "queue", "") => change_queue(&mut world, &body),
        ("GET", "history", id) => Reply::json(200, &history(&world, id, request.query("max_items"))),
        ("POST", "history", "") => change_history(&mut world, &body),
        ("POST", "interrupt", "") => interrupt(&mut world, &body),
        ("POST", "free", "") => Reply::empty(200),
        ("GET", "object_info", "") => Reply::json(200, &world.object_info),
        ("GET", "object_info", class) => Reply::json(200, &one_type(&world, class)),
        ("GET", "models", folder) if !folder.is_empty() => models(&world, folder),
        ("GET", "userdata", "") => saved_workflows(&world, request),
        ("GET", "userdata", file) => saved_workflow(&world, file),
        ("GET", "view", "") => view(&world, request),
        ("POST", "upload", "image") => upload(&mut world, request),
        ("GET", _, _) => match world.answers.get(path) {
            Some(recorded) => Reply::json(200, recorded),
            None => Reply::typed(404, "application/octet-stream", Vec::new()),
        },
        _ => Reply::typed(404, "application/octet-stream", Vec::new()),
    };
    drop(world);
    shared.changed.notify_waiters();
    reply
}

fn submit(world: &mut World, mut body: Value, shared: &Shared) -> Reply {
    #[expect(clippy::cast_precision_loss, reason = "numbers of prompts are small")]
    let counted = world.counter as f64;
    let number = match body["number"].as_f64() {
        Some(number) => number,
        None => {
            world.counter += 1;
            if body["front"] == true { -counted } else { counted }
        }
    };
    let Some(mut prompt) = body.get_mut("prompt").map(Value::take) else {
        let error = validation::error("no_prompt", "No prompt provided", "No prompt provided");
        return Reply::json(400, &json!({"error": error, "node_errors": {}}));
    };
    if !replace(&mut prompt, world) {
        return Reply::text(500, "500 Internal Server Error\n\nServer got itself in trouble");
    }
    let targets = body["partial_execution_targets"].as_array().cloned();
    match validation::check(&prompt, targets.as_deref(), &world.object_info) {
        Verdict::Refused { error, node_errors } => {
            Reply::json(400, &json!({"error": error, "node_errors": node_errors}))
        }
        Verdict::Runs { outputs, node_errors } => {
            let prompt_id = body["prompt_id"].as_str().map_or_else(|| world.new_id(), str::to_owned);
            let mut extra_data = body["extra_data"].as_object().cloned().unwrap_or_default();
            if let Some(client_id) = body.get("client_id") {
                extra_data.insert("client_id".to_owned(), client_id.clone());
            }
            let extra_data = Value::Object(extra_data);
            world.pending.push(Queued { number, prompt_id: prompt_id.clone(), prompt, extra_data, outputs });
            world.send_status();
            shared.work.notify_one();
            Reply::json(200, &json!({"prompt_id": prompt_id, "number": whole(number), "node_errors": node_errors}))
        }
    }
}

/// Puts other node types in the place of those that are gone, by what `/api/node_replacements` answers. `false`: it fails.
fn replace(prompt: &mut Value, world: &World) -> bool {
    let Some((_, _, known)) = world.overrides.get("/node_replacements") else { return true };
    let known: Value = serde_json::from_str(known).unwrap_or_default();
    for node in prompt.as_object_mut().into_iter().flat_map(|nodes| nodes.values_mut()) {
        let class = node["class_type"].as_str().unwrap_or_default();
        let Some(new) = known[class][0]["new_node_id"].as_str().filter(|_| world.object_info.get(class).is_none())
        else {
            continue;
        };
        if node.get("_meta").is_none() {
            return false;
        }
        node["class_type"] = json!(new);
    }
    true
}

fn queue(world: &World) -> Value {
    let pending: Vec<Value> = world.pending.iter().map(Queued::row).collect();
    let running: Vec<Value> = world.running.iter().map(Queued::row).collect();
    json!({"queue_running": running, "queue_pending": pending})
}

fn ids(body: &Value) -> HashSet<&str> {
    body["delete"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn change_queue(world: &mut World, body: &Value) -> Reply {
    if body["clear"] == true {
        world.pending.clear();
    }
    let unwanted = ids(body);
    world.pending.retain(|queued| !unwanted.contains(queued.prompt_id.as_str()));
    world.send_status();
    Reply::empty(200)
}

fn history(world: &World, id: &str, most: Option<String>) -> Value {
    let most = most.and_then(|most| most.parse().ok()).unwrap_or(usize::MAX);
    let kept = world.history.iter().filter(|(known, _)| id.is_empty() || known == id);
    let skipped = world.history.len().saturating_sub(most);
    let wanted = kept.skip(if id.is_empty() { skipped } else { 0 });
    Value::Object(wanted.map(|(id, record)| (id.clone(), record.clone())).collect::<Map<_, _>>())
}

fn change_history(world: &mut World, body: &Value) -> Reply {
    let unwanted = ids(body);
    world.history.retain(|(id, _)| body["clear"] != true && !unwanted.contains(id.as_str()));
    Reply::empty(200)
}

fn interrupt(world: &mut World, body: &Value) -> Reply {
    let named = body.get("prompt_id").and_then(Value::as_str);
    let ours = world.running.as_ref().is_some_and(|running| named.is_none_or(|id| id == running.prompt_id));
    world.interrupted |= ours && !world.is_deaf;
    Reply::empty(200)
}

fn one_type(world: &World, class: &str) -> Value {
    match world.object_info.get(class) {
        Some(known) => json!({class: known}),
        None => json!({}),
    }
}

fn models(world: &World, folder: &str) -> Reply {
    let known = world.answers["/models"].as_array().is_some_and(|folders| folders.iter().any(|name| name == folder));
    match world.models.get(folder) {
        Some(names) => Reply::json(200, &json!(names)),
        None if known => Reply::json(200, &json!([])),
        None => Reply::empty(404),
    }
}

fn saved_workflows(world: &World, request: &Request) -> Reply {
    if world.workflows.is_empty() || request.query("dir").as_deref() != Some("workflows") {
        return Reply::text(404, "Directory not found");
    }
    let full = request.query("full_info").as_deref() == Some("true");
    let shown = world.workflows.iter().map(|(path, text)| match full {
        true => json!({"path": path, "size": text.len(), "modified": 1_795_468_543.5, "created": 1_795_468_543.5}),
        false => json!(path),
    });
    Reply::json(200, &Value::Array(shown.collect()))
}

fn saved_workflow(world: &World, file: &str) -> Reply {
    let mut file = if world.decodes_paths { file.to_owned() } else { unescape(file) };
    if world.decodes_paths && file.contains('/') {
        // Its route takes one segment.
        return Reply::empty(404);
    }
    if file.contains('%') {
        file = unescape(&file);
    }
    match file.strip_prefix("workflows/").and_then(|path| world.workflows.get(path)) {
        Some(text) => Reply::typed(200, "application/json", text.clone().into_bytes()),
        None => Reply::empty(404),
    }
}

fn view(world: &World, request: &Request) -> Reply {
    let field = |name: &str, otherwise: &str| request.query(name).unwrap_or_else(|| otherwise.to_owned());
    let key = (field("type", "output"), field("subfolder", ""), field("filename", ""));
    let Some(bytes) = world.files.get(&key) else { return Reply::empty(404) };
    let range = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let Some((first, last)) = range else { return Reply::typed(200, "image/png", bytes.clone()) };
    let first: usize = first.parse().unwrap_or(0);
    let last = last.parse().unwrap_or(usize::MAX).min(bytes.len().saturating_sub(1));
    if first >= bytes.len() || last < first {
        let mut reply = Reply::empty(416);
        reply.headers.push(("Content-Range", format!("bytes */{}", bytes.len())));
        return reply;
    }
    let mut reply = Reply::typed(206, "image/png", bytes[first..=last].to_vec());
    reply.headers.push(("Content-Range", format!("bytes {first}-{last}/{}", bytes.len())));
    reply
}

/// Reads just the forms that are sent here: text fields, and one file named `image`.
fn upload(world: &mut World, request: &Request) -> Reply {
    let boundary =
        request.header("content-type").and_then(|kind| kind.split_once("boundary=")).map(|(_, boundary)| boundary);
    let Some(boundary) = boundary.map(|boundary| format!("--{boundary}")) else { return Reply::empty(400) };
    let mut fields: Map<String, Value> = Map::new();
    let mut file = None;
    for part in split(&request.body, boundary.as_bytes()) {
        let Some(end) = part.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&part[..end]).into_owned();
        let content = &part[end + 4..part.len().saturating_sub(2).max(end + 4)];
        let named = |key: &str| head.split(&format!("{key}=\"")).nth(1).and_then(|rest| rest.split('"').next());
        match (named(" name"), named("filename")) {
            (Some("image"), Some(filename)) => file = Some((filename.to_owned(), content.to_vec())),
            (Some(name), None) => drop(fields.insert(name.to_owned(), json!(String::from_utf8_lossy(content)))),
            _ => {}
        }
    }
    let Some((mut name, bytes)) = file else { return Reply::empty(400) };
    let text = |key: &str, otherwise: &str| fields.get(key).and_then(Value::as_str).unwrap_or(otherwise).to_owned();
    let (folder, subfolder) = (text("type", "input"), text("subfolder", ""));
    let taken = |name: &str| world.files.contains_key(&(folder.clone(), subfolder.clone(), name.to_owned()));
    if text("overwrite", "false") != "true" && taken(&name) {
        let (stem, extension) = name.rsplit_once('.').unwrap_or((&name, ""));
        name = (1..).map(|count| format!("{stem} ({count}).{extension}")).find(|name| !taken(name)).unwrap_or_default();
    }
    world.put_file(&folder, &subfolder, &name, bytes);
    Reply::json(200, &json!({"name": name, "subfolder": subfolder, "type": folder}))
}

fn split<'a>(body: &'a [u8], boundary: &[u8]) -> Vec<&'a [u8]> {
    let at: Vec<usize> = (0..body.len()).filter(|start| body[*start..].starts_with(boundary)).collect();
    at.windows(2).map(|pair| &body[pair[0] + boundary.len()..pair[1]]).collect()
}
