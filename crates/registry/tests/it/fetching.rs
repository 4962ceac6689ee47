//! Fetching over a real socket: ETags, bad days, and the copy that survives them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use registry::{Client, ClientSettings, Fetched, HttpClient, LastGood, RegistryError};
use test_support::fake_registry::FakeRegistry;
use test_support::file_server::{Content, Times};

use crate::texts::document_of;

#[tokio::test]
async fn an_unchanged_registry_is_not_sent_again_not_even_after_a_restart() {
    let (registry, folder) = (FakeRegistry::serving(&document_of(&["A"])), tempfile::tempdir().unwrap());
    let (client, kept) = open(&registry.url(), folder.path());
    assert!(kept.is_none());
    assert_eq!(ids(&client.fetch(noon()).await.unwrap()), ["A"]);
    assert!(matches!(client.fetch(noon()).await.unwrap(), Fetched::NotModified));
    let (client, kept) = open(&registry.url(), folder.path());
    let kept = kept.unwrap();
    assert_eq!((kept.catalog.len(), kept.fetched_at), (1, noon()));
    assert!(matches!(client.fetch(noon()).await.unwrap(), Fetched::NotModified));
    registry.set(FakeRegistry::DOCUMENT, &document_of(&["A", "B"]));
    assert_eq!(ids(&client.fetch(noon()).await.unwrap()), ["A", "B"]);
    let statuses: Vec<_> = registry.server().requests().iter().filter_map(|request| request.status).collect();
    assert_eq!(statuses, [200, 304, 304, 200]);
}

#[tokio::test]
async fn the_last_good_copy_survives_every_bad_day_and_a_restart_with_no_network() {
    let (registry, folder) = (FakeRegistry::serving(&document_of(&["A"])), tempfile::tempdir().unwrap());
    let (client, _) = open(&registry.url(), folder.path());
    client.fetch(noon()).await.unwrap();
    let copy = fs::read(copy_in(folder.path())).unwrap();
    for garbage in ["", "<html>captive portal</html>", "{\"presets\": {", "{\"presets\": {\"A\": {}}}", "a: [", "\u{0}"]
    {
        registry.set(FakeRegistry::DOCUMENT, garbage);
        client.fetch(noon()).await.unwrap_err();
        assert_eq!(fs::read(copy_in(folder.path())).unwrap(), copy, "{garbage:?}");
    }
    for status in [204, 401, 404, 429, 500, 503] {
        registry.fail_with(Some(status));
        let error = client.fetch(noon()).await.unwrap_err();
        assert!(matches!(error, RegistryError::Status { status: said, .. } if said == status), "{error}");
    }
    let url = registry.url();
    drop(registry);
    let error = client.fetch(noon()).await.unwrap_err();
    assert!(matches!(error, RegistryError::Request { .. }), "{error}");
    let (client, kept) = open(&url, folder.path());
    assert_eq!(kept.unwrap().catalog.len(), 1);
    client.fetch(noon()).await.unwrap_err();
}

#[tokio::test]
async fn a_body_that_breaks_off_is_never_taken_for_a_registry() {
    let text = document_of(&["A", "B", "C"]);
    let (registry, folder) = (FakeRegistry::serving(""), tempfile::tempdir().unwrap());
    let document = registry.server().file(FakeRegistry::DOCUMENT, Content::bytes(text.as_bytes()));
    document.cut_after(text.len() as u64 / 2, Times(1));
    let (client, _) = open(&registry.url(), folder.path());
    assert!(matches!(client.fetch(noon()).await.unwrap_err(), RegistryError::Request { .. }));
    assert!(!copy_in(folder.path()).exists());
    assert_eq!(ids(&client.fetch(noon()).await.unwrap()), ["A", "B", "C"]);
}

#[tokio::test]
async fn a_silent_server_is_given_up_after_the_time_limit() {
    let (registry, folder) = (FakeRegistry::serving(""), tempfile::tempdir().unwrap());
    let document = registry.server().file(FakeRegistry::DOCUMENT, Content::bytes(document_of(&["A"]).as_bytes()));
    document.stall_after(20, Times(1));
    let mut settings = settings(&registry.url(), folder.path());
    settings.time_limit = Duration::from_millis(300);
    let (client, _) = Client::open(settings);
    assert!(matches!(client.fetch(noon()).await.unwrap_err(), RegistryError::TimedOut { .. }));
}

#[tokio::test]
async fn a_document_beyond_the_limit_is_not_read_to_its_end() {
    let (registry, folder) = (FakeRegistry::serving(""), tempfile::tempdir().unwrap());
    registry.server().file(FakeRegistry::DOCUMENT, Content::pattern(1, 1 << 30));
    let (client, _) = open(&registry.url(), folder.path());
    assert!(matches!(client.fetch(noon()).await.unwrap_err(), RegistryError::TooLarge { .. }));
}

const INDEX: &str = r#"{"version": "3.0.0", "categories": {"Image Generation": "image"}, "presets": {
    "A": {"path": "presets/a b.yaml", "version": "1.0.0"}, "B": {"path": "presets/b.yaml", "version": "1.2.0"},
    "EVIL": {"path": "../../secret.yaml", "version": "1.0.0"}}}"#;

fn preset_yaml(name: &str) -> String {
    format!(
        "name: {name}\ncategory: Image Generation\nfiles:\n  - path: loras/{name}.safetensors\n    url: https://example.com/{name}\n"
    )
}

#[tokio::test]
async fn an_index_brings_its_preset_files_and_the_copy_holds_them() {
    let (registry, folder) = (FakeRegistry::serving(INDEX), tempfile::tempdir().unwrap());
    registry.set("/catalogue/presets/a%20b.yaml", &preset_yaml("a"));
    registry.set("/catalogue/presets/b.yaml", &preset_yaml("b"));
    let (client, _) = open(&registry.url(), folder.path());
    assert_eq!(ids(&client.fetch(noon()).await.unwrap()), ["A", "B"]);
    assert!(registry.server().requests().iter().all(|request| !request.path().contains("secret")));
    assert_eq!(registry.server().requests().len(), 3);
    assert!(matches!(client.fetch(noon()).await.unwrap(), Fetched::NotModified));
    drop(registry);
    let (_, kept) = open("http://127.0.0.1:9/catalogue/registry.json", folder.path());
    assert!(kept.is_none(), "a copy of another registry is not used");
    let text = fs::read_to_string(copy_in(folder.path())).unwrap();
    assert!(text.contains("https://example.com/b"));
}

#[tokio::test]
async fn a_missing_preset_file_costs_that_preset_and_the_next_fetch_looks_again() {
    let (registry, folder) = (FakeRegistry::serving(INDEX), tempfile::tempdir().unwrap());
    registry.set("/catalogue/presets/b.yaml", &preset_yaml("b"));
    let (client, _) = open(&registry.url(), folder.path());
    let Fetched::New(catalog) = client.fetch(noon()).await.unwrap() else { panic!("the first fetch brings it") };
    assert_eq!((catalog.len(), catalog.skipped().len()), (1, 2));
    assert!(catalog.skipped()[0].to_string().contains("HTTP status 404"), "{}", catalog.skipped()[0]);
    registry.set("/catalogue/presets/a%20b.yaml", &preset_yaml("a"));
    assert_eq!(ids(&client.fetch(noon()).await.unwrap()), ["A", "B"]);
}

#[tokio::test]
async fn an_ailing_server_does_not_empty_the_catalogue_preset_by_preset() {
    let (registry, folder) = (FakeRegistry::serving(INDEX), tempfile::tempdir().unwrap());
    registry.set("/catalogue/presets/a%20b.yaml", &preset_yaml("a"));
    registry.server().file("/catalogue/presets/b.yaml", Content::bytes("x")).status(503, Times(1));
    let (client, _) = open(&registry.url(), folder.path());
    let error = client.fetch(noon()).await.unwrap_err();
    assert!(matches!(error, RegistryError::Status { status: 503, .. }), "{error}");
    assert!(!copy_in(folder.path()).exists());
}

#[tokio::test]
async fn a_damaged_copy_is_passed_over() {
    let (registry, folder) = (FakeRegistry::serving(&document_of(&["A"])), tempfile::tempdir().unwrap());
    let (client, _) = open(&registry.url(), folder.path());
    client.fetch(noon()).await.unwrap();
    let whole = fs::read(copy_in(folder.path())).unwrap();
    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        fs::write(copy_in(folder.path()), &whole[..length]).unwrap();
        let (client, kept) = open(&registry.url(), folder.path());
        assert!(kept.is_none(), "{length} bytes");
        assert_eq!(ids(&client.fetch(noon()).await.unwrap()), ["A"]);
    }
}

#[tokio::test]
async fn a_disk_that_refuses_the_copy_does_not_refuse_the_registry() {
    let (registry, folder) = (FakeRegistry::serving(&document_of(&["A"])), tempfile::tempdir().unwrap());
    fs::create_dir(copy_in(folder.path())).unwrap();
    let (client, kept) = open(&registry.url(), folder.path());
    assert!(kept.is_none());
    assert_eq!(ids(&client.fetch(noon()).await.unwrap()), ["A"]);
}

#[tokio::test]
async fn errors_and_the_copy_show_no_credentials_and_no_query() {
    let (registry, folder) = (FakeRegistry::serving(&document_of(&["A"])), tempfile::tempdir().unwrap());
    let url = registry.url().replace("http://", "http://user:hunter2@") + "?token=hunter3";
    let (client, _) = open(&url, folder.path());
    client.fetch(noon()).await.unwrap();
    let copy = fs::read_to_string(copy_in(folder.path())).unwrap();
    registry.fail_with(Some(500));
    let refused = client.fetch(noon()).await.unwrap_err();
    drop(registry);
    let unreachable = client.fetch(noon()).await.unwrap_err();
    for text in [copy, format!("{refused} {refused:?}"), format!("{unreachable} {unreachable:?}")] {
        assert!(!text.contains("hunter"), "{text}");
    }
}

fn open(url: &str, folder: &Path) -> (Client, Option<LastGood>) {
    Client::open(settings(url, folder))
}

fn settings(url: &str, folder: &Path) -> ClientSettings {
    let http = HttpClient::new(|_| {
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder().build()
    });
    let (url, time_limit) = (url.parse().unwrap(), Duration::from_secs(10));
    ClientSettings { url, last_good: copy_in(folder), http, time_limit }
}

fn copy_in(folder: &Path) -> PathBuf {
    folder.join("registry.json")
}

fn ids(fetched: &Fetched) -> Vec<String> {
    match fetched {
        Fetched::New(catalog) => catalog.iter().map(|preset| preset.id.to_string()).collect(),
        Fetched::NotModified => panic!("a new registry was expected"),
    }
}

fn noon() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}
