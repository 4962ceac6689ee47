//! A disk that does not keep what the database is given: syncs of its log fail (strace tells the program so). Whatever was
//! answered is there after a kill and a restart, and what could not be stored was never said.

use std::process::Stdio;

use serde_json::{Value, json};
use test_support::file_server::Content;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{ChildStderr, Command};

use crate::world::{PATIENCE, World, client, program::Process, program::call_in};

/// How a failed write is told in the log.
const LOUD: &str = "could not be stored";

/// The program with a disk that loses writes, and its log.
struct Victim {
    process: Process,
    log: Lines<BufReader<ChildStderr>>,
}

/// What the program said of an install before it was killed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    /// The download was taken, under this name.
    taken: Option<String>,
    /// It was said to be whole.
    completed: bool,
    /// The log says that something could not be stored.
    loud: bool,
}

impl Victim {
    /// Starts the server; the syncs of a thread that `when` names, as strace counts them, fail. Every connection to the
    /// database has a thread of its own. `None`: it does not even start, and says why.
    async fn start(world: &World, when: &str) -> Option<Self> {
        let program = call_in(world, &["serve", "--listen", "127.0.0.1:0"]);
        let mut command = Command::new("strace");
        // The program stays a child of this test, which kills it.
        command.args(["-D", "-f", "-qq", "-o"]).arg(world.folder.path().join("trace"));
        command.args(["-e", "trace=fsync,fdatasync", "-e", &format!("inject=fsync,fdatasync:error=EIO:when={when}")]);
        command.arg("-P").arg(world.folder.path().join("data/dashboard.db-wal")).arg("--");
        command.arg(program.as_std().get_program()).args(program.as_std().get_args()).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let Some(line) = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap() else {
            let told = log.next_line().await.unwrap().unwrap_or_default();
            assert!(told.contains("database") || told.contains("disk I/O"), "{told}");
            return None;
        };
        let address = line.rsplit_once("http://").expect("an address").1.to_owned();
        Some(Self { process: Process { child, address }, log })
    }

    async fn ask(&self, method: &str, path: &str) -> (u16, Value) {
        let url = format!("http://{}{path}", self.process.address);
        let answer = client().request(method.parse().unwrap(), url).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Installs, and looks until the download is whole; where no write succeeds any more, until the log has said so twice.
    async fn install(&mut self, lasting: bool) -> Said {
        let (status, answer) = self.ask("POST", "/api/presets/SMALL/install").await;
        if status != 202 {
            assert_eq!((status, &answer["error"]["code"]), (500, &json!("INTERNAL_ERROR")), "{answer}");
            return Said::default();
        }
        let id = answer["download_id"].as_str().unwrap().to_owned();
        let mut said = Said { taken: Some(id.clone()), ..Said::default() };
        let mut refused = 0;
        let mut look = tokio::time::interval(std::time::Duration::from_millis(20));
        while !said.completed && !(lasting && refused >= 2) {
            tokio::select! {
                line = self.log.next_line() => refused += usize::from(line.unwrap().expect("it lives").contains(LOUD)),
                _ = look.tick() => {
                    let (_, download) = self.ask("GET", &format!("/api/downloads/{id}")).await;
                    said.completed = download["status"] == "completed";
                }
            }
        }
        said.loud = refused > 0;
        said
    }

    /// Kills it. Whether what was left of its log says that something could not be stored.
    async fn kill(mut self) -> bool {
        self.process.signal("-KILL");
        self.process.end(PATIENCE).await;
        let mut loud = false;
        while let Some(line) = self.log.next_line().await.unwrap() {
            loud |= line.contains(LOUD);
        }
        loud
    }
}

fn can_trace() -> bool {
    let mut probe = std::process::Command::new("strace");
    probe.args(["-D", "-f", "-o", "/dev/null", "true"]).stderr(Stdio::null());
    let can = probe.status().is_ok_and(|status| status.success());
    if !can {
        eprintln!("skipped: strace is not installed, or may not trace here");
    }
    can
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_after_syncs_of_the_database_failed() {
    if !can_trace() {
        return;
    }
    let mut all = Vec::new();
    for when in ["1", "2", "3", "4", "6", "9", "1+", "2+", "4+", "6+"] {
        let world = World::new();
        world.serve().await.stop().await.unwrap();
        let said = match Victim::start(&world, when).await {
            Some(mut victim) => {
                let install = victim.install(when.ends_with('+'));
                let mut said = tokio::time::timeout(PATIENCE, install).await.expect("it ends in time");
                said.loud |= victim.kill().await;
                said
            }
            None => Said::default(),
        };
        let server = world.serve().await;
        if let Some(id) = &said.taken {
            let download = server.get(&format!("/api/downloads/{id}")).await;
            assert!(!said.completed || download["status"] == "completed", "{when}: {said:?}, {download}");
            assert_eq!(server.end_of(id).await["status"], "completed", "{when}");
        } else if server.get("/api/presets/SMALL").await["installed"] != true {
            server.install("SMALL", json!({})).await;
        }
        assert_eq!(server.get("/api/presets/SMALL").await["installed"], true, "{when}");
        assert!(world.holds("loras/one.safetensors", &Content::pattern(1, 300_000)), "{when}");
        server.stop().await.unwrap();
        all.push(said);
    }
    assert!(all.iter().any(|said| said.taken.is_none()), "no write before an answer was hit: {all:?}");
    assert!(all.iter().any(|said| said.loud && !said.completed), "no write of a transfer was hit: {all:?}");
    assert!(all.iter().any(|said| said.loud && said.completed), "none was got over: {all:?}");
}
