//! The password: stored, set by the operator, generated, changed, guessed.

use service::{
    Error, Secret,
    access::{AccessSettings, PasswordSet},
};

use crate::world::{SECOND, World, address, is_open};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_takes_the_place_of_the_old_one_and_ends_its_sessions() {
    let world = World::new();
    let (server, shell) = (world.open().await, world.open().await);
    shell.set_password("first password").await.unwrap();
    let (cookie, _) = server.log_in("first password", address("192.0.2.1"), None).await.unwrap();
    assert!(is_open(&server, cookie.reveal()).await);
    assert_eq!(shell.set_password("second password").await.unwrap(), PasswordSet::InForce);
    assert!(!is_open(&server, cookie.reveal()).await);
    assert!(server.log_in("first password", address("192.0.2.1"), None).await.is_err());
    assert!(server.log_in(" second password\n", address("192.0.2.1"), None).await.is_ok());
    assert!(!world.disk_holds("second password"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_setting_is_the_password_for_as_long_as_it_is_there() {
    let world = World::new();
    let with = |password: Option<&str>| {
        let access = AccessSettings { password: password.map(Secret::new), ..AccessSettings::default() };
        service::Settings { access, ..world.settings() }
    };
    let here = address("192.0.2.1");

    let (dashboard, supervisor) = world.start(with(Some("from the setting"))).await;
    let (cookie, _) = dashboard.access.log_in("from the setting", here, None).await.unwrap();
    assert_eq!(dashboard.access.set_password("from the shell").await.unwrap(), PasswordSet::BehindSetting);
    assert!(!is_open(&dashboard.access, cookie.reveal()).await, "any change of a password ends the sessions");
    let (cookie, _) = dashboard.access.log_in("from the setting", here, None).await.unwrap();
    assert!(dashboard.access.log_in("from the shell", here, None).await.is_err());
    supervisor.shutdown().await;

    let (dashboard, supervisor) = world.start(with(Some("from the setting"))).await;
    assert!(is_open(&dashboard.access, cookie.reveal()).await, "a session outlives a restart");
    supervisor.shutdown().await;

    let (dashboard, supervisor) = world.start(with(Some("another setting"))).await;
    assert!(!is_open(&dashboard.access, cookie.reveal()).await);
    assert!(dashboard.access.log_in("from the setting", here, None).await.is_err());
    let (cookie, _) = dashboard.access.log_in("another setting", here, None).await.unwrap();
    supervisor.shutdown().await;

    let (dashboard, supervisor) = world.start(with(None)).await;
    assert!(!is_open(&dashboard.access, cookie.reveal()).await);
    assert!(dashboard.access.log_in("from the shell", here, None).await.is_ok());
    supervisor.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_password_is_generated_only_where_nobody_could_come_in() {
    let world = World::new();
    let access = world.open().await;
    let password = access.generate_first_password().await.unwrap().unwrap();
    assert_eq!(password.reveal().len(), 43);
    assert!(access.log_in(password.reveal(), address("192.0.2.1"), None).await.is_ok());
    assert!(access.generate_first_password().await.unwrap().is_none());
    assert!(!world.disk_holds(password.reveal()));
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_too_short_or_too_long_are_refused() {
    let world = World::new();
    let access = world.open().await;
    for password in ["", "1234567", "  1234567  ", &"x".repeat(1025)] {
        let refused = access.set_password(password).await;
        assert!(matches!(&refused, Err(Error::Invalid { field, .. }) if field == "password"));
        assert!(!format!("{refused:?}").contains("1234567"));
    }
    assert!(!access.requires_credentials().await.unwrap());
    assert!(matches!(access.log_in("", address("192.0.2.1"), None).await, Err(Error::Unauthorized)));
    access.set_password("12345678").await.unwrap();
    assert!(matches!(access.log_in(&"x".repeat(1025), address("192.0.2.1"), None).await, Err(Error::Unauthorized)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_guesses_gets_slow_and_the_others_do_not() {
    let world = World::new();
    let access = world.open().await;
    access.set_password("a good password").await.unwrap();
    let guess = async |from: &str| match access.log_in("wrong", address(from), None).await {
        Err(Error::Unauthorized) => "wrong",
        Err(Error::RateLimited { .. }) => "slow",
        _ => "other",
    };
    // The same /64, so that an IPv6 guesser cannot change its address.
    for host in 0..10 {
        assert_eq!(guess(&format!("2001:db8:1:2::{host:x}")).await, "wrong");
    }
    assert_eq!(guess("2001:db8:1:2:ffff::1").await, "slow");
    let put_off = access.log_in("a good password", address("2001:db8:1:2::1"), None).await;
    assert!(matches!(put_off, Err(Error::RateLimited { retry_after }) if retry_after.as_secs() == 6));
    assert!(access.log_in("a good password", address("2001:db8:1:3::1"), None).await.is_ok());
    world.clock.advance(6 * SECOND);
    assert!(access.log_in("a good password", address("2001:db8:1:2::1"), None).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_logins_is_sent_away_instead_of_piling_up() {
    let world = World::new();
    let access = world.open().await;
    access.set_password("a good password").await.unwrap();
    let guesses = (0..60).map(|host| {
        let access = access.clone();
        async move { access.log_in("wrong", address(&format!("192.0.2.{host}")), None).await }
    });
    let outcomes = futures_util::future::join_all(guesses).await;
    let sent_away = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::RateLimited { .. }))).count();
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::Unauthorized))).count();
    assert_eq!(sent_away + refused, 60);
    assert!(refused >= 18, "those that were admitted got their answer: {refused}");
    assert!(sent_away >= 1, "the rest did not wait");
}
