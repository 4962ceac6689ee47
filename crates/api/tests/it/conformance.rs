//! Every JSON example of the interface's description, held against the document and against a running server.
//!
//! `data/interface_examples.json` is a copy of all 51. An answer must have every key of its example with the same type; `null`
//! stands in where a fact may not exist, but never for what always does.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::world::schema;

mod live;
mod shape;

const EXAMPLES: &str = include_str!("../data/interface_examples.json");

/// An example and where it stands.
#[derive(Debug, Clone)]
struct Example {
    kind: String,
    /// Method and address of a request or an answer; the type of a message.
    place: String,
    value: Value,
}

fn examples() -> Vec<Example> {
    let rows: Vec<Value> = serde_json::from_str(EXAMPLES).unwrap();
    let example = |row: &Value| {
        let text = |key: &str| row[key].as_str().unwrap_or_default();
        let place = match text("method") {
            "" => row["example"]["type"].as_str().unwrap_or(text("kind")).to_owned(),
            method => format!("{method} {}", text("path")),
        };
        Example { kind: text("kind").to_owned(), place, value: row["example"].clone() }
    };
    rows.iter().map(example).collect()
}

fn examples_of(kind: &str) -> BTreeMap<String, Value> {
    let wanted = examples().into_iter().filter(|example| example.kind == kind);
    wanted.map(|example| (example.place, example.value)).collect()
}

#[test]
fn there_are_51_examples_and_each_stands_in_one_place() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for example in examples() {
        *counts.entry(example.kind).or_default() += 1;
    }
    let kinds = [("answer", 32), ("envelope", 1), ("error", 1), ("page", 1), ("request", 6), ("said", 3), ("told", 7)];
    assert_eq!(counts, kinds.map(|(kind, count)| (kind.to_owned(), count)).into());
    for (kind, count) in kinds {
        assert_eq!(examples_of(kind).len(), count, "{kind}");
    }
}

#[test]
fn the_document_promises_every_key_of_every_example_with_its_type() {
    let document = serde_json::to_value(api::openapi::document()).unwrap();
    let both = ["answer", "request"].into_iter();
    for (kind, (place, example)) in both.flat_map(|kind| examples_of(kind).into_iter().map(move |row| (kind, row))) {
        let operation = operation(&document, &place).unwrap_or_else(|| panic!("the document has no {place}"));
        let content = if kind == "request" {
            vec![&operation["requestBody"]["content"]["application/json"]["schema"]]
        } else {
            let answers =
                operation["responses"].as_object().unwrap().iter().filter(|(status, _)| status.starts_with('2'));
            answers.map(|(_, answer)| &answer["content"]["application/json"]["schema"]).collect()
        };
        let faults: Vec<Vec<String>> =
            content.iter().map(|schema| shape::lacks(&document, schema, &example, kind == "answer", "")).collect();
        assert!(faults.iter().any(Vec::is_empty), "{kind} {place}: {faults:#?}");
    }
}

/// The operation at a method and an address, whatever its parameters are called.
fn operation<'a>(document: &'a Value, place: &str) -> Option<&'a Value> {
    let (method, path) = place.split_once(' ').unwrap();
    let anonymous = |path: &str| {
        let part = |part: &str| if part.starts_with('{') { "{}".to_owned() } else { part.to_owned() };
        path.split('/').map(part).collect::<Vec<_>>().join("/")
    };
    let paths = document["paths"].as_object().unwrap();
    let (_, item) = paths.iter().find(|(known, _)| anonymous(known) == anonymous(path))?;
    item.get(method.to_lowercase())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_answers_with_every_key_of_every_example() {
    let answers = live::answers().await;
    let examples = examples_of("answer");
    let (asked, known): (BTreeSet<_>, BTreeSet<_>) = (answers.keys().collect(), examples.keys().collect());
    assert_eq!(asked, known);
    let document = serde_json::to_value(api::openapi::document()).unwrap();
    for (place, (status, answer)) in &answers {
        let faults = shape::differs(&examples[place], answer, place);
        assert!(faults.is_empty(), "{faults:#?}\n{answer:#}");
        let promised = &operation(&document, place).unwrap()["responses"][status.to_string()]["content"]["application/json"]
            ["schema"];
        let faults = schema::faults(&document, promised, answer, place);
        assert!(!promised.is_null() && faults.is_empty(), "{place} {status}: {faults:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_tells_every_key_of_every_example() {
    let told = live::messages(&examples_of("said")).await;
    for (kind, example) in examples_of("told") {
        let message = told.get(&kind).unwrap_or_else(|| panic!("{kind} was never told"));
        let faults = shape::differs(&example, message, &kind);
        assert!(faults.is_empty(), "{faults:#?}\n{message:#}");
        assert!(message["seq"].is_u64() && message["timestamp"].is_string(), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_envelope_a_page_and_an_error_are_as_shown() {
    let server = crate::world::World::new().serve().await;
    let envelope = server.get("/health?envelope=true").await;
    assert_eq!(shape::differs(&examples_of("envelope")["envelope"], &envelope, "envelope"), [""; 0]);
    // The array keeps the name of its list.
    let mut page = server.get("/api/presets").await;
    page["items"] = page["presets"].take();
    assert_eq!(shape::differs(&examples_of("page")["page"], &page, "page"), [""; 0]);
    let (status, error) = server.json("GET", "/api/presets/INVALID_ID", None).await;
    assert_eq!(shape::differs(&examples_of("error")["error"], &error, "error"), [""; 0]);
    let example = &examples_of("error")["error"]["error"];
    assert_eq!((status, &error["error"]["code"]), (404, &example["code"]));
    assert!(error["error"]["details"].is_object());
}
