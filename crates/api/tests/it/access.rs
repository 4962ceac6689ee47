//! Who may come in. Here: keyless loopback, where who sits at this machine may do everything and no page of a browser may
//! borrow that. Below: rights, browsers, limits, attacks, the first start.

mod attacks;
mod browsers;
mod callers;
mod first_start;
mod limits;
mod other_process;
mod replacing;
mod rights;

pub(crate) use callers::{key, shell};

use std::io;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use api::peer_owner::PeerOwners;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite;

use crate::world::{Server, World, socket::Client};

/// What is sent beside the request, and the status that it gets. `PORT` stands for the server's own.
type Row = (&'static [(&'static str, &'static str)], u16);

const ROWS: &[Row] = &[
    (&[], 200),
    (&[("Host", "localhost:PORT")], 200),
    (&[("Host", "LOCALHOST")], 200),
    (&[("Host", "[::1]:PORT")], 200),
    (&[("Host", "evil.example")], 401),
    (&[("Host", "127.0.0.1.evil.example:PORT")], 401),
    (&[("Host", "localhost.evil.example")], 401),
    (&[("Host", "0.0.0.0:PORT")], 401),
    (&[("Host", "192.168.1.10:PORT")], 401),
    (&[("Forwarded", "for=1.2.3.4")], 401),
    (&[("X-Forwarded-For", "127.0.0.1")], 401),
    (&[("X-Forwarded-Host", "localhost")], 401),
    (&[("X-Forwarded-Proto", "https")], 401),
    (&[("Via", "1.1 proxy")], 401),
    (&[("X-Real-IP", "1.2.3.4")], 401),
    (&[("CF-Connecting-IP", "1.2.3.4")], 401),
    (&[("True-Client-IP", "1.2.3.4")], 401),
    (&[("X-Amzn-Trace-Id", "Root=1-2-3")], 401),
    (&[("Origin", "http://127.0.0.1:PORT")], 200),
    (&[("Origin", "https://127.0.0.1:PORT")], 200),
    (&[("Origin", "http://localhost:PORT"), ("Host", "localhost:PORT")], 200),
    (&[("Origin", "http://localhost:PORT")], 403),
    (&[("Origin", "http://127.0.0.1:1")], 403),
    (&[("Origin", "http://127.0.0.1")], 403),
    (&[("Origin", "null")], 403),
    (&[("Origin", "")], 403),
    (&[("Origin", "http://evil.example")], 403),
    (&[("Origin", "http://127.0.0.1:PORT.evil.example")], 403),
    (&[("Origin", "http://evil.example"), ("Host", "evil.example")], 401),
    (&[("Sec-Fetch-Site", "cross-site")], 403),
    (&[("Sec-Fetch-Site", "same-site")], 403),
    (&[("Sec-Fetch-Site", "same-origin")], 200),
    (&[("Sec-Fetch-Site", "none")], 200),
    (&[("Authorization", "Bearer not-a-key")], 401),
    (&[("Authorization", "bearer not-a-key"), ("Origin", "http://evil.example")], 401),
];

/// Sends bytes as they are and reads until the server ends the connection; empty where it says nothing.
async fn raw(server: &Server, request: &[u8]) -> String {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    // A server that has heard enough answers and closes before everything is sent.
    let _ = stream.write_all(request).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(crate::world::TIMEOUT, stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn status(server: &Server, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
    let mut request = server.client.request(method.parse().unwrap(), server.url(path));
    for (name, value) in headers {
        request = request.header(*name, value.replace("PORT", &server.port.to_string()));
    }
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_requests_made_on_this_machine_and_by_no_foreign_page_are_served() {
    let server = World::new().serve().await;
    for (headers, expected) in ROWS {
        for (method, path, well) in [
            ("GET", "/api/presets", 200),
            ("GET", "/metrics", 200),
            ("POST", "/api/models/rescan", 200),
            ("DELETE", "/api/presets/SMALL", 400),
            ("GET", "/api/nothing", 404),
        ] {
            let expected = if *expected == 200 { well } else { *expected };
            assert_eq!(status(&server, method, path, headers).await, expected, "{method} {path} with {headers:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_refused_before_the_upgrade_by_the_same_rules() {
    let server = World::new().serve().await;
    for (headers, expected) in ROWS {
        let port = server.port.to_string();
        let headers: Vec<(&'static str, String)> =
            headers.iter().map(|(name, value)| (lower(name), value.replace("PORT", &port))).collect();
        let headers: Vec<(&'static str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        for path in ["/ws", "/api/ws"] {
            let status = match Client::try_connect(&server, path, &headers).await {
                Ok(_) => 200,
                Err(tungstenite::Error::Http(refused)) => refused.status().as_u16(),
                Err(other) => panic!("{headers:?}: {other}"),
            };
            assert_eq!(status, *expected, "{path} with {headers:?}");
        }
    }
    let offered = [("sec-websocket-protocol", "comfyui-dashboard, bearer.not-a-key")];
    assert!(
        Client::try_connect(&server, "/ws", &offered).await.is_err(),
        "a wrong key is refused where none is needed"
    );
}

/// Header names that outlive the table.
fn lower(name: &str) -> &'static str {
    let known = [
        "host",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "via",
        "x-real-ip",
        "cf-connecting-ip",
        "true-client-ip",
        "x-amzn-trace-id",
        "origin",
        "sec-fetch-site",
        "authorization",
    ];
    known.into_iter().find(|known| known.eq_ignore_ascii_case(name)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_the_page_are_open_to_all_and_a_wrong_key_is_refused_even_there() {
    let server = World::new().serve().await;
    let foreign = [("Host", "pod.example"), ("Origin", "http://evil.example"), ("X-Forwarded-For", "1.2.3.4")];
    for path in ["/health", "/api/health", "/livez", "/readyz", "/", "/docs", "/docs/swagger-ui.css"] {
        assert_eq!(status(&server, "GET", path, &foreign).await, 200, "{path}");
    }
    for path in ["/health", "/livez"] {
        assert_eq!(status(&server, "GET", path, &[("Authorization", "Bearer x")]).await, 401, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_password_nothing_is_trusted_without_credentials() {
    let server = World::new().flag("--access-password=secret").serve().await;
    assert_eq!(status(&server, "GET", "/api/presets", &[]).await, 401);
    assert_eq!(status(&server, "GET", "/health", &[]).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_origin_may_use_the_trust_and_read_the_answers() {
    let server = World::new().flag("--cors-origins=https://app.example,http://localhost:3000").serve().await;
    for (origin, expected) in
        [("https://app.example", 200), ("http://localhost:3000", 200), ("https://other.example", 403)]
    {
        let request = server.client.get(server.url("/api/presets")).header("Origin", origin);
        let answer = request.header("Sec-Fetch-Site", "cross-site").send().await.unwrap();
        assert_eq!(answer.status(), expected, "{origin}");
        let allowed =
            answer.headers().get("access-control-allow-origin").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(allowed.as_deref(), (expected == 200).then_some(origin));
        let credentials = answer.headers().get("access-control-allow-credentials").is_some();
        assert_eq!(credentials, expected == 200, "{origin}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_list_any_origin_may_read_what_is_open_or_carries_a_key_and_never_with_cookies() {
    let server = World::new().serve().await;
    for (path, key, readable) in
        [("/health", false, true), ("/api/presets", false, false), ("/api/presets", true, true)]
    {
        let mut request = server.client.get(server.url(path)).header("Origin", "https://any.example");
        if key {
            request = request.header("Authorization", "Bearer x");
        }
        let headers = request.send().await.unwrap().headers().clone();
        assert_eq!(headers.get("access-control-allow-origin").is_some_and(|value| value == "*"), readable, "{path}");
        assert!(!headers.contains_key("access-control-allow-credentials"));
        assert_eq!(headers.contains_key("access-control-expose-headers"), readable);
    }
    let preflight = server.client.request(reqwest::Method::OPTIONS, server.url("/api/presets/SMALL/install"));
    let preflight = preflight.header("Origin", "https://any.example").header("Access-Control-Request-Method", "POST");
    let answer = preflight.send().await.unwrap();
    assert_eq!(answer.status(), 204);
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    let headers = answer.headers()["access-control-allow-headers"].to_str().unwrap();
    for name in ["Authorization", "Content-Type", "X-API-Version", "X-Request-Id", "If-Match", "If-None-Match", "Range"]
    {
        assert!(headers.contains(name), "{name}");
    }
}

/// nginx sends HTTP/1.0 and names no client as it comes: `proxy_pass http://127.0.0.1:8082;`.
#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_on_this_machine_is_not_trusted() {
    let server = World::new().serve().await;
    for (version, status) in [("1.0", "401"), ("1.1", "200")] {
        let lines = format!("Host: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", server.port);
        let answer = raw(&server, format!("GET /api/auth/keys HTTP/{version}\r\n{lines}").as_bytes()).await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{version}: {answer}");
    }
}

/// A proxy or a service of another user speaks for others. Where the owner cannot be looked up, nobody is trusted, and the
/// answer says so. The lookup is made once a connection.
#[tokio::test(flavor = "multi_thread")]
async fn only_connections_of_our_own_user_are_trusted() {
    let world = World::new();
    let own = rustix::process::geteuid().as_raw();
    let rows: [(Result<u32, &'static str>, u16, &str); 4] = [
        (Ok(own), 200, ""),
        (Ok(0), 200, ""),
        (Ok(own + 4711), 401, "another user"),
        (Err("no table of sockets"), 401, "cannot be looked up: no table of sockets"),
    ];
    for (owner, status, reason) in rows {
        let lookups = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&lookups);
        let owners = PeerOwners::by(move |_, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            owner.map_err(io::Error::other)
        });
        let server = world.serve_with(|config| config.peer_owners = owners).await;
        let ask =
            |path: &str, last: &str| format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{last}\r\n", server.port);
        let requests = ask("/api/presets", "").repeat(3) + &ask("/api/auth/me", "Connection: close\r\n");
        let answers = raw(&server, requests.as_bytes()).await;
        let found: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).collect();
        assert_eq!(found.len(), 4, "{answers}");
        assert!(found[..3].iter().all(|answer| answer.starts_with(&status.to_string())), "{owner:?}: {answers}");
        assert!(found[3].starts_with("200") && found[3].contains(reason), "{owner:?}: {answers}");
        assert_eq!(found[3].contains("\"reason\":null"), status == 200, "{owner:?}: {answers}");
        assert_eq!(lookups.load(Ordering::SeqCst), 1, "four requests of one connection");
        server.stop().await.unwrap();
    }
}

/// It is open to everybody, and says how to sign in and why nothing is proved.
#[tokio::test(flavor = "multi_thread")]
async fn me_says_how_to_sign_in_and_why_not() {
    let world = World::new();
    let server = world.serve().await;
    let me = async |headers: &[(&str, &str)]| -> Value {
        let mut request = server.client.get(server.url("/api/auth/me"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    };
    let proxied = [("X-Real-IP", "1.2.3.4")];
    let known = me(&[]).await;
    assert_eq!((&known["kind"], &known["login"], &known["reason"]), (&"loopback".into(), &"none".into(), &Value::Null));
    let stranger = me(&proxied).await;
    assert_eq!((&stranger["kind"], &stranger["role"]), (&"nobody".into(), &Value::Null));
    let reason = stranger["reason"].as_str().unwrap();
    assert!(reason.contains("`x-real-ip`") && reason.contains("auth set-password"), "{reason}");
    let rebound = me(&[("Host", "evil.example")]).await;
    assert!(rebound["reason"].as_str().unwrap().contains("evil.example"), "{rebound}");

    let access = callers::shell(&world).await;
    callers::key(&access, service::access::Role::Read).await;
    assert_eq!(me(&proxied).await["login"], "keys");
    access.set_password(callers::PASSWORD).await.unwrap();
    let me = me(&proxied).await;
    assert_eq!((&me["login"], &me["reason"]), (&"password".into(), &"Sign in with the password, or send a key".into()));
}
