//! Every operation of the document, asked once: the table of `samples` must name them all, and each answers as its document says.

use std::collections::BTreeSet;

use api::operations::{Operations, ROLES, Role};
use serde_json::{Value, json};
use test_support::fake_comfy::FakeComfy;

use crate::{
    samples::{Sample, samples},
    world::{Server, World, schema},
};

#[tokio::test(flavor = "multi_thread")]
async fn samples_and_document_name_the_same_operations() {
    let document = serde_json::to_value(api::openapi::document()).unwrap();
    let named: BTreeSet<&str> = samples().iter().map(|sample| sample.operation).collect();
    let documented: BTreeSet<&str> = operations(&document).map(|(_, _, operation)| id(operation)).collect();
    assert_eq!(named, documented);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_answers_as_documented() {
    ask(samples()).await;
}

/// No sample needs what another one left.
#[tokio::test(flavor = "multi_thread")]
async fn samples_do_not_depend_on_their_order() {
    let mut backwards = samples();
    backwards.reverse();
    ask(backwards).await;
}

async fn ask(samples: Vec<Sample>) {
    let comfy = FakeComfy::start();
    let mut world = World::new().beside(&comfy);
    let _gate = world.hold_a_preset();
    let mut server = world.serve().await;
    // A key that another sample makes ends the trust in localhost.
    let (_, key) = server.json("POST", "/api/auth/keys", Some(json!({"name": "samples", "role": "admin"}))).await;
    server.client = client_with_key(key["key"].as_str().unwrap());
    let document = server.get("/api/openapi.json").await;
    for sample in samples {
        let held = prepare(&server).await;
        answers_as_documented(&server, &document, &sample, &held).await;
    }
}

pub(crate) fn client_with_key(key: &str) -> reqwest::Client {
    let headers = [("authorization".parse().unwrap(), format!("Bearer {key}").parse().unwrap())];
    reqwest::Client::builder().no_proxy().default_headers(headers.into_iter().collect()).build().unwrap()
}

/// `SMALL` is installed and `HELD` under way, whatever happened before; the answer is the download of the latter.
pub(crate) async fn prepare(server: &Server) -> String {
    if server.get("/api/presets/SMALL").await["status"] != "installed" {
        server.install("SMALL", json!({})).await;
    }
    let (status, held) = server.json("POST", "/api/presets/HELD/install", None).await;
    assert_eq!(status, 202, "{held}");
    held["download_id"].as_str().unwrap().to_owned()
}

/// Where a sample is asked, with the id of the download that is under way.
pub(crate) fn address_of(sample: &Sample, held: &str) -> String {
    sample.path.replace("downloads/HELD", &format!("downloads/{held}"))
}

async fn answers_as_documented(server: &Server, document: &Value, sample: &Sample, held: &str) {
    let path = address_of(sample, held);
    let mut request = server.client.request(sample.method.parse().unwrap(), server.url(&path));
    if let Some(body) = &sample.body {
        request = request.json(body);
    }
    let answer = request.send().await.unwrap();
    let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    assert_eq!(status, sample.status, "{}: {text}", sample.operation);
    let (_, _, operation) = operations(document).find(|(_, _, operation)| id(operation) == sample.operation).unwrap();
    let content = &operation["responses"][status.to_string()]["content"];
    assert!(content.is_object(), "{}: {status} has no documented body", sample.operation);
    if let Some(schema) = content.pointer("/application~1json/schema") {
        let body: Value = serde_json::from_str(&text).unwrap();
        let faults = schema::faults(document, schema, &body, sample.operation);
        assert!(faults.is_empty(), "{faults:#?}\n{body:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_described_in_full() {
    let document = serde_json::to_value(api::openapi::document()).unwrap();
    let mut seen = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let place = format!("{method} {path}");
        assert!(seen.insert(id(operation).to_owned()), "{place}: its id is another's too");
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{place} has no summary");
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{place} has one tag");
        for (status, response) in operation["responses"].as_object().unwrap() {
            assert!(response["description"].as_str().is_some_and(|words| !words.is_empty()), "{place} {status}");
            let content = response["content"].as_object().and_then(|content| content.values().next());
            match status.as_bytes()[0] {
                b'2' => assert!(
                    content.is_some_and(|content| !content["example"].is_null()),
                    "{place} {status}: no example"
                ),
                b'4' | b'5' => assert!(content.is_some(), "{place} {status}: no body"),
                _ => {}
            }
        }
        if !operation["requestBody"].is_null() {
            let content = operation["requestBody"]["content"].as_object().unwrap();
            assert!(content.values().all(|content| !content["example"].is_null()), "{place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_the_document_are_as_their_schemas_say() {
    let document = serde_json::to_value(api::openapi::document()).unwrap();
    for (method, path, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let Some(content) = response.pointer("/content/application~1json") else { continue };
            if !content["example"].is_null() {
                let faults = schema::faults(&document, &content["schema"], &content["example"], path);
                assert!(faults.is_empty(), "{method} {status}: {faults:#?}");
            }
        }
    }
}

#[test]
fn every_operation_has_its_role_and_no_role_is_without_operation() {
    let operations = Operations::of(&api::openapi::document());
    let documented: BTreeSet<String> = operations.iter().map(|operation| operation.id.to_string()).collect();
    let table: BTreeSet<String> = ROLES.iter().map(|(id, _)| (*id).to_owned()).collect();
    assert_eq!(documented, table);
    let open: Vec<&str> = ROLES.iter().filter(|(_, role)| *role == Role::Open).map(|(id, _)| *id).collect();
    assert_eq!(open, ["health", "api_health", "livez", "readyz", "log_in", "me"]);
}

#[test]
fn the_committed_document_is_what_the_server_serves() {
    let committed = include_str!("../../../../openapi/openapi.json");
    let served = api::openapi::Document::from(&api::openapi::document()).json();
    assert!(committed == served, "openapi/openapi.json is behind the routes: run `cargo xtask openapi` and commit it");
}

/// Method, address and operation, for each operation.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
    })
}

fn id(operation: &Value) -> &str {
    operation["operationId"].as_str().unwrap()
}
