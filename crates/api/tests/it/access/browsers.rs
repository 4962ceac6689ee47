//! Browsers: sessions and their cookies, and pages of other origins that would like to use them.

use reqwest::header;
use serde_json::json;

use super::callers::{PASSWORD, cookie_of, log_in, planted, shell};
use crate::world::{Server, World, socket::Client};

async fn with_password() -> (World, Server) {
    let world = World::new();
    let server = world.serve().await;
    shell(&world).await.set_password(PASSWORD).await.unwrap();
    (world, server)
}

/// Asks as a browser with this cookie does, with more headers. `PORT` stands for the server's own.
async fn status(server: &Server, method: &str, path: &str, cookie: &str, headers: &[(&str, &str)]) -> u16 {
    let mut request = server.client.request(method.parse().unwrap(), server.url(path));
    request = request.header(header::COOKIE, cookie);
    for (name, value) in headers {
        request = request.header(*name, value.replace("PORT", &server.port.to_string()));
    }
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lives_from_login_to_logout_and_its_cookie_is_for_this_server_alone() {
    let (_world, server) = with_password().await;
    let login = server.client.post(server.url("/api/auth/login")).json(&json!({"password": PASSWORD}));
    let answer = login.send().await.unwrap();
    let set = answer.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=2592000"] {
        assert!(set.contains(part), "{set} has no {part}");
    }
    assert!(!set.contains("Secure") && !set.contains("Domain"), "{set}");
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    let cookie = cookie_of(&answer).unwrap();
    let secret = cookie.split_once('=').unwrap().1.to_owned();
    assert!(!answer.text().await.unwrap().contains(&secret), "a script could read it");

    assert_eq!(status(&server, "GET", "/api/auth/me", &cookie, &[]).await, 200);
    assert_eq!(status(&server, "POST", "/api/auth/logout", &cookie, &[]).await, 200);
    assert_eq!(status(&server, "GET", "/api/presets", &cookie, &[]).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_was_planted_before_the_login_is_worth_nothing_after_it() {
    let (_world, server) = with_password().await;
    let first = log_in(&server).await;
    for planted in [planted(&first, "planted"), first] {
        let login = server.client.post(server.url("/api/auth/login")).json(&json!({"password": PASSWORD}));
        let answer = login.header(header::COOKIE, planted.as_str()).send().await.unwrap();
        let fresh = cookie_of(&answer).unwrap();
        assert_ne!(fresh, planted);
        assert_eq!(status(&server, "GET", "/api/presets", &planted, &[]).await, 401);
        assert_eq!(status(&server, "GET", "/api/presets", &fresh, &[]).await, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_https_the_cookie_is_for_https_alone_and_only_a_trusted_proxy_can_say_so() {
    let world = World::new().flag("--trusted-proxies=127.0.0.1");
    let server = world.serve().await;
    shell(&world).await.set_password(PASSWORD).await.unwrap();
    let login = || server.client.post(server.url("/api/auth/login")).json(&json!({"password": PASSWORD}));
    let answer = login().header("X-Forwarded-Proto", "https").send().await.unwrap();
    let set = answer.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(set.starts_with("__Host-comfyui-dashboard-") && set.contains("Secure"), "{set}");

    let hearsay = with_password().await.1;
    let login = hearsay.client.post(hearsay.url("/api/auth/login")).json(&json!({"password": PASSWORD}));
    let answer = login.header("X-Forwarded-Proto", "https").send().await.unwrap();
    assert!(answer.headers()[header::SET_COOKIE].to_str().unwrap().starts_with("comfyui-dashboard-"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_cannot_use_a_cookie_whatever_it_asks_and_a_key_works_from_any() {
    let (world, server) = with_password().await;
    let cookie = log_in(&server).await;
    let key = super::callers::key(&shell(&world).await, service::access::Role::Admin).await;
    let origins: &[(&[(&str, &str)], bool)] = &[
        (&[], true),
        (&[("Origin", "http://127.0.0.1:PORT")], true),
        (&[("Origin", "https://127.0.0.1:PORT")], true),
        (&[("Origin", "http://127.0.0.1:PORT"), ("Sec-Fetch-Site", "same-origin")], true),
        (&[("Origin", "http://127.0.0.1:PORT"), ("Sec-Fetch-Site", "cross-site")], false),
        (&[("Origin", "null")], false),
        (&[("Origin", "http://evil.example")], false),
        (&[("Origin", "http://127.0.0.1")], false),
        (&[("Origin", "http://127.0.0.1:1")], false),
        (&[("Origin", "http://127.0.0.1:PORT.evil.example")], false),
        (&[("Origin", "http://evil.example:PORT")], false),
        (&[("Origin", "http://evil127.0.0.1:PORT")], false),
        (&[("Origin", "http://127.0.0.1:PORT@evil.example")], false),
        (&[("Origin", "http://127.0.0.1:PORT"), ("Origin", "http://evil.example")], false),
        (&[("Origin", "http://evil.example"), ("X-Forwarded-Host", "evil.example")], false),
        (&[("Sec-Fetch-Site", "cross-site")], false),
        (&[("Sec-Fetch-Site", "same-site")], false),
        (&[("Sec-Fetch-Site", "none")], true),
    ];
    let requests =
        [("GET", "/api/presets", 200), ("POST", "/api/models/rescan", 200), ("DELETE", "/api/presets/SMALL", 400)];
    let mut cells = 0;
    for (headers, is_welcome) in origins {
        for (method, path, well) in requests {
            let expected = if *is_welcome { well } else { 403 };
            assert_eq!(status(&server, method, path, &cookie, headers).await, expected, "{method} {path} {headers:?}");
            let bearer = format!("Bearer {key}");
            let with_key: Vec<(&str, &str)> =
                headers.iter().copied().chain([("Authorization", bearer.as_str())]).collect();
            assert_eq!(status(&server, method, path, "", &with_key).await, well, "a key: {method} {path} {headers:?}");
            cells += 2;
        }
        let named = |name: &str| {
            ["origin", "sec-fetch-site", "x-forwarded-host"].into_iter().find(|known| known.eq_ignore_ascii_case(name))
        };
        let port = server.port.to_string();
        let mut upgrade: Vec<(&'static str, String)> =
            headers.iter().filter_map(|(name, value)| Some((named(name)?, value.replace("PORT", &port)))).collect();
        if headers.len() == 2 && headers[1].0 == "Origin" {
            continue;
        }
        upgrade.push(("cookie", cookie.clone()));
        let upgrade: Vec<(&'static str, &str)> = upgrade.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(Client::try_connect(&server, "/ws", &upgrade).await.is_ok(), *is_welcome, "the socket: {headers:?}");
        cells += 1;
    }
    println!("{cells} cells");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_page_can_neither_log_somebody_in_nor_send_a_form() {
    let (_world, server) = with_password().await;
    for (name, value) in [("Origin", "http://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")] {
        let login = server.client.post(server.url("/api/auth/login")).json(&json!({"password": PASSWORD}));
        assert_eq!(login.header(name, value).send().await.unwrap().status(), 403, "{name}: {value}");
    }
    let cookie = log_in(&server).await;
    for form in ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"] {
        let request = server.client.post(server.url("/api/downloads")).header(header::CONTENT_TYPE, form);
        let answer = request.header(header::COOKIE, &cookie).body("{}").send().await.unwrap();
        assert_eq!(answer.status(), 415, "{form}");
    }
}

/// Workflows may come in a form, which a page of any origin can send without asking.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_page_cannot_send_a_workflow_in_a_form() {
    let (_with_password, locked) = with_password().await;
    let cookie = log_in(&locked).await;
    let open_world = World::new();
    let open = open_world.serve().await;
    for (server, cookie) in [(&locked, Some(&cookie)), (&open, None)] {
        for path in ["/api/comfyui/execute", "/api/workflows?name=x", "/api/workflows/requirements"] {
            for (name, value) in
                [("Origin", "http://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")]
            {
                let mut request = server.client.post(server.url(path)).header(name, value).body("--x--");
                request = request.header(header::CONTENT_TYPE, "multipart/form-data; boundary=x");
                if let Some(cookie) = cookie {
                    request = request.header(header::COOKIE, cookie);
                }
                assert_eq!(request.send().await.unwrap().status(), 403, "{path} {name}: {value}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_at_this_machine_is_counted_as_a_session_and_its_cookie_opens_nothing_more() {
    let world = World::new();
    let server = world.serve().await;
    let answer = server.client.get(server.url("/")).send().await.unwrap();
    let cookie = cookie_of(&answer).unwrap();
    let limit = async |cookie: Option<&str>| {
        let mut request = server.client.get(server.url("/api/presets"));
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let answer = request.send().await.unwrap();
        let limit = answer.headers().get("x-ratelimit-limit").map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), limit)
    };
    assert_eq!(limit(Some(&cookie)).await, (200, Some("1000".to_owned())));
    assert_eq!(limit(None).await, (200, None), "these tests have no limit for addresses");
    let elsewhere = server.client.get(server.url("/api/presets")).header(header::COOKIE, &cookie);
    assert_eq!(elsewhere.header("Via", "1.1 proxy").send().await.unwrap().status(), 401);
    let page = server.client.get(server.url("/")).header("Host", "evil.example").send().await.unwrap();
    assert!(cookie_of(&page).is_none(), "a rebound name gets no session");
    shell(&world).await.set_password(PASSWORD).await.unwrap();
    assert_eq!(limit(Some(&cookie)).await.0, 401);
    let page = server.client.get(server.url("/")).send().await.unwrap();
    assert!(cookie_of(&page).is_none());
}

/// Cookies do not know ports: two dashboards at one host name have cookies of different names, and a login at one ends no
/// session at the other.
#[tokio::test(flavor = "multi_thread")]
async fn cookies_of_two_workspaces_have_different_names() {
    let ((_one, first), (_other, second)) = (with_password().await, with_password().await);
    let (one, other) = (log_in(&first).await, log_in(&second).await);
    assert_ne!(one.split_once('=').unwrap().0, other.split_once('=').unwrap().0);
    let both = format!("{one}; {other}");
    assert_eq!(status(&first, "GET", "/api/presets", &both, &[]).await, 200);
    assert_eq!(status(&second, "GET", "/api/presets", &both, &[]).await, 200);
}

/// A login gives the browser a long-lived cookie by which it is known when it logs in again. It opens nothing.
#[tokio::test(flavor = "multi_thread")]
async fn login_lets_the_browser_be_known_again() {
    let (_world, server) = with_password().await;
    let login = || server.client.post(server.url("/api/auth/login")).json(&json!({"password": PASSWORD}));
    let browser_of = |answer: &reqwest::Response| {
        let all = answer.headers().get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap().to_owned());
        all.into_iter().find(|cookie| cookie.starts_with("comfyui-dashboard-browser-")).unwrap()
    };
    let set = browser_of(&login().send().await.unwrap());
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=34560000"] {
        assert!(set.contains(part), "{set} has no {part}");
    }
    let cookie = set.split(';').next().unwrap();
    assert_eq!(status(&server, "GET", "/api/presets", cookie, &[]).await, 401);
    let again = login().header(header::COOKIE, cookie).send().await.unwrap();
    assert!(browser_of(&again).starts_with(cookie), "it is the same browser");
}
