//! Model files: listing, validating, deleting.

use service::{
    Error, MayReplace,
    downloads::{NewDownload, Place, Priority},
    models::{FindingCode, ModelQuery, ValidateOptions},
    presets::{InstallOptions, PresetQuery, PresetState},
};
use sha2::Digest;
use test_support::file_server::{FileServer, Request, When};

use crate::world::{Running, World, content, preset_id};

/// A whole safetensors file of one tensor of `n` bytes.
fn safetensors(n: usize) -> Vec<u8> {
    let head = format!("{{\"t\":{{\"dtype\":\"U8\",\"shape\":[{n}],\"data_offsets\":[0,{n}]}}}}");
    let mut bytes = (head.len() as u64).to_le_bytes().to_vec();
    bytes.extend(head.as_bytes());
    bytes.extend((0..n).map(|at| (at % 251) as u8));
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_listed_with_their_preset_and_vanish_when_they_are_removed() {
    let mut world = World::new();
    let url = world.file("a", "a.bin", &content(1, 1_000));
    world.preset("ONE", "1.0.0", &[("vae/a.bin", &url)]);
    world.place("loras/mine.safetensors", &safetensors(50));
    let running = world.start().await;
    running.install_whole("ONE").await;
    let models = &running.dashboard.models;
    let list = models.list(&ModelQuery::default()).await.unwrap();
    let rows: Vec<(&str, Option<&str>)> = list
        .page
        .items
        .iter()
        .map(|model| (model.path.as_str(), model.preset().map(service::PresetId::as_str)))
        .collect();
    assert_eq!(rows, [("loras/mine.safetensors", None), ("vae/a.bin", Some("ONE"))]);

    std::fs::remove_file(world.path("loras/mine.safetensors")).unwrap();
    assert_eq!(models.rescan().await.unwrap().removed, 1);
    assert_eq!(models.list(&ModelQuery::default()).await.unwrap().page.total, 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn model_in_an_extra_folder_is_not_fetched_again() {
    let mut world = World::new();
    let (model, own) = (content(1, 9_000), content(2, 4_000));
    let (url, own_url) = (world.file("a", "a.bin", &model), world.file("b", "b.bin", &own));
    world.preset("ONE", "1.0.0", &[("clip/sub/a.bin", &url)]);
    world.preset("TWO", "1.0.0", &[("clip/sub/a.bin", &url), ("vae/b.bin", &own_url)]);
    let other = world.models().parent().unwrap().join("volume");
    std::fs::create_dir_all(other.join("te/sub")).unwrap();
    std::fs::write(other.join("te/sub/a.bin"), model.to_vec()).unwrap();
    let config = other.join("extra.yaml");
    std::fs::write(&config, format!("x:\n    base_path: {}\n    text_encoders: te\n", other.display())).unwrap();
    world.extra_models.config = Some(config);
    let running = world.start().await;
    let presets = &running.dashboard.presets;
    assert_eq!(presets.detail(&preset_id("ONE")).await.unwrap().view.state, PresetState::Installed);
    running.install_whole("TWO").await;
    assert_eq!(world.everything(), ["vae/b.bin"]);
    let gone = presets.uninstall(&preset_id("TWO"), false).await.unwrap();
    assert_eq!((gone.removed, gone.kept), (vec!["vae/b.bin".to_owned()], vec!["clip/sub/a.bin".to_owned()]));
    assert!(other.join("te/sub/a.bin").exists());
    running.stop().await;
}

/// aria2 allocates the whole file first: half of it has the right size.
#[tokio::test(flavor = "multi_thread")]
async fn file_beside_a_foreign_marker_is_not_here() {
    let mut world = World::new();
    let model = content(1, 9_000);
    let url = world.file("a", "a.bin", &model);
    world.preset("ONE", "1.0.0", &[("vae/a.bin", &url)]);
    let running = world.start().await;
    let presets = &running.dashboard.presets;
    for ending in [".aria2", ".incomplete", ".crdownload", ".downloading", ".!qB"] {
        let marker = format!("vae/a.bin{ending}");
        world.place("vae/a.bin", &model.to_vec());
        world.place(&marker, b"half");
        let refused = presets.install(&preset_id("ONE"), InstallOptions::default()).await;
        let Err(Error::Conflict { message, .. }) = refused else { panic!("{ending}: {refused:?}") };
        assert!(message.contains(&marker), "{message}");
        running.dashboard.models.rescan().await.unwrap();
        assert_eq!(running.dashboard.models.list(&ModelQuery::default()).await.unwrap().page.total, 0, "{ending}");
        let listed = presets.list(&PresetQuery::default()).await.unwrap().items;
        assert!(!listed[0].installed, "{ending}");
        std::fs::remove_file(world.path(&marker)).unwrap();
        let whole = presets.install(&preset_id("ONE"), InstallOptions::default()).await;
        assert!(matches!(whole, Err(Error::PresetAlreadyInstalled(_))), "{ending}: {whole:?}");
    }
    running.stop().await;
}

/// Browsers and `huggingface_hub` write to the marker's own name, and nothing lies at the path itself.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_marker_in_place_of_a_file_refuses_installs() {
    let mut world = World::new();
    let url = world.file("a", "a.bin", &content(1, 9_000));
    world.preset("ONE", "1.0.0", &[("vae/a.bin", &url)]);
    let running = world.start().await;
    let presets = &running.dashboard.presets;
    for ending in [".aria2", ".incomplete", ".crdownload", ".downloading", ".!qB"] {
        let marker = format!("vae/a.bin{ending}");
        world.place(&marker, b"half");
        let refused = presets.install(&preset_id("ONE"), InstallOptions::default()).await;
        let Err(Error::Conflict { message, .. }) = refused else { panic!("{ending}: {refused:?}") };
        assert!(message.contains(&marker), "{message}");
        running.dashboard.models.rescan().await.unwrap();
        let listed = running.dashboard.models.list(&ModelQuery::default()).await.unwrap();
        assert_eq!((listed.page.total, world.everything()), (0, vec![marker.clone()]), "{ending}");
        std::fs::remove_file(world.path(&marker)).unwrap();
    }
    running.install_whole("ONE").await;
    running.stop().await;
}

/// A hash clears a marker where it is the right one: any other content may be a half file that somebody validated.
#[tokio::test(flavor = "multi_thread")]
async fn marker_is_cleared_by_the_expected_hash_alone() {
    let mut world = World::new();
    let model = content(1, 9_000);
    let url = world.file("a", "a.bin", &model);
    world.preset("ONE", "1.0.0", &[("vae/a.bin", &url)]);
    world.place("loras/half.bin", &content(2, 9_000).to_vec());
    let running = world.start().await;
    running.install_whole("ONE").await;
    let models = &running.dashboard.models;
    models.validate(ValidateOptions { force: true, ..Default::default() }).await.unwrap();
    for path in ["vae/a.bin.aria2", "loras/half.bin.aria2"] {
        world.place(path, b"control");
    }
    models.rescan().await.unwrap();
    let listed = models.list(&ModelQuery::default()).await.unwrap().page.items;
    assert_eq!(listed.iter().map(|model| model.path.as_str()).collect::<Vec<_>>(), ["vae/a.bin"]);
    let presets = &running.dashboard.presets;
    assert_eq!(presets.detail(&preset_id("ONE")).await.unwrap().view.state, PresetState::Installed);
    running.stop().await;
}

/// What makes a file unfinished or damaged holds in folders of `extra_model_paths.yaml` too.
#[tokio::test(flavor = "multi_thread")]
async fn half_file_in_an_extra_folder_is_not_here() {
    let mut world = World::new();
    let whole = safetensors(9_000);
    let url = FileServer::start().url("/a.safetensors");
    world.preset("ONE", "1.0.0", &[("vae/a.safetensors", &url)]);
    let other = world.models().parent().unwrap().join("volume");
    std::fs::create_dir_all(&other).unwrap();
    let (file, marker) = (other.join("a.safetensors"), other.join("a.safetensors.aria2"));
    std::fs::write(other.join("extra.yaml"), format!("x:\n    vae: {}\n", other.display())).unwrap();
    world.extra_models.config = Some(other.join("extra.yaml"));
    let running = world.start().await;
    let (models, presets) = (&running.dashboard.models, &running.dashboard.presets);
    for (bytes, is_marked, is_here) in
        [(&whole[..], true, false), (&whole[..], false, true), (&whole[..999], false, false)]
    {
        std::fs::write(&file, bytes).unwrap();
        if is_marked {
            std::fs::write(&marker, b"control").unwrap();
        } else {
            let _ = std::fs::remove_file(&marker);
        }
        models.rescan().await.unwrap();
        let found = presets.list(&PresetQuery::default()).await.unwrap();
        let listed = models.list(&ModelQuery::default()).await.unwrap().page.items;
        let is_listed = listed.iter().any(|model| model.path.ends_with("a.safetensors"));
        assert_eq!(is_listed, !is_marked, "{} bytes, marked: {is_marked}", bytes.len());
        let refused = presets.install(&preset_id("ONE"), InstallOptions::default()).await;
        let state = (found.items.len(), matches!(refused, Err(Error::PresetAlreadyInstalled(_))));
        assert_eq!(state, (1, is_here), "{} bytes, marked: {is_marked}: {refused:?}", bytes.len());
        if let Ok(begun) = refused {
            running.end_of(&begun.download_id).await;
        }
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_path_of_a_deletion_is_judged_alone() {
    let world = World::new();
    world.place("loras/a.bin", b"12345");
    let outside = world.models().parent().unwrap().join("keep.txt");
    std::fs::write(&outside, b"keep").unwrap();
    let running = world.start().await;
    let models = &running.dashboard.models;
    let paths = ["loras/a.bin", "loras/none.bin", "../keep.txt", "loras"].map(str::to_owned);
    let done = models.delete(&paths, false).await.unwrap();
    assert_eq!((done.deleted, done.freed_bytes), (1, 5));
    let codes: Vec<&str> = done.errors.iter().map(|error| error.code).collect();
    assert_eq!(codes, ["MODEL_NOT_FOUND", "INVALID_REQUEST", "INVALID_REQUEST"]);
    assert!(outside.exists());
    let unknown = models.delete(&["loras/none.bin".to_owned()], false).await;
    assert!(matches!(unknown, Err(Error::ModelNotFound(_))), "{unknown:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_a_cut_tail_and_a_foreign_pickle_are_found_and_the_byte_is_repaired() {
    let mut world = World::new();
    let model = content(1, 3_000_000);
    let url = world.file("a", "a.bin", &model);
    world.preset("ONE", "1.0.0", &[("vae/a.bin", &url)]);
    world.place("loras/whole.safetensors", &safetensors(5_000));
    let mut cut = safetensors(5_000);
    cut.pop();
    world.place("loras/cut.safetensors", &cut);
    world.place("loras/evil.pt", b"\x80\x02cposix\nsystem\nq\x00X\x02\x00\x00\x00lsq\x01\x85q\x02Rq\x03.");
    let running = world.start().await;
    running.install_whole("ONE").await;
    let models = &running.dashboard.models;
    let validate = async |force| {
        let options = ValidateOptions { force, ..ValidateOptions::default() };
        let report = models.validate(options).await.unwrap();
        let found: Vec<(String, FindingCode)> =
            report.errors.iter().map(|found| (found.path.clone(), found.code)).collect();
        (report.validated, found, report.errors)
    };
    let (validated, found, _) = validate(false).await;
    let cut = ("loras/cut.safetensors".to_owned(), FindingCode::Damaged);
    let evil = ("loras/evil.pt".to_owned(), FindingCode::UnsafePickle);
    assert_eq!((validated, found), (4, vec![cut.clone(), evil.clone()]));

    let mut flipped = model.to_vec();
    flipped[2_500_000] ^= 1;
    world.place("vae/a.bin", &flipped);
    let (_, found, errors) = validate(true).await;
    assert_eq!(found, [cut, evil, ("vae/a.bin".to_owned(), FindingCode::ChecksumMismatch)]);
    assert_eq!(errors[2].damaged, [(2 << 20, 3_000_000)], "the last block, which ends where the file does");

    let sent = world.hub.cdn().total_body_bytes_sent();
    let paths = ["vae/a.bin", "loras/cut.safetensors"].map(str::to_owned);
    let repair = running.dashboard.downloads.repair(&paths, MayReplace::OwnOrDamaged).await.unwrap();
    assert_eq!((repair.paths, repair.errors.len()), (vec!["vae/a.bin".to_owned()], 1));
    running.end_of(&repair.download_id).await;
    assert!(world.holds("vae/a.bin", &model));
    let fetched = world.hub.cdn().total_body_bytes_sent() - sent;
    assert!(fetched <= 1 << 20, "only the damaged block was fetched, not {fetched} bytes");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_repaired_from_where_it_came_from_with_its_queries_and_mirrors() {
    let world = World::new();
    let model = content(9, 3_000_000);
    let unnamed = |request: &Request| request.query("id") != Some("7");
    let routes =
        [0; 2].map(|_| FileServer::start().file("/get", model.clone()).status(404, When::Always.matching(unnamed)));
    let running = world.start().await;
    let downloads = &running.dashboard.downloads;
    let new = NewDownload {
        urls: routes.iter().map(|route| format!("{}?id=7", route.url())).collect(),
        place: Place::Path("vae/a.bin".to_owned()),
        sha256: Some(model.sha256()),
        size_bytes: None,
        priority: Priority::Normal,
        overwrite: false,
        may_replace: MayReplace::Any,
    };
    let added = downloads.add(new).await.unwrap();
    running.end_of(&added.download_id).await;
    let mut flipped = model.to_vec();
    flipped[2_500_000] ^= 1;
    world.place("vae/a.bin", &flipped);
    routes[0].status(404, When::Always);
    let repair = downloads.repair(&["vae/a.bin".to_owned()], MayReplace::Any).await.unwrap();
    let ended = running.end_of(&repair.download_id).await;
    assert!(world.holds("vae/a.bin", &model), "{ended:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validated_file_is_known_by_its_hash_and_read_again_only_when_it_changed_or_that_is_forced() {
    let world = World::new();
    let bytes = safetensors(5_000);
    world.place("loras/one.safetensors", &bytes);
    world.place("vae/copy.safetensors", &bytes);
    let mut running = world.start().await;
    let hashes = async |running: &Running| {
        let list = running.dashboard.models.list(&ModelQuery::default()).await.unwrap();
        list.page.items.into_iter().map(|model| model.sha256).collect::<Vec<_>>()
    };
    let copies = async |running: &Running| {
        let detail = running.dashboard.storage.detail().await.unwrap();
        detail.duplicates.into_iter().map(|(_, _, paths)| paths).collect::<Vec<_>>()
    };
    let validate = async |running: &Running, force| {
        let options = ValidateOptions { force, ..ValidateOptions::default() };
        running.dashboard.models.validate(options).await.unwrap()
    };
    assert_eq!((hashes(&running).await, copies(&running).await.len()), (vec![None, None], 0));
    validate(&running, false).await;
    let sha256 = Some(hex::encode(sha2::Sha256::digest(&bytes)));
    assert_eq!(hashes(&running).await, [sha256.clone(), sha256.clone()]);
    let both = vec![vec!["loras/one.safetensors".to_owned(), "vae/copy.safetensors".to_owned()]];
    assert_eq!(copies(&running).await, both);

    // What was found outlives a restart, and as long as size, time and inode stay, nobody reads the file.
    running.stop().await;
    let path = world.path("vae/copy.safetensors");
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    let mut flipped = bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    world.place("vae/copy.safetensors", &flipped);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    running = world.start().await;
    validate(&running, false).await;
    assert_eq!((hashes(&running).await, copies(&running).await), (vec![sha256.clone(), sha256.clone()], both));
    validate(&running, true).await;
    let after = hashes(&running).await;
    assert_eq!((&after[0], copies(&running).await.len()), (&sha256, 0));
    assert_eq!(after[1], Some(hex::encode(sha2::Sha256::digest(&flipped))));
    running.stop().await;
}
