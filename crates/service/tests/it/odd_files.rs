//! What else may lie in the models folder: pipes, links that lead out, files that never end. None of it holds up the rest, and
//! nothing outside is touched.

use std::{fs, os::unix::fs::symlink, path::Path, sync::Arc, sync::atomic::AtomicUsize, sync::atomic::Ordering};

use rustix::fs::{CWD, Mode, RenameFlags, mkfifoat, renameat_with};
use service::{Error, events::Event, jobs::JobState, models::ValidateOptions, presets::PresetState};

use crate::world::{TIMEOUT, World, content, preset_id};

/// A file that takes no room and hours to read.
fn place_endless(world: &World, model: &str) {
    world.place(model, b"");
    fs::File::options().write(true).open(world.path(model)).unwrap().set_len(1 << 40).unwrap();
}

/// How often this process has a file open.
fn opened(path: &Path) -> usize {
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
    open.filter(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == path)).count()
}

async fn until(wanted: impl Fn() -> bool) {
    let watch = async {
        let mut look = tokio::time::interval(std::time::Duration::from_millis(5));
        while !wanted() {
            look.tick().await;
        }
    };
    tokio::time::timeout(TIMEOUT, watch).await.expect("it is as wanted in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_is_no_model_and_holds_up_nobody_who_asks_for_it() {
    let world = World::new();
    world.place("loras/one.bin", b"12345");
    mkfifoat(CWD, world.path("loras/pipe.bin"), Mode::RUSR | Mode::WUSR).unwrap();
    let running = world.start().await;
    let asked = tokio::time::timeout(TIMEOUT, running.dashboard.models.detail("loras/pipe.bin"));
    let answer = asked.await.expect("it is answered in time").map(|detail| detail.view.path);
    assert!(matches!(answer, Err(Error::ModelNotFound(_))), "{answer:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_number_of_validations_leaves_room_for_the_rest_and_those_that_nobody_waits_for_end() {
    let world = World::new();
    world.place("loras/one.bin", b"12345");
    place_endless(&world, "vae/endless.bin");
    let running = world.start().await;
    let models = &running.dashboard.models;
    let begun = Arc::new(AtomicUsize::new(0));
    let validations: Vec<_> = (0..600)
        .map(|_| {
            let (models, begun) = (models.clone(), Arc::clone(&begun));
            tokio::spawn(async move {
                begun.fetch_add(1, Ordering::Relaxed);
                models.validate(ValidateOptions::default()).await.map(drop)
            })
        })
        .collect();
    let endless = world.path("vae/endless.bin").canonicalize().unwrap();
    until(|| begun.load(Ordering::Relaxed) == 600 && opened(&endless) > 0).await;
    for _ in 0..50 {
        // This one waits its turn at the database behind those that have begun.
        running.dashboard.downloads.unfinished().await.unwrap();
        let asked = tokio::time::timeout(TIMEOUT, models.detail("loras/one.bin"));
        asked.await.expect("it is answered in time").unwrap();
    }
    validations.iter().for_each(tokio::task::JoinHandle::abort);
    until(|| opened(&endless) == 0).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_cancelled_says_so_once() {
    let world = World::new();
    place_endless(&world, "vae/endless.bin");
    let running = world.start().await;
    let mut events = running.dashboard.bus.subscribe();
    let (models, jobs) = (&running.dashboard.models, running.dashboard.jobs.clone());
    let job = models.validate_in_background(ValidateOptions::default()).await.unwrap();
    let endless = world.path("vae/endless.bin").canonicalize().unwrap();
    until(|| opened(&endless) > 0).await;
    for _ in 0..3 {
        assert_eq!(jobs.cancel(&job.id).unwrap().state, JobState::Cancelled);
    }
    // The stop waits for the job's own end.
    running.stop().await;
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let Event::JobProgress(job) = event {
            told.push(job.state);
        }
    }
    let ends = told.iter().filter(|state| **state != JobState::Running).count();
    assert_eq!((ends, told.last()), (1, Some(&JobState::Cancelled)), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leads_out_of_the_models_folder_stays_when_its_preset_goes() {
    let mut world = World::new();
    let (own, mine) = (content(1, 1_000), content(2, 2_000));
    let (own_url, linked_url) = (world.file("a", "a.bin", &own), world.file("b", "b.bin", &mine));
    world.preset("ONE", "1.0.0", &[("loras/linked.bin", &linked_url), ("vae/own.bin", &own_url)]);
    let running = world.start().await;
    running.install_whole("ONE").await;
    let outside = world.models().parent().unwrap().join("outside.bin");
    fs::rename(world.path("loras/linked.bin"), &outside).unwrap();
    symlink(&outside, world.path("loras/linked.bin")).unwrap();
    let presets = &running.dashboard.presets;
    let gone = presets.uninstall(&preset_id("ONE"), false).await.unwrap();
    assert_eq!((gone.removed, gone.kept), (vec!["vae/own.bin".to_owned()], vec!["loras/linked.bin".to_owned()]));
    assert_eq!(fs::read(&outside).unwrap(), mine.to_vec());
    assert_eq!(presets.status(&preset_id("ONE")).await.unwrap().state, PresetState::NotInstalled);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_updates_that_leads_out_of_the_models_folder_is_left_alone() {
    let world = World::new();
    let outside = world.models().parent().unwrap().join("theirs");
    fs::create_dir_all(outside.join("photos")).unwrap();
    fs::write(outside.join("photos/one.jpg"), b"keep me").unwrap();
    fs::create_dir_all(world.models()).unwrap();
    symlink(&outside, world.path(".updates")).unwrap();
    let running = world.start().await;
    assert_eq!(fs::read(outside.join("photos/one.jpg")).unwrap(), b"keep me");
    running.stop().await;
}

/// Somebody exchanges a folder with a link that leads outside, over and over, while files below it are deleted.
#[tokio::test(flavor = "multi_thread")]
async fn deletion_never_follows_a_folder_swapped_for_a_link() {
    let world = World::new();
    let outside = world.models().parent().unwrap().join("theirs");
    fs::create_dir_all(&outside).unwrap();
    let names: Vec<String> = (0..200).map(|number| format!("{number}.bin")).collect();
    for name in &names {
        world.place(&format!("loras/folder/{name}"), b"ours");
        fs::write(outside.join(name), b"theirs").unwrap();
    }
    world.place("loras/folder/stays.bin", b"ours");
    symlink(&outside, world.path("loras/link")).unwrap();
    let running = world.start().await;
    let stop = Arc::new(AtomicUsize::new(0));
    let swapper = std::thread::spawn({
        let (stop, folder, link) = (Arc::clone(&stop), world.path("loras/folder"), world.path("loras/link"));
        move || {
            let mut swaps = 0;
            while stop.load(Ordering::Relaxed) == 0 {
                renameat_with(CWD, &folder, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                swaps += 1;
            }
            swaps
        }
    });
    let mut deleted = 0;
    for name in &names {
        let done = running.dashboard.models.delete(&[format!("loras/folder/{name}")], false).await;
        deleted += done.map_or(0, |done| done.deleted);
    }
    stop.store(1, Ordering::Relaxed);
    let swaps: u64 = swapper.join().unwrap();
    assert!(swaps > 100 && deleted > 0, "{swaps} swaps, {deleted} deleted");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), names.len(), "nothing outside is gone");
    running.stop().await;
}
