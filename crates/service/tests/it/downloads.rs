//! Links, and steering downloads.

use service::{
    Error,
    downloads::{DownloadChange, DownloadQuery, DownloadState, HistoryQuery, NewDownload, Place, Priority},
    presets::InstallOptions,
};
use test_support::file_server::{FileServer, Switch, Until};

use crate::world::{World, content, preset_id};

fn link(url: &str, place: Place) -> NewDownload {
    NewDownload {
        urls: vec![url.to_owned()],
        place,
        sha256: None,
        size_bytes: None,
        priority: Priority::Normal,
        overwrite: false,
        may_replace: service::MayReplace::Any,
    }
}

fn into(kind: &str) -> Place {
    Place::Folder { kind: kind.to_owned(), filename: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_arrives_under_the_name_that_the_server_gives() {
    let world = World::new();
    let model = content(1, 60_000);
    let url = world.file("style", "style.safetensors", &model);
    let running = world.start().await;
    let added = running.dashboard.downloads.add(link(&url, into("loras"))).await.unwrap();
    assert_eq!(added.path, "loras/style.safetensors");
    assert_eq!(running.end_of(&added.download_id).await.state, DownloadState::Completed);
    assert!(world.holds("loras/style.safetensors", &model));

    let again = running.dashboard.downloads.add(link(&url, into("loras"))).await;
    let known = NewDownload { sha256: Some(model.sha256()), ..link(&url, into("loras")) };
    assert!(running.dashboard.downloads.add(known).await.is_ok(), "the hash is the one that is there");
    assert!(again.is_ok(), "the server names the hash, and it is the one that is there: {again:?}");
    world.place("loras/other.safetensors", b"mine");
    let taken = link(&url, Place::Path("loras/other.safetensors".to_owned()));
    assert!(matches!(running.dashboard.downloads.add(taken).await, Err(Error::Conflict { .. })));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_places_and_links_are_refused_and_nothing_is_written() {
    let world = World::new();
    let url = world.file("a", "a.bin", &content(1, 100));
    let running = world.start().await;
    let downloads = &running.dashboard.downloads;
    for path in ["../a.bin", "/etc/a.bin", "loras/..\\a.bin", "loras/a\0.bin", "loras/%2e%2e/a.bin", ""] {
        let refused = downloads.add(link(&url, Place::Path(path.to_owned()))).await;
        assert!(matches!(&refused, Err(Error::Invalid { field, .. }) if field == "path"), "{path:?}: {refused:?}");
    }
    for url in [
        "file:///etc/passwd",
        "ftp://host/a",
        "http://user:pass@host/a",
        "http://169.254.169.254/latest",
        "http://[::1]:9/a",
        "nonsense",
    ] {
        let refused = downloads.add(link(url, Place::Path("loras/a.bin".to_owned()))).await;
        assert!(matches!(&refused, Err(Error::Invalid { field, .. }) if field == "url"), "{url}: {refused:?}");
    }
    assert!(world.everything().is_empty() && downloads.unfinished().await.unwrap().is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_instead_of_a_file_fails_in_words_and_a_resume_tries_again() {
    let world = World::new();
    let model = content(1, 9_000);
    let file = world.hub.large_file("acme/a", "a.safetensors", model.clone());
    let logged_in = Switch::new();
    file.cdn.login_page(Until(logged_in.clone()));
    let running = world.start().await;
    let url = "https://huggingface.co/acme/a/resolve/main/a.safetensors";
    let place = Place::Folder { kind: "loras".to_owned(), filename: Some("a.safetensors".to_owned()) };
    let added = running.dashboard.downloads.add(link(url, place)).await.unwrap();
    let failure = running.end_of(&added.download_id).await.failure.expect("a page is no file");
    assert_eq!(failure.code, "DOWNLOAD_FAILED");
    assert!(failure.message.contains("HTML"), "{}", failure.message);
    assert_eq!(failure.file.as_deref(), Some("loras/a.safetensors"));
    logged_in.throw();
    running.dashboard.downloads.resume(&added.download_id).await.unwrap();
    running.state_of(&added.download_id, DownloadState::Completed).await;
    assert!(world.holds("loras/a.safetensors", &model));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_download_leaves_nothing_and_stays_in_the_history() {
    let world = World::new();
    let file = world.hub.large_file("acme/a", "a.bin", content(1, 2_000_000));
    let _gate = file.cdn.hold_at(1_000_000);
    let running = world.start().await;
    let downloads = &running.dashboard.downloads;
    let place = Place::Path("vae/a.bin".to_owned());
    let added = downloads.add(link("hf://acme/a/a.bin", place)).await.unwrap();
    running.until(&added.download_id, |view| view.downloaded_bytes > 0).await;
    let changed =
        DownloadChange { priority: Some(Priority::High), rate_limit: Some(Some(1 << 20)), ..DownloadChange::default() };
    let changed = downloads.change(&added.download_id, changed).await.unwrap();
    assert_eq!((changed.priority, changed.rate_limit), (Priority::High, Some(1 << 20)));
    assert!(downloads.cancel(&added.download_id).await.unwrap(), "a partial file was removed");
    assert!(!downloads.cancel(&added.download_id).await.unwrap(), "a second time there is none");
    assert!(world.everything().is_empty());
    let history = downloads.history(&HistoryQuery::default()).await.unwrap();
    assert_eq!((history.total, history.items[0].state), (1, DownloadState::Cancelled));
    assert!(matches!(downloads.resume(&added.download_id).await, Err(Error::Conflict { .. })));
    assert!(matches!(downloads.pause("dl_unknown").await, Err(Error::NotFound { .. })));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_would_not_take_is_refused_and_leaves_nothing_that_a_start_trips_over() {
    let mut world = World::new();
    // A file may have such a name; the partial file beside it may not.
    let name = format!("loras/{}.bin", "x".repeat(240));
    let url = world.file("a", "a.bin", &content(1, 100));
    world.preset("LONG", "1.0.0", &[(&name, &url)]);
    let running = world.start().await;
    let downloads = &running.dashboard.downloads;
    let table = [
        ("path", link(&url, Place::Path(name.clone()))),
        ("path", link(&url, Place::Folder { kind: "loras".to_owned(), filename: Some(name[6..].to_owned()) })),
        ("size_bytes", NewDownload { size_bytes: Some(u64::MAX), ..link(&url, into("loras")) }),
    ];
    for (field, new) in table {
        let refused = downloads.add(new).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid { field: ref named, .. } if named == field), "{field}: {refused:?}");
    }
    let install = running.dashboard.presets.install(&preset_id("LONG"), InstallOptions::default()).await;
    assert!(matches!(install, Err(Error::Invalid { .. })), "{install:?}");
    let kept = downloads.list(&DownloadQuery::default()).await.unwrap();
    assert!(kept.page.items.is_empty(), "{kept:?}");
    running.stop().await;
    world.start().await.stop().await;
}

/// A link that is closed, and beside it a mirror that answers with other bytes: nothing of that is known of the link.
#[tokio::test(flavor = "multi_thread")]
async fn facts_of_a_mirror_are_not_noted_under_the_first_link() {
    let mut world = World::new();
    let url = world.file("closed", "model.bin", &content(1, 9_000));
    world.hub.gate("acme/closed");
    world.preset("ONE", "1.0.0", &[("checkpoints/model.bin", &url)]);
    let mirror = FileServer::start().file("/other.bin", content(2, 5_000));
    let running = world.start().await;
    let place = Place::Path("checkpoints/model.bin".to_owned());
    let new = NewDownload { urls: vec![url.clone(), mirror.url()], ..link(&url, place) };
    let added = running.dashboard.downloads.add(new).await.unwrap();
    let ended = running.end_of(&added.download_id).await;
    assert_eq!(ended.state, DownloadState::Completed);
    let detail = running.dashboard.presets.detail(&preset_id("ONE")).await.unwrap();
    let file = &detail.files[0];
    assert_eq!((file.sha256.clone(), file.verified, detail.view.size_exact), (None, false, false), "{file:?}");
    running.stop().await;
}
