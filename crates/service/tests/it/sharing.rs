//! Two presets that claim one path.

use service::{Error, MayReplace, presets::InstallOptions};

use crate::world::{World, content, preset_id};

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_file_is_fetched_once_and_stays_until_its_last_user_goes() {
    let mut world = World::new();
    let shared = content(1, 500_000);
    let url = world.file("t5", "t5.safetensors", &shared);
    let page = url.replace("/resolve/", "/blob/");
    world.preset("ONE", "1.0.0", &[("text_encoders/t5.safetensors", &url)]);
    world.preset("TWO", "1.0.0", &[("text_encoders/t5.safetensors", &page)]);
    let mut other = world.file("own", "own.safetensors", &content(2, 1_000));
    world.preset("THREE", "1.0.0", &[("text_encoders/t5.safetensors", &url), ("vae/own.safetensors", &other)]);
    other.clear();
    let running = world.start().await;

    let (one, three) = (
        running.install("ONE", InstallOptions::default()).await,
        running.install("THREE", InstallOptions::default()).await,
    );
    running.end_of(&one.download_id).await;
    running.end_of(&three.download_id).await;
    let sent = world.hub.cdn().total_body_bytes_sent();
    assert!(sent < 600_000, "one copy of the shared file was fetched, not {sent} bytes");
    let two = running.dashboard.presets.install(&preset_id("TWO"), InstallOptions::default()).await;
    assert!(matches!(two, Err(Error::PresetAlreadyInstalled(_))), "the page link means the same file: {two:?}");

    let gone = running.dashboard.presets.uninstall(&preset_id("THREE"), false).await.unwrap();
    assert_eq!(gone.kept, ["text_encoders/t5.safetensors"]);
    assert_eq!(gone.removed, ["vae/own.safetensors"]);
    assert!(world.holds("text_encoders/t5.safetensors", &shared));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_content_at_the_path_of_an_installed_preset_is_a_conflict_unless_forced() {
    let (world, first, second) = World::with_conflicting_presets();
    let running = world.start().await;
    let presets = &running.dashboard.presets;
    running.install_whole("ONE").await;

    let refused = presets.install(&preset_id("TWO"), InstallOptions::default()).await;
    let Err(Error::Conflict { message, .. }) = refused else { panic!("{refused:?}") };
    assert!(message.contains("'ONE'") && message.contains("'TWO'"), "{message}");
    assert!(world.holds("clip/clip_l.bin", &first));

    let forced = running
        .install("TWO", InstallOptions { force: true, may_replace: MayReplace::Any, ..InstallOptions::default() })
        .await;
    running.end_of(&forced.download_id).await;
    assert!(world.holds("clip/clip_l.bin", &second));
    let one = presets.detail(&preset_id("ONE")).await.unwrap().view;
    assert_eq!((one.installed, one.replaced_files), (false, vec!["clip/clip_l.bin".to_owned()]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn content_that_lies_under_another_name_is_linked_and_not_fetched() {
    let mut world = World::new();
    let model = content(1, 700_000);
    let url = world.file("one", "m.safetensors", &model);
    world.preset("ONE", "1.0.0", &[("unet/m.safetensors", &url)]);
    world.preset("TWO", "1.0.0", &[("diffusion_models/m.safetensors", &url)]);
    let running = world.start().await;
    running.install_whole("ONE").await;
    let sent = world.hub.cdn().total_body_bytes_sent();
    running.install_whole("TWO").await;
    let fetched = world.hub.cdn().total_body_bytes_sent() - sent;
    assert!(fetched < 100, "the server was asked for its hash and for no more: {fetched} bytes");
    let inode = |path: &str| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(world.path(path)).unwrap());
    assert_eq!(inode("unet/m.safetensors"), inode("diffusion_models/m.safetensors"));
    assert!(world.holds("diffusion_models/m.safetensors", &model));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_content_that_is_being_fetched_is_a_conflict_too() {
    let mut world = World::new();
    let first = world.hub.large_file("acme/one", "clip.bin", content(1, 40_000));
    let gate = first.cdn.hold_at(20_000);
    let second_url = world.file("two", "clip.bin", &content(2, 50_000));
    world.preset("ONE", "1.0.0", &[("clip/clip_l.bin", "https://huggingface.co/acme/one/resolve/main/clip.bin")]);
    world.preset("TWO", "1.0.0", &[("clip/clip_l.bin", &second_url)]);
    let running = world.start().await;
    let one = running.install("ONE", InstallOptions::default()).await;
    let two = running.dashboard.presets.install(&preset_id("TWO"), InstallOptions::default()).await;
    assert!(matches!(two, Err(Error::Conflict { .. })), "{two:?}");
    gate.open();
    running.end_of(&one.download_id).await;
    running.stop().await;
}
