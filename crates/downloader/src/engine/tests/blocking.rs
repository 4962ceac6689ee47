//! No call that may hang on a dead volume is made on a thread that runs tasks.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::ThreadId;
use std::time::Duration;

use test_support::file_server::{Content, FileServer};

use crate::geometry::{BLOCK, Geometry};
use crate::storage::fs::{Access, Disk, Folder, OpenFile, Room, Standing};
use crate::storage::unix::UnixDisk;
use crate::transfer::world::World;
use crate::{Destination, Downloader, FileJob, Job, JobEvent, JobId, PrivateSources, Settings, SourceUrl};

const TIMEOUT: Duration = Duration::from_secs(30);

/// The machine's own disk, which panics where it is asked by the thread of the test: all tasks run there.
#[derive(Debug)]
struct Elsewhere {
    disk: UnixDisk,
    tasks: ThreadId,
    /// What the file system says of its room.
    is_full: bool,
    /// How often it was asked for that.
    asked: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct ElsewhereFolder {
    folder: Box<dyn Folder>,
    tasks: ThreadId,
    is_full: bool,
    asked: Arc<AtomicUsize>,
}

fn look(tasks: ThreadId, call: &str) {
    assert_ne!(std::thread::current().id(), tasks, "{call} blocks the thread that runs all tasks");
}

impl Disk for Elsewhere {
    fn open_parent(&self, destination: &Destination, make: bool) -> io::Result<Box<dyn Folder>> {
        look(self.tasks, "opening a folder");
        let folder = self.disk.open_parent(destination, make)?;
        let asked = Arc::clone(&self.asked);
        Ok(Box::new(ElsewhereFolder { folder, tasks: self.tasks, is_full: self.is_full, asked }))
    }

    fn open_anywhere(&self, path: &Path) -> io::Result<Box<dyn OpenFile>> {
        look(self.tasks, "opening a file");
        self.disk.open_anywhere(path)
    }
}

impl Folder for ElsewhereFolder {
    fn standing(&self, name: &str) -> io::Result<Standing> {
        look(self.tasks, "looking at a name");
        self.folder.standing(name)
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn OpenFile>> {
        look(self.tasks, "opening a file");
        self.folder.open(name, access)
    }

    fn remove(&self, name: &str) -> io::Result<bool> {
        look(self.tasks, "removing a file");
        self.folder.remove(name)
    }

    fn rename(&self, from: &str, to: &str, replace: bool) -> io::Result<()> {
        look(self.tasks, "renaming a file");
        self.folder.rename(from, to, replace)
    }

    fn link(&self, file: &Path, name: &str) -> io::Result<()> {
        look(self.tasks, "linking a file");
        self.folder.link(file, name)
    }

    fn sync(&self) -> io::Result<()> {
        look(self.tasks, "syncing a folder");
        self.folder.sync()
    }

    fn room(&self) -> io::Result<Room> {
        look(self.tasks, "asking for room");
        self.asked.fetch_add(1, Relaxed);
        let room = self.folder.room()?;
        Ok(if self.is_full { Room { free: 0, ..room } } else { room })
    }
}

/// A file that is fetched, and one for which there is no room: the job waits, and room is looked for.
#[tokio::test]
async fn no_task_waits_for_a_file_system() {
    let route = FileServer::start().file("/f.bin", Content::pattern(92, 40 * BLOCK));
    for is_full in [false, true] {
        let settings = Settings {
            private_sources: PrivateSources::All,
            min_free_space: 0,
            storage_poll: Duration::from_millis(1),
            ..Settings::default()
        };
        let mut world = World::real(&settings).expect("the settings are sound");
        world.geometry = Geometry::SMALL;
        let (tasks, asked) = (std::thread::current().id(), Arc::<AtomicUsize>::default());
        world.disk = Arc::new(Elsewhere { disk: UnixDisk::default(), tasks, is_full, asked: Arc::clone(&asked) });
        let (downloader, mut updates, engine) = Downloader::in_world(settings, world);
        let engine = tokio::spawn(engine);
        let folder = tempfile::tempdir().expect("a folder can be made");
        let destination = Destination::new(folder.path(), "f.bin").expect("a name");
        let source = SourceUrl::parse(&route.url()).expect("a link");
        let job = Job::new(JobId::new("job"), vec![FileJob::new(destination, vec![source])]);
        downloader.enqueue(job).await.expect("the name is free");
        loop {
            match updates.recv().await.expect("the engine lives").event {
                JobEvent::Failed { error, .. } => panic!("{error}"),
                JobEvent::Completed => break assert!(!is_full),
                JobEvent::Paused(_) => {
                    assert!(is_full);
                    let looked_for = async {
                        while asked.load(Relaxed) < 5 {
                            tokio::task::yield_now().await;
                        }
                    };
                    tokio::time::timeout(TIMEOUT, looked_for).await.expect("nobody looks for room");
                    break;
                }
                _ => {}
            }
        }
        let shutdown = tokio::spawn(async move { downloader.shutdown().await });
        while updates.recv().await.is_some() {}
        shutdown.await.expect("it ends");
        engine.await.expect("it ends by itself");
    }
}
