//! The command line changes access beside a running server: a process each, over real sockets.

use std::os::unix::process::ExitStatusExt;

use test_support::requirements::{Requirement, available};
use tokio::process::Command;

use super::callers::database;
use crate::world::{
    World, client,
    program::{Process, call_in, run},
};

async fn status(server: &Process, key: &str) -> u16 {
    let request = client().get(format!("http://{}/api/downloads", server.address)).bearer_auth(key);
    request.send().await.unwrap().status().as_u16()
}

/// Makes a key with the command line: its secret and its id.
async fn generate(world: &World) -> (String, String) {
    let made = run(call_in(world, &["auth", "generate-key", "--name", "ci", "--role", "read"])).await;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let listed = run(call_in(world, &["auth", "list-keys"])).await;
    let listed = String::from_utf8(listed.stdout).unwrap();
    let id = listed.lines().last().unwrap().split(' ').next().unwrap().to_owned();
    (String::from_utf8(made.stdout).unwrap().trim().to_owned(), id)
}

fn changes(world: &World) -> u64 {
    std::fs::metadata(database(world).with_file_name("access.changes")).unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn key_counts_and_ends_at_the_next_request() {
    let world = World::new();
    let server = Process::serve(&world).await;
    for _ in 0..3 {
        let (key, id) = generate(&world).await;
        assert_eq!(status(&server, &key).await, 200);
        let revoked = run(call_in(&world, &["auth", "revoke-key", &id])).await;
        assert!(revoked.status.success());
        assert_eq!(status(&server, &key).await, 401);
    }
}

/// The command line is killed as it is about to say that its change is made. The change is in the database by then.
#[tokio::test(flavor = "multi_thread")]
async fn key_is_refused_when_its_revoker_was_killed_after_the_commit() {
    if !available(&[Requirement::Tracing]) {
        return;
    }
    let world = World::new();
    let server = Process::serve(&world).await;
    // Writes are counted by thread, and the two of a change may be made by two threads: then the command ends well.
    for _ in 0..20 {
        let (key, id) = generate(&world).await;
        assert_eq!(status(&server, &key).await, 200);
        let before = changes(&world);
        let revoked = run(killed_at_second_write(&world, &["auth", "revoke-key", &id])).await;
        if revoked.status.success() {
            assert_eq!(status(&server, &key).await, 401);
            continue;
        }
        assert_eq!(revoked.status.signal(), Some(9), "{}", String::from_utf8_lossy(&revoked.stderr));
        assert_eq!(changes(&world), before + 1, "the change was not ended");
        assert_eq!(status(&server, &key).await, 401);
        assert_eq!(changes(&world), before + 2, "the server ended it");
        return;
    }
    panic!("no command was killed");
}

/// A call of the program whose second write to the file of changes kills it, before the byte is there.
fn killed_at_second_write(world: &World, words: &[&str]) -> Command {
    let program = call_in(world, words);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-q", "-o"]).arg(world.folder.path().join("trace"));
    strace.args(["-e", "trace=write", "-e", "inject=write:error=EIO:signal=SIGKILL:when=2"]);
    strace.arg("-P").arg(database(world).with_file_name("access.changes"));
    strace.arg(program.as_std().get_program()).args(program.as_std().get_args());
    strace.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).kill_on_drop(true);
    strace
}
