//! Downloads as they arrive, for the person at the shell: a bar for each file and one in all, or plain lines where nobody
//! looks.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::time::Instant;

use super::{CliError, backend::Backend, print, print::escaped};
use crate::dto::downloads::{DownloadDetail, DownloadFile, DownloadState, FileState};
use crate::dto::units::{size_text, speed_text};

/// How often the downloads are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How often a plain line says how far things are.
const LINE: Duration = Duration::from_secs(10);
const FILE_BAR: &str = "  {msg:44!} {bar:24} {bytes:>10} / {total_bytes:10} {bytes_per_sec:>12}";
const TOTAL_BAR: &str = "{msg:46!} {bar:24} {bytes:>10} / {total_bytes:10} {bytes_per_sec:>12} {eta}";

/// Waits until every download has ended and says how each went. The downloads come with the names that the person knows.
pub(super) async fn follow(
    backend: &Backend,
    downloads: &[(String, String)],
    stop: impl Future<Output = ()>,
) -> Result<(), CliError> {
    let mut stop = std::pin::pin!(stop);
    let mut screen = Screen::new();
    let mut failures = Vec::new();
    for (name, id) in downloads {
        loop {
            let detail = tokio::select! {
                detail = backend.get_download(id) => detail?,
                () = &mut stop => return Err(CliError::Interrupted(backend.on_interrupt())),
            };
            screen.show(name, &detail);
            if let Some(outcome) = outcome_of(name, &detail) {
                screen.end(name, outcome.as_ref().err());
                failures.extend(outcome.err());
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = &mut stop => return Err(CliError::Interrupted(backend.on_interrupt())),
            }
        }
    }
    if !failures.is_empty() {
        return Err(CliError::Failed(failures.join("; ")));
    }
    screen.unprinted.map_or(Ok(()), Err)
}

/// How a download ended, if it did.
fn outcome_of(name: &str, detail: &DownloadDetail) -> Option<Result<(), String>> {
    match detail.download.status {
        DownloadState::Completed => Some(Ok(())),
        DownloadState::Cancelled => Some(Err(format!("{name} was cancelled"))),
        DownloadState::Failed => {
            let reason = detail.download.error.as_ref().map_or("the download failed", |error| &error.message);
            Some(Err(format!("{name}: {reason}")))
        }
        DownloadState::Queued | DownloadState::Downloading | DownloadState::Verifying | DownloadState::Paused => None,
    }
}

/// What the person sees.
struct Screen {
    bars: Option<MultiProgress>,
    total: Option<ProgressBar>,
    files: HashMap<String, ProgressBar>,
    told: HashSet<String>,
    last_line: Option<Instant>,
    /// Why a line could not be printed. The download goes on.
    unprinted: Option<CliError>,
}

impl Screen {
    fn new() -> Self {
        let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self { bars, total: None, files: HashMap::new(), told: HashSet::new(), last_line: None, unprinted: None }
    }

    fn print(&mut self, text: impl Display) {
        if let Err(cause) = print::line(text) {
            self.unprinted.get_or_insert(cause);
        }
    }

    fn show(&mut self, name: &str, detail: &DownloadDetail) {
        match self.bars.clone() {
            Some(bars) => self.draw(&bars, name, detail),
            None => self.say(name, detail),
        }
    }

    fn draw(&mut self, bars: &MultiProgress, name: &str, detail: &DownloadDetail) {
        for file in detail.file_details.iter().filter(|file| file.status != FileState::Pending) {
            let bar = self.files.entry(file.path.clone()).or_insert_with(|| {
                let bar = bars.add(styled(FILE_BAR));
                bar.set_message(escaped(&file.path));
                bar
            });
            bar.set_length(file.total_bytes.unwrap_or(file.downloaded_bytes));
            bar.set_position(file.downloaded_bytes);
            if matches!(file.status, FileState::Completed | FileState::Failed) {
                bar.finish();
            }
        }
        let total = self.total.get_or_insert_with(|| bars.add(styled(TOTAL_BAR)));
        total.set_message(escaped(&format!("{name}: {}", standing(detail))));
        total.set_length(detail.download.total_bytes.unwrap_or(detail.download.downloaded_bytes));
        total.set_position(detail.download.downloaded_bytes);
    }

    fn say(&mut self, name: &str, detail: &DownloadDetail) {
        for file in detail.file_details.iter().filter(|file| file.status == FileState::Completed) {
            if self.told.insert(format!("{name} {}", file.path)) {
                self.print(format_args!("{name}: {} is here ({})", file.path, size_text(whole(file))));
            }
        }
        if self.last_line.is_none_or(|last| last.elapsed() >= LINE) {
            self.last_line = Some(Instant::now());
            self.print(format_args!("{name}: {}", standing(detail)));
        }
    }

    fn end(&mut self, name: &str, failure: Option<&String>) {
        let text = failure.map_or_else(|| format!("{name} is here, whole and verified"), Clone::clone);
        match (self.bars.take(), self.total.take()) {
            (Some(bars), total) => {
                total.iter().for_each(ProgressBar::finish_and_clear);
                let _ = bars.println(escaped(&text));
                self.bars = Some(bars);
            }
            (None, _) => self.print(text),
        }
        self.files.drain().for_each(|(_, bar)| bar.finish_and_clear());
        self.last_line = None;
    }
}

fn whole(file: &DownloadFile) -> u64 {
    file.total_bytes.unwrap_or(file.downloaded_bytes)
}

/// Where a download stands, in a few words.
fn standing(detail: &DownloadDetail) -> String {
    let download = &detail.download;
    let word = match download.status {
        DownloadState::Queued => "queued",
        DownloadState::Downloading if download.stalled => "asking the server anew",
        DownloadState::Downloading => "downloading",
        DownloadState::Verifying => "verifying",
        DownloadState::Paused => match download.error.as_ref() {
            Some(error) => return format!("paused: {}", error.message),
            None => "paused",
        },
        DownloadState::Completed => "completed",
        DownloadState::Failed => "failed",
        DownloadState::Cancelled => "cancelled",
    };
    let speed = download.speed_bytes_per_second.map(|speed| format!(", {}", speed_text(speed))).unwrap_or_default();
    format!("{word}, {:.1} %{speed}", download.progress)
}

fn styled(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style.progress_chars("=> "))
}
