//! What is thrown at servers on the open internet: each attack is answered with a refusal, none with a fault of ours, and
//! the server goes on.

use serde_json::{Value, json};
use service::access::Role;

use super::callers::{PASSWORD, key, log_in, shell};
use super::raw;
use crate::world::{Server, World};

async fn status_line(server: &Server, request: &[u8]) -> u16 {
    let answer = raw(server, request).await;
    answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// A request with these lines beside the usual ones, and a body.
fn request(server: &Server, method: &str, target: &str, lines: &str, body: &str) -> Vec<u8> {
    format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n{lines}\r\n{body}", server.port)
        .into_bytes()
}

async fn still_serves(server: &Server) {
    assert_eq!(server.client.get(server.url("/api/presets")).send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_and_oversized_requests_are_refused_and_the_server_goes_on() {
    let server = World::new().serve().await;
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let json = |body: &str| format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    let large = format!("{{\"url\":\"{}\"}}", "a".repeat(2 << 20));
    let pairs = (0..100_000).map(|number| format!("a{number}=1")).collect::<Vec<_>>().join("&");
    let many_headers = (0..5000).map(|number| format!("X-H{number}: 1\r\n")).collect::<String>();
    let attacks = [
        ("deep JSON", request(&server, "POST", "/api/downloads", &json(&deep), &deep)),
        ("a body of 2 MiB", request(&server, "POST", "/api/downloads", &json(&large), &large)),
        ("a query of 100,000 pairs", request(&server, "GET", &format!("/api/presets?{pairs}"), "", "")),
        ("5000 headers", request(&server, "GET", "/api/presets", &many_headers, "")),
        (
            "a header of 1 MiB",
            request(&server, "GET", "/api/presets", &format!("X-Long: {}\r\n", "a".repeat(1 << 20)), ""),
        ),
        (
            "two lengths",
            request(&server, "POST", "/api/downloads", "Content-Length: 2\r\nContent-Length: 3\r\n", "{}x"),
        ),
        (
            "a length and chunks",
            request(
                &server,
                "POST",
                "/api/downloads",
                "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
                "0\r\n\r\n",
            ),
        ),
        ("a negative length", request(&server, "POST", "/api/downloads", "Content-Length: -1\r\n", "")),
        ("NUL in the address", request(&server, "GET", "/api/presets/%00", "", "")),
        ("no UTF-8 in the address", request(&server, "GET", "/api/presets/%ff%fe", "", "")),
        ("a broken escape", request(&server, "GET", "/api/presets/%zz", "", "")),
        ("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("a doubled host", request(&server, "GET", "/api/presets", "Host: evil.example\r\n", "")),
    ];
    for (name, attack) in &attacks {
        let status = status_line(&server, attack).await;
        assert!((400..500).contains(&status) || status == 0, "{name}: {status}");
        still_serves(&server).await;
    }
    println!("{} attacks", attacks.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_would_leave_their_folder_leave_no_trace() {
    let world = World::new();
    let server = world.serve().await;
    let canary = world.folder.path().join("canary.safetensors");
    std::fs::write(&canary, b"canary").unwrap();
    let names = [
        "../canary.safetensors",
        "..%2fcanary.safetensors",
        "%2e%2e/canary.safetensors",
        "..\\canary.safetensors",
        "loras/../../canary.safetensors",
        "loras/./../../canary.safetensors",
        "/etc/passwd",
        "//etc/passwd",
        "C:\\x",
        "\\\\host\\x",
        "loras/\u{0}x",
        "loras/x\r\nX-Evil: 1",
        "loras/..;/x",
        "....//canary.safetensors",
        "‥/canary.safetensors",
        "~/x",
        "loras/CON ",
        "..",
        ".",
        "",
        "loras/.part",
        "data/dashboard.db",
        "../data/cli.token",
        "../data/source-tokens.json",
    ];
    let mut tried = 0;
    for name in names {
        let delete = json!({"paths": [name], "confirm": true});
        let (status, body) = server.json("DELETE", "/api/models", Some(delete)).await;
        assert!(status < 500 && body["deleted"].as_u64().unwrap_or(0) == 0, "{name:?}: {body}");
        let link = "https://huggingface.co/acme/small/resolve/main/one.safetensors";
        let (status, body) = server.json("POST", "/api/downloads", Some(json!({"url": link, "path": name}))).await;
        // A plain name below the models folder is nobody's loss.
        assert!(status < 500, "{name:?}: {body}");
        tried += 2;
    }
    assert_eq!(std::fs::read(&canary).unwrap(), b"canary");
    assert!(world.folder.path().join("data/dashboard.db").exists());
    still_serves(&server).await;
    println!("{tried} hostile names");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_an_answer_a_log_of_deeds_or_the_measures() {
    let world = World::new().flag("--hf-token=hf_canary_setting");
    let server = world.serve().await;
    let access = shell(&world).await;
    access.set_password(PASSWORD).await.unwrap();
    let admin = key(&access, Role::Admin).await;
    let cookie = log_in(&server).await;
    let put = server.client.put(server.url("/api/settings/tokens/civitai")).json(&json!({"token": "canary_civitai"}));
    assert_eq!(put.bearer_auth(&admin).send().await.unwrap().status(), 200);
    let wrong = server.client.post(server.url("/api/auth/login")).json(&json!({"password": "canary guess"}));
    assert_eq!(wrong.send().await.unwrap().status(), 401);

    let mut read = String::new();
    for path in [
        "/api/settings",
        "/api/audit",
        "/api/auth/keys",
        "/api/auth/sessions",
        "/api/auth/me",
        "/metrics",
        "/api/openapi.json",
        "/api/settings/tokens/civitai",
        "/api/nothing?token=x",
    ] {
        let answer = server.client.get(server.url(path)).bearer_auth(&admin).send().await.unwrap();
        assert!(answer.status().as_u16() < 500);
        read.push_str(&answer.text().await.unwrap());
    }
    let cookie = cookie.split_once('=').unwrap().1;
    for secret in [admin.as_str(), cookie, "hf_canary_setting", "canary_civitai", "canary guess", PASSWORD] {
        assert!(!read.contains(secret), "{secret} is shown");
    }
    let audit: Value = serde_json::from_str(
        &server.client.get(server.url("/api/audit")).bearer_auth(&admin).send().await.unwrap().text().await.unwrap(),
    )
    .unwrap();
    let deeds: Vec<(&str, &str)> = audit["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["operation"].as_str().unwrap(), line["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(deeds, [("log_in", "refused"), ("set_token", "done"), ("log_in", "done")]);
    assert_eq!(audit["entries"][1]["actor_name"], "admin");
    assert_eq!(audit["entries"][1]["address"], "127.0.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_of_the_password_get_slow_and_the_right_one_then_waits_too() {
    let world = World::new();
    let server = world.serve().await;
    shell(&world).await.set_password(PASSWORD).await.unwrap();
    let login = async |password: &str| {
        let login = server.client.post(server.url("/api/auth/login")).json(&json!({"password": password}));
        login.send().await.unwrap()
    };
    let mut refused = 0;
    while login("a guess").await.status() == 401 {
        refused += 1;
    }
    assert_eq!(refused, 5, "guesses that were judged");
    let slow = login(PASSWORD).await;
    assert_eq!(slow.status(), 429);
    assert!(slow.headers().contains_key("retry-after"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_cannot_break_out_of_where_it_is_shown() {
    let world = World::new();
    let server = world.serve().await;
    for name in ["<script>alert(1)</script>", "{{7*7}}", "'; DROP TABLE access_keys; --", "\" onload=\"x"] {
        let (status, body) = server.json("POST", "/api/auth/keys", Some(json!({"name": name, "role": "admin"}))).await;
        if status == 401 {
            break;
        }
        assert_eq!((status, body["name"].as_str()), (201, Some(name)));
        shell(&world).await.revoke_key(body["id"].as_str().unwrap()).await.unwrap();
    }
    for name in ["two\r\nlines", "nul\u{0}", "\u{1b}[31mred", "a\u{202e}b", "a\u{200b}b", "", &"n".repeat(101)] {
        let (status, body) = server.json("POST", "/api/auth/keys", Some(json!({"name": name}))).await;
        assert_eq!((status, body["error"]["code"].as_str()), (400, Some("INVALID_REQUEST")), "{name:?}");
    }
}

/// What differs between a key that exists, one that does not and one that is nearly right is measured in the test of the
/// service's own comparison; here: the answers are the same but for their times and ids.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_learns_nothing_from_the_answer() {
    let world = World::new();
    let server = world.serve().await;
    let right = key(&shell(&world).await, Role::Read).await;
    let nearly = format!("{}{}", &right[..right.len() - 1], if right.ends_with('A') { 'B' } else { 'A' });
    let mut answers = Vec::new();
    for wrong in ["x", "cdk_", &nearly] {
        let answer = server.client.get(server.url("/api/presets")).bearer_auth(wrong).send().await.unwrap();
        let mut body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        body["error"]["timestamp"] = Value::Null;
        answers.push(body);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:#?}");
}
