//! Installing a preset: one way for the API, the socket, the shell and the presets named at the start.

use std::{collections::HashSet, time::Duration};

use downloader::{Facts, SourceUrl};
use futures_util::{StreamExt, stream};
use registry::{ModelFile, Preset, PresetId};

use super::{InstallOptions, InstallStarted, Presets, definition, plan::Plan, situation::Situation};
use crate::{
    Error,
    downloads::store::DownloadInsert,
    downloads::{DownloadState, DownloadView, address::full_address},
    ids,
};

/// How many servers are asked for sizes at once.
const QUESTIONS_AT_ONCE: usize = 32;

impl Presets {
    /// Begins the install of a preset, or says which download is at it already. Answers before the files arrive.
    pub async fn install(&self, id: &PresetId, options: InstallOptions) -> Result<InstallStarted, Error> {
        let catalog = self.catalogue.current();
        let Some(preset) = catalog.get(id).cloned() else { return Err(Error::PresetNotFound(id.to_string())) };
        if let Some(running) = self.running(id).await? {
            return Ok(self.started(&preset, running));
        }
        let wanted: Vec<Preset> = catalog.install_order(id).into_iter().cloned().collect();
        let situation = Situation::load(&self.downloads.store).await?;
        let paths: Vec<_> = wanted.iter().flat_map(|preset| situation.all_paths(preset)).collect();
        self.look_at(&paths).await?;
        self.ask_for_sizes(wanted.iter().flat_map(|preset| &preset.files), options.force).await?;
        let _planning = self.downloads.planning.lock().await;
        if let Some(running) = self.running(id).await? {
            return Ok(self.started(&preset, running));
        }
        let situation = Situation::load(&self.downloads.store).await?;
        self.refuse_if_complete(&preset, &wanted, options, &situation)?;
        let unfinished = self.downloads.store.unfinished_downloads().await?;
        let plan = Plan::make(self, &wanted, options, &situation, &unfinished)?;
        self.downloads.space.check(&plan.files, &unfinished).await?;
        let download = DownloadInsert {
            id: ids::new_download_id(),
            preset_id: Some(id.to_string()),
            definition: Some(definition::list_to_json(&wanted)),
            priority: options.priority,
            warnings: plan.warnings,
            files: plan.files,
            created_at: self.downloads.clock.now(),
        };
        let view = self.downloads.begin(&download).await?;
        let requested: Vec<String> = wanted.iter().map(|preset| preset.id.to_string()).collect();
        self.downloads.store.request_presets(&requested, self.downloads.clock.now()).await?;
        Ok(self.started(&preset, view))
    }

    async fn running(&self, id: &PresetId) -> Result<Option<DownloadView>, Error> {
        let stored = self.downloads.store.unfinished_download_of(id.as_str()).await?;
        Ok(stored.map(|stored| self.downloads.view(&stored)))
    }

    fn started(&self, preset: &Preset, view: DownloadView) -> InstallStarted {
        let left = view.total_bytes.map(|total| total.saturating_sub(view.downloaded_bytes));
        let rate = self.downloads.live.bytes_per_second().filter(|rate| *rate > 0);
        InstallStarted {
            preset_id: preset.id.clone(),
            download_id: view.id,
            state: view.state,
            total_bytes: view.total_bytes.or(preset.stated_size),
            estimated_seconds: left.zip(rate).map(|(left, rate)| left.div_ceil(rate)),
            warnings: view.warnings,
        }
    }

    /// Nothing to do: every file, those of the dependencies included, is here, and no newer version is known.
    fn refuse_if_complete(
        &self,
        preset: &Preset,
        wanted: &[Preset],
        options: InstallOptions,
        situation: &Situation,
    ) -> Result<(), Error> {
        let complete = |preset: &Preset| preset.files.iter().all(|file| self.index.fit(file).is_here());
        let current = wanted.iter().all(|preset| !situation.is_outdated(preset));
        if options.force || !current || !wanted.iter().all(complete) {
            return Ok(());
        }
        Err(Error::PresetAlreadyInstalled(preset.id.clone()))
    }

    /// Asks the servers for the sizes that are not known, or that may have changed since a file was last asked for, all
    /// at once and for a short time. Those that do not answer are asked again when the file starts.
    pub(crate) async fn ask_for_sizes<'a>(
        &self,
        wanted: impl Iterator<Item = &'a ModelFile>,
        all: bool,
    ) -> Result<(), Error> {
        let mut asked = HashSet::new();
        let is_known = |file: &ModelFile| {
            self.index.fit(file).is_here()
                && self.index.facts(&full_address(&file.url)).is_some_and(|facts| facts.size_bytes.is_some())
        };
        let unknown: Vec<&ModelFile> =
            wanted.filter(|file| all || !is_known(file)).filter(|file| asked.insert(full_address(&file.url))).collect();
        let question = |file: &ModelFile| {
            let (engine, url) = (self.downloads.engine.clone(), file.url.clone());
            async move {
                let source = SourceUrl::parse(&url).ok()?;
                engine.probe(std::slice::from_ref(&source)).await.ok()
            }
        };
        let answers = stream::iter(unknown.into_iter().map(question)).buffer_unordered(QUESTIONS_AT_ONCE);
        for facts in within(self.downloads.question_timeout, answers).await {
            self.downloads.learn(&facts).await?;
        }
        Ok(())
    }
}

/// What comes out of a stream before the time is up.
async fn within(limit: Duration, answers: impl futures_util::Stream<Item = Option<Facts>>) -> Vec<Facts> {
    let mut came = Vec::new();
    let deadline = tokio::time::sleep(limit);
    tokio::pin!(answers, deadline);
    loop {
        tokio::select! {
            () = &mut deadline => return came,
            answer = answers.next() => match answer {
                Some(answer) => came.extend(answer),
                None => return came,
            },
        }
    }
}

impl InstallStarted {
    /// Whether the download that does it is at work.
    pub fn is_running(&self) -> bool {
        self.state != DownloadState::Paused
    }
}
