//! What is logged, how it looks, and where it goes: stderr, the memory that `/api/system/logs` answers from, and a file a day.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use clap::{Args, ValueEnum};
use service::{SystemClock, logs::LogRing};
use tracing::Metadata;
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{self, MakeWriter, writer::OptionalWriter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::log_collector::Collector;
use crate::log_file::DailyFile;
use crate::log_room::{Format, RoomWriter, Rooms};

/// Parts that say what our own lines say better; whoever names them in LOG_LEVEL hears them.
const QUIET: &str = "actix_server=warn,actix_http::h1::dispatcher=off";

/// What is logged.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Log")]
pub struct LogSettings {
    /// error, warn, info, debug or trace, also by part: info,downloader=debug [default: info, error for shell commands]
    #[arg(long, env, global = true, value_name = "LEVEL", value_parser = level, hide_env_values = true)]
    pub log_level: Option<String>,
    /// How lines look
    #[arg(long, env, global = true, value_name = "FORMAT", value_enum, default_value = "text", hide_env_values = true)]
    pub log_format: LogFormat,
    /// The memory that holds the last lines; the server shows it.
    #[arg(skip)]
    pub ring: LogRing,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends the log to stderr, where it cannot be mixed up with what a command prints, and to the memory. A second call changes
/// nothing.
pub fn start(settings: &LogSettings, default_level: &str) -> LogOnDisk {
    let level = settings.log_level.as_deref().unwrap_or(default_level);
    let filter = EnvFilter::try_new(format!("{QUIET},{level}")).unwrap_or_else(|_| EnvFilter::new(default_level));
    let format = match settings.log_format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    let to_stderr = fmt::layer().with_writer(Rooms::new(io::stderr, SystemClock, format, 0));
    let to_stderr = match settings.log_format {
        LogFormat::Text => to_stderr.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => to_stderr.json().flatten_event(true).boxed(),
    };
    let on_disk = LogOnDisk::default();
    // One JSON object a line, whatever stderr shows: nothing that is logged can begin a line of its own.
    let to_file = fmt::layer().json().flatten_event(true).with_writer(on_disk.clone());
    let collector = Collector::new(settings.ring.clone());
    drop(tracing_subscriber::registry().with(filter).with(to_stderr).with(to_file).with(collector).try_init());
    on_disk
}

/// The log on disk. There is none until somebody asks for it: a call that is refused leaves nothing behind.
#[derive(Clone, Default)]
pub struct LogOnDisk {
    file: Arc<OnceLock<Rooms<NonBlocking, SystemClock>>>,
}

impl<'a> MakeWriter<'a> for LogOnDisk {
    type Writer = OptionalWriter<RoomWriter<'a, NonBlocking, SystemClock>>;

    fn make_writer(&'a self) -> Self::Writer {
        self.file.get().map_or_else(OptionalWriter::none, |rooms| OptionalWriter::some(rooms.make_writer()))
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        self.file.get().map_or_else(OptionalWriter::none, |rooms| OptionalWriter::some(rooms.make_writer_for(metadata)))
    }
}

impl LogOnDisk {
    /// Keeps the log in `folder` too, from now on; what was logged last is on disk when the guard is dropped.
    pub fn keep_in(&self, folder: &Path) -> Option<WorkerGuard> {
        match open(folder) {
            Ok((file, guard)) => self.file.set(file).is_ok().then_some(guard),
            Err(cause) => {
                tracing::warn!(folder = %folder.display(), error = %cause, "the log is not kept on disk");
                None
            }
        }
    }
}

fn open(folder: &Path) -> io::Result<(Rooms<NonBlocking, SystemClock>, WorkerGuard)> {
    let file = DailyFile::open(folder, SystemClock)?;
    let written = file.written();
    let (writer, guard) = tracing_appender::non_blocking(file);
    Ok((Rooms::new(|| writer.clone(), SystemClock, Format::Json, written), guard))
}

fn level(text: &str) -> Result<String, String> {
    let takes = "it takes error, warn, info, debug or trace, also by part: info,downloader=debug";
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|_| takes.to_owned())
}
