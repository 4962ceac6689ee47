//! What a stop leaves behind is taken up by the next start.

use std::time::Duration;

use service::{
    MayReplace,
    downloads::{DownloadState, HistoryQuery, PauseReason, Place},
    presets::InstallOptions,
};

use crate::{
    downloads::link,
    world::{TIMEOUT, World, content},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_download_goes_on_after_a_restart_without_being_asked() {
    let mut world = World::new();
    let model = content(1, 24_000_000);
    let file = world.hub.large_file("acme/a", "a.bin", model.clone());
    let gate = file.cdn.hold_at(20_000_000);
    world.preset("ONE", "1.0.0", &[("vae/a.bin", "https://huggingface.co/acme/a/resolve/main/a.bin")]);
    let running = world.start().await;
    let started = running.install("ONE", InstallOptions::default()).await;
    running.until(&started.download_id, |view| view.downloaded_bytes > 8_000_000).await;
    running.stop().await;
    gate.open();

    let running = world.start().await;
    let ended = running.end_of(&started.download_id).await;
    assert_eq!(ended.state, DownloadState::Completed);
    assert!(world.holds("vae/a.bin", &model));
    let story = running.dashboard.downloads.events(&started.download_id).await.unwrap();
    let kinds: Vec<&str> = story.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["queued", "started", "taken_up", "started", "file_completed", "completed"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_download_stays_paused_over_a_restart_and_resumes_when_asked() {
    let mut world = World::new();
    let model = content(1, 2_000_000);
    let file = world.hub.large_file("acme/a", "a.bin", model.clone());
    let gate = file.cdn.hold_at(1_000_000);
    world.preset("ONE", "1.0.0", &[("vae/a.bin", "https://huggingface.co/acme/a/resolve/main/a.bin")]);
    let running = world.start().await;
    let started = running.install("ONE", InstallOptions::default()).await;
    running.state_of(&started.download_id, DownloadState::Downloading).await;
    let paused = running.dashboard.downloads.pause(&started.download_id).await.unwrap();
    assert_eq!(paused, DownloadState::Paused);
    running.stop().await;
    gate.open();

    let running = world.start().await;
    let view = running.dashboard.downloads.get(&started.download_id).await.unwrap();
    assert_eq!((view.state, view.pause_reason), (DownloadState::Paused, Some(PauseReason::Requested)));
    assert_eq!(running.dashboard.downloads.pause(&started.download_id).await.unwrap(), DownloadState::Paused);
    running.dashboard.downloads.resume(&started.download_id).await.unwrap();
    running.end_of(&started.download_id).await;
    assert!(world.holds("vae/a.bin", &model));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_cannot_be_taken_up_fails_alone() {
    let mut world = World::new();
    let model = content(1, 2_000_000);
    let file = world.hub.large_file("acme/a", "a.bin", model.clone());
    let gate = file.cdn.hold_at(1_000_000);
    world.preset("ONE", "1.0.0", &[("vae/a.bin", "https://huggingface.co/acme/a/resolve/main/a.bin")]);
    world.preset("TWO", "1.0.0", &[("vae/b.bin", "https://huggingface.co/acme/a/resolve/main/a.bin")]);
    let running = world.start().await;
    let [one, two] = ["ONE", "TWO"].map(|id| running.install(id, InstallOptions::default()));
    let (one, two) = (one.await.download_id, two.await.download_id);
    running.stop().await;
    gate.open();
    // As a version that takes other links has left it.
    let database = sqlx::SqlitePool::connect(&world.database().display().to_string()).await.unwrap();
    let links = "UPDATE download_files SET sources = '[\"gopher://old.example/a\"]' WHERE download_id = ?";
    sqlx::query(links).bind(&one).execute(&database).await.unwrap();
    database.close().await;

    let running = world.start().await;
    let failed = running.end_of(&one).await;
    assert_eq!(failed.state, DownloadState::Failed);
    let message = failed.failure.unwrap().message;
    assert!(message.contains("links of the kind gopher: are refused"), "{message}");
    assert_eq!(running.end_of(&two).await.state, DownloadState::Completed);
    running.stop().await;
}

/// A queue that an earlier version ruined with the largest integer heals at the start.
#[tokio::test(flavor = "multi_thread")]
async fn migration_heals_positions_beyond_the_largest() {
    let world = World::new();
    let file = world.hub.large_file("acme/a", "a.bin", content(1, 2_000_000));
    let gate = file.cdn.hold_at(1_000_000);
    let running = world.start().await;
    let downloads = &running.dashboard.downloads;
    let place = |name: &str| Place::Path(format!("vae/{name}.bin"));
    let poisoned = downloads.add(link("hf://acme/a/a.bin", place("a"))).await.unwrap();
    running.stop().await;
    let database = sqlx::SqlitePool::connect(&world.database().display().to_string()).await.unwrap();
    let before = [
        "DELETE FROM _sqlx_migrations WHERE version = 6",
        "DROP TABLE file_sources",
        "DROP INDEX downloads_of_the_queue",
        "DROP INDEX downloads_by_state",
        "DROP INDEX download_files_by_path",
        "DROP INDEX source_facts_by_age",
        "UPDATE downloads SET position = 9223372036854775807",
    ];
    for statement in before {
        sqlx::query(statement).execute(&database).await.unwrap();
    }
    database.close().await;
    let running = world.start().await;
    let downloads = &running.dashboard.downloads;
    assert_eq!(downloads.get(&poisoned.download_id).await.unwrap().position, 1);
    let next = downloads.add(link("hf://acme/a/a.bin", place("b"))).await.unwrap();
    gate.open();
    assert_eq!(running.end_of(&next.download_id).await.state, DownloadState::Completed);
    running.stop().await;
}

/// History older than the retention is deleted at the start. What it was needed for goes on without it: the file counts as
/// verified, and a damaged one is repaired from where it came.
#[tokio::test(flavor = "multi_thread")]
async fn history_beyond_retention_is_deleted() {
    let world = World::new();
    let model = content(1, 300_000);
    let url = world.file("a", "a.bin", &model);
    let running = world.start().await;
    let downloads = &running.dashboard.downloads;
    let place = |name: &str| Place::Path(format!("vae/{name}.bin"));
    let old = downloads.add(link(&format!("{url}?download=true"), place("a"))).await.unwrap();
    let fresh = downloads.add(link(&url, place("b"))).await.unwrap();
    for added in [&old, &fresh] {
        assert_eq!(running.end_of(&added.download_id).await.state, DownloadState::Completed);
    }
    running.stop().await;
    let database = sqlx::SqlitePool::connect(&world.database().display().to_string()).await.unwrap();
    let age = "UPDATE downloads SET ended_at = ended_at - 31 * 24 * 3600 * 1000 WHERE id = ?";
    sqlx::query(age).bind(&old.download_id).execute(&database).await.unwrap();

    let running = world.start().await;
    let downloads = &running.dashboard.downloads;
    let mut look = tokio::time::interval(Duration::from_millis(10));
    let is_pruned = async {
        while downloads.history(&HistoryQuery::default()).await.unwrap().total > 1 {
            look.tick().await;
        }
    };
    tokio::time::timeout(TIMEOUT, is_pruned).await.expect("the old download is deleted in time");
    assert!(downloads.get(&fresh.download_id).await.is_ok());
    for (table, left) in [("downloads", 1), ("download_files", 1)] {
        let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
            .fetch_one(&database)
            .await
            .unwrap();
        assert_eq!(count, left, "{table}");
    }
    let secrets: i64 = sqlx::query_scalar("SELECT count(*) FROM source_facts WHERE instr(url, '?') > 0")
        .fetch_one(&database)
        .await
        .unwrap();
    assert_eq!(secrets, 0, "no query is remembered");
    database.close().await;

    let mut damaged = model.to_vec();
    damaged[200_000] ^= 1;
    world.place("vae/a.bin", &damaged);
    let repair = downloads.repair(&["vae/a.bin".to_owned()], MayReplace::Any).await.unwrap();
    assert_eq!(running.end_of(&repair.download_id).await.state, DownloadState::Completed);
    assert!(world.holds("vae/a.bin", &model));
    assert_eq!(downloads.clear_history().await.unwrap(), 2);
    assert_eq!(downloads.history(&HistoryQuery::default()).await.unwrap().total, 0);
    running.stop().await;
}
