//! The fake Civitai: documents, redirects, names, and what it says without a token.

use crate::raw_client::{Answer, ask, get};
use serde_json::Value;
use test_support::fake_civitai::{FakeCivitai, ModelVersion, WithoutToken};
use test_support::file_server::Content;

fn version(version_id: u64, without_token: WithoutToken) -> ModelVersion {
    ModelVersion { model_id: 4, version_id, kind: "LORA", file_name: "style.safetensors".to_owned(), without_token }
}

fn fetch(site: &FakeCivitai, target: &str, headers: &[&str]) -> Answer {
    get(site.site().address(), target, headers)
}

#[test]
fn a_download_redirects_to_storage_which_names_the_file_and_refuses_head() {
    let site = FakeCivitai::start();
    let file = site.publish(&version(9, WithoutToken::Served), &Content::pattern(1, 100));
    let first = fetch(&site, file.download.path(), &[]);
    assert_eq!(first.status, 307);
    let target = first.header("location").unwrap().strip_prefix(&site.storage().url("")).unwrap().to_owned();
    let second = get(site.storage().address(), &target, &[]);
    assert_eq!(second.header("content-disposition"), Some("attachment; filename=\"style.safetensors\""));
    assert_eq!(second.body, file.storage.content().to_vec());
    assert_eq!(ask(site.storage().address(), "HEAD", &target, &[]).status, 403);
}

#[test]
fn without_a_token_it_answers_401_or_leads_to_a_login_page() {
    let site = FakeCivitai::start();
    site.know_token("civ");
    for (id, without, status) in [(1, WithoutToken::Unauthorized, 401), (2, WithoutToken::LoginPage, 302)] {
        let file = site.publish(&version(id, without), &Content::pattern(1, 100));
        assert_eq!(fetch(&site, file.download.path(), &[]).status, status);
        assert_eq!(fetch(&site, file.download.path(), &["Authorization: Bearer civ"]).status, 307);
        assert_eq!(fetch(&site, &format!("{}?token=civ", file.download.path()), &[]).status, 307);
    }
    assert!(fetch(&site, "/login?reason=download-auth", &[]).body.starts_with(b"<!DOCTYPE html>"));
}

#[test]
fn a_version_is_found_by_model_by_number_and_by_hash() {
    let site = FakeCivitai::start();
    let content = Content::pattern(1, 2_048);
    site.publish(&version(9, WithoutToken::Served), &content);
    let document = |path: &str| serde_json::from_slice::<Value>(&fetch(&site, path, &[]).body).unwrap();
    let by_number = document("/api/v1/model-versions/9");
    assert_eq!(by_number["files"][0]["sizeKB"], 2.0);
    assert_eq!(by_number["files"][0]["hashes"]["SHA256"], content.sha256().to_uppercase());
    assert_eq!(document(&format!("/api/v1/model-versions/by-hash/{}", content.sha256())), by_number);
    assert_eq!(document("/api/v1/models/4")["modelVersions"][0], by_number);
}
