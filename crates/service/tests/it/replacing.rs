//! What may be put in the place of a file, and by whom: fetching anew what we fetched or what is damaged takes no admin.

use service::{
    Error, MayReplace,
    downloads::{NewDownload, Place, Priority},
    models::ValidateOptions,
    presets::InstallOptions,
};
use test_support::file_server::FileServer;

use crate::world::{World, content, preset_id};

const OPERATE: MayReplace = MayReplace::OwnOrDamaged;

fn refused_paths<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Vec<String> {
    match outcome {
        Err(Error::ReplacingNeedsAdmin { paths }) => paths,
        other => panic!("{other:?}"),
    }
}

fn refetch(may_replace: MayReplace) -> InstallOptions {
    InstallOptions { force: true, refetch: true, may_replace, ..InstallOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn refetch_of_a_hand_placed_file_needs_admin() {
    let mut world = World::new();
    let (ours, theirs, by_hand) = (content(1, 40_000), content(2, 30_000), content(3, 30_000));
    let (own_url, their_url) = (world.file("a", "a.bin", &ours), world.file("b", "b.bin", &theirs));
    world.preset("OURS", "1.0.0", &[("vae/a.bin", &own_url)]);
    world.preset("BOTH", "1.0.0", &[("vae/a.bin", &own_url), ("vae/b.bin", &their_url)]);
    let running = world.start().await;
    let presets = &running.dashboard.presets;
    running.install_whole("OURS").await;
    world.place("vae/b.bin", &by_hand.to_vec());

    let again = running.install("OURS", refetch(OPERATE)).await;
    running.end_of(&again.download_id).await;
    assert_eq!(refused_paths(presets.install(&preset_id("BOTH"), refetch(OPERATE)).await), ["vae/b.bin"]);
    assert!(running.dashboard.downloads.unfinished().await.unwrap().is_empty(), "nothing began");
    assert!(world.holds("vae/b.bin", &by_hand));

    let admin = running.install("BOTH", refetch(MayReplace::Any)).await;
    running.end_of(&admin.download_id).await;
    assert!(world.holds("vae/b.bin", &theirs));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forcing_a_conflict_with_another_preset_needs_admin() {
    let (world, first, _second) = World::with_conflicting_presets();
    let running = world.start().await;
    running.install_whole("ONE").await;
    let forced = InstallOptions { force: true, ..InstallOptions::default() };
    let refused = running.dashboard.presets.install(&preset_id("TWO"), forced).await;
    assert_eq!(refused_paths(refused), ["clip/clip_l.bin"]);
    assert!(world.holds("clip/clip_l.bin", &first));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overwrite_of_a_hand_placed_file_needs_admin() {
    let world = World::new();
    let model = content(1, 40_000);
    let route = FileServer::start().file("/m.bin", model.clone());
    world.place("loras/mine.bin", b"by hand");
    let running = world.start().await;
    let overwrite = |may_replace| {
        let new = NewDownload {
            urls: vec![route.url()],
            place: Place::Path("loras/mine.bin".to_owned()),
            sha256: None,
            size_bytes: None,
            priority: Priority::Normal,
            overwrite: true,
            may_replace,
        };
        running.dashboard.downloads.add(new)
    };
    assert_eq!(refused_paths(overwrite(OPERATE).await), ["loras/mine.bin"]);
    for may_replace in [MayReplace::Any, OPERATE] {
        // The second time it is our own.
        let added = overwrite(may_replace).await.unwrap();
        running.end_of(&added.download_id).await;
        assert!(world.holds("loras/mine.bin", &model));
    }
    running.stop().await;
}

/// A file that changed since it arrived may be somebody's own: its hash has to show that it is damaged.
#[tokio::test(flavor = "multi_thread")]
async fn repair_of_a_changed_file_needs_admin_until_validated() {
    let mut world = World::new();
    let model = content(1, 300_000);
    let url = world.file("a", "a.bin", &model);
    world.preset("ONE", "1.0.0", &[("vae/a.bin", &url)]);
    let running = world.start().await;
    running.install_whole("ONE").await;
    let mut flipped = model.to_vec();
    flipped[200_000] ^= 1;
    world.place("vae/a.bin", &flipped);
    let paths = ["vae/a.bin".to_owned()];
    let downloads = &running.dashboard.downloads;
    assert_eq!(refused_paths(downloads.repair(&paths, OPERATE).await), paths);
    running.dashboard.models.validate(ValidateOptions { force: true, ..Default::default() }).await.unwrap();
    let repair = downloads.repair(&paths, OPERATE).await.unwrap();
    running.end_of(&repair.download_id).await;
    assert!(world.holds("vae/a.bin", &model));
    running.stop().await;
}
