//! What fills the disk, and whose it is.

use crate::world::{World, content};

/// The registry drops a preset that is installed, and moves a file of another one: both still claim what lies there.
#[tokio::test(flavor = "multi_thread")]
async fn files_of_installed_presets_are_no_orphans() {
    let mut world = World::new();
    let urls: Vec<String> = ["a", "b", "c"].map(|name| world.file(name, "m.bin", &content(1, 10_000))).into();
    world.preset("DROPPED", "1.0.0", &[("vae/dropped.bin", &urls[0])]);
    world.preset("MOVED", "1.0.0", &[("vae/before.bin", &urls[1])]);
    let running = world.start().await;
    running.install_whole("DROPPED").await;
    running.install_whole("MOVED").await;
    running.stop().await;
    world.drop_preset("DROPPED");
    world.preset("MOVED", "2.0.0", &[("vae/after.bin", &urls[2])]);
    world.place("vae/nobodys.bin", b"12345");
    let running = world.start().await;
    let detail = running.dashboard.storage.detail().await.unwrap();
    assert_eq!(detail.orphans, [("vae/nobodys.bin".to_owned(), 5)]);
    running.stop().await;
}
