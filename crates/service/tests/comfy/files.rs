//! Files that ComfyUI made: listed with their sizes where its folder is here, deleted there and nowhere else.

use serde_json::json;
use service::{
    Error,
    outputs::{FileReference, OutputQuery, OutputSort, ViewConditions},
};

use crate::world::{World, counting, eventually, is_unavailable};

/// Makes the fake say that its output folder is this one.
fn say_where(world: &World, folder: &std::path::Path) {
    let checkpoints = [folder.parent().unwrap().join("models/checkpoints"), folder.join("checkpoints")];
    let paths = json!({"checkpoints": checkpoints});
    world.comfy.answer_with("/internal/folder_paths", 200, "application/json", &paths.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_is_listed_and_only_files_within_it_are_deleted() {
    let world = World::new();
    let folder = world.folder.path().join("comfyui/output");
    std::fs::create_dir_all(folder.join("sub")).unwrap();
    std::fs::write(folder.join("a.png"), b"12345").unwrap();
    std::fs::write(folder.join("sub/b.mp4"), b"1234567890").unwrap();
    let outside = world.folder.path().join("comfyui/keep.txt");
    std::fs::write(&outside, b"keep").unwrap();
    std::os::unix::fs::symlink(&outside, folder.join("link.png")).unwrap();
    say_where(&world, &folder);
    let running = world.start().await;
    let outputs = &running.dashboard.outputs;
    let list = outputs.list(&OutputQuery { sort: OutputSort::Size, ..OutputQuery::default() }).await.unwrap();
    let found: Vec<(&str, Option<u64>)> =
        list.page.items.iter().map(|file| (file.path.as_str(), file.size_bytes)).collect();
    assert_eq!(found, [("a.png", Some(5)), ("sub/b.mp4", Some(10))]);
    assert_eq!((list.total_size_bytes, list.is_complete), (15, true));
    let paths = ["sub/b.mp4", "../keep.txt", "link.png", "none.png"].map(str::to_owned);
    let gone = outputs.delete(&paths).await.unwrap();
    assert_eq!((gone.deleted, gone.freed_bytes), (1, 10));
    let codes: Vec<&str> = gone.errors.iter().map(|error| error.code).collect();
    assert_eq!(codes, ["INVALID_REQUEST", "INVALID_REQUEST", "NOT_FOUND"]);
    assert!(outside.exists() && !folder.join("sub/b.mp4").exists());
    assert!(matches!(outputs.delete(&["none.png".to_owned()]).await, Err(Error::NotFound { .. })));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_folder_is_elsewhere_the_outputs_of_our_prompts_are_listed_and_nothing_can_be_deleted() {
    let world = World::new();
    let running = world.start().await;
    let id = running.execute(&counting(1, 1)).await.prompt_id;
    let record = running.completed(&id).await;
    let name = record.outputs["9"]["images"][0]["filename"].as_str().unwrap().to_owned();
    let outputs = &running.dashboard.outputs;
    let list = outputs.list(&OutputQuery::default()).await.unwrap();
    assert_eq!((list.page.items[0].path.as_str(), list.is_complete), (name.as_str(), false));
    assert!(list.page.items[0].size_bytes.unwrap() > 0);
    assert!(matches!(outputs.delete(&[name]).await, Err(Error::Conflict { .. })));
    let missing =
        FileReference { filename: "none.png".to_owned(), subfolder: String::new(), folder: "output".to_owned() };
    assert!(matches!(outputs.view(missing.clone(), ViewConditions::default()).await, Err(Error::NotFound { .. })));
    world.comfy.go_down();
    let unseen = outputs.view(missing, ViewConditions::default()).await.map(|file| file.status);
    assert!(is_unavailable(unseen));
    running.stop().await;
}

/// ComfyUI said once where its folder is, to nobody in particular. It is down since, and the dashboard started again.
#[tokio::test(flavor = "multi_thread")]
async fn outputs_are_shown_after_a_restart_without_comfyui() {
    let world = World::new();
    let folder = world.folder.path().join("comfyui/output");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("a.png"), b"12345").unwrap();
    say_where(&world, &folder);
    let running = world.start().await;
    let kept = "SELECT max(output) FROM comfyui_folders WHERE url <> ?";
    eventually(|| world.text(kept, "")).await;
    running.stop().await;
    world.comfy.go_down();

    let running = world.start().await;
    let outputs = &running.dashboard.outputs;
    let list = outputs.list(&OutputQuery::default()).await.unwrap();
    assert_eq!((list.page.items[0].path.as_str(), list.is_complete), ("a.png", true));
    let file = FileReference { filename: "a.png".to_owned(), subfolder: String::new(), folder: "output".to_owned() };
    let found = outputs.view(file, ViewConditions::default()).await.unwrap();
    assert_eq!((found.status, found.content_length), (200, Some(5)));
    assert_eq!(outputs.delete(&["a.png".to_owned()]).await.unwrap().deleted, 1);
    running.stop().await;
}

/// Nobody knows whether the folder is here: that is no empty list.
#[tokio::test(flavor = "multi_thread")]
async fn outputs_of_a_comfyui_that_never_answered_are_unavailable() {
    let world = World::new();
    world.comfy.go_down();
    let running = world.start().await;
    assert!(is_unavailable(running.dashboard.outputs.list(&OutputQuery::default()).await));
    running.stop().await;
}
