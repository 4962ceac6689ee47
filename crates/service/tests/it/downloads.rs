//! Links, and steering downloads.

use service::{
    Error,
    downloads::{
        DownloadChange, DownloadPreview, DownloadQuery, DownloadState, Found, FoundIn, HistoryQuery, NewDownload,
        Place, Position, Priority, QueuePlace,
    },
    presets::InstallOptions,
};
use test_support::file_server::{FileServer, Reply, Switch, Until};

use crate::world::{Running, World, content, preset_id};

pub(crate) fn link(url: &str, place: Place) -> NewDownload {
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

fn at(number: i64) -> DownloadChange {
    DownloadChange { place: Some(QueuePlace::Position(Position::new(number).unwrap())), ..DownloadChange::default() }
}

/// The paths of the unfinished downloads, in the order in which they run.
async fn queue(running: &Running) -> Vec<String> {
    let unfinished = running.dashboard.downloads.unfinished().await.unwrap();
    unfinished.into_iter().map(|view| view.files[0].path.clone()).collect()
}

/// The largest position that somebody may ask for leaves room behind it, also after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn largest_position_leaves_room_for_new_downloads() {
    let world = World::new();
    let file = world.hub.large_file("acme/a", "a.bin", content(1, 2_000_000));
    let gate = file.cdn.hold_at(1_000_000);
    let running = world.start().await;
    let downloads = &running.dashboard.downloads;
    let add = async |path: &str| downloads.add(link("hf://acme/a/a.bin", Place::Path(path.to_owned()))).await.unwrap();
    let first = add("vae/first.bin").await;
    downloads.change(&first.download_id, at(i64::from(Position::LARGEST))).await.unwrap();
    let second = add("vae/second.bin").await;
    let third = add("vae/third.bin").await;
    assert_eq!(queue(&running).await, ["vae/first.bin", "vae/second.bin", "vae/third.bin"]);

    let before =
        DownloadChange { place: Some(QueuePlace::Before(second.download_id.clone())), ..DownloadChange::default() };
    downloads.change(&third.download_id, before.clone()).await.unwrap();
    assert_eq!(queue(&running).await, ["vae/first.bin", "vae/third.bin", "vae/second.bin"]);
    downloads.cancel(&second.download_id).await.unwrap();
    assert!(matches!(downloads.change(&third.download_id, before).await, Err(Error::Conflict { .. })));
    assert_eq!((Position::new(-1), Position::new(i64::from(Position::LARGEST) + 1)), (None, None));
    gate.open();
    for id in [&first.download_id, &third.download_id] {
        assert_eq!(running.end_of(id).await.state, DownloadState::Completed);
    }
    running.stop().await;
}

/// A priority has a last place of its own: an ended download takes none, and a change of priority goes behind the others.
#[tokio::test(flavor = "multi_thread")]
async fn new_priority_goes_behind_the_last_of_it() {
    let world = World::new();
    let file = world.hub.large_file("acme/a", "a.bin", content(1, 2_000_000));
    let _gate = file.cdn.hold_at(1_000_000);
    let running = world.start().await;
    let downloads = &running.dashboard.downloads;
    let mut ids = Vec::new();
    for (name, priority) in [("a", Priority::High), ("b", Priority::High), ("c", Priority::Normal)] {
        let new = NewDownload { priority, ..link("hf://acme/a/a.bin", Place::Path(format!("vae/{name}.bin"))) };
        ids.push(downloads.add(new).await.unwrap().download_id);
    }
    let high = DownloadChange { priority: Some(Priority::High), ..DownloadChange::default() };
    downloads.change(&ids[2], high.clone()).await.unwrap();
    assert_eq!(queue(&running).await, ["vae/a.bin", "vae/b.bin", "vae/c.bin"]);
    downloads.change(&ids[0], high).await.unwrap();
    assert_eq!(queue(&running).await, ["vae/a.bin", "vae/b.bin", "vae/c.bin"], "the same priority is no move");
    running.stop().await;
}

/// A request that is dropped at any of its steps leaves no row behind that the engine does not hold.
#[tokio::test(flavor = "multi_thread")]
async fn dropped_request_leaves_no_orphan_download() {
    let world = World::new();
    let url = world.file("a", "a.bin", &content(1, 1_000));
    let running = world.start().await;
    let downloads = &running.dashboard.downloads;
    for most in 1..200 {
        let mut add = Box::pin(downloads.add(link(&url, Place::Path(format!("vae/{most}.bin")))));
        let mut polls = 0;
        let is_done = std::future::poll_fn(|context| match add.as_mut().poll(context) {
            std::task::Poll::Ready(added) => std::task::Poll::Ready(added.map(|_| true).unwrap()),
            std::task::Poll::Pending if polls == most => std::task::Poll::Ready(false),
            std::task::Poll::Pending => {
                polls += 1;
                std::task::Poll::Pending
            }
        })
        .await;
        if is_done {
            break;
        }
    }
    for view in downloads.unfinished().await.unwrap() {
        assert_eq!(running.end_of(&view.id).await.state, DownloadState::Completed, "{view:?}");
    }
    running.stop().await;
}

/// An update that the database refuses for good fails its own download; the others arrive, and it can be resumed.
#[tokio::test(flavor = "multi_thread")]
async fn update_that_cannot_be_stored_fails_one_download() {
    let world = World::new();
    let file = world.hub.large_file("acme/a", "a.bin", content(1, 400_000));
    let gate = file.cdn.hold_at(100_000);
    let other = world.file("b", "b.bin", &content(2, 400_000));
    let running = world.start().await;
    let downloads = &running.dashboard.downloads;
    let sha256 = Some(content(1, 400_000).sha256());
    let stuck = NewDownload { sha256, ..link("hf://acme/a/a.bin", Place::Path("vae/a.bin".to_owned())) };
    let stuck = downloads.add(stuck).await.unwrap();
    running.until(&stuck.download_id, |view| view.downloaded_bytes > 0).await;
    let database = sqlx::SqlitePool::connect(&world.database().display().to_string()).await.unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE UPDATE OF state ON download_files WHEN new.path = 'vae/a.bin' AND new.state = 'completed'
                  BEGIN SELECT RAISE(ABORT, 'refused by the test'); END";
    sqlx::query(refuse).execute(&database).await.unwrap();
    gate.open();
    assert_eq!(running.end_of(&stuck.download_id).await.state, DownloadState::Failed);
    let next = downloads.add(link(&other, Place::Path("vae/b.bin".to_owned()))).await.unwrap();
    assert_eq!(running.end_of(&next.download_id).await.state, DownloadState::Completed);
    sqlx::query("DROP TRIGGER refuse").execute(&database).await.unwrap();
    database.close().await;
    downloads.resume(&stuck.download_id).await.unwrap();
    running.state_of(&stuck.download_id, DownloadState::Completed).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn active_count_ignores_the_status_filter() {
    let world = World::new();
    let file = world.hub.large_file("acme/a", "a.bin", content(1, 2_000_000));
    let _gate = file.cdn.hold_at(1_000_000);
    let running = world.start().await;
    let downloads = &running.dashboard.downloads;
    downloads.add(link("hf://acme/a/a.bin", Place::Path("vae/a.bin".to_owned()))).await.unwrap();
    let failed = DownloadQuery { state: Some(DownloadState::Failed), ..DownloadQuery::default() };
    let list = downloads.list(&failed).await.unwrap();
    assert_eq!((list.page.total, list.active), (0, 1));
    running.stop().await;
}

/// Without a name, a refusal is told as what it is, and what may pass is queued under the name in the link.
#[tokio::test(flavor = "multi_thread")]
async fn refusal_without_a_name_is_told_as_what_it_is() {
    let world = World::new();
    let gated = world.file("gated", "g.safetensors", &content(1, 100));
    world.hub.gate("acme/gated");
    let missing = gated.replace("acme/gated", "acme/open").replace("g.safetensors", "none.safetensors");
    world.file("open", "o.safetensors", &content(1, 100));
    let server = world.hub.hub();
    for (path, status) in
        [("/busy/b.safetensors", 503), ("/limit/l.safetensors", 429), ("/nameless", 503), ("/gone/g.bin", 410)]
    {
        server.handle(path, move |_| Reply::status(status));
    }
    let running = world.start().await;
    let downloads = &running.dashboard.downloads;
    let refused = [
        (gated, "gated"),
        (missing, "no such file (404)"),
        (server.url("/gone/g.bin"), "no such file (410)"),
        (server.url("/nameless"), "the link names no file"),
    ];
    for (url, words) in &refused {
        let error = downloads.add(link(url, into("loras"))).await.unwrap_err();
        assert!(matches!(&error, Error::Invalid { field, .. } if field == "url"), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
    for (path, name) in
        [("/busy/b.safetensors", "loras/b.safetensors"), ("/limit/l.safetensors", "loras/l.safetensors")]
    {
        let added = downloads.add(link(&server.url(path), into("loras"))).await.unwrap();
        assert_eq!(added.path, name);
        downloads.cancel(&added.download_id).await.unwrap();
    }
    running.stop().await;
}

/// A preview says what would happen and writes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn preview_says_name_size_folder_and_gate() {
    let world = World::new();
    let model = content(1, 60_000);
    let url = world.file("style", "split_files/vae/ae.safetensors", &model);
    world.file("gated", "g.safetensors", &model);
    world.hub.gate("acme/gated");
    let running = world.start().await;
    let downloads = &running.dashboard.downloads;
    let preview =
        async |url: &str, place: Option<Place>| downloads.preview(&[url.to_owned()], place.as_ref()).await.unwrap();
    let found = |value: &str, from| Some(Found { value: value.to_owned(), from });
    let expected = DownloadPreview {
        name: found("ae.safetensors", FoundIn::Link),
        folder: found("vae", FoundIn::Link),
        size_bytes: Some(60_000),
        sha256: Some(model.sha256()),
        exists: Some(false),
        gate: None,
        problem: None,
    };
    assert_eq!(preview(&url, None).await, expected);
    world.place("loras/mine.bin", b"mine");
    let placed = preview(&url, Some(Place::Path("loras/mine.bin".to_owned()))).await;
    assert_eq!((placed.exists, placed.folder), (Some(true), found("loras", FoundIn::Request)));
    let gated = preview("hf://acme/gated/g.safetensors", Some(into("loras"))).await;
    assert!(gated.gate.is_some_and(|gate| gate.contains("huggingface.co/acme/gated")));
    assert_eq!((gated.exists, gated.size_bytes), (Some(false), None));
    let absent = preview("hf://acme/gated/none.safetensors", None).await;
    assert!(absent.gate.is_some() || absent.problem.is_some());
    assert!(downloads.unfinished().await.unwrap().is_empty());
    assert_eq!(world.everything(), ["loras/mine.bin"]);
    running.stop().await;
}

/// What follows from a pause is not in the database yet: the answer is the state that holds, which the interface tells as 202.
#[tokio::test(flavor = "multi_thread")]
async fn pause_answers_before_it_is_stored() {
    let mut world = World::new();
    world.settling_time = std::time::Duration::from_millis(100);
    let held = world.hub.large_file("acme/held", "held.bin", content(1, 400_000));
    let _gate = held.cdn.hold_at(100_000);
    world.preset("HELD", "1.0.0", &[("loras/held.bin", "https://huggingface.co/acme/held/resolve/main/held.bin")]);
    let running = world.start().await;
    let id = running.install("HELD", InstallOptions::default()).await.download_id;
    running.state_of(&id, DownloadState::Downloading).await;
    let mut writer =
        sqlx::SqlitePool::connect(&world.database().display().to_string()).await.unwrap().acquire().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *writer).await.unwrap();
    assert_eq!(running.dashboard.downloads.pause(&id).await.unwrap(), DownloadState::Downloading);
    sqlx::query("ROLLBACK").execute(&mut *writer).await.unwrap();
    running.state_of(&id, DownloadState::Paused).await;
    assert_eq!(running.dashboard.downloads.pause(&id).await.unwrap(), DownloadState::Paused);
    running.stop().await;
}
