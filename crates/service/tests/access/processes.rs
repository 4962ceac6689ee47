//! Several processes on one database: what one of them changes counts in the others at the next request, also if it dies half way.

use std::{
    fs::{File, OpenOptions},
    io::Write,
};

use rustix::fs::{FlockOperation, flock};
use service::access::{Access, Credential, Role};

use crate::world::{World, address, is_open, key, owner};

/// Another process in the middle of a change.
struct Writer(File);

impl Writer {
    fn begin(world: &World) -> Self {
        let mut file = OpenOptions::new().append(true).open(world.data("access.changes")).unwrap();
        flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
        file.write_all(b".").unwrap();
        Self(file)
    }

    fn finish(mut self) {
        self.0.write_all(b".").unwrap();
    }
}

fn length(world: &World) -> u64 {
    std::fs::metadata(world.data("access.changes")).unwrap().len()
}

async fn execute(world: &World, statement: &'static str) {
    let database = sqlx::SqlitePool::connect(&world.data("dashboard.db").display().to_string()).await.unwrap();
    sqlx::query(statement).execute(&database).await.unwrap();
    database.close().await;
}

async fn requires_nothing(access: &Access) -> bool {
    access.authenticate(Credential::Loopback { cookie: None }).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_counts_as_soon_as_it_is_in_the_database() {
    let world = World::new();
    let access = world.open().await;
    let (secret, _) = access.generate_key(key("laptop", Role::Admin)).await.unwrap();
    assert!(owner(&access, secret.reveal()).await.is_some());
    let writer = Writer::begin(&world);
    assert!(owner(&access, secret.reveal()).await.is_some(), "it is not revoked yet");
    execute(&world, "DELETE FROM access_keys").await;
    assert_eq!(owner(&access, secret.reveal()).await, None, "its writer has not ended the change");
    assert!(requires_nothing(&access).await);
    writer.finish();
    assert_eq!(owner(&access, secret.reveal()).await, None);
    assert!(requires_nothing(&access).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn change_of_a_writer_that_died_counts_and_is_finished() {
    let world = World::new();
    let access = world.open().await;
    let (secret, _) = access.generate_key(key("laptop", Role::Admin)).await.unwrap();
    let writer = Writer::begin(&world);
    execute(&world, "DELETE FROM access_keys").await;
    drop(writer);
    assert_eq!(length(&world) % 2, 1);
    assert_eq!(owner(&access, secret.reveal()).await, None);
    assert_eq!(length(&world) % 2, 0, "the next request has ended the change");
    let (secret, _) = access.generate_key(key("next", Role::Admin)).await.unwrap();
    assert!(owner(&access, secret.reveal()).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn change_after_a_writer_that_died_counts_everywhere() {
    let world = World::new();
    let (one, other) = (world.open().await, world.open().await);
    let (secret, made) = one.generate_key(key("laptop", Role::Admin)).await.unwrap();
    assert!(owner(&other, secret.reveal()).await.is_some());
    drop(Writer::begin(&world));
    one.revoke_key(&made.id).await.unwrap();
    assert_eq!(length(&world) % 2, 0);
    assert_eq!(owner(&other, secret.reveal()).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn change_counts_after_the_file_of_changes_was_removed() {
    let world = World::new();
    let (one, other) = (world.open().await, world.open().await);
    let (secret, made) = one.generate_key(key("laptop", Role::Admin)).await.unwrap();
    assert!(owner(&other, secret.reveal()).await.is_some());
    std::fs::remove_file(world.data("access.changes")).unwrap();
    one.revoke_key(&made.id).await.unwrap();
    assert_eq!(owner(&other, secret.reveal()).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn change_that_fails_leaves_everything_as_it_was() {
    let world = World::new();
    let (one, other) = (world.open().await, world.open().await);
    one.set_password("a good password").await.unwrap();
    let (cookie, session) = one.log_in("a good password", address("192.0.2.1"), None).await.unwrap();
    let (secret, made) = one.generate_key(key("laptop", Role::Admin)).await.unwrap();
    execute(&world, "CREATE TRIGGER a BEFORE DELETE ON access_keys BEGIN SELECT RAISE(ABORT, 'full'); END").await;
    execute(&world, "CREATE TRIGGER b BEFORE DELETE ON sessions BEGIN SELECT RAISE(ABORT, 'full'); END").await;
    execute(&world, "CREATE TRIGGER c BEFORE INSERT ON access_keys BEGIN SELECT RAISE(ABORT, 'full'); END").await;
    assert!(one.revoke_key(&made.id).await.is_err());
    assert!(one.revoke_session(&session.id).await.is_err());
    assert!(one.log_out(cookie.reveal()).await.is_err());
    assert!(one.set_password("another password").await.is_err());
    assert!(one.generate_key(key("second", Role::Read)).await.is_err());
    for access in [&one, &other] {
        assert!(owner(access, secret.reveal()).await.is_some());
        assert!(is_open(access, cookie.reveal()).await);
        assert_eq!(access.list_keys().await.unwrap().len(), 1);
        assert!(access.log_in("another password", address("192.0.2.1"), None).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uses_are_in_the_database_after_a_stop() {
    let world = World::new();
    let (dashboard, supervisor) = world.start(world.settings()).await;
    let (secret, made) = dashboard.access.generate_key(key("laptop", Role::Admin)).await.unwrap();
    assert!(owner(&dashboard.access, secret.reveal()).await.is_some());
    supervisor.shutdown().await;
    let listed = world.open().await.list_keys().await.unwrap();
    assert_eq!((listed[0].id.as_str(), listed[0].last_used_at), (made.id.as_str(), Some(made.created_at)));
}

/// A server that starts empties a long file, and so that it never grows without bound.
#[tokio::test(flavor = "multi_thread")]
async fn file_of_changes_starts_anew_when_it_has_become_long() {
    let world = World::new();
    world.open().await.close().await;
    std::fs::write(world.data("access.changes"), vec![b'.'; 100_001]).unwrap();
    let (dashboard, supervisor) = world.start(world.settings()).await;
    assert!(length(&world) < 10);
    let (secret, _) = world.open().await.generate_key(key("laptop", Role::Admin)).await.unwrap();
    assert!(owner(&dashboard.access, secret.reveal()).await.is_some());
    supervisor.shutdown().await;
}
