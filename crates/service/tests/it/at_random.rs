//! Many people who do whatever comes to their mind, all at once: nobody is told of a fault of ours, and in the end all is as it
//! should be.

use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    slice,
};

use futures_util::future::join_all;
use service::{
    Error, MayReplace,
    downloads::{DownloadQuery, DownloadState, NewDownload, Place, Priority},
    models::{ModelQuery, ValidateOptions},
    presets::{InstallOptions, PresetState},
};
use test_support::file_server::{Always, Content};

use crate::world::{Running, World, content, preset_id};

const PRESETS: [&str; 3] = ["ONE", "TWO", "THREE"];
const FILES: [&str; 4] = ["vae/shared.bin", "loras/one.bin", "loras/two.bin", "loras/three.bin"];
const PEOPLE: u64 = 6;
const WISHES: u64 = 40;

/// The same numbers in every run.
struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.thrown += 1;
        let number = BuildHasherDefault::<DefaultHasher>::default().hash_one((self.seed, self.thrown));
        usize::try_from(number % most as u64).unwrap()
    }

    fn one_of<'a>(&mut self, names: &[&'a str]) -> &'a str {
        names[self.below(names.len())]
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}

/// Three presets: two share a file, and the third needs the first.
fn world() -> (World, Vec<(String, Content)>) {
    let mut world = World::new();
    let mut files = Vec::new();
    let mut links = Vec::new();
    for (number, path) in FILES.iter().enumerate() {
        let content = content(number as u64 + 1, 150_000);
        let name = path.rsplit('/').next().unwrap();
        let file = world.hub.large_file(&format!("acme/{number}"), name, content.clone());
        drop(file.cdn.rate(3_000_000, Always));
        links.push(format!("https://huggingface.co/acme/{number}/resolve/main/{name}"));
        files.push(((*path).to_owned(), content));
    }
    world.preset("ONE", "1.0.0", &[(FILES[0], &links[0]), (FILES[1], &links[1])]);
    world.preset("TWO", "1.0.0", &[(FILES[0], &links[0]), (FILES[2], &links[2])]);
    world.preset("THREE", "1.0.0", &[(FILES[3], &links[3])])["dependencies"] = ["ONE"].into();
    (world, files)
}

/// One wish, and what was wished for.
async fn wish(running: &Running, dice: &mut Dice) -> (String, Result<(), Error>) {
    let dashboard = &running.dashboard;
    let (downloads, presets, models) = (&dashboard.downloads, &dashboard.presets, &dashboard.models);
    let (preset, path) = (preset_id(dice.one_of(&PRESETS)), dice.one_of(&FILES).to_owned());
    let known = downloads.list(&DownloadQuery::default()).await.unwrap().page.items;
    let download = if known.is_empty() { String::new() } else { known[dice.below(known.len())].id.clone() };
    let kind = dice.below(11);
    let outcome = match kind {
        0 | 1 => {
            let (force, refetch, may_replace) = (dice.coin(), dice.below(4) == 0, MayReplace::Any);
            let options = InstallOptions { force, refetch, may_replace, ..InstallOptions::default() };
            presets.install(&preset, options).await.map(drop)
        }
        2 => presets.uninstall(&preset, dice.coin()).await.map(drop),
        3 => downloads.pause(&download).await.map(drop),
        4 | 5 => downloads.resume(&download).await.map(drop),
        6 => downloads.cancel(&download).await.map(drop),
        7 => models.delete(slice::from_ref(&path), false).await.map(drop),
        8 => downloads.repair(slice::from_ref(&path), MayReplace::Any).await.map(drop),
        9 => models.validate(ValidateOptions { preset: Some(preset.clone()), ..Default::default() }).await.map(drop),
        _ => {
            let url = "https://huggingface.co/acme/0/resolve/main/shared.bin".to_owned();
            let place = Place::Path(path.clone());
            let link = NewDownload {
                urls: vec![url],
                place,
                sha256: None,
                size_bytes: None,
                priority: Priority::High,
                overwrite: dice.coin(),
                may_replace: MayReplace::Any,
            };
            downloads.add(link).await.map(drop)
        }
    };
    (format!("{kind}: {preset} {path} {download}"), outcome)
}

/// Ends what is paused and waits for the rest.
async fn come_to_rest(running: &Running) {
    for view in running.dashboard.downloads.unfinished().await.unwrap() {
        if view.state == DownloadState::Paused {
            running.dashboard.downloads.cancel(&view.id).await.unwrap();
        }
        running.end_of(&view.id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_many_people_do_at_once_ends_in_order() {
    for seed in 0..4 {
        let (world, files) = world();
        let running = world.start().await;
        let people = (0..PEOPLE).map(|number| {
            let running = &running;
            async move {
                let mut dice = Dice { seed: seed * PEOPLE + number, thrown: 0 };
                for _ in 0..WISHES {
                    let (wish, outcome) = wish(running, &mut dice).await;
                    assert!(!matches!(outcome, Err(Error::Internal(_))), "seed {seed}: {wish}: {outcome:?}");
                }
            }
        });
        join_all(people).await;
        come_to_rest(&running).await;

        let (models, presets) = (&running.dashboard.models, &running.dashboard.presets);
        let left: Vec<String> =
            FILES.iter().filter(|path| world.path(path).exists()).map(|path| (*path).to_owned()).collect();
        if !left.is_empty() {
            assert_eq!(models.delete(&left, false).await.unwrap().errors.len(), 0);
        }
        for preset in PRESETS {
            let ended = running.install_whole(preset).await;
            assert_eq!(ended.state, DownloadState::Completed, "seed {seed}: {ended:?}");
        }
        for preset in PRESETS {
            let status = presets.status(&preset_id(preset)).await.unwrap();
            assert_eq!(status.state, PresetState::Installed, "seed {seed}: {preset}");
        }
        let list = models.list(&ModelQuery::default()).await.unwrap().page;
        for (path, content) in &files {
            assert!(world.holds(path, content), "seed {seed}: {path}");
            let listed = list.items.iter().find(|model| model.path == *path);
            assert!(listed.is_some_and(|model| model.size_bytes == content.size()), "seed {seed}: {listed:?}");
        }
        assert_eq!(world.everything().len(), files.len(), "seed {seed}: {:?}", world.everything());
        running.stop().await;
    }
}
