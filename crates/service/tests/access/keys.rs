//! Keys: made, used, expired, revoked, and seen from another process.

use jiff::Timestamp;
use service::{
    Error, Resource,
    access::{Access, Actor, Credential, NewKey, Role},
};

use crate::world::{START, World, key, owner};

#[tokio::test]
async fn a_key_proves_its_name_and_role_and_only_its_hash_is_kept() {
    let world = World::new();
    let access = world.open().await;
    let (secret, made) = access.generate_key(key("laptop", Role::Operate)).await.unwrap();
    let identity = owner(&access, secret.reveal()).await.unwrap();
    assert_eq!((identity.actor, identity.role), (Actor::Key, Role::Operate));
    assert_eq!((identity.id.as_str(), identity.name.as_str()), (made.id.as_str(), "laptop"));
    assert!(secret.reveal().starts_with("cdk_"));
    assert_eq!(secret.reveal().len(), 4 + 43, "256 bits as base64url");
    assert!(secret.reveal().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    assert!(!world.disk_holds(secret.reveal()));
    assert!(!format!("{secret:?} {made:?}").contains(&secret.reveal()[10..]));
}

#[tokio::test]
async fn anything_but_the_whole_key_is_refused() {
    let world = World::new();
    let access = world.open().await;
    let (secret, made) = access.generate_key(key("laptop", Role::Admin)).await.unwrap();
    let secret = secret.reveal();
    let (upper, shorter, longer) = (secret.to_uppercase(), &secret[..secret.len() - 1], format!("{secret}A"));
    for wrong in ["", "cdk_", &upper, shorter, &longer, &made.id, &made.hint, "' OR 1=1 --", "cdk_\0"] {
        assert_eq!(owner(&access, wrong).await, None, "{wrong:?}");
    }
}

#[tokio::test]
async fn a_key_made_or_revoked_by_another_process_counts_at_the_next_request() {
    let world = World::new();
    let (server, shell) = (world.open().await, world.open().await);
    let (secret, made) = shell.generate_key(key("ci", Role::Read)).await.unwrap();
    let identity = owner(&server, secret.reveal()).await.unwrap();
    assert!(server.still_holds(&identity).await.unwrap());
    shell.revoke_key(&made.id).await.unwrap();
    assert_eq!(owner(&server, secret.reveal()).await, None);
    assert!(!server.still_holds(&identity).await.unwrap(), "a socket that it opened ends");
    let again = shell.revoke_key(&made.id).await;
    assert!(matches!(again, Err(Error::NotFound { resource: Resource::Key, .. })));
}

#[tokio::test]
async fn a_key_stops_at_its_expiry_to_the_millisecond() {
    let world = World::new();
    let access = world.open().await;
    let end = Timestamp::from_millisecond(START + 5000).unwrap();
    let new = NewKey { expires_at: Some(end), ..key("short", Role::Read) };
    let (secret, _) = access.generate_key(new.clone()).await.unwrap();
    world.clock.advance(4999);
    assert!(owner(&access, secret.reveal()).await.is_some());
    world.clock.advance(1);
    assert_eq!(owner(&access, secret.reveal()).await, None);
    let past = access.generate_key(new).await;
    assert!(matches!(past, Err(Error::Invalid { field, .. }) if field == "expires_at"));
}

#[tokio::test]
async fn last_use_is_known_to_the_minute() {
    let world = World::new();
    let access = world.open().await;
    let (secret, made) = access.generate_key(key("laptop", Role::Read)).await.unwrap();
    let last_used = async || access.list_keys().await.unwrap()[0].last_used_at.map(Timestamp::as_millisecond);
    assert_eq!((made.last_used_at, last_used().await), (None, None));
    for (step, seen) in [(0, START), (59_999, START), (1, START + 60_000)] {
        world.clock.advance(step);
        owner(&access, secret.reveal()).await.unwrap();
        assert_eq!(last_used().await, Some(seen));
    }
}

#[tokio::test]
async fn names_are_one_line_and_not_empty() {
    let world = World::new();
    let access = world.open().await;
    let long = "n".repeat(101);
    for name in
        ["", "   ", "two\nlines", "bell\u{7}", "nul\0", "a\u{202e}b", "a\u{200b}b", "a\u{2066}b", "\u{feff}a", &long]
    {
        let refused = access.generate_key(key(name, Role::Read)).await;
        assert!(matches!(refused, Err(Error::Invalid { field, .. }) if field == "name"), "{name:?}");
    }
    for name in ["'; DROP TABLE access_keys; --", "{{7*7}}", "ключ 🔑", &long[1..]] {
        access.generate_key(key(name, Role::Read)).await.unwrap();
    }
    let names: Vec<String> = access.list_keys().await.unwrap().into_iter().map(|key| key.name).collect();
    assert_eq!(names, ["'; DROP TABLE access_keys; --", "{{7*7}}", "ключ 🔑", &long[1..]]);
}

#[tokio::test]
async fn being_at_this_machine_is_enough_until_a_key_is_made() {
    let world = World::new();
    let access = world.open().await;
    let nearby = async |access: &Access| access.authenticate(Credential::Loopback { cookie: None }).await;
    assert_eq!(nearby(&access).await.unwrap().role, Role::Admin);
    let page = Credential::Loopback { cookie: Some(access.page_cookie()) };
    assert_eq!(access.authenticate(page).await.unwrap().actor, Actor::Page);
    access.generate_key(key("first", Role::Read)).await.unwrap();
    assert!(matches!(nearby(&access).await, Err(Error::Unauthorized)));
    assert!(matches!(access.authenticate(page).await, Err(Error::Unauthorized)));
    let cookie = access.page_cookie();
    assert!(access.authenticate(Credential::Session(cookie)).await.is_err(), "the page's cookie opens nothing");
    assert!(access.authenticate(Credential::Key(cookie)).await.is_err());
}

/// A clock that is set back, by whomever, does not revive what was refused as expired, in no process.
#[tokio::test]
async fn expired_key_stays_refused_when_the_clock_goes_back() {
    let world = World::new();
    let access = world.open().await;
    let end = Timestamp::from_millisecond(START + 5000).unwrap();
    let (secret, made) =
        access.generate_key(NewKey { expires_at: Some(end), ..key("short", Role::Read) }).await.unwrap();
    let identity = owner(&access, secret.reveal()).await.unwrap();
    world.clock.advance(5000);
    assert_eq!(owner(&access, secret.reveal()).await, None);
    world.clock.advance(-5000);
    assert_eq!(owner(&access, secret.reveal()).await, None, "{}", made.id);
    assert!(!access.still_holds(&identity).await.unwrap(), "nor do sockets go on");
    assert_eq!(owner(&world.open().await, secret.reveal()).await, None, "after a restart");
}
