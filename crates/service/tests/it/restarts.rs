//! What a stop leaves behind is taken up by the next start.

use service::{
    downloads::{DownloadState, PauseReason},
    presets::InstallOptions,
};

use crate::world::{World, content};

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
