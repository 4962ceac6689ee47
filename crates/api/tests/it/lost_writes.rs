//! A disk that does not keep what the database is given: syncs of its log fail (strace sees to it). Whatever was answered is
//! there after a kill and a restart, and what could not be stored was never said.

use std::process::Stdio;

use serde_json::{Value, json};
use test_support::file_server::{Content, Gate};
use test_support::requirements::{Requirement, available};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use crate::world::{
    TIMEOUT, World,
    program::{Process, call_in},
};

/// How a failed write is told in the log.
const LOUD: &str = "download updates not stored";

/// The program, its log, and a download of it that has begun.
struct Victim {
    process: Process,
    log: Lines<BufReader<ChildStderr>>,
    held: Value,
}

/// What makes the syncs fail, for as long as it lives.
struct Fault {
    strace: Child,
    /// Where it tells of each thread; it would end if nobody read.
    _told: Lines<BufReader<ChildStderr>>,
}

impl Fault {
    /// Lets the program go, as it is.
    async fn end(mut self) {
        let id = self.strace.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        tokio::time::timeout(TIMEOUT, self.strace.wait()).await.expect("it lets go in time").unwrap();
    }
}

impl Victim {
    /// One whose writes are lost, which was asked for a preset, and whose file has arrived since: it could keep neither.
    /// `None` where the test is skipped because the machine permits no tracing.
    async fn that_lost_writes() -> Option<(World, Self, Fault)> {
        if !available(&[Requirement::Tracing]) {
            return None;
        }
        let mut world = World::new();
        let gate = world.hold_a_preset();
        let mut victim = Self::start(&world).await;
        let fault = victim.lose_writes(&world).await;
        victim.is_refused().await;
        victim.arrive_in_vain(&gate).await;
        Some((world, victim, fault))
    }

    async fn start(world: &World) -> Self {
        let mut child = call_in(world, &["serve", "--listen", "127.0.0.1:0"]).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        let process = Process::listening(child).await;
        let (status, held) = process.json("POST", "/api/presets/HELD/install", None).await;
        assert_eq!(status, 202, "{held}");
        process.until(&held["download_id"], "downloading").await;
        Self { process, log, held: held["download_id"].clone() }
    }

    /// From now on every sync of the database's log fails.
    async fn lose_writes(&self, world: &World) -> Fault {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-o"]).arg(world.folder.path().join("trace"));
        strace.args(["-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO"]);
        strace.arg("-P").arg(world.folder.path().join("data/dashboard.db-wal"));
        strace.args(["-p", &self.process.child.id().unwrap().to_string()]);
        strace.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut strace = strace.spawn().unwrap();
        let mut told = BufReader::new(strace.stderr.take().unwrap()).lines();
        let line = tokio::time::timeout(TIMEOUT, told.next_line()).await.expect("it says so in time").unwrap();
        assert!(line.as_ref().is_some_and(|line| line.contains("attached")), "strace says {line:?}");
        Fault { strace, _told: told }
    }

    /// Lets the held file arrive, and reads the log until it has said twice that this cannot be stored.
    async fn arrive_in_vain(&mut self, gate: &Gate) {
        gate.open();
        let loud = async {
            let mut times = 0;
            while times < 2 {
                times += usize::from(self.log.next_line().await.unwrap().expect("it lives").contains(LOUD));
            }
        };
        tokio::time::timeout(TIMEOUT, loud).await.expect("it says so in time");
        let (_, download) = self.process.json("GET", &path_of(&self.held), None).await;
        assert_ne!(download["status"], "completed", "what is not kept was said");
    }

    /// Asks for what cannot be kept, on every connection to the database.
    async fn is_refused(&self) {
        for _ in 0..8 {
            let (status, answer) = self.process.json("POST", "/api/presets/SMALL/install", None).await;
            assert_eq!((status, &answer["error"]["code"]), (500, &json!("INTERNAL_ERROR")), "{answer}");
        }
    }
}

fn path_of(download: &Value) -> String {
    format!("/api/downloads/{}", download.as_str().unwrap())
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_kill_while_syncs_of_the_database_fail() {
    let Some((world, victim, fault)) = Victim::that_lost_writes().await else { return };
    victim.process.signal("-KILL");
    victim.process.end(TIMEOUT).await;
    drop(fault);

    let server = world.serve().await;
    assert_eq!(server.end_of(victim.held.as_str().unwrap()).await["status"], "completed");
    assert!(world.holds("loras/held.safetensors", &Content::pattern(9, 400_000)));
    assert_eq!(server.get("/api/presets/SMALL").await["installed"], false, "what was refused was begun");
    assert_eq!(server.install("SMALL", json!({})).await["status"], "completed");
}

#[tokio::test]
async fn everything_goes_on_when_syncs_of_the_database_succeed_again() {
    let Some((_world, mut victim, fault)) = Victim::that_lost_writes().await else { return };
    fault.end().await;

    // The log is read on: a program whose pipe is full would wait.
    let reading = async { while victim.log.next_line().await.unwrap().is_some() {} };
    let held = victim.held.clone();
    let going_on = async {
        victim.process.until(&held, "completed").await;
        for _ in 0..8 {
            let force = Some(json!({"force": true}));
            let (status, small) = victim.process.json("POST", "/api/presets/SMALL/install", force).await;
            assert_eq!(status, 202, "{small}");
            victim.process.until(&small["download_id"], "completed").await;
        }
    };
    tokio::select! {
        () = reading => panic!("it ended"),
        () = going_on => {}
    }
}
