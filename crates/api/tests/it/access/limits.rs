//! Limits as a client meets them: headers, refusals, forged addresses, and too much of anything.

use std::time::Duration;

use reqwest::Response;
use serde_json::{Value, json};
use service::{ManualClock, access::Role};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::callers::{key, shell};
use crate::world::{Server, World, socket::Client};

const HEADERS: [&str; 4] =
    ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "x-ratelimit-reset-time"];

/// What is sent beside a request.
type Headers = &'static [(&'static str, &'static str)];

/// A server that gives each client this number of requests a minute, by a clock that stands still until it is moved.
async fn limited(world: &World, number: u32) -> (Server, ManualClock) {
    let clock = ManualClock::at(1_767_225_600_000);
    let limits = |config: &mut api::Config| {
        config.service.access.anonymous_requests_a_minute = number;
        config.service.access.known_requests_a_minute = number;
    };
    (world.serve_at(clock.clone(), limits).await, clock)
}

async fn ask(server: &Server, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = server.client.get(server.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

fn number(answer: &Response, name: &str) -> i64 {
    answer.headers()[name].to_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_full_number_passes_at_once_and_after_retry_after_one_more() {
    // One request comes back each second and a half.
    let (server, clock) = limited(&World::new(), 40).await;
    for used in 1..=40 {
        let answer = ask(&server, "/api/presets", &[]).await;
        let told = (answer.status().as_u16(), number(&answer, HEADERS[0]), number(&answer, HEADERS[1]));
        assert_eq!(told, (200, 40, 40 - used));
    }
    for _ in 0..2 {
        let refused = ask(&server, "/api/presets", &[]).await;
        assert_eq!((refused.status().as_u16(), number(&refused, HEADERS[1])), (429, 0));
        assert_eq!((number(&refused, "retry-after"), number(&refused, HEADERS[2])), (2, 1_767_225_660));
        assert_eq!(refused.headers()[HEADERS[3]], "2026-01-01T00:01:00Z");
        let body: Value = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
        assert_eq!(body["error"]["code"], "RATE_LIMIT_EXCEEDED");
    }
    clock.advance(2000);
    assert_eq!(ask(&server, "/api/presets", &[]).await.status(), 200);
    assert_eq!(ask(&server, "/api/presets", &[]).await.status(), 429);
    clock.advance(60_000);
    assert_eq!(number(&ask(&server, "/api/presets", &[]).await, HEADERS[1]), 39);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_four_headers_are_on_every_answer_and_what_is_open_costs_nothing() {
    let (server, _) = limited(&World::new(), 1000).await;
    let rows: [(&str, Headers, u16); 9] = [
        ("/api/presets", &[], 200),
        ("/api/presets/NOTHING", &[], 404),
        ("/api/nothing", &[], 404),
        ("/api/presets?page=0", &[], 400),
        ("/api/presets", &[("X-API-Version", "9")], 400),
        ("/api/presets", &[("Authorization", "Bearer wrong")], 401),
        ("/api/presets", &[("Origin", "http://evil.example")], 403),
        ("/api/health", &[], 200),
        ("/metrics", &[], 200),
    ];
    for (path, headers, status) in rows {
        let answer = ask(&server, path, headers).await;
        assert_eq!(answer.status(), status, "{path}");
        for name in HEADERS {
            assert!(answer.headers().contains_key(name), "{path} {status} has no {name}");
        }
    }
    let before = number(&ask(&server, "/health", &[]).await, HEADERS[1]);
    for path in ["/health", "/api/health", "/livez", "/readyz", "/", "/docs"] {
        assert_eq!(ask(&server, path, &[]).await.status(), 200);
    }
    let preflight = server.client.request(reqwest::Method::OPTIONS, server.url("/api/presets"));
    let preflight = preflight.header("Origin", "http://a.example").header("Access-Control-Request-Method", "GET");
    assert_eq!(preflight.send().await.unwrap().status(), 204);
    assert_eq!(number(&ask(&server, "/health", &[]).await, HEADERS[1]), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_addresses_change_nothing_and_each_key_has_its_own_number() {
    let world = World::new();
    let (server, _) = limited(&world, 20).await;
    let access = shell(&world).await;
    let (one, other) = (key(&access, Role::Read).await, key(&access, Role::Read).await);
    let forged = |number: u8| format!("198.51.100.{number}");
    let mut passed = 0;
    for number in 0..40 {
        let address = forged(number);
        let headers = [("X-Forwarded-For", address.as_str()), ("Forwarded", "for=1.2.3.4"), ("X-Real-IP", &address)];
        passed += usize::from(ask(&server, "/api/presets", &headers).await.status() != 429);
    }
    assert_eq!(passed, 20, "requests of one peer under 40 names");
    for key in [one, other] {
        let bearer = format!("Bearer {key}");
        let mut passed = 0;
        for number in 0..30 {
            let address = forged(number);
            let cookie = format!("comfyui-dashboard-{}={number}", access.workspace_id());
            let headers = [("Authorization", bearer.as_str()), ("X-Forwarded-For", &address), ("Cookie", &cookie)];
            passed += usize::from(ask(&server, "/api/presets", &headers).await.status() == 200);
        }
        assert_eq!(passed, 20, "requests of one key");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_each_client_is_its_own_and_cannot_speak_for_another() {
    let world = World::new().flag("--trusted-proxies=127.0.0.0/8");
    let (server, _) = limited(&world, 5).await;
    let mut passed = std::collections::BTreeMap::new();
    for number in 0..20 {
        for client in ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"] {
            // What the client itself claims stands left of what the proxy adds.
            let chain = format!("198.51.100.{number}, {client}");
            let answer = ask(&server, "/api/presets", &[("X-Forwarded-For", &chain)]).await;
            *passed.entry(client).or_insert(0) += usize::from(answer.status() != 429);
        }
    }
    assert_eq!((passed["192.0.2.1"], passed["192.0.2.2"]), (5, 5));
    assert_eq!(passed["2001:db8::1"] + passed["2001:db8::2"], 5, "a /64 is one client: {passed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_or_a_client_may_hold_so_many_connections_and_sockets_and_no_more() {
    let world = World::new();
    let server = world.serve_with(|config| {
        config.connections.per_address = 12;
        config.sockets_per_client = 3;
    });
    let server = server.await;
    let mut sockets = Vec::new();
    for _ in 0..3 {
        sockets.push(Client::connect(&server).await);
    }
    assert!(Client::try_connect(&server, "/ws", &[]).await.is_err(), "a fourth socket");
    drop(sockets.pop());
    let again = async {
        while Client::try_connect(&server, "/ws", &[]).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again).await.expect("a place that was left is free again");

    let mut held = Vec::new();
    let mut ended = 0;
    for _ in 0..20 {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
        let question = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let mut first = [0; 1];
        let is_served =
            stream.write_all(question).await.is_ok() && stream.read(&mut first).await.is_ok_and(|read| read == 1);
        ended += usize::from(!is_served);
        held.push(stream);
    }
    assert!(ended >= 8, "{ended} of 20 were sent away");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_asks_too_often_by_the_socket_or_without_it_is_refused_and_washes_no_line_out_of_the_audit_trail() {
    let world = World::new();
    let (server, _clock) = limited(&world, 10).await;
    let access = shell(&world).await;
    let (reader, admin) = (key(&access, Role::Read).await, key(&access, Role::Admin).await);
    let bearer = format!("Bearer {reader}");
    let mut client = Client::try_connect(&server, "/ws", &[("authorization", &bearer)]).await.unwrap();
    let mut codes = Vec::new();
    for _ in 0..20 {
        client.say(json!({"type": "action", "action": "cancel_download", "data": {"download_id": "dl_0"}})).await;
        let result = client.hear_one_of(&["action_result"]).await;
        codes.push(result.pointer("/data/error/code").and_then(Value::as_str).unwrap().to_owned());
    }
    let (passed, refused) = codes.split_at(9);
    assert!(passed.iter().all(|code| code == "FORBIDDEN"), "{codes:?}");
    assert!(refused.iter().all(|code| code == "RATE_LIMIT_EXCEEDED"), "{codes:?}");
    for _ in 0..20 {
        let answer = server.client.delete(server.url("/api/models")).bearer_auth(&reader).send().await.unwrap();
        assert_eq!(answer.status(), 429);
    }
    let trail = server.client.get(server.url("/api/audit")).bearer_auth(&admin).send().await.unwrap();
    let trail: Value = trail.json().await.unwrap();
    assert_eq!(trail["total"], 9, "{trail}");
}

/// Requests that are no login by their form: each counts before anything of it is noted, though no limit for addresses is set.
#[tokio::test(flavor = "multi_thread")]
async fn login_of_any_form_counts_before_it_is_noted() {
    let world = World::new();
    let server = world.serve().await;
    let access = shell(&world).await;
    access.set_password(super::callers::PASSWORD).await.unwrap();
    let admin = key(&access, Role::Admin).await;
    let post = || server.client.post(server.url("/api/auth/login"));
    let good = json!({"password": "a wrong one"});
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let forms = [
            post().json(&json!({})),
            post().json(&good).header("Origin", "http://evil.example"),
            post().body("{}"),
            post().body("x".repeat(2 << 20)).header("Content-Type", "application/json"),
            post().json(&good).bearer_auth("cdk_wrong"),
            post().json(&good).header("X-API-Version", "9"),
            server.client.post(server.url("/api/auth/login?envelope=maybe")).json(&good),
        ];
        for form in forms {
            // A server that has heard enough may close the connection before a large body is sent.
            statuses.push(form.send().await.map_or(0, |answer| answer.status().as_u16()));
        }
    }
    let counted = statuses.iter().take_while(|status| **status != 429).count();
    assert_eq!(counted, 10, "{statuses:?}");
    assert!(statuses[10..].iter().all(|status| [429, 0].contains(status)), "{statuses:?}");
    let trail = server.client.get(server.url("/api/audit")).bearer_auth(&admin).send().await.unwrap();
    let trail: Value = trail.json().await.unwrap();
    assert_eq!(trail["total"], 10, "what was refused for its number is not noted: {trail}");
}

/// Addresses that no route takes count like any other request; health and the page's files cost nothing.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_routes_count_like_any_request() {
    let (server, _) = limited(&World::new(), 10).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        for path in ["/AAAA", "/.env", "/api/nothing"] {
            statuses.push(ask(&server, path, &[]).await.status().as_u16());
        }
    }
    assert_eq!(statuses[..10], [404; 10]);
    assert_eq!(statuses[10..], [429; 2]);
    let posted = server.client.post(server.url("/")).send().await.unwrap();
    assert_eq!(posted.status(), 429, "a file of the page is free to read, and no more");
    for path in ["/health", "/livez", "/readyz", "/", "/docs"] {
        assert_eq!(ask(&server, path, &[]).await.status(), 200, "{path}");
    }
}
