//! What counts against the free space: each file that is written, once.

use service::{
    Error, MayReplace,
    downloads::{DownloadState, NewDownload, Place, Priority},
    presets::InstallOptions,
};
use test_support::file_server::FileServer;

use crate::world::{World, content, preset_id};

fn link(url: String, path: &str, size_bytes: Option<u64>) -> NewDownload {
    NewDownload {
        urls: vec![url],
        place: Place::Path(path.to_owned()),
        sha256: None,
        size_bytes,
        priority: Priority::Normal,
        overwrite: false,
        may_replace: MayReplace::OwnOrDamaged,
    }
}

/// What the service says is available: the figure of a refusal.
async fn available(world: &World) -> u64 {
    let running = world.start().await;
    let new = link("http://127.0.0.1:9/nothing".to_owned(), "vae/nothing.bin", Some(1 << 44));
    let refused = running.dashboard.downloads.add(new).await;
    running.stop().await;
    let Err(Error::InsufficientStorage { available_bytes, .. }) = refused else { panic!("{refused:?}") };
    available_bytes
}

/// Two presets share a file that fits the disk once and not twice. The first is still waiting in the queue, so nothing is
/// preallocated on the real disk.
#[tokio::test(flavor = "multi_thread")]
async fn shared_file_in_queue_counts_once_against_free_space() {
    let mut world = World::new();
    world.concurrent_downloads = 1;
    let size = available(&world).await / 10 * 6;
    let held = world.hub.large_file("acme/held", "held.bin", content(1, 400_000));
    let gate = held.cdn.hold_at(100_000);
    let large = FileServer::start().file("/large.bin", content(2, size));
    world.preset("HELD", "1.0.0", &[("vae/held.bin", "https://huggingface.co/acme/held/resolve/main/held.bin")]);
    world.preset("ONE", "1.0.0", &[("unet/large.bin", &large.url())]);
    world.preset("TWO", "1.0.0", &[("unet/large.bin", &large.url())]);
    let running = world.start().await;
    let presets = &running.dashboard.presets;
    let first = running.install("HELD", InstallOptions::default()).await;
    running.state_of(&first.download_id, DownloadState::Downloading).await;
    let one = running.install("ONE", InstallOptions::default()).await;
    assert_eq!(one.total_bytes, Some(size));

    let two = presets.install(&preset_id("TWO"), InstallOptions::default()).await.unwrap();
    let other = link(large.url(), "unet/another.bin", Some(size));
    let refused = running.dashboard.downloads.add(other).await;
    assert!(matches!(refused, Err(Error::InsufficientStorage { .. })), "a second copy does not fit: {refused:?}");
    for id in [one.download_id, two.download_id] {
        running.dashboard.downloads.cancel(&id).await.unwrap();
    }
    gate.open();
    running.end_of(&first.download_id).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verifying_an_installed_preset_needs_no_free_space() {
    let mut world = World::new();
    let model = content(1, 500_000);
    let url = world.file("a", "a.bin", &model);
    world.preset("ONE", "1.0.0", &[("vae/a.bin", &url)]);
    let running = world.start().await;
    running.install_whole("ONE").await;
    running.stop().await;
    world.min_free_space = u64::MAX / 2;
    let running = world.start().await;
    let options = InstallOptions { force: true, ..InstallOptions::default() };
    let started = running.dashboard.presets.install(&preset_id("ONE"), options).await.unwrap();
    let ended = running.end_of(&started.download_id).await;
    assert_eq!(ended.state, DownloadState::Completed);
    assert!(world.holds("vae/a.bin", &model));
    running.stop().await;
}
