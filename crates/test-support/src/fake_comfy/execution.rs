//! Runs prompts by counting: the frames, the history and the order are ComfyUI's, the work is left out.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::validation::reached_from;
use super::world::{Queued, Shared, Temper, now};

/// Takes prompts out of the queue and runs them, one after another, for ever.
pub(super) async fn run_prompts(shared: Arc<Shared>) {
    loop {
        let next = {
            let mut world = shared.world();
            let next = if *shared.temper.borrow() == Temper::Down { None } else { world.take_next() };
            if let Some(next) = &next {
                world.running = Some(next.clone());
                world.interrupted = false;
                world.send_status();
            }
            next
        };
        shared.changed.notify_waiters();
        match next {
            Some(next) => run(&shared, next).await,
            None => shared.work.notified().await,
        }
    }
}

/// How far a prompt is.
struct Run<'a> {
    shared: &'a Shared,
    queued: Queued,
    life: u64,
    messages: Vec<Value>,
    outputs: Map<String, Value>,
    progress: Map<String, Value>,
    executed: Vec<String>,
}

/// Why a prompt does not go on.
enum Stop {
    Interrupted,
    Failed(String),
    /// The server was restarted meanwhile: nothing is told or kept.
    Forgotten,
}

async fn run(shared: &Shared, queued: Queued) {
    let life = shared.world().life;
    let mut run = Run {
        shared,
        queued,
        life,
        messages: Vec::new(),
        outputs: Map::new(),
        progress: Map::new(),
        executed: Vec::new(),
    };
    run.message("execution_start", json!({}));
    let cached = shared.world().ran.contains(&run.queued.prompt);
    let order = run.order();
    run.message("execution_cached", json!({"nodes": if cached { order.clone() } else { Vec::new() }}));
    let mut stopped = None;
    for node in &order {
        let ended = if cached { run.show_cached(node) } else { run.node(node).await };
        if let Err(stop) = ended {
            stopped = Some((node.clone(), stop));
            break;
        }
    }
    run.end(stopped);
}

impl Run<'_> {
    fn node_of(&self, node: &str) -> &Value {
        &self.queued.prompt[node]
    }

    /// The nodes that its outputs need, each after those that it needs.
    fn order(&self) -> Vec<String> {
        let nodes = self.queued.prompt.as_object().cloned().unwrap_or_default();
        let mut waiting: Vec<String> = nodes
            .keys()
            .filter(|id| self.queued.outputs.iter().any(|output| reached_from(output, &nodes).contains(*id)))
            .cloned()
            .collect();
        let mut order: Vec<String> = Vec::new();
        while !waiting.is_empty() {
            let ready = waiting.iter().position(|id| {
                let needed = reached_from(id, &nodes);
                needed.iter().all(|needed| needed == id || order.contains(needed))
            });
            order.push(waiting.remove(ready.unwrap_or(0)));
        }
        order
    }

    async fn node(&mut self, node: &str) -> Result<(), Stop> {
        self.step().await?;
        if let Some(message) = self.shared.world().fail_next.take() {
            return Err(Stop::Failed(message));
        }
        self.shared.world().running_node = Some(node.to_owned());
        self.tell_progress(node, json!(0.0), json!(1.0), "running");
        self.send("executing", json!({"node": node, "display_node": node}));
        let class = self.node_of(node)["class_type"].as_str().unwrap_or_default().to_owned();
        if class == "ProbeFail" {
            return Err(Stop::Failed("probe failure\n".to_owned()));
        }
        let steps = if class == "ProbeSleep" { self.node_of(node)["inputs"]["steps"].as_u64().unwrap_or(1) } else { 0 };
        for count in 1..=steps {
            self.step().await?;
            self.tell_progress(node, json!(count), json!(steps), "running");
            self.send("progress", json!({"value": count, "max": steps, "node": node}));
        }
        self.show(node);
        let (value, max) = if steps > 0 { (json!(steps), json!(steps)) } else { (json!(1.0), json!(1.0)) };
        self.tell_progress(node, value, max, "finished");
        self.executed.push(node.to_owned());
        Ok(())
    }

    /// Waits for the next moment at which something may happen.
    async fn step(&self) -> Result<(), Stop> {
        loop {
            let pause = self.shared.world().step;
            if self.shared.held.load(Ordering::SeqCst) {
                let changed = self.shared.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                self.look()?;
                tokio::select! {
                    permit = self.shared.permits.acquire() => {
                        if let Ok(permit) = permit {
                            permit.forget();
                        }
                    }
                    () = changed => continue,
                }
            } else {
                tokio::time::sleep(pause).await;
            }
            let mut temper = self.shared.temper.subscribe();
            let up = temper.wait_for(|temper| *temper != Temper::Down);
            let _ = up.await;
            return self.look();
        }
    }

    fn look(&self) -> Result<(), Stop> {
        let world = self.shared.world();
        if world.life != self.life {
            return Err(Stop::Forgotten);
        }
        if world.interrupted { Err(Stop::Interrupted) } else { Ok(()) }
    }

    /// An output node leaves files behind and tells of them.
    fn show(&mut self, node: &str) {
        let class = self.node_of(node)["class_type"].as_str().unwrap_or_default().to_owned();
        let mut world = self.shared.world();
        if world.object_info[&class]["output_node"] != true {
            return;
        }
        world.saved_files += 1;
        let count = world.saved_files;
        let prefix = self.queued.prompt[node]["inputs"]["filename_prefix"].as_str();
        let folder = if prefix.is_some() { "output" } else { "temp" };
        let (subfolder, stem) =
            prefix.unwrap_or("ComfyUI_temp").rsplit_once('/').unwrap_or(("", prefix.unwrap_or("ComfyUI_temp")));
        let filename = format!("{stem}_{count:05}_.png");
        world.put_file(folder, subfolder, &filename, b"\x89PNG\r\n\x1a\n as good as a picture".to_vec());
        drop(world);
        let output = json!({"images": [{"filename": filename, "subfolder": subfolder, "type": folder}]});
        self.outputs.insert(node.to_owned(), output.clone());
        self.send("executed", json!({"node": node, "display_node": node, "output": output}));
    }

    fn show_cached(&mut self, node: &str) -> Result<(), Stop> {
        let before = self.outputs.len();
        self.show(node);
        if self.outputs.len() > before {
            self.tell_progress(node, json!(1), json!(1), "finished");
        }
        Ok(())
    }

    fn tell_progress(&mut self, node: &str, value: Value, max: Value, state: &str) {
        let id = &self.queued.prompt_id;
        let now = json!({
            "value": value, "max": max, "state": state, "node_id": node, "prompt_id": id,
            "display_node_id": node, "parent_node_id": null, "real_node_id": node,
        });
        self.progress.insert(node.to_owned(), now);
        let nodes = self.progress.clone();
        self.send("progress_state", json!({"nodes": nodes}));
    }

    /// To the sockets of the client that submitted, and to nobody else.
    fn send(&self, kind: &str, mut data: Value) {
        data["prompt_id"] = json!(self.queued.prompt_id);
        let world = self.shared.world();
        if let Some(client_id) = self.queued.client_id().filter(|_| world.life == self.life) {
            world.send_to(client_id, &Message::text(json!({"type": kind, "data": data}).to_string()));
        }
        drop(world);
        self.shared.changed.notify_waiters();
    }

    /// A frame that the history keeps too.
    fn message(&mut self, kind: &str, mut data: Value) {
        data["prompt_id"] = json!(self.queued.prompt_id);
        data["timestamp"] = json!(now());
        self.messages.push(json!([kind, data]));
        self.send(kind, data);
    }

    fn end(mut self, stopped: Option<(String, Stop)>) {
        let class = |run: &Self, node: &str| run.node_of(node)["class_type"].clone();
        let completed = stopped.is_none();
        match stopped {
            Some((_, Stop::Forgotten)) => return,
            None => self.message("execution_success", json!({})),
            Some((node, Stop::Interrupted)) => {
                let (node_type, executed) = (class(&self, &node), self.executed.clone());
                self.message(
                    "execution_interrupted",
                    json!({"node_id": node, "node_type": node_type, "executed": executed}),
                );
            }
            Some((node, Stop::Failed(message))) => {
                let (node_type, executed) = (class(&self, &node), self.executed.clone());
                let data = json!({
                    "node_id": node, "node_type": node_type, "executed": executed, "exception_message": message,
                    "exception_type": "RuntimeError", "traceback": ["  File \"/comfyui/nodes.py\", line 1, in run\n"],
                    "current_inputs": {}, "current_outputs": self.executed,
                });
                self.message("execution_error", data);
            }
        }
        let about =
            |node: &String| json!({"node_id": node, "display_node": node, "parent_node": null, "real_node_id": node});
        let meta: Map<String, Value> = self.outputs.keys().map(|node| (node.clone(), about(node))).collect();
        let status_str = if completed { "success" } else { "error" };
        let status = json!({"status_str": status_str, "completed": completed, "messages": self.messages});
        let record = json!({"prompt": self.queued.row(), "outputs": self.outputs, "status": status, "meta": meta});
        let mut world = self.shared.world();
        if world.life != self.life {
            return;
        }
        world.history.push((self.queued.prompt_id.clone(), record));
        world.running = None;
        world.running_node = None;
        if completed {
            world.ran.push(self.queued.prompt.clone());
        }
        world.send_status();
        drop(world);
        self.send("executing", json!({"node": null}));
    }
}
