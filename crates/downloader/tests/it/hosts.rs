//! What is known of Hugging Face and Civitai: links, hashes, tokens for their own hosts only, signed addresses that
//! expire.

use downloader::{Credentials, ProbeError, Secret, Settings, SourceUrl, TokenHint, TransferError};
use test_support::fake_civitai::{FakeCivitai, ModelVersion, WithoutToken};
use test_support::fake_hub::FakeHub;
use test_support::file_server::{
    Content, FileServer, Reply,
    When::{Always, Times},
};

use crate::rig::{MIB, Rig, settings, short_timeouts};

const TOKEN: &str = "hf_canary";
const CIVITAI_TOKEN: &str = "civitai_canary";

fn at(hub: &FakeHub, token: Option<&str>) -> Settings {
    let credentials = Credentials { hf_token: token.map(Secret::new), civitai_token: Some(Secret::new(CIVITAI_TOKEN)) };
    Settings { hf_endpoint: hub.endpoint().parse().unwrap(), credentials, ..settings() }
}

fn hub_with_file(size: u64) -> FakeHub {
    let hub = FakeHub::start();
    hub.large_file("org/repo", "dir/m.safetensors", Content::pattern(61, size));
    hub
}

const LINK: &str = "https://huggingface.co/org/repo/blob/main/dir/m.safetensors";

#[tokio::test]
async fn a_hub_file_is_verified_by_the_hash_on_the_first_redirect() {
    let hub = hub_with_file(20 * MIB);
    let mut rig = Rig::with(at(&hub, Some(TOKEN)));
    hub.know_token(TOKEN);
    let story = rig.fetch(rig.file("m.safetensors", LINK)).await;
    assert!(story.outcome().verified, "{:#?}", story.told());
    rig.assert_whole("m.safetensors", &Content::pattern(61, 20 * MIB));
    assert!(!hub.cdn_saw(TOKEN), "the token went to another host");
    assert!(hub.hub().requests().iter().all(|request| request.bearer() == Some(TOKEN)));
    assert_eq!(hub.hub().requests().len(), 1, "the signed address is used again");
}

#[tokio::test]
async fn a_git_hash_is_no_checksum() {
    let hub = FakeHub::start();
    let route = hub.small_file("org/repo", "config.json", Content::bytes("{\"a\": 1}"));
    let mut rig = Rig::with(at(&hub, None));
    let story = rig.fetch(rig.file("config.json", "hf://org/repo/config.json")).await;
    assert!(!story.outcome().verified);
    rig.assert_whole("config.json", &route.content());
}

#[tokio::test]
async fn a_wrong_body_behind_a_right_hash_is_not_installed() {
    let hub = FakeHub::start();
    let file = hub.large_file("org/repo", "m.safetensors", Content::pattern(62, 3 * MIB));
    file.cdn.corrupt_byte(2 * MIB, Always);
    let mut rig = Rig::with(at(&hub, None));
    let story = rig.fetch(rig.file("m.safetensors", "hf://org/repo/m.safetensors")).await;
    assert!(matches!(story.error(), TransferError::HashMismatch { .. }), "{}", story.error());
    rig.assert_absent("m.safetensors");
}

#[tokio::test]
async fn a_finished_part_is_still_compared_with_the_hash_that_the_hub_named() {
    // All of it has arrived when somebody's folder takes its name; the next run has all bytes and asks nobody.
    let hub = hub_with_file(2 * MIB);
    let gate = hub.cdn().hold_after_total(MIB);
    let mut rig = Rig::with(at(&hub, None));
    rig.enqueue("job", vec![rig.file("m.safetensors", LINK)]).await;
    gate.reached().await;
    std::fs::create_dir(rig.path("m.safetensors")).unwrap();
    gate.open();
    rig.rest("job").await.error();
    std::fs::remove_dir(rig.path("m.safetensors")).unwrap();
    let asked = hub.hub().requests().len();
    rig.downloader.resume(&downloader::JobId::new("job")).await.unwrap();
    let story = rig.rest("job").await;
    assert!(story.outcome().verified, "{:#?}", story.told());
    assert_eq!(hub.hub().requests().len(), asked);
    rig.assert_whole("m.safetensors", &Content::pattern(61, 2 * MIB));
}

#[tokio::test]
async fn gated_private_and_missing_are_told_apart() {
    let table: [(&str, Option<&str>, &str); 5] = [
        (
            "gated",
            None,
            "the repository org/repo is gated: accept its licence at https://huggingface.co/org/repo, no Hugging Face token is set (HF_TOKEN)",
        ),
        (
            "gated",
            Some(TOKEN),
            "the repository org/repo is gated: accept its licence at https://huggingface.co/org/repo, the Hugging Face token (HF_TOKEN) was not accepted or may not read this file",
        ),
        (
            "private",
            None,
            "the repository org/repo does not exist or is private: no Hugging Face token is set (HF_TOKEN)",
        ),
        (
            "private",
            Some(TOKEN),
            "the repository org/repo does not exist or is private: the Hugging Face token (HF_TOKEN) was not accepted or may not read this file",
        ),
        (
            "public",
            Some("hf_wrong"),
            "asks for a login: the Hugging Face token (HF_TOKEN) was not accepted or may not read this file",
        ),
    ];
    for (kind, token, expected) in table {
        let hub = hub_with_file(MIB);
        hub.know_token(TOKEN);
        match kind {
            "gated" => hub.gate("org/repo"),
            "private" => hub.hide("org/repo"),
            _ => {}
        }
        let mut rig = Rig::with(at(&hub, token));
        let story = rig.fetch(rig.file("m.safetensors", LINK)).await;
        assert!(story.error().to_string().ends_with(expected), "{kind} {token:?}: {}", story.error());
        assert!(!story.error().to_string().contains("canary"));
        rig.assert_absent("m.safetensors");
    }
    let hub = hub_with_file(MIB);
    let mut rig = Rig::with(at(&hub, None));
    let story = rig.fetch(rig.file("m.safetensors", "hf://org/repo/other.safetensors")).await;
    assert!(matches!(story.error(), TransferError::NotFound { status: 404, .. }), "{}", story.error());
}

#[tokio::test]
async fn a_token_that_is_set_later_opens_the_gate() {
    let hub = hub_with_file(MIB);
    hub.gate("org/repo");
    hub.grant(TOKEN, "org/repo");
    let mut rig = Rig::with(at(&hub, None));
    let story = rig.fetch(rig.file("m.safetensors", LINK)).await;
    assert!(matches!(story.error(), TransferError::Gated { token: TokenHint::HuggingFaceMissing, .. }));
    rig.downloader.set_credentials(Credentials { hf_token: Some(Secret::new(TOKEN)), civitai_token: None });
    rig.downloader.resume(&downloader::JobId::new("job")).await.unwrap();
    assert!(rig.rest("job").await.completed());
}

#[tokio::test]
async fn a_repository_that_moved_is_followed() {
    let hub = hub_with_file(MIB);
    hub.rename("old/name", "org/repo");
    let mut rig = Rig::with(at(&hub, None));
    let story = rig.fetch(rig.file("m.safetensors", "hf://old/name/dir/m.safetensors")).await;
    assert!(story.outcome().verified);
}

#[tokio::test]
async fn signed_addresses_that_expire_are_renewed_outside_the_retry_counter() {
    for status in [403, 401, 400, 410] {
        let hub = hub_with_file(20 * MIB);
        hub.dead_links_answer(status);
        hub.links_last(1);
        let once = downloader::Backoff { tries_without_progress: 1, ..settings().backoff };
        let mut rig = Rig::with(Settings { backoff: once, ..at(&hub, None) });
        let story = rig.fetch(rig.file("m.safetensors", LINK)).await;
        assert!(story.completed(), "{status}: {:#?}", story.told());
        assert!(story.restarts().is_empty());
        rig.assert_whole("m.safetensors", &Content::pattern(61, 20 * MIB));
        assert!(hub.hub().requests().len() > 1, "{status}: the original was asked again");
    }
}

#[tokio::test]
async fn a_token_goes_along_only_where_it_was_asked_for() {
    // A link of another host leads to a file of the hub: it does not get the rights of the hub's token, at no request.
    let hub = FakeHub::start();
    hub.know_token(TOKEN);
    let small = hub.small_file("org/repo", "m.safetensors", Content::pattern(66, MIB)).cut_after(9000, Times(3));
    let other = FileServer::start();
    let link =
        other.file("/link", Content::bytes("")).redirect(hub.hub().url(&small.path().replace('*', "main")), Always);
    let mut rig = Rig::with(at(&hub, Some(TOKEN)));
    let story = rig.fetch(rig.file("m.safetensors", &link.url())).await;
    assert!(story.completed(), "{:#?}", story.told());
    rig.assert_whole("m.safetensors", &small.content());
    assert_eq!(small.requests().len(), 4);
    let saw = |server: &FileServer| server.requests().iter().any(|request| request.mentions(TOKEN));
    assert!(!saw(&other) && !saw(hub.hub()));
}

fn version(number: u64, without_token: WithoutToken) -> ModelVersion {
    ModelVersion {
        model_id: 12,
        version_id: number,
        kind: "LORA",
        file_name: "../../evil name.safetensors".into(),
        without_token,
    }
}

#[tokio::test]
async fn civitai_pages_versions_and_names_work_and_its_token_stays_home() {
    let site = FakeCivitai::start();
    site.know_token(CIVITAI_TOKEN);
    let content = Content::pattern(63, 20 * MIB);
    site.publish(&version(34, WithoutToken::Unauthorized), &content);
    let credentials =
        Credentials { hf_token: Some(Secret::new(TOKEN)), civitai_token: Some(Secret::new(CIVITAI_TOKEN)) };
    let here = Settings { civitai_endpoint: site.endpoint().parse().unwrap(), credentials, ..settings() };
    for link in [
        "https://civitai.com/models/12/x?modelVersionId=34",
        "urn:air:sdxl:lora:civitai:12@34",
        "https://civitai.com/models/12",
    ] {
        let mut rig = Rig::with(here.clone());
        let facts = rig.downloader.probe(&[SourceUrl::parse(link).unwrap()]).await.unwrap();
        assert_eq!(facts.file_name.as_deref(), Some("evil name.safetensors"), "{link}");
        assert_eq!(facts.size, Some(20 * MIB));
        let story = rig.fetch(rig.file("l.safetensors", link)).await;
        assert!(story.completed(), "{link}: {:#?}", story.told());
        rig.assert_whole("l.safetensors", &content);
    }
    let seen = |server: &FileServer, text: &str| server.requests().iter().any(|request| request.mentions(text));
    assert!(!seen(site.storage(), CIVITAI_TOKEN) && !seen(site.storage(), TOKEN) && !seen(site.site(), TOKEN));
}

#[tokio::test]
async fn a_civitai_page_that_falls_silent_is_asked_again() {
    let site = FakeCivitai::start();
    site.publish(&version(36, WithoutToken::Served), &Content::pattern(67, MIB));
    let page = Content::bytes(r#"{"modelVersions": [{"id": 36}]}"#);
    let page = site.site().file("/api/v1/models/12", page).stall_after(9, Times(1));
    let mut rig = Rig::with(Settings { civitai_endpoint: site.endpoint().parse().unwrap(), ..short_timeouts() });
    assert!(rig.fetch(rig.file("l.safetensors", "https://civitai.com/models/12")).await.completed());
    rig.assert_whole("l.safetensors", &Content::pattern(67, MIB));
    assert_eq!(page.requests().len(), 2);
}

#[tokio::test]
async fn civitai_without_a_token_fails_in_words_and_saves_no_page() {
    for without_token in [WithoutToken::Unauthorized, WithoutToken::LoginPage] {
        let site = FakeCivitai::start();
        site.publish(&version(35, without_token), &Content::pattern(64, MIB));
        let mut rig = Rig::with(Settings { civitai_endpoint: site.endpoint().parse().unwrap(), ..settings() });
        let story = rig.fetch(rig.file("l.safetensors", "https://civitai.com/api/download/models/35")).await;
        assert!(story.error().to_string().contains("CIVITAI_API_TOKEN"), "{}", story.error());
        rig.assert_absent("l.safetensors");
    }
}

#[tokio::test]
async fn a_probe_says_what_a_source_holds_without_fetching_it() {
    let hub = hub_with_file(20 * MIB);
    let rig = Rig::with(at(&hub, None));
    let facts = rig.downloader.probe(&[LINK.parse().unwrap()]).await.unwrap();
    assert_eq!((facts.size, facts.ranges), (Some(20 * MIB), true));
    assert_eq!(facts.sha256.unwrap().to_string(), Content::pattern(61, 20 * MIB).sha256());
    assert_eq!(facts.file_name.as_deref(), Some("m.safetensors"));
    assert!(facts.commit.is_some());
    assert!(hub.cdn().total_body_bytes_sent() <= 1);

    let route = FileServer::start().file("/page.bin", Content::pattern(1, 9)).login_page(Always);
    let error = rig.downloader.probe(&[route.url().parse().unwrap()]).await.unwrap_err();
    let is_page = matches!(&error, ProbeError::Refused(TransferError::NotAFile { what: "an HTML page", .. }));
    assert!(is_page && error.to_string().contains("the link is a page"), "{error}");
    let whole = FileServer::start().file("/whole.bin", Content::pattern(1, 9 * MIB)).ignore_range(Always);
    let facts = rig.downloader.probe(&[route.url().parse().unwrap(), whole.url().parse().unwrap()]).await.unwrap();
    assert_eq!((facts.size, facts.ranges), (Some(9 * MIB), false));
}

/// A host may count a connection that was just closed, and refuse the download that follows.
#[tokio::test]
async fn probe_leaves_its_connection_for_the_download() {
    let server = FileServer::start();
    // The byte comes later than the head.
    server.set_rate_per_connection(20);
    let source: SourceUrl = server.file("/f.bin", Content::pattern(1, 9)).url().parse().unwrap();
    let rig = Rig::with(settings());
    for _ in 0..3 {
        assert_eq!(rig.downloader.probe(std::slice::from_ref(&source)).await.unwrap().size, Some(9));
    }
    assert_eq!(server.connections_opened(), 1);
}

/// A refusal is told apart from a fault that may pass; of several sources, one that may answer later decides.
#[tokio::test]
async fn probe_tells_refusals_from_passing_faults() {
    let rig = Rig::with(settings());
    let server = FileServer::start();
    let ask = async |paths: &[&str]| {
        let sources: Vec<SourceUrl> = paths.iter().map(|path| server.url(path).parse().unwrap()).collect();
        rig.downloader.probe(&sources).await.unwrap_err()
    };
    for (path, status) in [("/busy", 503), ("/limit", 429), ("/gone", 410), ("/absent", 404), ("/login", 401)] {
        server.handle(path, move |_| Reply::status(status));
    }
    for path in ["/busy", "/limit"] {
        let error = ask(&[path]).await;
        assert!(matches!(error, ProbeError::Passing(_)), "{path}: {error}");
    }
    for path in ["/gone", "/absent", "/login"] {
        let error = ask(&[path]).await;
        assert!(matches!(error, ProbeError::Refused(_)), "{path}: {error}");
    }
    assert!(matches!(ask(&["/gone", "/busy"]).await, ProbeError::Passing(_)));
}
