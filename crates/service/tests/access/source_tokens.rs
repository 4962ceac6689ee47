//! Tokens for the hosts of models: set while we run, kept, and sent to their own host only.

use std::os::unix::fs::PermissionsExt;

use service::{
    Credentials, Error, Secret, Settings,
    access::{TokenHost, TokenOrigin},
    downloads::{DownloadState, NewDownload, Place, Priority},
};
use test_support::{fake_hub::FakeHub, file_server::Content};

use crate::world::{START, World};

fn with_settings(world: &World, hf_token: Option<&str>) -> Settings {
    let credentials = Credentials { hf_token: hf_token.map(Secret::new), civitai_token: None };
    let mut settings = world.settings();
    settings.downloader.credentials = credentials;
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_outlives_a_restart_and_comes_before_the_setting() {
    let world = World::new();
    let (dashboard, supervisor) = world.start(with_settings(&world, Some("hf_setting"))).await;
    let origins = |tokens: &service::access::SourceTokens| {
        tokens.list().into_iter().map(|token| token.origin).collect::<Vec<_>>()
    };
    assert_eq!(origins(&dashboard.source_tokens), [Some(TokenOrigin::Setting), None]);
    dashboard.source_tokens.set_token(TokenHost::HuggingFace, " hf_stored\n").await.unwrap();
    assert!(!format!("{:?}", dashboard.source_tokens.list()).contains("hf_stored"));
    supervisor.shutdown().await;
    let file = world.data("source-tokens.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(&file).unwrap().contains("\"hf_stored\""));

    let (dashboard, supervisor) = world.start(with_settings(&world, Some("hf_setting"))).await;
    let view = dashboard.source_tokens.list()[0];
    assert_eq!(view.origin, Some(TokenOrigin::Stored));
    assert_eq!(view.set_at.unwrap().as_millisecond(), START);
    dashboard.source_tokens.clear_token(TokenHost::HuggingFace).await.unwrap();
    assert_eq!(origins(&dashboard.source_tokens), [Some(TokenOrigin::Setting), None]);
    assert!(!world.disk_holds("hf_stored"));
    supervisor.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_break_out_of_a_header_is_no_token() {
    let world = World::new();
    let (dashboard, supervisor) = world.start(world.settings()).await;
    let long = "t".repeat(513);
    for token in ["", "  ", "a b", "a\r\nX-Evil: 1", "a\0", "tökèn", &long] {
        let refused = dashboard.source_tokens.set_token(TokenHost::Civitai, token).await;
        assert!(matches!(refused, Err(Error::Invalid { field, .. }) if field == "token"), "{token:?}");
    }
    assert!(!world.data("source-tokens.json").exists());
    supervisor.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_stops_nothing() {
    let world = World::new();
    std::fs::create_dir_all(world.data("")).unwrap();
    std::fs::write(world.data("source-tokens.json"), "{\"huggingface\":").unwrap();
    let (dashboard, supervisor) = world.start(with_settings(&world, Some("hf_setting"))).await;
    assert_eq!(dashboard.source_tokens.list()[0].origin, Some(TokenOrigin::Setting));
    supervisor.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_set_while_we_run_opens_a_closed_repository_and_reaches_no_other_host() {
    let world = World::new();
    let hub = FakeHub::start();
    let model = Content::pattern(1, 50_000);
    hub.large_file("acme/closed", "model.safetensors", model.clone());
    hub.gate("acme/closed");
    hub.know_token("hf_canary_1");
    hub.grant("hf_canary_1", "acme/closed");
    let mut settings = world.settings();
    settings.downloader.hf_endpoint = hub.endpoint().parse().unwrap();
    settings.downloader.min_free_space = 0;
    // The hub's storage is another port of this machine, which the endpoint alone does not open.
    settings.downloader.private_sources = service::PrivateSources::Networks(vec!["127.0.0.1/32".parse().unwrap()]);
    let (dashboard, supervisor) = world.start(settings).await;

    dashboard.source_tokens.set_token(TokenHost::HuggingFace, "hf_canary_1").await.unwrap();
    let mut events = dashboard.bus.subscribe();
    let added = dashboard.downloads.add(link("https://huggingface.co/acme/closed/resolve/main/model.safetensors"));
    let id = added.await.unwrap().download_id;
    let state = loop {
        let view = dashboard.downloads.get(&id).await.unwrap();
        if !view.state.is_unfinished() {
            break view.state;
        }
        let _ = events.recv().await;
    };
    assert_eq!(state, DownloadState::Completed);
    assert!(!hub.cdn_saw("hf_canary_1"));
    supervisor.shutdown().await;
}

fn link(url: &str) -> NewDownload {
    NewDownload {
        urls: vec![url.to_owned()],
        place: Place::Path("loras/model.safetensors".to_owned()),
        sha256: None,
        size_bytes: None,
        priority: Priority::Normal,
        overwrite: false,
        may_replace: service::MayReplace::Any,
    }
}
