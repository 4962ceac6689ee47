//! The fake hub: redirects with the headers that clients rely on, closed repositories, links that die.

use crate::raw_client::{Answer, get};
use test_support::fake_hub::FakeHub;
use test_support::file_server::{Content, FileServer};

fn ask(server: &FileServer, target: &str, headers: &[&str]) -> Answer {
    get(server.address(), target, headers)
}

/// Follows the redirect of the hub to the CDN without any header.
fn follow(hub: &FakeHub, answer: &Answer) -> Answer {
    let location = answer.header("location").unwrap();
    ask(hub.cdn(), location.strip_prefix(&hub.cdn().url("")).unwrap(), &[])
}

#[test]
fn a_large_file_is_a_redirect_that_names_size_hash_and_commit() {
    let hub = FakeHub::start();
    let file = hub.large_file("org/name", "unet/model.safetensors", Content::pattern(1, 5_000));
    let first = ask(hub.hub(), "/org/name/resolve/main/unet/model.safetensors", &[]);
    assert_eq!((first.status, first.header("x-linked-size")), (302, Some("5000")));
    assert_eq!(first.header("x-linked-etag"), Some(format!("\"{}\"", file.cdn.sha256()).as_str()));
    assert_eq!(first.header("x-repo-commit").map(str::len), Some(40));
    let second = follow(&hub, &first);
    assert!(second.status == 200 && second.body == file.cdn.content().to_vec());
    assert_eq!(second.header("content-disposition"), Some("attachment; filename=\"model.safetensors\""));
}

#[test]
fn a_link_lasts_as_long_as_was_said_and_is_good_for_nothing_unsigned() {
    let hub = FakeHub::start();
    let file = hub.large_file("org/name", "m.safetensors", Content::pattern(1, 10));
    hub.links_last(1);
    let first = ask(hub.hub(), "/org/name/resolve/main/m.safetensors", &[]);
    assert_eq!((follow(&hub, &first).status, follow(&hub, &first).status), (200, 403));
    hub.dead_links_answer(400);
    let again = ask(hub.hub(), "/org/name/resolve/main/m.safetensors", &[]);
    hub.expire_links();
    assert_eq!(follow(&hub, &again).status, 400);
    assert_eq!(ask(hub.cdn(), file.cdn.path(), &[]).status, 400);
}

#[test]
fn closed_repositories_say_why() {
    let hub = FakeHub::start();
    for repo in ["org/gated", "org/private"] {
        hub.small_file(repo, "config.json", Content::bytes("{}"));
    }
    hub.gate("org/gated");
    hub.hide("org/private");
    hub.know_token("hf_other");
    hub.grant("hf_good", "org/gated");
    let told = |repo: &str, header: &str| {
        let answer = ask(hub.hub(), &format!("/org/{repo}/resolve/main/config.json"), &[header]);
        let code = answer.header("x-error-code").unwrap_or("none").to_owned();
        (answer.status, code)
    };
    let expected = |status, code: &str| (status, code.to_owned());
    assert_eq!(told("gated", "X: y"), expected(401, "GatedRepo"));
    assert_eq!(told("gated", "Authorization: Bearer hf_other"), expected(403, "GatedRepo"));
    assert_eq!(told("gated", "Authorization: Bearer hf_good"), expected(200, "none"));
    assert_eq!(told("gated", "Authorization: Bearer hf_wrong"), expected(401, "none"));
    assert_eq!(told("private", "X: y"), expected(401, "RepoNotFound"));
    assert_eq!(told("private", "Authorization: Bearer hf_good"), expected(404, "RepoNotFound"));
    assert!(!hub.cdn_saw("hf_"));
}

#[test]
fn a_catalogue_of_addresses_is_served_with_small_files_blob_pages_and_moved_repositories() {
    let hub = FakeHub::serving(&[
        ("/org/name/blob/main/a.safetensors", 1_000),
        ("/org/name/resolve/main/a.safetensors", 1_000),
        ("/org/name/resolve/main/config.json", 20),
    ]);
    assert_eq!(ask(hub.hub(), "/org/name/resolve/v2/a.safetensors?download=true", &[]).status, 302);
    let small = ask(hub.hub(), "/org/name/resolve/main/config.json", &[]);
    assert_eq!((small.status, small.header("etag").map(str::len)), (200, Some(42)));
    let page = ask(hub.hub(), "/org/name/blob/main/a.safetensors", &[]);
    assert!(page.status == 200 && page.body.starts_with(b"<!DOCTYPE html>"));
    let missing = ask(hub.hub(), "/org/name/resolve/main/b.safetensors", &[]);
    assert_eq!((missing.status, missing.header("x-error-code")), (404, Some("EntryNotFound")));
    hub.rename("org/old", "org/name");
    let moved = ask(hub.hub(), "/org/old/resolve/main/a.safetensors", &[]);
    assert_eq!((moved.status, moved.header("location")), (307, Some("/org/name/resolve/main/a.safetensors")));
}
