//! Looks at the models folders as soon as something changes in them. It only shortens the wait: network volumes tell nobody
//! of changes, and a watch may be refused; the regular scan finds everything all the same.

use std::{path::Path, sync::Arc, time::Duration};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{Error, models::Models, tasks::blocking};

/// How long changes are gathered before the look: a copy of many files is one change.
const GATHER: Duration = Duration::from_millis(500);
/// After a look, so many times its own duration nothing is looked at: a large tree that changes all the time costs a fifth of a disk at most.
const REST: u32 = 4;
/// Endings of files that are not whole yet: they change all the time while something arrives.
const UNFINISHED: [&str; 2] = [".part", ".part.journal"];

/// Watches until the token is cancelled.
pub(crate) async fn run(models: Models, stop: CancellationToken) -> Result<(), Error> {
    let changed = Arc::new(Notify::new());
    let (watched, tells) = (models.clone(), Arc::clone(&changed));
    let watcher = blocking(move || watch(&watched, tells)).await?;
    while watcher.is_some() {
        tokio::select! {
            () = stop.cancelled() => break,
            () = changed.notified() => {}
        }
        if stop.run_until_cancelled(tokio::time::sleep(GATHER)).await.is_none() {
            break;
        }
        let started = Instant::now();
        let found = models.rescan().await?;
        tracing::debug!(added = found.added, removed = found.removed, "the models folder changed and was looked at");
        let _ = stop.run_until_cancelled(tokio::time::sleep(started.elapsed() * REST)).await;
    }
    stop.cancelled().await;
    Ok(())
}

/// The watcher of every folder that can be watched; `None` where none can. Blocks.
fn watch(models: &Models, changed: Arc<Notify>) -> Option<RecommendedWatcher> {
    let tell = move |event: notify::Result<notify::Event>| {
        if event.map_or(true, |event| matters(&event)) {
            changed.notify_one();
        }
    };
    let mut watcher = notify::recommended_watcher(tell).map_err(|cause| refused(Path::new("any"), &cause)).ok()?;
    let roots = models.index.roots();
    let watched = roots.iter().filter(|root| {
        let outcome = watcher.watch(root, RecursiveMode::Recursive);
        outcome.map_err(|cause| refused(root, &cause)).is_ok()
    });
    (watched.count() > 0).then_some(watcher)
}

fn refused(folder: &Path, cause: &notify::Error) {
    tracing::info!(folder = %folder.display(), error = %cause, "a models folder is not watched; it is scanned from time to time");
}

/// Reading changes nothing, and what is unfinished is no model.
fn matters(event: &notify::Event) -> bool {
    let is_unfinished = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        UNFINISHED.iter().any(|ending| name.ends_with(ending))
    };
    !matches!(event.kind, EventKind::Access(_)) && (event.paths.is_empty() || !event.paths.iter().all(is_unfinished))
}
