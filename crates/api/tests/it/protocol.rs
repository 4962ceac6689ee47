//! What holds for every address: versions, ids, the envelope, slashes, methods, compression, caching.

use serde_json::json;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_names_the_full_form_of_the_version_that_was_asked_for() {
    let server = World::new().serve().await;
    let rows = [(None, 200, "2.0.0"), (Some("2"), 200, "2.0.0"), (Some("2.0"), 200, "2.0.0")];
    let more = [(Some("2.0.0"), 200, "2.0.0"), (Some("2.1.0"), 200, "2.1.0"), (Some("3"), 400, "2.0.0")];
    for (asked, status, spoken) in rows.into_iter().chain(more) {
        let mut request = server.client.get(server.url("/health"));
        if let Some(asked) = asked {
            request = request.header("X-API-Version", asked);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{asked:?}");
        assert_eq!(answer.headers()["x-api-version"], spoken, "{asked:?}");
        if status == 400 {
            let body: serde_json::Value = answer.json().await.unwrap();
            assert_eq!(body["error"]["details"]["supported"], json!(["2", "2.0", "2.0.0", "2.1.0"]));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sane_request_id_is_kept_and_any_other_replaced() {
    let server = World::new().serve().await;
    let long = "a".repeat(129);
    for (given, kept) in [("my-id_1.2", true), ("a b", false), ("\u{1b}[31m", false), ("", false), (&long, false)] {
        let request = server.client.get(server.url("/api/nothing"));
        let Ok(value) = reqwest::header::HeaderValue::from_bytes(given.as_bytes()) else { continue };
        let answer = request.header("X-Request-Id", value).send().await.unwrap();
        let id = answer.headers()["x-request-id"].to_str().unwrap();
        assert_eq!(id == given, kept, "{given:?} became {id:?}");
        assert!(!id.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_envelope_wraps_successes_on_request_and_leaves_errors_alone() {
    let server = World::new().serve().await;
    let plain = server.get("/api/presets").await;
    let wrapped = server.get("/api/presets?envelope=true").await;
    assert_eq!(wrapped["status"], "success");
    assert_eq!(wrapped["data"], plain);
    assert!(wrapped["message"].is_null() && wrapped["timestamp"].is_string());
    assert_eq!(server.get("/api/presets?envelope=false").await, plain);

    let (status, refused) = server.json("GET", "/api/presets/NONE?envelope=true", None).await;
    assert_eq!((status, refused["error"]["code"].as_str()), (404, Some("PRESET_NOT_FOUND")));
    let (status, refused) = server.json("GET", "/api/presets?envelope=yes", None).await;
    assert_eq!((status, &refused["error"]["details"]["parameter"]), (400, &json!("envelope")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trailing_slash_is_the_same_resource() {
    let server = World::new().serve().await;
    for path in ["/health", "/api/presets", "/api/presets/SMALL", "/api/presets/SMALL/status", "/docs"] {
        let plain = server.client.get(server.url(path)).send().await.unwrap();
        let slashed = server.client.get(server.url(&format!("{path}/"))).send().await.unwrap();
        assert_eq!((plain.status(), slashed.status()), (reqwest::StatusCode::OK, reqwest::StatusCode::OK), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_get_without_its_body_and_options_names_the_methods() {
    let server = World::new().serve().await;
    for path in ["/health", "/api/presets", "/api/openapi.json", "/"] {
        let head = server.client.head(server.url(path)).send().await.unwrap();
        let get = server.client.get(server.url(path)).send().await.unwrap();
        assert_eq!(head.status(), 200, "{path}");
        assert_eq!(head.headers().get("content-type"), get.headers().get("content-type"), "{path}");
        assert!(head.bytes().await.unwrap().is_empty(), "{path}");
    }
    let options = server.client.request(reqwest::Method::OPTIONS, server.url("/api/downloads/dl_1"));
    let answer = options.send().await.unwrap();
    assert_eq!(answer.status(), 204);
    assert_eq!(answer.headers()["allow"], "DELETE, GET, HEAD, OPTIONS, PATCH");
}

/// Every address without a parameter, with its methods and those that the document gives to other addresses.
fn addresses_of_their_own(document: &serde_json::Value) -> Vec<(&str, Vec<String>)> {
    let items = document["paths"].as_object().unwrap().iter().filter(|(path, _)| !path.contains('{'));
    items.map(|(path, item)| (path.as_str(), item.as_object().unwrap().keys().cloned().collect())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_its_own_is_never_taken_for_the_value_of_a_parameter() {
    let server = World::new().serve().await;
    let document = server.get("/api/openapi.json").await;
    for (path, methods) in addresses_of_their_own(&document) {
        let mut allow: Vec<String> = methods.iter().map(|method| method.to_uppercase()).collect();
        allow.extend(methods.iter().any(|method| method == "get").then(|| "HEAD".to_owned()));
        allow.push("OPTIONS".to_owned());
        allow.sort();
        for method in
            ["get", "put", "post", "patch", "delete"].into_iter().filter(|m| !methods.iter().any(|own| own == m))
        {
            let request = server.client.request(method.to_uppercase().parse().unwrap(), server.url(path));
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 405, "{method} {path}");
            assert_eq!(answer.headers()["allow"], allow.join(", "), "{method} {path}");
            let body: serde_json::Value = answer.json().await.unwrap();
            assert_eq!(body["error"]["code"], "METHOD_NOT_ALLOWED", "{method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_compressed_for_those_who_can_read_it() {
    let server = World::new().serve().await;
    for encoding in ["gzip", "zstd"] {
        let request = server.client.get(server.url("/api/openapi.json")).header("Accept-Encoding", encoding);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["content-encoding"], encoding);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_and_the_document_browser_come_with_a_strict_policy_and_their_files_can_be_kept() {
    let server = World::new().serve().await;
    for path in ["/", "/docs"] {
        let answer = server.client.get(server.url(path)).send().await.unwrap();
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("script-src"), "scripts come from here only: {policy}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        let page = answer.text().await.unwrap();
        assert!(page.contains("<!doctype html>") && !page.contains("http://") && !page.contains("https://"), "{page}");
    }
    let first = server.client.get(server.url("/")).send().await.unwrap();
    let tag = first.headers()["etag"].clone();
    let again = server.client.get(server.url("/")).header("If-None-Match", &tag).send().await.unwrap();
    assert_eq!(again.status(), 304);
    for file in ["swagger-ui.css", "swagger-ui-bundle.js", "start.js"] {
        let answer = server.client.get(server.url(&format!("/docs/{file}"))).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn measures_count_what_was_answered() {
    let server = World::new().serve().await;
    server.get("/api/models/types").await;
    let answer = server.client.get(server.url("/metrics")).send().await.unwrap();
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    let text = answer.text().await.unwrap();
    assert!(text.contains("http_requests_total{operation=\"list_model_types\",status=\"200\"}"), "{text}");
    assert!(text.contains("downloads_active 0"), "{text}");
    let figure = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} in {text}")).parse::<f64>().unwrap()
    };
    assert_eq!(figure("database_up"), 1.0);
    assert!(figure("database_size_bytes") > 4096.0);
}
