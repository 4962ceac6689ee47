//! Requests that meet: each is answered with what became of it, and none of them ends in a fault of ours.

use std::time::Duration;

use futures_util::future::join_all;
use service::{
    Error, MayReplace,
    downloads::{DownloadState, NewDownload, Place, Priority},
    presets::{InstallOptions, PresetState},
};
use test_support::file_server::FileServer;

use crate::world::{Running, World, content, preset_id};

fn link(url: String, path: &str) -> NewDownload {
    NewDownload {
        urls: vec![url],
        place: Place::Path(path.to_owned()),
        sha256: None,
        size_bytes: None,
        priority: Priority::Normal,
        overwrite: false,
        may_replace: MayReplace::Any,
    }
}

/// A download that has failed, since nothing is at its address.
async fn failed_download(running: &Running, server: &FileServer, path: &str) -> String {
    let added = running.dashboard.downloads.add(link(server.url("/nothing"), path)).await.unwrap();
    assert_eq!(running.end_of(&added.download_id).await.state, DownloadState::Failed);
    added.download_id
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_resume_or_cancel_a_failed_download_at_once_are_answered() {
    let (world, server) = (World::new(), FileServer::start());
    let running = world.start().await;
    let downloads = &running.dashboard.downloads;
    for round in 0..5 {
        let id = failed_download(&running, &server, &format!("vae/{round}.bin")).await;
        let resumed = join_all((0..4).map(|_| downloads.resume(&id))).await;
        assert!(resumed.iter().all(|answer| answer.as_ref().is_ok_and(|state| state.is_active())), "{resumed:?}");
        running.end_of(&id).await;
        let cancelled = join_all((0..4).map(|_| downloads.cancel(&id))).await;
        assert!(cancelled.iter().all(Result::is_ok), "{cancelled:?}");
        assert_eq!(downloads.get(&id).await.unwrap().state, DownloadState::Cancelled);
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_ends_before_its_cancel_comes_is_not_said_to_be_cancelled() {
    let (world, server) = (World::new(), FileServer::start());
    let running = world.start().await;
    let downloads = &running.dashboard.downloads;
    let mut held = Vec::new();
    for number in 0..3 {
        let file = server.file(&format!("/{number}.bin"), content(number, 200_000));
        let gate = file.hold_at(100_000);
        let added = downloads.add(link(file.url(), &format!("vae/{number}.bin"))).await.unwrap();
        running.until(&added.download_id, |view| view.downloaded_bytes > 0).await;
        held.push((added, file, gate));
    }
    // Nobody can write to the database: the engine is done with the files, and nobody has heard of it.
    let mut other = sqlx::SqlitePool::connect(&world.database().display().to_string()).await.unwrap().acquire().await;
    let writer = other.as_mut().unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut **writer).await.unwrap();
    held.iter().for_each(|(_, _, gate)| gate.open());
    let mut look = tokio::time::interval(Duration::from_millis(5));
    while !held.iter().all(|(added, file, _)| world.holds(&added.path, &file.content())) {
        look.tick().await;
    }
    let cancels = join_all(held.iter().map(|(added, ..)| downloads.cancel(&added.download_id)));
    let letting_go = async {
        // Each of these waits its turn behind what the cancels read.
        for _ in 0..100 {
            downloads.get(&held[0].0.download_id).await.unwrap();
        }
        sqlx::query("ROLLBACK").execute(&mut **writer).await.unwrap();
    };
    let (answers, ()) = tokio::join!(cancels, letting_go);
    for (answer, (added, ..)) in answers.into_iter().zip(&held) {
        let ended = running.until(&added.download_id, |view| view.state == DownloadState::Completed).await;
        assert!(matches!(answer, Err(Error::Conflict { .. })), "{answer:?}, and it is {:?}", ended.state);
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_a_preset_begins_to_use_does_not_go_with_another_one() {
    let mut world = World::new();
    let (shared, own) = (content(1, 5_000), content(2, 1_000));
    let (shared_url, own_url) = (world.file("a", "a.bin", &shared), world.file("b", "b.bin", &own));
    world.preset("ONE", "1.0.0", &[("vae/a.bin", &shared_url)]);
    world.preset("TWO", "1.0.0", &[("vae/a.bin", &shared_url), ("vae/b.bin", &own_url)]);
    let running = world.start().await;
    let presets = &running.dashboard.presets;
    let (one, two) = (preset_id("ONE"), preset_id("TWO"));
    for round in 0..20 {
        running.install_whole("ONE").await;
        let (gone, begun) =
            tokio::join!(presets.uninstall(&one, false), presets.install(&two, InstallOptions::default()));
        gone.unwrap();
        running.end_of(&begun.unwrap().download_id).await;
        let status = presets.status(&two).await.unwrap();
        assert_eq!(status.state, PresetState::Installed, "round {round}");
        assert!(world.holds("vae/a.bin", &shared) && world.holds("vae/b.bin", &own), "round {round}");
        // What lies there is all of ONE too, whoever brought it.
        presets.uninstall(&two, false).await.unwrap();
        let _ = presets.uninstall(&one, false).await;
        assert_eq!(world.everything(), [""; 0]);
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_named_twice_is_repaired_once() {
    let mut world = World::new();
    let model = content(1, 3_000_000);
    let url = world.file("a", "a.bin", &model);
    world.preset("ONE", "1.0.0", &[("vae/a.bin", &url)]);
    let running = world.start().await;
    running.install_whole("ONE").await;
    let mut flipped = model.to_vec();
    flipped[2_500_000] ^= 1;
    world.place("vae/a.bin", &flipped);
    let repair = running
        .dashboard
        .downloads
        .repair(&["vae/a.bin", "vae/a.bin"].map(str::to_owned), MayReplace::Any)
        .await
        .unwrap();
    assert_eq!(repair.paths, ["vae/a.bin"]);
    let ended = running.end_of(&repair.download_id).await;
    assert_eq!((ended.state, ended.files.len()), (DownloadState::Completed, 1));
    assert!(world.holds("vae/a.bin", &model));
    running.stop().await;
}
