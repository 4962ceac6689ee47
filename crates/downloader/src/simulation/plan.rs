//! What one seed plays: the files, how they are known, who has them, and in which jobs they are asked for.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::chance::Chance;
use super::disk::MemoryDisk;
use super::internet::Internet;
use super::page::{Page, Validator};
use crate::geometry::BLOCK;
use crate::{Destination, Existing, FileJob, Job, JobId, Settings, Sha256Digest, SourceUrl};

/// Everything that is asked for.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    pub(crate) jobs: Vec<Job>,
    /// By path.
    pub(crate) files: BTreeMap<String, PlannedFile>,
}

/// One destination.
#[derive(Debug)]
pub(crate) struct PlannedFile {
    urls: Vec<String>,
    /// Versions that were ever published; each is right, none mixed.
    pub(crate) versions: Vec<Vec<u8>>,
    /// What was there before and is to be replaced.
    pub(crate) old: Option<Vec<u8>>,
    may_change: bool,
    /// A version of it had another validator in each answer: to a run that met those, they may say nothing any more.
    has_lied: bool,
}

pub(crate) fn sha256(bytes: &[u8]) -> Sha256Digest {
    Sha256Digest(Sha256::digest(bytes).into())
}

impl Plan {
    pub(crate) fn by(chance: &Chance, disk: &MemoryDisk, internet: &Internet) -> Self {
        let settings = Settings {
            max_concurrent_downloads: 1 + chance.index(3),
            connections_per_download: 1 + chance.index(8),
            sync_bytes: BLOCK * chance.one_of(&[2, 16, 64]),
            min_free_space: 0,
            ..Settings::default()
        };
        let mut plan = Self { settings, jobs: Vec::new(), files: BTreeMap::new() };
        for job in 0..=chance.index(3) {
            let files = (0..=chance.index(4)).map(|file| plan.file(job, file, chance, disk, internet)).collect();
            plan.jobs.push(Job::new(JobId::new(format!("job{job}")), files));
        }
        let shared = chance.happens(0.2).then(|| plan.jobs[0].files[0].clone());
        if let Some(shared) = shared.filter(|file| file.existing == Existing::Share) {
            plan.jobs.push(Job::new(JobId::new("sharer"), vec![shared]));
        }
        plan
    }

    fn file(&mut self, job: usize, file: usize, chance: &Chance, disk: &MemoryDisk, internet: &Internet) -> FileJob {
        let destination = Destination::new("models", &format!("job{job}/f{file}.bin")).expect("a name");
        let path = destination.to_string();
        let content = chance.bytes(size_by(chance));
        let named = chance.happens(0.2);
        let hash_is_known = named || chance.happens(0.5);
        let asked_hash = (hash_is_known && (!named || chance.happens(0.5))).then(|| sha256(&content));
        let page = Page {
            content: content.clone().into(),
            validator: validator_by(chance, 0),
            gives_ranges: chance.happens(0.9),
            states_length: chance.happens(0.9),
            signs_links: named || chance.happens(0.3),
            names_hash: named.then(|| sha256(&content)),
            hash_is_known,
        };
        let first = if named { "https://huggingface.co/org/repo/resolve/main" } else { "https://files.example" };
        let mut urls = vec![format!("{first}/job{job}/f{file}.bin")];
        urls.extend((0..chance.index(3)).map(|mirror| format!("https://mirror{mirror}.example/job{job}/f{file}.bin")));
        // The last one may be down for good.
        let dead = usize::from(urls.len() > 1 && chance.happens(0.3));
        for (index, url) in urls[..urls.len() - dead].iter().enumerate() {
            let names_hash = page.names_hash.filter(|_| index == 0);
            let hash_is_known = asked_hash.is_some() || names_hash.is_some();
            internet.publish(url, Page { names_hash, hash_is_known, ..page.clone() });
        }
        let mut sources: Vec<_> = urls.iter().map(|url| SourceUrl::parse(url).expect("a URL")).collect();
        let first = chance.index(sources.len());
        sources.rotate_left(first);
        let mut asked = FileJob::new(destination, sources);
        asked.sha256 = asked_hash;
        asked.size = chance.happens(0.3).then_some(content.len() as u64);
        let recognised = asked.sha256.is_some() || asked.size.is_some();
        let unrecognised = [Existing::Share, Existing::Replace];
        let any = [Existing::Share, Existing::Replace, Existing::Keep];
        asked.existing = chance.one_of(if recognised { &any[..] } else { &unrecognised[..] });
        let old = (asked.existing == Existing::Replace && chance.happens(0.3))
            .then(|| chance.bytes(1 + chance.number(0..5000)));
        if let Some(old) = &old {
            disk.place(&path, old.clone());
        }
        let may_change = !hash_is_known && asked.size.is_none() && chance.happens(0.5);
        self.files.insert(path, PlannedFile { urls, versions: vec![content], old, may_change, has_lied: false });
        asked
    }

    /// The owner of a file publishes a new version of it: of another size, unless its validators tell the versions apart.
    pub(crate) fn publish_another(&mut self, chance: &Chance, internet: &Internet) {
        let mut changing: Vec<_> = self.files.values_mut().filter(|file| file.may_change).collect();
        if changing.is_empty() {
            return;
        }
        let which = chance.index(changing.len());
        let file = &mut changing[which];
        let number = file.versions.len();
        let pages: Vec<_> = file.urls.iter().filter_map(|url| Some((url, internet.page(url)?))).collect();
        file.has_lied |= matches!(pages[0].1.validator, Validator::Random);
        // After two changes in one run, told truly or not, the size alone is compared. A range that is ignored looks like a
        // change where there is but a date.
        let most_changes = if matches!(pages[0].1.validator, Validator::Date(_)) { 1 } else { 2 };
        let comparable = number <= most_changes && !file.has_lied;
        let told_apart = pages[0].1.validator.of_version(number).filter(|_| comparable && chance.happens(0.5));
        let longest = file.versions.iter().map(|version| version.len() as u64).max().unwrap_or(0);
        let content = chance.bytes(if told_apart.is_some() { longest } else { longest + 1 });
        let validator = told_apart.unwrap_or_else(|| validator_by(chance, number));
        for (url, page) in pages {
            let new = Page { content: content.clone().into(), validator: validator.clone(), ..page };
            internet.publish(url, new);
        }
        file.versions.push(content);
    }

    /// Bytes of all first versions.
    pub(crate) fn total(&self) -> u64 {
        self.files.values().map(|file| file.versions[0].len() as u64).sum()
    }
}

impl PlannedFile {
    /// Whether these bytes may stand under the final name.
    pub(crate) fn is_right(&self, bytes: &[u8]) -> bool {
        self.versions.iter().any(|version| version == bytes)
    }
}

/// Sizes around the boundaries that matter: nothing much, blocks, small files, large ones.
fn size_by(chance: &Chance) -> u64 {
    let blocks = chance.one_of(&[0, 1, 2, 4, 5, 16, 32, 33, 64, 120]) * BLOCK;
    match chance.index(3) {
        0 => blocks + chance.number(1..BLOCK),
        1 => blocks + 1,
        _ => blocks.max(2) - 1,
    }
}

fn validator_by(chance: &Chance, version: usize) -> Validator {
    match chance.index(8) {
        0 => Validator::None,
        1 => Validator::Random,
        2 => Validator::Weak(version),
        3 => Validator::Date(version),
        _ => Validator::Strong(version),
    }
}
