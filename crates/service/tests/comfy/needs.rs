//! What workflows need: found on the disk or in ComfyUI, had from presets, addresses and copies, fetched as one download.

use serde_json::{Value, json};
use service::{
    Error,
    downloads::{DownloadState, Priority},
    workflows::{Choice, InstallPlanOptions, ModelSource, NewWorkflow, WorkflowRequirements},
};
use test_support::{fake_hub::FakeHub, file_server::Content};

use crate::world::{Running, World, counting, eventually};

/// Two loaders of checkpoints and one of a VAE; the page notes addresses in `properties.models`, or does not.
fn graph(with_notes: bool) -> Value {
    let note = |directory: &str, name: &str, repository: &str| {
        let url = format!("https://huggingface.co/acme/{repository}/resolve/main/{name}");
        if with_notes { json!([{"directory": directory, "name": name, "url": url}]) } else { json!([]) }
    };
    json!({
        "nodes": [
            {"id": 1, "type": "CheckpointLoaderSimple", "mode": 0, "inputs": [], "outputs": [], "widgets_values": ["base.safetensors"],
             "properties": {"models": note("checkpoints", "base.safetensors", "base")}},
            {"id": 2, "type": "VAELoader", "mode": 0, "inputs": [], "outputs": [], "widgets_values": ["small.safetensors"],
             "properties": {"models": note("vae", "small.safetensors", "vae")}},
            {"id": 3, "type": "NodeOfNobody", "mode": 0, "inputs": [], "outputs": [], "widgets_values": [],
             "properties": {"cnr_id": "somebodys-pack"}},
        ],
        "links": [],
    })
}

async fn save(running: &Running, graph: &Value) -> String {
    let workflow = graph.as_object().unwrap().clone();
    let new = NewWorkflow { name: "Needy".to_owned(), category: None, description: None, workflow };
    running.dashboard.workflows.save(new).await.unwrap().id
}

fn model<'a>(needs: &'a WorkflowRequirements, name: &str) -> &'a service::workflows::ModelRequirement {
    needs.models.iter().find(|model| model.name == name).unwrap_or_else(|| panic!("{name}: {needs:#?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named_with_its_addresses_and_fetched_as_one_download() {
    let hub = FakeHub::start();
    let (base, vae) = (Content::pattern(1, 300_000), Content::pattern(2, 20_000));
    hub.large_file("acme/base", "base.safetensors", base.clone());
    hub.large_file("acme/vae", "small.safetensors", vae.clone());
    let world = World::new();
    let running = world.start_beside(&hub).await;
    let id = save(&running, &graph(true)).await;
    let needs = running.dashboard.workflows.requirements_of(&id).await.unwrap();
    assert_eq!(needs.models.len(), 2);
    assert_eq!((needs.bytes_to_fetch, needs.bytes_exact, needs.fits_disk), (320_000, true, true));
    assert_eq!((needs.comfyui_asked, needs.is_ready()), (true, Some(false)));
    let first = model(&needs, "base.safetensors");
    assert_eq!((first.folder.as_deref(), first.present), (Some("checkpoints"), false));
    assert!(matches!(first.sources.as_slice(), [ModelSource::Workflow { url }] if url.contains("/acme/base/")));
    let nobody = &needs.missing_nodes[0];
    assert_eq!((nobody.node_type.as_str(), nobody.package.as_deref()), ("NodeOfNobody", Some("somebodys-pack")));

    let begun = running.dashboard.workflows.install_requirements(&id, Priority::High).await.unwrap();
    assert_eq!(begun.files, ["checkpoints/base.safetensors", "vae/small.safetensors"]);
    let download = begun.download_id.unwrap();
    let done = eventually(|| async {
        let view = running.dashboard.downloads.get(&download).await.unwrap();
        (!view.state.is_unfinished()).then_some(view)
    });
    assert_eq!(done.await.state, DownloadState::Completed);
    let needs = running.dashboard.workflows.requirements_of(&id).await.unwrap();
    assert!(needs.models.iter().all(|model| model.present) && needs.bytes_to_fetch == 0);
    let again = running.dashboard.workflows.install_requirements(&id, Priority::Normal).await.unwrap();
    assert_eq!((again.download_id, again.files), (None, vec![]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_notes_a_file_is_found_by_what_the_loader_reads_and_without_an_address_it_cannot_be_fetched() {
    let world = World::new();
    let running = world.start().await;
    let id = save(&running, &graph(false)).await;
    let needs = running.dashboard.workflows.requirements_of(&id).await.unwrap();
    assert_eq!(model(&needs, "base.safetensors").folder.as_deref(), Some("checkpoints"));
    assert_eq!(model(&needs, "small.safetensors").path().unwrap().as_str(), "vae/small.safetensors");
    let refused = running.dashboard.workflows.install_requirements(&id, Priority::Normal).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_had_from_its_preset_and_its_video_memory_is_what_that_declares() {
    let world = World::new();
    let running = world.start().await;
    let needs = running.dashboard.workflows.requirements_of("sdxl_text_to_image").await.unwrap();
    for model in &needs.models {
        assert!(
            model
                .sources
                .iter()
                .any(|source| { matches!(source, ModelSource::Preset { id, .. } if id.as_str() == "SDXL_BASE_V1") }),
            "{model:?}"
        );
    }
    assert!(needs.vram.unwrap().basis.contains("SDXL_BASE_V1"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_another_subfolder_is_found_and_the_graph_runs_with_the_right_path() {
    let world = World::new();
    world.comfy.edit_object_info(|known| {
        known["ProbeSleep"]["input"]["required"]["vae_name"] = json!([["sub/small.safetensors", "other.safetensors"]]);
    });
    world.comfy.set_models("vae", &["sub/small.safetensors", "other.safetensors"]);
    let running = world.start().await;
    let mut graph = counting(1, 1);
    graph["5"]["inputs"]["vae_name"] = json!("small.safetensors");
    let needs = running.dashboard.workflows.requirements(graph.clone()).await.unwrap();
    let found = model(&needs, "small.safetensors");
    assert_eq!((found.present, found.found_as.as_deref()), (false, Some("sub/small.safetensors")));
    let prompt = crate::world::prompt(&graph);
    let refused = running.dashboard.prompts.execute(prompt.clone()).await;
    assert!(matches!(refused, Err(Error::InvalidWorkflow(_))), "{refused:?}");
    let fixing = service::prompts::NewPrompt { fix_paths: true, ..prompt };
    let accepted = running.dashboard.prompts.execute(fixing).await.unwrap();
    assert_eq!(accepted.fixed_paths[0].to, "sub/small.safetensors");
    running.completed(&accepted.prompt_id).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_on_the_disk_counts_though_comfyui_is_away() {
    let world = World::new();
    let place = world.folder.path().join("models/vae");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join("small.safetensors"), b"weights").unwrap();
    world.comfy.go_down();
    let running = world.start().await;
    eventually(|| async { running.dashboard.comfy.health().await.is_err().then_some(()) }).await;
    let graph = json!({"2": {"class_type": "VAELoader", "inputs": {"vae_name": "small.safetensors"}}});
    let needs = running.dashboard.workflows.requirements(graph.clone()).await.unwrap();
    assert_eq!((needs.comfyui_asked, needs.is_ready()), (false, None));
    assert!(model(&needs, "small.safetensors").present && needs.missing_nodes.is_empty());
    running.stop().await;
}

/// The official templates note addresses of many more files than the presets have.
#[tokio::test(flavor = "multi_thread")]
async fn file_of_an_official_template_has_an_address_without_notes_or_network() {
    let world = World::new();
    world.comfy.go_down();
    let running = world.start().await;
    let graph = json!({"1": {"class_type": "VAELoader", "inputs": {"vae_name": "qwen_image_vae.safetensors"}},
        "2": {"class_type": "PackLoader", "inputs": {"file": "wan_2.1_vae.safetensors"}}});
    let needs = running.dashboard.workflows.requirements(graph).await.unwrap();
    for name in ["qwen_image_vae.safetensors", "wan_2.1_vae.safetensors"] {
        let model = model(&needs, name);
        assert_eq!(model.folder.as_deref(), Some("vae"), "{name}");
        assert!(
            model.sources.iter().any(|source| matches!(source, ModelSource::Template { url } if url.ends_with(name)))
        );
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_comfyui_files_are_named_and_nothing_counts_as_complete() {
    let world = World::new();
    world.comfy.go_down();
    let running = world.start().await;
    eventually(|| async { running.dashboard.comfy.health().await.is_err().then_some(()) }).await;
    let id = save(&running, &graph(false)).await;
    let needs = running.dashboard.workflows.requirements_of(&id).await.unwrap();
    assert_eq!(needs.is_ready(), None);
    let base = model(&needs, "base.safetensors");
    assert_eq!((base.known, base.folder.as_deref()), (false, Some("checkpoints")));
    assert!(!needs.bytes_exact);
    let refused = running.dashboard.workflows.install_requirements(&id, Priority::Normal).await;
    assert!(crate::world::is_unavailable(refused));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn older_comfyui_without_lists_of_folders_is_asked_for_its_nodes() {
    let world = World::new();
    world.comfy.answer_with("/models", 404, "text/plain", "404: Not Found");
    let running = world.start().await;
    let needs = running.dashboard.workflows.requirements(graph(false)).await.unwrap();
    assert!(needs.comfyui_asked);
    assert!(model(&needs, "base.safetensors").known);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn file_of_a_node_that_is_not_installed_is_listed_and_not_fetched() {
    let world = World::new();
    let running = world.start().await;
    let pack = json!({"nodes": [{"id": 1, "type": "PackLoader", "mode": 0, "inputs": [], "outputs": [],
        "widgets_values": ["wan_14B_fp8.safetensors", "bf16"]}], "links": []});
    let id = save(&running, &pack).await;
    let needs = running.dashboard.workflows.requirements_of(&id).await.unwrap();
    let file = model(&needs, "wan_14B_fp8.safetensors");
    assert_eq!((file.known, file.folder.as_deref(), needs.is_ready()), (false, None, Some(false)));
    let begun = running.dashboard.workflows.install_requirements(&id, Priority::Normal).await.unwrap();
    assert_eq!((begun.download_id, begun.unjudged), (None, vec!["wan_14B_fp8.safetensors".to_owned()]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_comfyui_the_preset_of_a_template_says_where_its_files_belong_and_comes_first() {
    let world = World::new();
    world.comfy.go_down();
    let running = world.start().await;
    eventually(|| async { running.dashboard.comfy.health().await.is_err().then_some(()) }).await;
    let needs = running.dashboard.workflows.requirements_of("wan22_5b_text_to_video").await.unwrap();
    let encoder = model(&needs, "umt5_xxl_fp8_e4m3fn_scaled.safetensors");
    assert_eq!(encoder.folder.as_deref(), Some("text_encoders"));
    let first = encoder.sources.first().unwrap();
    assert!(matches!(first, ModelSource::Preset { id, .. } if id.as_str() == "WAN2_2_TI2V_5B_FP16"), "{first:?}");
    running.stop().await;
}

/// A volume that ComfyUI reads by `extra_model_paths.yaml`: its files are there, whether ComfyUI answers or not.
#[tokio::test(flavor = "multi_thread")]
async fn models_of_extra_folders_are_not_fetched_again() {
    for is_up in [true, false] {
        let hub = FakeHub::start();
        let world = World::new();
        let volume = world.folder.path().join("volume");
        // A whole safetensors file without tensors.
        let weights = [&2_u64.to_le_bytes()[..], b"{}"].concat();
        for file in ["sd/base.safetensors", "vae/small.safetensors"] {
            std::fs::create_dir_all(volume.join(file).parent().unwrap()).unwrap();
            std::fs::write(volume.join(file), &weights).unwrap();
        }
        let config = volume.join("extra.yaml");
        std::fs::write(&config, "x:\n  checkpoints: sd\n  vae: vae\n").unwrap();
        if !is_up {
            world.comfy.go_down();
        }
        let mut settings = world.settings();
        settings.extra_models.config = Some(config);
        settings.downloader.hf_endpoint = hub.endpoint().parse().unwrap();
        let running = world.start_with(settings).await;
        if !is_up {
            eventually(|| async { running.dashboard.comfy.health().await.is_err().then_some(()) }).await;
        }
        let id = save(&running, &graph(true)).await;
        let needs = running.dashboard.workflows.requirements_of(&id).await.unwrap();
        assert!(needs.models.len() == 2 && needs.models.iter().all(|model| model.present), "{needs:#?}");
        assert_eq!((needs.bytes_to_fetch, needs.comfyui_asked), (0, is_up));
        let begun = running.dashboard.workflows.install_requirements(&id, Priority::Normal).await.unwrap();
        assert_eq!((begun.download_id, begun.files), (None, vec![]), "ComfyUI is up: {is_up}");
        running.stop().await;
    }
}

/// A workflow names a file without the subfolder in which it lies on a volume.
#[tokio::test(flavor = "multi_thread")]
async fn file_in_a_subfolder_of_an_extra_folder_is_found_by_name() {
    let world = World::new();
    let volume = world.folder.path().join("volume");
    std::fs::create_dir_all(volume.join("sub")).unwrap();
    std::fs::write(volume.join("sub/small.safetensors"), b"weights").unwrap();
    std::fs::write(volume.join("extra.yaml"), "x:\n  checkpoints: .\n  vae: .\n").unwrap();
    world.comfy.go_down();
    let mut settings = world.settings();
    settings.extra_models.config = Some(volume.join("extra.yaml"));
    let running = world.start_with(settings).await;
    eventually(|| async { running.dashboard.comfy.health().await.is_err().then_some(()) }).await;
    running.dashboard.models.rescan().await.unwrap();
    let graph = json!({"2": {"class_type": "VAELoader", "inputs": {"vae_name": "small.safetensors"}}});
    let needs = running.dashboard.workflows.requirements(graph.clone()).await.unwrap();
    let found = model(&needs, "small.safetensors");
    assert_eq!((found.present, found.found_as.as_deref()), (false, Some("sub/small.safetensors")));
    running.stop().await;
}

/// One call: what can be had without doubt is fetched, and everything else is a question or has a reason.
#[tokio::test(flavor = "multi_thread")]
async fn workflow_of_a_stranger_ends_in_lists_and_one_download() {
    let hub = FakeHub::start();
    let address = |file: &str| format!("https://huggingface.co/acme/all/resolve/main/{file}");
    for file in ["vae.safetensors", "old.ckpt", "model.safetensors"] {
        hub.large_file("acme/all", file, Content::pattern(3, 20_000));
    }
    let world = World::new();
    let running = world.start_beside(&hub).await;
    let node = |id: u32, kind: &str, name: &str, noted: bool| {
        let models = if noted { json!([{"name": name, "directory": "vae", "url": address(name)}]) } else { json!([]) };
        json!({"id": id, "type": kind, "mode": 0, "inputs": [], "outputs": [], "widgets_values": [name], "properties": {"models": models}})
    };
    let graph = json!({"links": [], "nodes": [
        node(1, "VAELoader", "vae.safetensors", true),
        node(2, "VAELoader", "old.ckpt", true),
        node(3, "VAELoader", "model.safetensors", true),
        node(4, "VAELoader", "gone.safetensors", false),
        node(5, "PackLoader", "strange.gguf", false),
    ]});
    let install = async |options: InstallPlanOptions| running.dashboard.workflows.install(graph.clone(), options).await;
    let names = |questions: &[service::workflows::OpenQuestion]| -> Vec<String> {
        questions.iter().map(|question| question.model.name.clone()).collect()
    };

    let dry = install(InstallPlanOptions { dry_run: true, ..InstallPlanOptions::default() }).await.unwrap();
    assert!(dry.fetching.is_none() && running.dashboard.downloads.unfinished().await.unwrap().is_empty());
    assert_eq!(dry.planned.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["vae/vae.safetensors"]);
    assert_eq!(names(&dry.choose), ["old.ckpt", "model.safetensors"]);
    assert!(dry.choose[0].reason.contains("run code") && dry.choose[1].reason.contains("many different"));
    assert_eq!(names(&dry.impossible), ["gone.safetensors", "strange.gguf"]);
    assert_eq!((dry.needs.missing_nodes[0].node_type.as_str(), dry.is_ready()), ("PackLoader", Some(false)));

    let choice = |file: &str, folder: Option<&str>| Choice { url: address(file), folder: folder.map(str::to_owned) };
    let choices = [
        ("old.ckpt".to_owned(), choice("old.ckpt", None)),
        ("strange.gguf".to_owned(), choice("model.safetensors", Some("unet"))),
    ];
    let begun = install(InstallPlanOptions { choices: choices.into(), ..InstallPlanOptions::default() }).await.unwrap();
    let fetching = begun.fetching.unwrap();
    assert_eq!(fetching.files, ["vae/vae.safetensors", "vae/old.ckpt", "unet/strange.gguf"]);
    let download = fetching.download_id.unwrap();
    let done = eventually(|| async {
        let view = running.dashboard.downloads.get(&download).await.unwrap();
        (!view.state.is_unfinished()).then_some(view)
    });
    assert_eq!(done.await.state, DownloadState::Completed);
    let again = install(InstallPlanOptions::default()).await.unwrap();
    assert_eq!(again.ready, ["vae.safetensors", "old.ckpt"]);
    let escaping = [("gone.safetensors".to_owned(), choice("vae.safetensors", Some("../..")))];
    let refused =
        install(InstallPlanOptions { choices: escaping.into(), ..InstallPlanOptions::default() }).await.unwrap();
    assert!(refused.choose.iter().any(|question| question.reason.contains("leads out")), "{:?}", refused.choose);
    running.stop().await;
}
