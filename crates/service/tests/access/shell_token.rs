//! The token between the shell and a running server.

use std::os::unix::fs::PermissionsExt;

use service::access::{Actor, Credential, Role, read_shell_token};

use crate::world::{World, key};

#[tokio::test(flavor = "multi_thread")]
async fn the_shell_is_admin_of_a_running_server_by_a_file_that_only_its_owner_reads() {
    let world = World::new();
    let database = world.data("dashboard.db");
    let (dashboard, supervisor) = world.start(world.settings()).await;
    let mode = std::fs::metadata(world.data("cli.token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let token = read_shell_token(&database).unwrap().unwrap();
    dashboard.access.generate_key(key("first", Role::Read)).await.unwrap();
    let shell = dashboard.access.authenticate(Credential::Key(&token)).await.unwrap();
    assert_eq!((shell.actor, shell.role), (Actor::Shell, Role::Admin));
    let other_process = world.open().await;
    assert!(other_process.authenticate(Credential::Key(&token)).await.is_err(), "it is that server's alone");
    supervisor.shutdown().await;
    assert_eq!(read_shell_token(&database).unwrap(), None);

    std::fs::write(world.data("cli.token"), "left by a crash").unwrap();
    let (dashboard, supervisor) = world.start(world.settings()).await;
    let next = read_shell_token(&database).unwrap().unwrap();
    assert_ne!(next, token);
    assert!(dashboard.access.authenticate(Credential::Key(&token)).await.is_err());
    assert!(dashboard.access.authenticate(Credential::Key("left by a crash")).await.is_err());
    std::fs::write(world.data("cli.token"), "of another server").unwrap();
    supervisor.shutdown().await;
    assert_eq!(read_shell_token(&database).unwrap().as_deref(), Some("of another server"));
}
