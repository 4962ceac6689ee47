//! How often clients may ask, on a clock that the test moves.

use std::{net::Ipv6Addr, time::Duration};

use service::{
    Settings,
    access::{Access, AccessSettings, Actor, Client, Identity, Role},
};

use crate::world::{SECOND, START, World, address, in_a_process_of_its_own};

async fn limited(world: &World, anonymous: u32, known: u32) -> Access {
    let access = AccessSettings {
        anonymous_requests_a_minute: anonymous,
        known_requests_a_minute: known,
        ..AccessSettings::default()
    };
    world.start(Settings { access, ..world.settings() }).await.0.access
}

/// How many requests pass until one is refused.
fn burst(access: &Access, client: &Client) -> usize {
    (0..5000).take_while(|_| access.limits.check(client).unwrap().retry_after.is_none()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_client_gets_its_full_number_then_is_told_when_one_more_passes() {
    let world = World::new();
    let access = limited(&world, 100, 1000).await;
    let client = Client::address(address("192.0.2.1"));
    let first = access.limits.check(&client).unwrap();
    assert_eq!((first.limit, first.remaining, first.retry_after), (100, 99, None));
    assert_eq!(first.reset_at.as_millisecond(), START + 600);
    assert_eq!(burst(&access, &client), 99);
    assert_eq!(access.limits.look(&client).unwrap().remaining, 0);
    let refused = access.limits.check(&client).unwrap();
    assert_eq!((refused.remaining, refused.retry_after), (0, Some(Duration::from_millis(600))));
    assert_eq!(refused.reset_at.as_millisecond(), START + 60_000);
    world.clock.advance(SECOND);
    assert_eq!(access.limits.look(&client).unwrap().remaining, 1, "looking costs nothing");
    assert_eq!(burst(&access, &client), 1);
    world.clock.advance(60 * SECOND);
    assert_eq!(burst(&access, &client), 100);
    assert_eq!(burst(&access, &Client::Known("key_1".to_owned())), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn zero_is_no_limit() {
    let access = limited(&World::new(), 0, 0).await;
    assert_eq!(access.limits.check(&Client::address(address("192.0.2.1"))), None);
    assert_eq!(access.limits.check(&Client::Known("key_1".to_owned())), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ipv6_network_is_one_client_and_a_mapped_address_is_the_one_it_maps() {
    let access = limited(&World::new(), 10, 10).await;
    for host in 0..10u128 {
        let inside = Ipv6Addr::from_bits((0x2001_0db8_0001_0002 << 64) | (host * 0x1234_5678_9abc));
        assert!(access.limits.check(&Client::address(inside.into())).unwrap().retry_after.is_none());
    }
    assert_eq!(burst(&access, &Client::address(address("2001:db8:1:2:ffff:ffff:ffff:ffff"))), 0);
    assert_eq!(burst(&access, &Client::address(address("2001:db8:1:3::1"))), 10);
    assert_eq!(burst(&access, &Client::address(address("192.0.2.1"))), 10);
    assert_eq!(burst(&access, &Client::address(address("::ffff:192.0.2.1"))), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_credentials_is_counted_by_them_and_nobody_else_by_address() {
    let identity = |actor| Identity { actor, id: "id".to_owned(), name: String::new(), role: Role::Read };
    let from = address("192.0.2.1");
    for actor in [Actor::Key, Actor::Session, Actor::Shell, Actor::Page] {
        assert_eq!(identity(actor).client(from), Client::Known("id".to_owned()));
    }
    assert_eq!(identity(Actor::Loopback).client(from), Client::address(from));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_locks_nobody_out() {
    let world = World::new();
    let access = limited(&world, 10, 10).await;
    let client = Client::address(address("192.0.2.1"));
    assert_eq!(burst(&access, &client), 10);
    world.clock.advance(-3600 * SECOND);
    assert_eq!(burst(&access, &client), 0);
    world.clock.advance(60 * SECOND);
    assert_eq!(burst(&access, &client), 10);
}

/// Memory is that of a process, and other tests need theirs: this one starts itself again, alone.
#[test]
fn a_flood_of_addresses_stays_bounded_limits_itself_and_frees_what_it_took() {
    let name = "limits::a_flood_of_addresses_stays_bounded_limits_itself_and_frees_what_it_took";
    in_a_process_of_its_own(name, flood_of_addresses());
}

async fn flood_of_addresses() {
    let world = World::new();
    let access = limited(&world, 10, 10).await;
    let before = resident_bytes();
    let known = Client::address(address("192.0.2.1"));
    assert_eq!(burst(&access, &known), 10);
    let flood = |number: u32| Client::address(std::net::Ipv4Addr::from(0x0a00_0000 + number).into());
    let passed = |from: u32, to: u32| {
        (from..to).filter(|number| access.limits.check(&flood(*number)).unwrap().retry_after.is_none()).count()
    };
    assert_eq!(passed(0, 16_000), 16_000, "while there is room, each address is its own client");
    let crowded = passed(20_000, 120_000);
    assert!(crowded <= 16_384 + 1024 * 10, "then those who come share what is left: {crowded} of 100000 passed");
    assert_eq!(burst(&access, &known), 0, "who was counted stays counted: the flood did not wash the count away");
    let grown = resident_bytes().saturating_sub(before);
    println!("{grown} bytes more in memory after 116000 addresses");
    assert!(grown < 16 << 20, "{grown} bytes more in memory after 116000 addresses");

    world.clock.advance(61 * SECOND);
    passed(200_000, 210_000);
    world.clock.advance(61 * SECOND);
    assert_eq!(burst(&access, &flood(999_999)), 10, "after the flood a newcomer has the full number again");
}

fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    pages * 4096
}
