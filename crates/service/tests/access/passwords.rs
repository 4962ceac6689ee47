//! The password: stored, set by the operator, generated, changed, guessed.

use service::{
    Error, Secret,
    access::{Access, AccessSettings, LoginSource, PasswordSet},
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

/// How a login with a wrong password ends: judged, or put off for so many seconds.
async fn guess(access: &Access, source: impl Into<LoginSource<'_>>) -> Result<(), u64> {
    match access.log_in("wrong", source, None).await {
        Err(Error::Unauthorized) => Ok(()),
        Err(Error::RateLimited { retry_after }) => Err(retry_after.as_secs()),
        other => panic!("{other:?}"),
    }
}

async fn guarded(world: &World) -> Access {
    let access = world.open().await;
    access.set_password("a good password").await.unwrap();
    access
}

/// Five wrong passwords are free; each further one doubles the wait. A /64 is one guesser: its owner has every address in it.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_cost_a_growing_wait() {
    let world = World::new();
    let access = guarded(&world).await;
    for network in ["192.0.2.1", "2001:db8:1:2::"] {
        let from = |host: u32| match network.strip_suffix("::") {
            Some(prefix) => address(&format!("{prefix}::{host:x}")),
            None => address(network),
        };
        for host in 0..5 {
            assert_eq!(guess(&access, from(host)).await, Ok(()));
        }
        for wait in [1_u32, 2, 4, 8] {
            assert_eq!(guess(&access, from(77)).await, Err(wait.into()));
            world.clock.advance(i64::from(wait) * SECOND - 1);
            let put_off = access.log_in("a good password", from(78), None).await;
            assert!(matches!(put_off, Err(Error::RateLimited { .. })), "the right one waits too");
            world.clock.advance(1);
            assert_eq!(guess(&access, from(79)).await, Ok(()));
        }
        world.clock.advance(16 * SECOND);
        assert!(access.log_in("a good password", from(1), None).await.is_ok());
    }
    assert!(access.log_in("a good password", address("192.0.2.2"), None).await.is_ok(), "the others do not wait");
}

/// A /48 holds 65,536 networks, which one guesser may have to himself.
#[tokio::test(flavor = "multi_thread")]
async fn guesses_from_many_networks_of_a_48_wait_together() {
    let world = World::new();
    let access = guarded(&world).await;
    for network in 0..20 {
        assert_eq!(guess(&access, address(&format!("2001:db8:1:{network:x}::1"))).await, Ok(()));
    }
    assert_eq!(guess(&access, address("2001:db8:1:ffff::1")).await, Err(1));
    assert_eq!(guess(&access, address("2001:db8:2:1::1")).await, Ok(()), "another /48");
}

/// Strangers who guess from everywhere keep nobody out who logged in before, by network or by browser.
#[tokio::test(flavor = "multi_thread")]
async fn flood_of_guesses_leaves_room_for_known_callers() {
    let world = World::new();
    let access = guarded(&world).await;
    access.log_in("a good password", address("198.51.100.1"), None).await.unwrap();
    let cookie = access.browser_cookie(None).unwrap();
    let browser = LoginSource { address: address("192.0.2.77"), browser: Some(&cookie) };
    let guesses = (0..60).map(|host| {
        let access = access.clone();
        async move { access.log_in("wrong", address(&format!("192.0.2.{host}")), None).await }
    });
    let known = async {
        for _ in 0..5 {
            access.log_in("a good password", address("198.51.100.1"), None).await.unwrap();
            access.log_in("a good password", browser, None).await.unwrap();
        }
    };
    let (outcomes, ()) = tokio::join!(futures_util::future::join_all(guesses), known);
    let sent_away = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::RateLimited { .. }))).count();
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::Unauthorized))).count();
    assert_eq!(sent_away + refused, 60);
    assert!(refused >= 9, "those that were admitted got their answer: {refused}");
    assert!(sent_away >= 1, "the rest did not wait");
}

/// Each browser that logged in before has its own count; a cookie that we did not sign is a stranger's.
#[tokio::test(flavor = "multi_thread")]
async fn known_browser_has_its_own_budget_of_guesses() {
    let world = World::new();
    let access = guarded(&world).await;
    let here = address("192.0.2.1");
    let (one, other) = (access.browser_cookie(None).unwrap(), access.browser_cookie(None).unwrap());
    assert_eq!(access.browser_cookie(Some(&one)).unwrap(), one, "it is kept");
    let forged = format!("{}x", &one[..one.len() - 1]);
    assert_ne!(access.browser_cookie(Some(&forged)).unwrap(), forged);
    let from = |browser| LoginSource { address: here, browser: Some(browser) };
    for _ in 0..5 {
        assert_eq!(guess(&access, here).await, Ok(()));
    }
    assert_eq!(guess(&access, here).await, Err(1));
    assert_eq!(guess(&access, from(&forged)).await, Err(1));
    for _ in 0..5 {
        assert_eq!(guess(&access, from(&one)).await, Ok(()));
    }
    assert_eq!(guess(&access, from(&one)).await, Err(1));
    assert!(access.log_in("a good password", from(&other), None).await.is_ok());
    let restarted = world.open().await;
    for _ in 0..4 {
        assert_eq!(guess(&restarted, from(&other)).await, Ok(()), "the signature outlives a restart");
    }
}

/// Every login request counts, whatever is in it; a known browser is counted by itself.
#[tokio::test(flavor = "multi_thread")]
async fn login_requests_are_counted_by_address_or_browser() {
    let world = World::new();
    let access = guarded(&world).await;
    let stranger = LoginSource::from(address("192.0.2.1"));
    let passed = |source: &LoginSource<'_>| {
        (0..30).filter(|_| access.count_login(source).unwrap().retry_after.is_none()).count()
    };
    assert_eq!(passed(&stranger), 10);
    let cookie = access.browser_cookie(None).unwrap();
    assert_eq!(passed(&LoginSource { browser: Some(&cookie), ..stranger }), 10);
    assert_eq!(passed(&stranger), 0);
}
