//! Sessions: they rotate at a login, live through restarts, and end.

use service::{
    Error, Resource,
    access::{Access, Actor, Credential, Role},
};

use crate::world::{HOUR, World, address, is_open};

const PASSWORD: &str = "a good password";

async fn log_in(access: &Access, previous: Option<&str>) -> String {
    let (cookie, _) = access.log_in(PASSWORD, address("192.0.2.1"), previous).await.unwrap();
    cookie.reveal().to_owned()
}

async fn with_password(world: &World) -> Access {
    let access = world.open().await;
    access.set_password(PASSWORD).await.unwrap();
    access
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_makes_an_admin_and_only_the_hash_of_its_cookie_is_kept() {
    let world = World::new();
    let access = with_password(&world).await;
    let cookie = log_in(&access, None).await;
    let identity = access.authenticate(Credential::Session(&cookie)).await.unwrap();
    assert_eq!((identity.actor, identity.role), (Actor::Session, Role::Admin));
    assert!(!world.disk_holds(&cookie));
    assert!(access.authenticate(Credential::Key(&cookie)).await.is_err(), "a cookie is no key");
    assert!(!is_open(&access, &identity.id).await, "an id is no cookie");
    let listed = access.list_sessions().await.unwrap();
    assert_eq!((listed.len(), listed[0].address.as_str()), (1, "192.0.2.1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_replaces_the_session_that_the_browser_had_and_takes_no_cookie_that_was_planted() {
    let world = World::new();
    let access = with_password(&world).await;
    let first = log_in(&access, None).await;
    let second = log_in(&access, Some(&first)).await;
    assert!(!is_open(&access, &first).await);
    assert!(is_open(&access, &second).await);
    let third = log_in(&access, Some("planted")).await;
    assert!(!is_open(&access, "planted").await);
    assert!(third != second && is_open(&access, &second).await, "somebody else's session is left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_after_a_day_of_silence_and_after_a_month_of_use() {
    let world = World::new();
    let access = with_password(&world).await;
    let idle = log_in(&access, None).await;
    world.clock.advance(24 * HOUR - 1);
    assert!(is_open(&access, &idle).await);
    world.clock.advance(24 * HOUR);
    assert!(!is_open(&access, &idle).await);
    assert_eq!(access.list_sessions().await.unwrap(), []);

    let busy = log_in(&access, None).await;
    for _ in 0..59 {
        world.clock.advance(12 * HOUR);
        assert!(is_open(&access, &busy).await);
    }
    world.clock.advance(12 * HOUR);
    assert!(!is_open(&access, &busy).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_and_revocation_end_a_session_for_every_process() {
    let world = World::new();
    let access = with_password(&world).await;
    let other_process = world.open().await;
    let (left, revoked) = (log_in(&access, None).await, log_in(&access, None).await);
    access.log_out(&left).await.unwrap();
    access.log_out(&left).await.unwrap();
    assert!(!is_open(&other_process, &left).await);
    let id = other_process.list_sessions().await.unwrap()[0].id.clone();
    access.revoke_session(&id).await.unwrap();
    assert!(!is_open(&other_process, &revoked).await);
    let again = access.revoke_session(&id).await;
    assert!(matches!(again, Err(Error::NotFound { resource: Resource::Session, .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_session_stays_ended_when_the_clock_goes_back() {
    let world = World::new();
    let access = with_password(&world).await;
    let cookie = log_in(&access, None).await;
    world.clock.advance(25 * HOUR);
    assert!(!is_open(&access, &cookie).await);
    world.clock.advance(-25 * HOUR);
    assert!(!is_open(&access, &cookie).await);
}
