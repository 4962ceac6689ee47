//! Installing and uninstalling a preset.

use service::{
    Error, ManualClock,
    downloads::DownloadState,
    presets::{InstallOptions, PresetState},
};

use crate::world::{World, content, preset_id};

#[tokio::test(flavor = "multi_thread")]
async fn an_install_brings_every_file_whole_and_a_second_one_is_refused() {
    let mut world = World::new();
    let (model, vae) = (content(1, 3_000_000), content(2, 70_000));
    let files = [
        ("checkpoints/a.safetensors", world.file("a", "a.safetensors", &model)),
        ("vae/b.safetensors", world.file("b", "b.safetensors", &vae)),
    ];
    world.preset("ONE", "1.0.0", &[(files[0].0, &files[0].1), (files[1].0, &files[1].1)]);
    let running = world.start().await;
    let presets = &running.dashboard.presets;

    let started = running.install("ONE", InstallOptions::default()).await;
    assert_eq!(started.total_bytes, Some(3_070_000), "the servers were asked: the registry states 2 GB");
    let ended = running.end_of(&started.download_id).await;

    assert_eq!((ended.state, ended.progress), (DownloadState::Completed, 100.0));
    assert!(world.holds("checkpoints/a.safetensors", &model) && world.holds("vae/b.safetensors", &vae));
    assert_eq!(world.everything(), ["checkpoints/a.safetensors", "vae/b.safetensors"], "no partial file is left");
    let detail = presets.detail(&preset_id("ONE")).await.unwrap();
    assert_eq!(detail.view.state, PresetState::Installed);
    assert!(detail.view.installed_at.is_some() && detail.files.iter().all(|file| file.verified));
    let again = presets.install(&preset_id("ONE"), InstallOptions::default()).await;
    assert!(matches!(again, Err(Error::PresetAlreadyInstalled(_))), "{again:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_install_that_runs_answers_with_the_running_download() {
    let mut world = World::new();
    let model = content(1, 2_000_000);
    let file = world.hub.large_file("acme/a", "a.safetensors", model.clone());
    let gate = file.cdn.hold_at(1_000_000);
    world.preset("ONE", "1.0.0", &[("loras/a.safetensors", "https://huggingface.co/acme/a/blob/main/a.safetensors")]);
    let running = world.start().await;

    let first = running.install("ONE", InstallOptions::default()).await;
    let second = running.install("ONE", InstallOptions { force: true, ..InstallOptions::default() }).await;
    assert_eq!(first.download_id, second.download_id);
    let status = running.dashboard.presets.status(&preset_id("ONE")).await.unwrap();
    assert_eq!((status.state, status.download_id.as_ref()), (PresetState::Installing, Some(&first.download_id)));
    gate.open();
    running.end_of(&first.download_id).await;
    assert!(world.holds("loras/a.safetensors", &model));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dependencies_come_first_and_in_the_same_download() {
    let mut world = World::new();
    let (base, top) = (content(1, 10_000), content(2, 20_000));
    let base_url = world.file("base", "base.safetensors", &base);
    let top_url = world.file("top", "top.safetensors", &top);
    world.preset("BASE", "1.0.0", &[("clip/base.safetensors", &base_url)]);
    world.preset("TOP", "1.0.0", &[("unet/top.safetensors", &top_url)])["dependencies"] = serde_json::json!(["BASE"]);
    let running = world.start().await;

    let ended = running.install_whole("TOP").await;
    let paths: Vec<&str> = ended.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["clip/base.safetensors", "unet/top.safetensors"]);
    let base_now = running.dashboard.presets.detail(&preset_id("BASE")).await.unwrap();
    assert!(base_now.view.installed && base_now.view.installed_at.is_some());

    let gone = running.dashboard.presets.uninstall(&preset_id("TOP"), true).await.unwrap();
    assert_eq!(gone.removed, ["clip/base.safetensors", "unet/top.safetensors"]);
    assert_eq!((gone.freed_bytes, world.everything().len()), (30_000, 0));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_placed_or_removed_by_hand_counts_at_the_next_look() {
    let mut world = World::new();
    let model = content(1, 5_000);
    let url = world.file("a", "a.bin", &model);
    world.preset("ONE", "1.0.0", &[("vae/a.bin", &url)]);
    let clock = ManualClock::at(1_700_000_000_000);
    let running = world.start_at(clock.clone()).await;
    let state = async || {
        clock.advance(1_000);
        running.dashboard.presets.detail(&preset_id("ONE")).await.unwrap().view.state
    };

    assert_eq!(state().await, PresetState::NotInstalled);
    world.place("vae/a.bin", b"something");
    assert_eq!(state().await, PresetState::Installed, "nothing is known that speaks against it");
    std::fs::remove_file(world.path("vae/a.bin")).unwrap();
    assert_eq!(state().await, PresetState::NotInstalled);
    running.install_whole("ONE").await;
    world.place("vae/a.bin", b"truncated");
    assert_eq!(state().await, PresetState::Partial, "its exact size is known by now");
    running.stop().await;
}

/// Detail and status share a look at the disk for a second; an install always looks.
#[tokio::test(flavor = "multi_thread")]
async fn looks_within_a_second_are_shared_and_install_looks_anew() {
    let mut world = World::new();
    let url = world.file("a", "a.bin", &content(1, 9));
    world.preset("ONE", "1.0.0", &[("vae/a.bin", &url)]);
    let clock = ManualClock::at(1_700_000_000_000);
    let running = world.start_at(clock.clone()).await;
    let presets = &running.dashboard.presets;
    let one = preset_id("ONE");
    let states = async || {
        let detail = presets.detail(&one).await.unwrap().view.state;
        (detail, presets.status(&one).await.unwrap().state)
    };
    let both = |state| (state, state);

    assert_eq!(states().await, both(PresetState::NotInstalled));
    clock.advance(999);
    world.place("vae/a.bin", b"something");
    assert_eq!(states().await, both(PresetState::NotInstalled), "the last look is not a second old");
    clock.advance(1);
    assert_eq!(states().await, both(PresetState::Installed));
    std::fs::remove_file(world.path("vae/a.bin")).unwrap();
    assert_eq!(states().await, both(PresetState::Installed));
    let started = presets.install(&one, InstallOptions::default()).await.unwrap();
    running.end_of(&started.download_id).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_files_alone_make_no_partial_preset() {
    let mut world = World::new();
    let (shared_url, own_url) =
        (world.file("a", "a.bin", &content(1, 5_000)), world.file("b", "b.bin", &content(2, 7_000)));
    world.preset("ONE", "1.0.0", &[("vae/a.bin", &shared_url)]);
    world.preset("TWO", "1.0.0", &[("vae/a.bin", &shared_url), ("vae/b.bin", &own_url)]);
    let running = world.start().await;
    let presets = &running.dashboard.presets;
    running.install_whole("ONE").await;
    let two = presets.detail(&preset_id("TWO")).await.unwrap().view;
    assert_eq!((two.state, two.requested), (PresetState::NotInstalled, false));
    assert_eq!(
        (two.present_bytes, two.missing_bytes),
        (5_000, Some(1_000_000_000)),
        "the rest as the registry states it"
    );
    let refused = presets.uninstall(&preset_id("TWO"), false).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn preset_that_lost_a_file_is_partial_until_uninstalled() {
    let mut world = World::new();
    let urls = [world.file("a", "a.bin", &content(1, 5_000)), world.file("b", "b.bin", &content(2, 7_000))];
    world.preset("ONE", "1.0.0", &[("vae/a.bin", &urls[0]), ("vae/b.bin", &urls[1])]);
    let running = world.start().await;
    let presets = &running.dashboard.presets;
    running.install_whole("ONE").await;
    std::fs::remove_file(world.path("vae/b.bin")).unwrap();
    let one = presets.detail(&preset_id("ONE")).await.unwrap().view;
    assert_eq!((one.state, one.requested), (PresetState::Partial, true));
    assert_eq!((one.present_bytes, one.missing_bytes), (5_000, Some(7_000)));
    let gone = presets.uninstall(&preset_id("ONE"), false).await.unwrap();
    assert_eq!(gone.removed, ["vae/a.bin"]);
    let one = presets.detail(&preset_id("ONE")).await.unwrap().view;
    assert_eq!((one.state, one.requested), (PresetState::NotInstalled, false));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn force_fetches_only_what_fails_its_hash() {
    let mut world = World::new();
    let (good, bad) = (content(1, 400_000), content(2, 300_000));
    let (good_url, bad_url) = (world.file("g", "good.bin", &good), world.file("b", "bad.bin", &bad));
    world.preset("ONE", "1.0.0", &[("vae/good.bin", &good_url), ("vae/bad.bin", &bad_url)]);
    let running = world.start().await;
    running.install_whole("ONE").await;
    let sent = world.hub.cdn().total_body_bytes_sent();
    let mut flipped = bad.to_vec();
    flipped[200_000] ^= 1;
    world.place("vae/bad.bin", &flipped);

    let started = running.install("ONE", InstallOptions { force: true, ..InstallOptions::default() }).await;
    running.end_of(&started.download_id).await;
    assert!(world.holds("vae/bad.bin", &bad) && world.holds("vae/good.bin", &good));
    let fetched = world.hub.cdn().total_body_bytes_sent() - sent;
    assert!((300_000..400_000).contains(&fetched), "only the damaged file was fetched, not {fetched} bytes");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_install_that_does_not_fit_is_refused_with_the_figures() {
    let mut world = World::new();
    world.min_free_space = u64::MAX / 2;
    let url = world.file("a", "a.bin", &content(1, 5_000));
    world.preset("ONE", "1.0.0", &[("vae/a.bin", &url)]);
    let running = world.start().await;
    let refused = running.dashboard.presets.install(&preset_id("ONE"), InstallOptions::default()).await;
    assert!(
        matches!(refused, Err(Error::InsufficientStorage { needed_bytes: 5_000, available_bytes: 0 })),
        "{refused:?}"
    );
    assert!(running.dashboard.downloads.unfinished().await.unwrap().is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_repository_says_which_token_and_licence_are_missing() {
    let mut world = World::new();
    let url = world.file("closed", "a.bin", &content(1, 5_000));
    world.hub.gate("acme/closed");
    world.preset("ONE", "1.0.0", &[("vae/a.bin", &url)]);
    let running = world.start().await;
    let ended = running.install_whole("ONE").await;
    let message = ended.failure.unwrap().message;
    assert_eq!(ended.state, DownloadState::Failed);
    assert!(message.contains("HF_TOKEN") && message.contains("https://huggingface.co/acme/closed"), "{message}");
    let status = running.dashboard.presets.status(&preset_id("ONE")).await.unwrap();
    assert_eq!((status.state, status.files_failed), (PresetState::Failed, 1));
    running.stop().await;
}
