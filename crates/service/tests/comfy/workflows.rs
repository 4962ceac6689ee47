//! Workflows on the disk: kept as given, listed with those of others, guarded by their tags, never outside their folder.

use std::slice;

use serde_json::{Value, json};
use service::{
    Error, Resource,
    page::Order,
    prompts::{GraphToRun, NewPrompt},
    workflows::{NewWorkflow, WorkflowChange, WorkflowFormat, WorkflowOrigin, WorkflowQuery, WorkflowSort},
};

use crate::world::{Running, World, counting, prompt};

fn new(name: &str, graph: &Value) -> NewWorkflow {
    let workflow = graph.as_object().unwrap().clone();
    NewWorkflow { name: name.to_owned(), category: None, description: None, workflow }
}

async fn names(running: &Running, query: WorkflowQuery) -> Vec<String> {
    let page = running.dashboard.workflows.list(&query).await.unwrap();
    page.items.into_iter().map(|view| view.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_formats_are_kept_as_they_were_given_and_only_given_keys_change() {
    let world = World::new();
    let running = world.start().await;
    let workflows = &running.dashboard.workflows;
    let page = json!({"version": 0.4, "nodes": [], "links": [], "extra": {"z": [1.0, 1, null], "a": "ü"}});
    let saved = workflows.save(new("Page", &page)).await.unwrap();
    assert_eq!(saved.path, format!("workflows/user/{}.json", saved.id));
    let kept = std::fs::read_to_string(world.folder.path().join(&saved.path)).unwrap();
    assert_eq!(kept, page.to_string(), "a plain file that ComfyUI's page opens");
    let detail = workflows.get(&saved.id).await.unwrap();
    assert_eq!((detail.format, &*detail.workflow, &detail.etag), (WorkflowFormat::Ui, &page, &saved.etag));
    assert_eq!((detail.view.category.as_str(), detail.view.origin), ("Custom", WorkflowOrigin::User));

    let change = WorkflowChange { workflow: counting(1, 1).as_object().cloned(), ..WorkflowChange::default() };
    let changed = workflows.update(&saved.id, change, Some(slice::from_ref(&saved.etag))).await.unwrap();
    assert_ne!(changed.etag, saved.etag);
    let detail = workflows.get(&saved.id).await.unwrap();
    assert_eq!((detail.view.name.as_str(), detail.format), ("Page", WorkflowFormat::Api));
    let late = WorkflowChange { name: Some("Late".to_owned()), ..WorkflowChange::default() };
    let refused = workflows.update(&saved.id, late.clone(), Some(slice::from_ref(&saved.etag))).await;
    assert!(matches!(refused, Err(Error::ChangedMeanwhile { etag }) if etag == changed.etag));
    workflows.update(&saved.id, late, None).await.unwrap();
    assert_eq!(*workflows.get(&saved.id).await.unwrap().workflow, counting(1, 1));
    workflows.delete(&saved.id, None).await.unwrap();
    assert!(matches!(workflows.get(&saved.id).await, Err(Error::NotFound { resource: Resource::Workflow, .. })));
    assert_eq!(std::fs::read_dir(world.folder.path().join("workflows/user")).unwrap().count(), 0, "nothing is left");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workflows_of_all_origins_are_listed_and_only_our_own_can_be_changed() {
    let world = World::new();
    world.comfy.save_workflow("sub folder/theirs.json", &json!({"nodes": []}));
    let by_hand = world.folder.path().join("workflows/user");
    std::fs::create_dir_all(&by_hand).unwrap();
    std::fs::write(by_hand.join("by hand (ü).json"), counting(3, 1).to_string()).unwrap();
    std::fs::write(by_hand.join("notes.txt"), "no workflow").unwrap();
    let running = world.start().await;
    let workflows = &running.dashboard.workflows;
    workflows.save(new("Own", &json!({}))).await.unwrap();
    let query = WorkflowQuery { sort: WorkflowSort::Source, ..WorkflowQuery::default() };
    let all = workflows.list(&query).await.unwrap();
    let origins: Vec<WorkflowOrigin> = all.items.iter().map(|view| view.origin).collect();
    assert_eq!(origins[..4], [WorkflowOrigin::Template; 4]);
    assert_eq!(origins[4..], [WorkflowOrigin::User, WorkflowOrigin::User, WorkflowOrigin::Comfyui]);
    assert_eq!(names(&running, query).await[4..], ["by hand (ü)", "Own", "sub folder/theirs"]);
    let video = WorkflowQuery { category: Some("Video Generation".to_owned()), ..WorkflowQuery::default() };
    assert_eq!(names(&running, video).await, ["Wan 2.2 5B text to video"]);
    let found =
        WorkflowQuery { search: Some("MUSIC".to_owned()), order: Order::Descending, ..WorkflowQuery::default() };
    assert_eq!(names(&running, found).await, ["ACE-Step text to music"]);

    let id_of = |name: &str| all.items.iter().find(|view| view.name == name).unwrap().id.clone();
    let theirs = id_of("sub folder/theirs");
    assert_eq!(*workflows.get(&theirs).await.unwrap().workflow, json!({"nodes": []}));
    for read_only in [theirs.as_str(), "sdxl_text_to_image"] {
        assert!(matches!(workflows.delete(read_only, None).await, Err(Error::Forbidden(_))), "{read_only}");
        let change = WorkflowChange::default();
        assert!(matches!(workflows.update(read_only, change, None).await, Err(Error::Forbidden(_))), "{read_only}");
    }
    let stored = NewPrompt { graph: GraphToRun::Stored(id_of("by hand (ü)")), ..prompt(&json!({})) };
    let accepted = running.dashboard.prompts.execute(stored).await.unwrap();
    let record = running.completed(&accepted.prompt_id).await;
    assert_eq!(record.workflow_id, Some(id_of("by hand (ü)")));
    world.comfy.go_down();
    assert!(running.dashboard.comfy.health().await.is_err());
    assert_eq!(names(&running, WorkflowQuery::default()).await.len(), 6, "without ComfyUI its own are left out");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_link_in_the_folder_leads_out_of_it() {
    let world = World::new();
    let secret = world.folder.path().join("secret.json");
    std::fs::write(&secret, "{\"secret\": true}").unwrap();
    let folder = world.folder.path().join("workflows/user");
    std::fs::create_dir_all(&folder).unwrap();
    let running = world.start().await;
    let workflows = &running.dashboard.workflows;
    let saved = workflows.save(new("Own", &json!({}))).await.unwrap();
    let own = world.folder.path().join(&saved.path);
    std::fs::remove_file(&own).unwrap();
    std::os::unix::fs::symlink(&secret, &own).unwrap();
    assert!(matches!(workflows.get(&saved.id).await, Err(Error::NotFound { .. })));
    assert!(!names(&running, WorkflowQuery::default()).await.contains(&"Own".to_owned()));
    for hostile in ["../secret", "custom_../secret", "..%2Fsecret", "user/secret"] {
        assert!(matches!(workflows.get(hostile).await, Err(Error::NotFound { .. })), "{hostile}");
    }
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "{\"secret\": true}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_writers_with_the_same_tag_one_is_refused() {
    let world = World::new();
    let running = world.start().await;
    let workflows = running.dashboard.workflows.clone();
    let saved = workflows.save(new("Own", &json!({}))).await.unwrap();
    let writers = (0..8).map(|writer| {
        let (workflows, saved) = (workflows.clone(), saved.clone());
        tokio::spawn(async move {
            let change = WorkflowChange { name: Some(format!("Writer {writer}")), ..WorkflowChange::default() };
            workflows.update(&saved.id, change, Some(slice::from_ref(&saved.etag))).await.is_ok()
        })
    });
    let mut done = 0;
    for writer in writers.collect::<Vec<_>>() {
        done += usize::from(writer.await.unwrap());
    }
    assert_eq!(done, 1);
    running.stop().await;
}

/// A file by hand may have the longest name that there is; the files beside it and the unfinished ones have no room to be longer.
#[tokio::test(flavor = "multi_thread")]
async fn the_longest_file_names_can_be_read_changed_and_removed() {
    let world = World::new();
    let by_hand = world.folder.path().join("workflows/user");
    std::fs::create_dir_all(&by_hand).unwrap();
    let long = [233, 239, 240, 244, 245, 250].map(|stem| "n".repeat(stem));
    let wide = ["ü".repeat(125), format!("{}x", "ü".repeat(124))];
    let stems = [&long[..], &wide[..]].concat();
    for stem in &stems {
        std::fs::write(by_hand.join(format!("{stem}.json")), counting(1, 1).to_string()).unwrap();
    }
    let running = world.start().await;
    let workflows = &running.dashboard.workflows;
    let query = WorkflowQuery { search: None, ..WorkflowQuery::default() };
    for view in workflows.list(&query).await.unwrap().items {
        if view.origin != WorkflowOrigin::User {
            continue;
        }
        let detail = workflows.get(&view.id).await.unwrap();
        assert_eq!(*detail.workflow, counting(1, 1), "{}", view.path);
        let change = WorkflowChange {
            name: Some(format!("renamed {}", view.name.len())),
            workflow: counting(2, 1).as_object().cloned(),
            ..WorkflowChange::default()
        };
        let changed = workflows.update(&view.id, change, Some(slice::from_ref(&detail.etag))).await.unwrap();
        let renamed = workflows.get(&view.id).await.unwrap();
        assert_eq!((renamed.view.name, &renamed.etag), (format!("renamed {}", view.name.len()), &changed.etag));
        workflows.delete(&view.id, None).await.unwrap();
        assert!(matches!(workflows.get(&view.id).await, Err(Error::NotFound { .. })), "{}", view.path);
    }
    assert_eq!(std::fs::read_dir(&by_hand).unwrap().count(), 0, "nothing is left");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_too_large_or_too_complex_is_named_so_and_can_go() {
    let world = World::new();
    let by_hand = world.folder.path().join("workflows/user");
    std::fs::create_dir_all(&by_hand).unwrap();
    std::fs::write(by_hand.join("large.json"), vec![b' '; 30 << 20]).unwrap();
    std::fs::write(by_hand.join("complex.json"), format!("{{\"a\":[{}0]}}", "0,".repeat(300_000))).unwrap();
    let running = world.start().await;
    let workflows = &running.dashboard.workflows;
    let own = |view: &service::workflows::WorkflowView| view.origin == WorkflowOrigin::User;
    let listed = workflows.list(&WorkflowQuery::default()).await.unwrap().items;
    let ids: Vec<(String, String)> = listed.into_iter().filter(own).map(|view| (view.name, view.id)).collect();
    assert_eq!(ids.len(), 2, "{ids:?}");
    for (name, id) in ids {
        let refused = workflows.get(&id).await;
        match name.as_str() {
            "large" => assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}"),
            _ => assert!(matches!(refused, Err(Error::TooComplex { .. })), "{refused:?}"),
        }
        workflows.delete(&id, None).await.unwrap();
        assert!(matches!(workflows.delete(&id, None).await, Err(Error::NotFound { .. })));
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_files_of_a_killed_server_are_swept() {
    let world = World::new();
    let folder = world.folder.path().join("workflows/user");
    std::fs::create_dir_all(&folder).unwrap();
    let id = format!("custom_{}", "0".repeat(32));
    for unfinished in
        [format!(".{id}.json.new"), format!(".{id}.about.json.new"), format!(".{}.json.new", "1".repeat(32))]
    {
        std::fs::write(folder.join(unfinished), "half").unwrap();
    }
    for kept in ["mine.json", ".hidden.json", "mine.json.new"] {
        std::fs::write(folder.join(kept), "{}").unwrap();
    }
    let running = world.start().await;
    let mut left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [".hidden.json", "mine.json", "mine.json.new"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn saving_leaves_the_minimum_free_space_free() {
    let world = World::new();
    let mut settings = world.settings();
    settings.downloader.min_free_space = 100 << 40;
    let running = world.start_with(settings).await;
    let refused = running.dashboard.workflows.save(new("Full", &json!({}))).await;
    assert!(matches!(refused, Err(Error::InsufficientStorage { available_bytes: 0, .. })), "{refused:?}");
    assert!(!world.folder.path().join("workflows/user").exists(), "nothing was written");
    running.stop().await;
}
