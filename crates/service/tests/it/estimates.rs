//! Estimates of video memory, when the files that they rest on are changed by hand.

use std::fs::{self, File};

use service::presets::{BytesKnownFrom, Estimate};

use crate::world::{Running, World, content};

const GIB: u64 = 1 << 30;

/// A whole safetensors file of one tensor; a file with a hole takes no room on the disk.
fn place_safetensors(world: &World, path: &str, dtype: &str, number_bytes: u64, bytes: u64) {
    let shape = bytes / number_bytes;
    let head = format!(r#"{{"t":{{"dtype":"{dtype}","shape":[{shape}],"data_offsets":[0,{bytes}]}}}}"#);
    let head = [&(head.len() as u64).to_le_bytes(), head.as_bytes()].concat();
    place_with_hole(world, path, &head, bytes);
}

/// A whole GGUF file of one tensor of so many rows of 256 numbers in Q8_K, which take 292 bytes each.
fn place_gguf(world: &World, path: &str, rows: u64) {
    let name = "blk.0.weight";
    let mut head = b"GGUF".to_vec();
    head.extend(3_u32.to_le_bytes());
    head.extend([1_u64, 0, name.len() as u64].map(u64::to_le_bytes).concat());
    head.extend(name.as_bytes());
    head.extend(2_u32.to_le_bytes());
    head.extend([256, rows].map(u64::to_le_bytes).concat());
    head.extend(15_u32.to_le_bytes());
    head.extend(0_u64.to_le_bytes());
    head.resize(head.len().next_multiple_of(32), 0);
    place_with_hole(world, path, &head, rows * 292);
}

fn place_with_hole(world: &World, path: &str, head: &[u8], more_bytes: u64) {
    world.place(path, head);
    let file = File::options().write(true).open(world.path(path)).unwrap();
    file.set_len(head.len() as u64 + more_bytes).unwrap();
}

async fn estimate(running: &Running) -> Option<Estimate> {
    let lists = running.dashboard.presets.recommendations(None).await.unwrap();
    let found = lists.unknown.into_iter().find(|preset| preset.id.as_str() == "ONE").unwrap();
    assert_eq!(found.vram_gb, None, "an estimate is not what the preset declares");
    found.estimated
}

async fn estimate_after_a_look(running: &Running) -> (f64, BytesKnownFrom) {
    running.dashboard.models.rescan().await.unwrap();
    let found = estimate(running).await.unwrap();
    (found.vram_gb, found.known_from)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_heads_of_installed_files_say_how_much_video_memory_their_weights_take() {
    let mut world = World::new();
    let url = world.file("a", "a.safetensors", &content(1, 1_000));
    world.preset("ONE", "1.0.0", &[("unet/a_fp16.safetensors", &url), ("vae/b.gguf", &url.replace("a.s", "b.s"))]);
    let running = world.start().await;
    // As the registry states: 1 GB and 1 GB, so 1.0 + 1.0 + 1.5 + 0.1.
    assert_eq!(estimate_after_a_look(&running).await, (3.5, BytesKnownFrom::Statement));

    // The name says 16 bits, the head says 32, and ComfyUI keeps half of that: 2.0 + 1.0 + 1.5 + 0.2. The VAE is only stated.
    place_safetensors(&world, "unet/a_fp16.safetensors", "F32", 4, 4 * GIB);
    assert_eq!(estimate_after_a_look(&running).await, (5.0, BytesKnownFrom::Statement));

    // 292 bytes a row: 2.0 + 2.0 + 1.5 + 0.2.
    place_gguf(&world, "vae/b.gguf", 2 * GIB / 292);
    assert_eq!(estimate_after_a_look(&running).await, (6.0, BytesKnownFrom::Header));
    let basis = estimate(&running).await.unwrap().basis;
    assert!(basis.contains("a_fp16.safetensors 2.0 GiB, 32-bit"), "{basis}");
    assert!(basis.ends_with("from headers of the installed files"), "{basis}");

    // The same bytes as 8-bit numbers all stay in memory: 4.0 + 2.0 + 1.5 + 0.4.
    place_safetensors(&world, "unet/a_fp16.safetensors", "F8_E4M3", 1, 4 * GIB);
    assert_eq!(estimate_after_a_look(&running).await, (8.0, BytesKnownFrom::Header));

    // A file that is cut short is not the one that the preset asks for.
    let cut = File::options().write(true).open(world.path("unet/a_fp16.safetensors")).unwrap();
    cut.set_len(4 * GIB).unwrap();
    assert_eq!(estimate_after_a_look(&running).await, (5.0, BytesKnownFrom::Statement));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_is_read_once_and_again_only_when_size_time_or_inode_change() {
    let mut world = World::new();
    let url = world.file("a", "a.safetensors", &content(1, 1_000));
    world.preset("ONE", "1.0.0", &[("unet/a.safetensors", &url)]);
    let place = |dtype, number_bytes| place_safetensors(&world, "unet/a.safetensors", dtype, number_bytes, 4 * GIB);
    place("F32", 4);
    let running = world.start().await;
    assert_eq!(estimate_after_a_look(&running).await.0, 4.0);
    let path = world.path("unet/a.safetensors");
    let modified = fs::metadata(&path).unwrap().modified().unwrap();

    // Both heads are equally long: with the old time, nothing tells the files apart.
    place("F16", 2);
    let file = File::options().write(true).open(&path).unwrap();
    file.set_modified(modified).unwrap();
    assert_eq!(estimate_after_a_look(&running).await.0, 4.0);
    file.set_modified(modified + std::time::Duration::from_secs(1)).unwrap();
    assert_eq!(estimate_after_a_look(&running).await.0, 6.0);
    running.stop().await;
}
