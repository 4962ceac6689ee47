//! The first start in the open, and the way back in.

use std::process::Stdio;

use api::{Application, ApplicationError, Invocation};
use service::SystemClock;
use tokio::io::AsyncWriteExt;

use super::callers::{PASSWORD, database, shell};
use crate::world::{
    World, client,
    program::{Process, call_in, run},
};

async fn build(world: &World, flags: &[&str]) -> Result<Application, ApplicationError> {
    let mut arguments = vec!["comfyui-dashboard".into()];
    arguments.extend(world.arguments());
    arguments.extend(["--listen", "0.0.0.0:0"].iter().chain(flags).map(Into::into));
    Application::build(Invocation::of(arguments).unwrap().settings.config().unwrap(), SystemClock).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_others_can_reach_does_not_start_without_credentials() {
    let world = World::new();
    assert!(matches!(build(&world, &[]).await, Err(ApplicationError::OpenToAll(_))));
    assert!(!database(&world).exists(), "a refused start leaves nothing behind");
    assert!(build(&world, &["--allow-unauthenticated"]).await.unwrap().first_password().is_none());
    assert!(build(&world, &["--access-password", "from the setting"]).await.is_ok());
    assert!(
        matches!(build(&world, &[]).await, Err(ApplicationError::OpenToAll(_))),
        "the setting went, and nothing is left"
    );
    shell(&world).await.set_password(PASSWORD).await.unwrap();
    assert!(build(&world, &[]).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_made_once_where_that_is_asked_for() {
    let world = World::new();
    let first = build(&world, &["--generate-password"]).await.unwrap();
    let password = first.first_password().unwrap().to_owned();
    assert!(password.len() >= 40);
    drop(first);
    assert!(build(&world, &["--generate-password"]).await.unwrap().first_password().is_none());
    let access = shell(&world).await;
    assert!(access.log_in(&password, std::net::IpAddr::from([127, 0, 0, 1]), None).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shell_makes_keys_and_sets_the_password_while_the_server_runs() {
    let world = World::new();
    let server = Process::serve(&world).await;
    let status = async |key: &str| {
        let request = client().get(format!("http://{}/api/downloads", server.address));
        request.bearer_auth(key).send().await.unwrap().status().as_u16()
    };
    let output = run(call_in(&world, &["auth", "generate-key", "--name", "ci", "--role", "read"])).await;
    let key = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && key.starts_with("cdk_") && key.lines().count() == 1, "{key}");
    let key = key.trim();
    assert_eq!(status(key).await, 200);
    assert_eq!(status("cdk_other").await, 401);

    let listed = String::from_utf8(run(call_in(&world, &["auth", "list-keys"])).await.stdout).unwrap();
    assert!(listed.contains("ci") && listed.contains("read") && !listed.contains(key), "{listed}");
    let id = listed.split_whitespace().next().unwrap().to_owned();
    assert!(run(call_in(&world, &["auth", "revoke-key", &id])).await.status.success());
    assert_eq!(status(key).await, 401);
    assert!(!run(call_in(&world, &["auth", "revoke-key", &id])).await.status.success());

    let mut command = call_in(&world, &["auth", "set-password"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{PASSWORD}\n").as_bytes()).await.unwrap();
    assert!(child.wait().await.unwrap().success());
    let login = client().post(format!("http://{}/api/auth/login", server.address));
    let answer = login.json(&serde_json::json!({"password": PASSWORD})).send().await.unwrap();
    assert_eq!(answer.status(), 200);

    let listen = format!("--listen={}", server.address);
    let presets = run(call_in(&world, &["presets", "list", &listen])).await;
    assert!(presets.status.success(), "the shell proves itself by the token: {presets:?}");
}
