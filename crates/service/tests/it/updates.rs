//! A newer version of an installed preset.

use service::{
    downloads::DownloadState,
    presets::{InstallOptions, PresetQuery, PresetState},
};

use crate::world::{World, content, preset_id};

#[tokio::test(flavor = "multi_thread")]
async fn an_update_fetches_only_what_changed_and_swaps_it_when_all_is_whole() {
    let mut world = World::new();
    let (same, old_a, old_b) = (content(1, 90_000), content(2, 30_000), content(3, 20_000));
    let (new_a, new_b) = (content(4, 31_000), content(5, 21_000));
    let same_url = world.file("same", "same.bin", &same);
    let (a1, b1) = (world.file("a1", "a.bin", &old_a), world.file("b1", "b.bin", &old_b));
    world.preset("ONE", "1.0.0", &[("vae/same.bin", &same_url), ("vae/a.bin", &a1), ("vae/b.bin", &b1)]);
    let running = world.start().await;
    running.install_whole("ONE").await;
    running.stop().await;

    let a2 = world.file("a2", "a.bin", &new_a);
    let late = world.hub.large_file("acme/b2", "b.bin", new_b.clone());
    let gate = late.cdn.hold_at(10_000);
    let b2 = "https://huggingface.co/acme/b2/resolve/main/b.bin";
    world.preset("ONE", "1.1.0", &[("vae/same.bin", &same_url), ("vae/a.bin", &a2), ("vae/b.bin", b2)]);
    let running = world.start().await;
    let updates = running.dashboard.presets.updates().await.unwrap();
    assert_eq!(updates[0].changed_files, ["vae/a.bin", "vae/b.bin"]);

    let sent = world.hub.cdn().total_body_bytes_sent();
    let started = running.install("ONE", InstallOptions::default()).await;
    let a_is_whole = |view: &service::downloads::DownloadView| {
        view.files
            .iter()
            .any(|file| file.path == "vae/a.bin" && file.status == service::downloads::FileState::Completed)
    };
    running.until(&started.download_id, a_is_whole).await;
    assert!(
        world.holds("vae/a.bin", &old_a) && world.holds("vae/b.bin", &old_b),
        "the old ones stay until all is whole"
    );
    gate.open();
    let ended = running.end_of(&started.download_id).await;

    assert_eq!(ended.state, DownloadState::Completed);
    assert!(world.holds("vae/a.bin", &new_a) && world.holds("vae/b.bin", &new_b) && world.holds("vae/same.bin", &same));
    assert_eq!(world.everything(), ["vae/a.bin", "vae/b.bin", "vae/same.bin"]);
    let fetched = world.hub.cdn().total_body_bytes_sent() - sent;
    assert!(fetched < 60_000, "what did not change was not fetched: {fetched} bytes");
    assert!(running.dashboard.presets.updates().await.unwrap().is_empty());
    let view = running.dashboard.presets.detail(&preset_id("ONE")).await.unwrap().view;
    assert_eq!(view.installed_version.unwrap().to_string(), "1.1.0");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_update_leaves_the_old_files_and_nothing_else() {
    let mut world = World::new();
    let old = content(1, 30_000);
    let old_url = world.file("old", "a.bin", &old);
    world.preset("ONE", "1.0.0", &[("vae/a.bin", &old_url)]);
    let running = world.start().await;
    running.install_whole("ONE").await;
    running.stop().await;

    let new = world.hub.large_file("acme/new", "a.bin", content(2, 31_000));
    let _gate = new.cdn.hold_at(10_000);
    world.preset("ONE", "2.0.0", &[("vae/a.bin", "https://huggingface.co/acme/new/resolve/main/a.bin")]);
    let running = world.start().await;
    let started = running.install("ONE", InstallOptions::default()).await;
    running.state_of(&started.download_id, DownloadState::Downloading).await;
    running.dashboard.downloads.cancel(&started.download_id).await.unwrap();
    assert!(world.holds("vae/a.bin", &old));
    assert_eq!(world.everything(), ["vae/a.bin"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_cannot_take_its_place_fails_in_words_and_holds_up_nobody() {
    let mut world = World::new();
    let (old, new, other) = (content(1, 30_000), content(2, 31_000), content(3, 1_000));
    let (old_url, other_url) = (world.file("old", "a.bin", &old), world.file("other", "b.bin", &other));
    world.preset("ONE", "1.0.0", &[("vae/a.bin", &old_url)]);
    world.preset("TWO", "1.0.0", &[("vae/b.bin", &other_url)]);
    let running = world.start().await;
    running.install_whole("ONE").await;
    running.stop().await;

    let late = world.hub.large_file("acme/new", "a.bin", new.clone());
    let gate = late.cdn.hold_at(10_000);
    world.preset("ONE", "2.0.0", &[("vae/a.bin", "https://huggingface.co/acme/new/resolve/main/a.bin")]);
    let running = world.start().await;
    let started = running.install("ONE", InstallOptions::default()).await;
    running.state_of(&started.download_id, DownloadState::Downloading).await;
    std::fs::remove_file(world.path("vae/a.bin")).unwrap();
    std::fs::create_dir_all(world.path("vae/a.bin/theirs")).unwrap();
    gate.open();
    let ended = running.end_of(&started.download_id).await;
    assert_eq!(ended.state, DownloadState::Failed);
    let message = ended.failure.unwrap().message;
    assert!(message.starts_with("vae/a.bin is whole and could not take its place: "), "{message}");
    assert_eq!(running.install_whole("TWO").await.state, DownloadState::Completed);

    // It waits beside its place, and takes that when it is free.
    std::fs::remove_dir_all(world.path("vae/a.bin")).unwrap();
    let sent = world.hub.cdn().total_body_bytes_sent();
    running.dashboard.downloads.resume(&started.download_id).await.unwrap();
    assert_eq!(running.end_of(&started.download_id).await.state, DownloadState::Completed);
    assert!(world.holds("vae/a.bin", &new) && world.holds("vae/b.bin", &other));
    assert_eq!(world.hub.cdn().total_body_bytes_sent(), sent);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_removed_of_staged_files_keeps_nobody_from_starting() {
    let mut world = World::new();
    let other = content(1, 1_000);
    let url = world.file("other", "b.bin", &other);
    world.preset("ONE", "1.0.0", &[("vae/b.bin", &url)]);
    std::fs::create_dir_all(world.path(".updates")).unwrap();
    std::fs::write(world.path(".updates/no-folder"), "of somebody").unwrap();
    let running = world.start().await;
    assert_eq!(running.install_whole("ONE").await.state, DownloadState::Completed);
    assert!(world.path(".updates/no-folder").exists());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dependency_keeps_the_version_that_its_install_began_with() {
    let mut world = World::new();
    let (first, second, own) = (content(1, 30_000), content(2, 31_000), content(3, 20_000));
    let first_url = world.file("first", "dep.bin", &first);
    let late = world.hub.large_file("acme/own", "own.bin", own.clone());
    let gate = late.cdn.hold_at(10_000);
    world.preset("DEP", "1.0.0", &[("vae/dep.bin", &first_url)]);
    let own_url = "https://huggingface.co/acme/own/resolve/main/own.bin";
    world.preset("ONE", "1.0.0", &[("vae/own.bin", own_url)])["dependencies"] = serde_json::json!(["DEP"]);
    let running = world.start().await;
    let started = running.install("ONE", InstallOptions::default()).await;
    running.state_of(&started.download_id, DownloadState::Downloading).await;
    running.stop().await;

    // The registry goes on while the install is under way.
    let second_url = world.file("second", "dep.bin", &second);
    world.preset("DEP", "2.0.0", &[("vae/dep.bin", &second_url)]);
    let running = world.start().await;
    gate.open();
    assert_eq!(running.end_of(&started.download_id).await.state, DownloadState::Completed);
    assert!(world.holds("vae/dep.bin", &first) && world.holds("vae/own.bin", &own));
    let updates = running.dashboard.presets.updates().await.unwrap();
    let offered: Vec<(&str, String)> =
        updates.iter().map(|update| (update.id.as_str(), update.installed.to_string())).collect();
    assert_eq!(offered, [("DEP", "1.0.0".to_owned())]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_the_move_of_a_new_file_and_what_is_known_of_it_leaves_no_file_of_unknown_hash() {
    let mut world = World::new();
    let (old, new_a, new_b) = (content(1, 30_000), content(2, 31_000), content(3, 21_000));
    let (a1, b1) = (world.file("a1", "a.bin", &old), world.file("b1", "b.bin", &old));
    world.preset("ONE", "1.0.0", &[("vae/a.bin", &a1), ("vae/b.bin", &b1)]);
    let running = world.start().await;
    running.install_whole("ONE").await;
    running.stop().await;

    let a2 = world.file("a2", "a.bin", &new_a);
    let late = world.hub.large_file("acme/b2", "b.bin", new_b.clone());
    let gate = late.cdn.hold_at(10_000);
    let b2 = "https://huggingface.co/acme/b2/resolve/main/b.bin";
    world.preset("ONE", "2.0.0", &[("vae/a.bin", &a2), ("vae/b.bin", b2)]);
    let running = world.start().await;
    let started = running.install("ONE", InstallOptions::default()).await;
    let a_is_whole = |view: &service::downloads::DownloadView| {
        view.files
            .iter()
            .any(|file| file.path == "vae/a.bin" && file.status == service::downloads::FileState::Completed)
    };
    running.until(&started.download_id, a_is_whole).await;
    running.stop().await;
    // What a kill right after the first move leaves.
    let staged = format!(".updates/{}/vae/a.bin", started.download_id);
    std::fs::rename(world.path(&staged), world.path("vae/a.bin")).unwrap();

    let running = world.start().await;
    gate.open();
    assert_eq!(running.end_of(&started.download_id).await.state, DownloadState::Completed);
    assert!(world.holds("vae/a.bin", &new_a) && world.holds("vae/b.bin", &new_b));
    let report = running.dashboard.models.validate(service::models::ValidateOptions::default()).await.unwrap();
    assert_eq!((report.validated, report.errors), (2, vec![]));
    let detail = running.dashboard.models.detail("vae/a.bin").await.unwrap();
    assert_eq!(detail.view.sha256, Some(new_a.sha256()));
    running.stop().await;
}

/// A newer version has other files: the installed one is still whole, and its old files are still its own.
#[tokio::test(flavor = "multi_thread")]
async fn preset_with_a_newer_version_stays_installed() {
    let mut world = World::new();
    let urls = [world.file("a", "a.bin", &content(1, 5_000)), world.file("b", "b.bin", &content(2, 7_000))];
    world.preset("ONE", "1.0.0", &[("vae/a.bin", &urls[0])]);
    let running = world.start().await;
    running.install_whole("ONE").await;
    running.stop().await;
    world.preset("ONE", "2.0.0", &[("vae/b.bin", &urls[1])]);
    world.preset("OTHER", "1.0.0", &[("vae/a.bin", &urls[0])]);
    let running = world.start().await;
    let presets = &running.dashboard.presets;
    let listed = presets.list(&PresetQuery { installed: Some(true), ..PresetQuery::default() }).await.unwrap().items;
    let one = listed.iter().find(|view| view.preset.id == preset_id("ONE")).unwrap();
    assert_eq!((one.state, one.update_available), (PresetState::Installed, true));
    assert_eq!((one.present_bytes, one.missing_bytes), (0, Some(1_000_000_000)));
    assert_eq!(presets.updates().await.unwrap().len(), 1);
    // What the installed version has at its old path is in use.
    let kept = presets.uninstall(&preset_id("OTHER"), false).await.unwrap().kept;
    assert_eq!(kept, ["vae/a.bin"]);
    let gone = presets.uninstall(&preset_id("ONE"), false).await.unwrap();
    assert_eq!(gone.removed, [""; 0], "OTHER has all its files, asked for or not");
    running.stop().await;
}
