//! Ids of presets compare without case and with `-` as `_`, in the database of an earlier version too.

use std::path::Path;

use service::presets::{PresetQuery, PresetState};
use sqlx::{Connection, SqliteConnection, migrate::Migrator, sqlite::SqliteConnectOptions};

use crate::world::{World, content, preset_id};

/// The database as a version made it that kept ids as registries spelled them.
async fn earlier_database(world: &World) -> SqliteConnection {
    let first_four = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".sql") && name.as_str() < "0005" {
            std::fs::copy(entry.path(), first_four.path().join(name)).unwrap();
        }
    }
    std::fs::create_dir_all(world.database().parent().unwrap()).unwrap();
    let options = SqliteConnectOptions::new().filename(world.database()).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    Migrator::new(first_four.path()).await.unwrap().run(&mut connection).await.unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_ids_become_canonical_and_the_newer_row_stays() {
    let mut world = World::new();
    let url = world.file("a", "a.bin", &content(1, 5_000));
    world.preset("ltx-video-t2v", "2.0.0", &[("vae/a.bin", &url)]);
    world.place("vae/a.bin", &content(1, 5_000).to_vec());
    let mut old = earlier_database(&world).await;
    for (id, at) in [("LTX_VIDEO_T2V", 1_000), ("ltx-video-t2v", 2_000)] {
        let definition = format!(
            r#"{{"id":"{id}","name":"x","category":"c","type":"video","version":"{at}.0.0","description":"","use_case":"","tags":[],
                "vram_gb":null,"dependencies":[],"workflows":[],"stated_size":null,"files":[]}}"#
        );
        let version = format!("{at}.0.0");
        sqlx::query("INSERT INTO installs VALUES (?, ?, ?, ?)")
            .bind(id)
            .bind(version)
            .bind(definition)
            .bind(at)
            .execute(&mut old)
            .await
            .unwrap();
        sqlx::query("INSERT INTO replaced_files VALUES (?, 'vae/a.bin', 'some-other', ?)")
            .bind(id)
            .bind(at)
            .execute(&mut old)
            .await
            .unwrap();
        sqlx::query(
            "INSERT INTO downloads (id, preset_id, state, priority, position, created_at) VALUES (?, ?, 'paused', 0, ?, ?)",
        )
        .bind(format!("dl_{at}"))
        .bind(id)
        .bind(at)
        .bind(at)
        .execute(&mut old)
        .await
        .unwrap();
        sqlx::query(
            r#"INSERT INTO download_files (download_id, ordinal, path, sources, existing, pinned, staged, state)
               VALUES (?, 0, 'vae/b.bin', '["http://127.0.0.1:9/b.bin"]', 'share', 0, 0, 'pending')"#,
        )
        .bind(format!("dl_{at}"))
        .execute(&mut old)
        .await
        .unwrap();
    }
    old.close().await.unwrap();

    let running = world.start().await;
    let presets = &running.dashboard.presets;
    let listed = presets.list(&PresetQuery::default()).await.unwrap().items;
    let ids: Vec<&str> = listed.iter().map(|view| view.preset.id.as_str()).collect();
    assert_eq!(ids, ["LTX_VIDEO_T2V"]);
    let one = presets.detail(&preset_id("Ltx-Video_T2V")).await.unwrap().view;
    assert_eq!((one.state, one.requested), (PresetState::Paused, true));
    assert_eq!(one.installed_version.map(|version| version.to_string()), Some("2000.0.0".to_owned()));
    assert_eq!(one.replaced_files, ["vae/a.bin"]);
    let unfinished = running.dashboard.downloads.unfinished().await.unwrap();
    assert_eq!(unfinished.iter().map(|view| view.id.as_str()).collect::<Vec<_>>(), ["dl_2000"]);
    running.stop().await;
}
