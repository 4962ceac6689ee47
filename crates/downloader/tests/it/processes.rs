//! The engine in a process of its own (the example `fetch`, which cargo builds along with this test): two of them on one file, one
//! that is killed, and one whose system calls fail, as on file systems that lack something and on disks that lose what they
//! were given. Where the machine does not let a test trace system calls, those
//! tests are skipped by name, or fail in CI.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use downloader::{Arrival, JobEvent, JobId, Settings};
use test_support::file_server::{Content, FileServer, Gate, Route};
use test_support::requirements::{Requirement, available};

use crate::rig::{MIB, Rig, TIMEOUT, settings};

const SIZE: u64 = 9 * MIB + 321;

/// A folder and a file to fetch into it as `f.bin`, by a process.
struct Trial {
    route: Route,
    rig: Rig,
    /// Whether the process is told its hash.
    known: bool,
}

impl Trial {
    fn new() -> Self {
        let rig = Rig::start();
        std::fs::create_dir(&rig.folder).unwrap();
        Self { route: FileServer::start().file("/f.bin", Content::pattern(47, SIZE)), rig, known: true }
    }

    /// The program and its arguments.
    fn words(&self, options: &[&str]) -> Vec<String> {
        let tests = std::env::current_exe().unwrap();
        let program = tests.parent().and_then(|deps| deps.parent()).unwrap().join("examples/fetch");
        assert!(program.exists(), "build it first: cargo build -p downloader --example fetch");
        let list = self.rig.home.path().join("list");
        let sha256 = if self.known { self.route.sha256() } else { String::new() };
        std::fs::write(&list, format!("{} f.bin {sha256}\n", self.route.url())).unwrap();
        let paths = [&program, &self.rig.folder, &list].map(|path| path.display().to_string());
        paths.into_iter().chain(options.iter().map(|&option| option.to_owned())).collect()
    }

    fn start(&self, options: &[&str]) -> Child {
        let words = self.words(options);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Starts it with calls that fail: each as strace is told, `call:error=NAME`, on one of the files or on all.
    fn start_with(&self, failing: &[&str], on: Option<&str>) -> Child {
        let calls: Vec<_> = failing.iter().map(|call| call.split(':').next().unwrap()).collect();
        let injections = failing.iter().map(|call| format!("inject={call}"));
        self.trace(&calls, injections, on, &["--sync-bytes", "1048576"])
    }

    /// Starts it and writes down these calls, of which some may be told to fail.
    fn trace(
        &self,
        calls: &[&str],
        injections: impl Iterator<Item = String>,
        on: Option<&str>,
        options: &[&str],
    ) -> Child {
        let mut command = Command::new("strace");
        command
            .args(["-f", "-qq", "-y", "-o"])
            .arg(self.traced_to())
            .args(["-e", &format!("trace={}", calls.join(","))]);
        injections.for_each(|injection| _ = command.args(["-e", &injection]));
        if let Some(name) = on {
            command.arg("-P").arg(self.rig.path(name));
        }
        command.arg("--").args(self.words(options));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn traced_to(&self) -> PathBuf {
        self.rig.home.path().join("trace")
    }

    /// Runs it to its end; what it called.
    fn calls_of(&self, calls: &[&str], on: Option<&str>, options: &[&str]) -> Vec<String> {
        let ran = self.trace(calls, std::iter::empty(), on, options).wait_with_output().unwrap();
        assert!(ran.status.success(), "{}", said(&ran.stderr));
        let trace = std::fs::read_to_string(self.traced_to()).unwrap();
        trace.lines().filter(|line| line.contains(" = ")).map(str::to_owned).collect()
    }

    fn assert_whole(&self) {
        self.rig.assert_whole("f.bin", &self.route.content());
    }
}

/// What these calls read, all together.
fn bytes_of(reads: &[String]) -> u64 {
    reads.iter().filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

fn said(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim().to_owned()
}

/// A download whose process was killed after 5 MiB; its server serves the rest.
async fn killed_half_way() -> Trial {
    let trial = Trial::new();
    let gate = trial.route.hold_at(5 * MIB + 1000);
    let mut first = trial.start(&[]);
    until_held(&trial, &gate, 5 * MIB).await;
    first.kill().unwrap();
    first.wait().unwrap();
    gate.open();
    trial
}

/// Lets nothing past a byte, and says when so much has been written to the disk.
async fn until_held(trial: &Trial, gate: &Gate, written: u64) {
    gate.reached().await;
    let part = trial.rig.path("f.bin.part");
    let journalled = async {
        while std::fs::read(&part).map_or(0, |bytes| bytes.len() as u64) < written {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(TIMEOUT, journalled).await.unwrap();
}

fn can_trace() -> bool {
    available(&[Requirement::Tracing])
}

#[tokio::test]
async fn a_second_process_on_the_same_file_waits_and_then_says_so() {
    let mut trial = Trial::new();
    let gate = trial.route.hold_at(4 * MIB);
    trial.rig.enqueue("job", vec![trial.rig.known("f.bin", &trial.route)]).await;
    gate.reached().await;
    let second = trial.start(&["--lock-wait", "100"]).wait_with_output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert_eq!(said(&second.stderr), "f.bin: f.bin is being written by another process or download");
    trial.rig.assert_waits("f.bin");

    let third = trial.start(&[]);
    gate.open();
    assert!(trial.rig.rest("job").await.completed());
    let third = third.wait_with_output().unwrap();
    assert!(third.status.success(), "{}", said(&third.stderr));
    assert_eq!(said(&third.stdout), format!("f.bin {} 0", trial.route.sha256()), "it took what was there");
    assert_eq!(trial.route.body_bytes_sent(), SIZE);
    trial.assert_whole();
}

#[tokio::test]
async fn an_engine_waits_for_another_process_and_takes_over_when_that_is_killed() {
    let trial = Trial::new();
    let gate = trial.route.hold_at(5 * MIB + 1000);
    let mut first = trial.start(&[]);
    until_held(&trial, &gate, 5 * MIB).await;
    let patient = Settings { lock_wait: TIMEOUT, ..settings() };
    let mut second = Rig::on(trial.rig.home.clone(), patient);
    second.enqueue("job", vec![second.known("f.bin", &trial.route)]).await;
    second.until("job", |event| matches!(event, JobEvent::Progress(_))).await;
    first.kill().unwrap();
    first.wait().unwrap();
    gate.open();
    let story = second.rest("job").await;
    assert_eq!((story.outcome().how, story.restarts()), (Arrival::Fetched, vec![]), "{:#?}", story.told());
    let fetched = story.outcome().wire_bytes;
    assert!(fetched <= SIZE - 5 * MIB, "{fetched} bytes: a kill costs the block that was being written");
    trial.assert_whole();
}

#[tokio::test]
async fn a_file_system_that_lacks_something_is_enough() {
    if !can_trace() {
        return;
    }
    let rows: [(&str, &[&str]); 8] = [
        ("nothing", &["fallocate:error=EOPNOTSUPP:when=99"]),
        ("fallocate", &["fallocate:error=EOPNOTSUPP"]),
        ("locks", &["flock:error=ENOLCK"]),
        ("openat2", &["openat2:error=ENOSYS"]),
        ("syncs of folders", &["fsync:error=EINVAL"]),
        ("rename without replacing", &["renameat2:error=EINVAL:when=1"]),
        ("rename without replacing, and links", &["renameat2:error=EINVAL:when=1", "linkat:error=EPERM"]),
        (
            "all of these",
            &[
                "fallocate:error=EOPNOTSUPP",
                "flock:error=ENOLCK",
                "openat2:error=ENOSYS",
                "fsync:error=EINVAL",
                "renameat2:error=EINVAL:when=1",
                "linkat:error=EPERM",
            ],
        ),
    ];
    for (lacking, failing) in rows {
        let trial = Trial::new();
        let ran = trial.start_with(failing, None).wait_with_output().unwrap();
        assert!(ran.status.success() && ran.stderr.is_empty(), "{lacking}: {}", said(&ran.stderr));
        trial.assert_whole();

        // Somebody's file that appears meanwhile is not replaced there either.
        let trial = Trial::new();
        let gate = trial.route.hold_at(4 * MIB);
        let child = trial.start_with(failing, None);
        gate.reached().await;
        std::fs::write(trial.rig.path("f.bin"), b"somebody's").unwrap();
        gate.open();
        let ran = child.wait_with_output().unwrap();
        assert_eq!(ran.status.code(), Some(1), "{lacking}");
        assert_eq!(said(&ran.stderr), "f.bin: f.bin exists already and is not the file asked for", "{lacking}");
        assert_eq!(trial.rig.bytes("f.bin"), b"somebody's", "{lacking}");
    }
}

/// Advice that a sandbox or a file system refuses is no failed sync: what is here still counts.
#[tokio::test]
async fn a_refused_fadvise_costs_no_byte() {
    if !can_trace() {
        return;
    }
    let trial = killed_half_way().await;
    let before = trial.route.body_bytes_sent();
    let ran = trial.start_with(&["fadvise64:error=EPERM"], None).wait_with_output().unwrap();
    assert!(ran.status.success() && ran.stderr.is_empty(), "{}", said(&ran.stderr));
    let fetched = trial.route.body_bytes_sent() - before;
    assert!(fetched <= SIZE - 4 * MIB, "{fetched} bytes");
    trial.assert_whole();
}

/// The journal of a partial file cannot be read, for want of a descriptor or for a fault of the disk: both files stay.
#[tokio::test]
async fn a_journal_that_cannot_be_read_keeps_the_partial_file() {
    if !can_trace() {
        return;
    }
    for (failing, on) in
        [("pread64:error=EIO:when=1", "f.bin.part.journal"), ("openat:error=EMFILE:when=1", "f.bin.part.journal")]
    {
        let trial = killed_half_way().await;
        let before = trial.route.body_bytes_sent();
        let ran = trial.start_with(&[failing], Some(on)).wait_with_output().unwrap();
        if !ran.status.success() {
            trial.rig.assert_waits("f.bin");
            let again = trial.start(&[]).wait_with_output().unwrap();
            assert!(again.status.success(), "{failing}: {}", said(&again.stderr));
        }
        let fetched = trial.route.body_bytes_sent() - before;
        assert!(fetched <= SIZE - 4 * MIB, "{failing}: {fetched} bytes");
        trial.assert_whole();
    }
}

#[tokio::test]
async fn a_sync_that_fails_is_never_taken_for_success() {
    if !can_trace() {
        return;
    }
    // On which file, which call, and what is said of it. `.` is the folder.
    let rows = [
        ("f.bin.part", "fdatasync:error=EIO:when=1", "the disk failed to store data, which is fetched again"),
        ("f.bin.part", "fdatasync:error=EIO", "syncing"),
        (".", "fsync:error=EIO", "syncing the folder of"),
    ];
    for (name, failing, words) in rows {
        let mut trial = Trial::new();
        // Slow enough for syncs to fall due meanwhile.
        trial.route.server().set_rate_per_connection(30_000_000);
        let ran = trial.start_with(&[failing], Some(name)).wait_with_output().unwrap();
        let heard = said(&ran.stderr);
        assert!(heard.contains(words), "{name}, {failing}: {heard:?}, {:?}", ran.status);
        if ran.status.success() {
            assert!(trial.route.body_bytes_sent() > SIZE, "{name}, {failing}: it was fetched again");
        } else {
            // The next run believes nothing that the failed sync covered, and none has succeeded where all fail.
            let story = trial.rig.fetch(trial.rig.known("f.bin", &trial.route)).await;
            assert!(story.completed(), "{name}, {failing}: {:#?}", story.told());
            if failing == "fdatasync:error=EIO" {
                assert_eq!(story.outcome().wire_bytes, SIZE, "{name}, {failing}");
            }
            assert!(trial.rig.downloader.cancel(&JobId::new("job")).await.is_err());
        }
        trial.assert_whole();
    }
}

/// The bytes are on the disk, whether or not the journal is.
#[tokio::test]
async fn journal_whose_sync_fails_costs_no_byte() {
    if !can_trace() {
        return;
    }
    let trial = Trial::new();
    // Slow enough for syncs to fall due meanwhile.
    trial.route.server().set_rate_per_connection(30_000_000);
    let ran = trial.start_with(&["fdatasync:error=EIO:when=1"], Some("f.bin.part.journal")).wait_with_output().unwrap();
    assert!(ran.status.success() && ran.stderr.is_empty(), "{}", said(&ran.stderr));
    assert_eq!(trial.route.body_bytes_sent(), SIZE);
    trial.assert_whole();
}

#[tokio::test]
async fn a_file_that_is_too_large_for_the_file_system_fails_before_it_is_fetched() {
    if !can_trace() {
        return;
    }
    let trial = Trial::new();
    let gate = trial.route.hold_at(0);
    let ran = trial.start_with(&["fallocate:error=EFBIG"], None).wait_with_output().unwrap();
    gate.open();
    assert_eq!(ran.status.code(), Some(1), "{}", said(&ran.stderr));
    let path = trial.rig.path("f.bin");
    let words = format!("f.bin: making room for {} failed: File too large (os error 27)", path.display());
    assert_eq!(said(&ran.stderr), words);
    trial.rig.assert_absent("f.bin");
}

#[tokio::test]
async fn data_is_synced_by_bytes_and_time_and_not_for_each_block() {
    if !can_trace() {
        return;
    }
    let trial = Trial::new();
    let syncs = |options: &[&str]| trial.calls_of(&["fsync", "fdatasync"], None, options).len();
    let at_the_end = syncs(&[]);
    assert!(
        at_the_end <= 4,
        "{at_the_end} syncs: the data, its journal before and after the rest of the hash, the folder"
    );
    std::fs::remove_file(trial.rig.path("f.bin")).unwrap();
    trial.route.server().set_rate_per_connection(30_000_000);
    // Three times on the way at most, the data and its journal each.
    let counted = syncs(&["--sync-bytes", "3145728"]);
    assert!((6..=10).contains(&counted), "{counted} syncs");
    trial.assert_whole();
}

#[tokio::test]
async fn a_resumed_file_is_not_hashed_again_from_its_beginning() {
    if !can_trace() {
        return;
    }
    let mut trial = Trial::new();
    let gate = trial.route.hold_at(6 * MIB);
    trial.rig.enqueue("job", vec![trial.rig.known("f.bin", &trial.route)]).await;
    let arrived = |event: &JobEvent| matches!(event, JobEvent::Progress(tick) if tick.downloaded_bytes == 6 * MIB);
    trial.rig.until("job", arrived).await;
    trial.rig.downloader.pause(&JobId::new("job")).await.unwrap();
    gate.open();
    let read = bytes_of(&trial.calls_of(&["pread64"], Some("f.bin.part"), &[]));
    // What was here is read once, to compare it with its checksums; to hash it too would be twice.
    assert!((6 * MIB..SIZE + 2 * MIB).contains(&read), "{read} bytes of {SIZE} were read");
    trial.assert_whole();
}

#[tokio::test]
async fn a_foreign_part_of_a_gigabyte_is_thrown_away_unread() {
    if !can_trace() {
        return;
    }
    let trial = Trial { known: false, ..Trial::new() };
    std::fs::File::create(trial.rig.path("f.bin.part")).unwrap().set_len(1_000_000_000).unwrap();
    let read = bytes_of(&trial.calls_of(&["pread64"], Some("f.bin.part"), &[]));
    assert!(read <= SIZE + MIB, "{read} bytes were read");
    trial.assert_whole();
}

#[tokio::test]
async fn a_file_that_grows_too_large_for_the_file_system_fails_and_what_is_here_waits() {
    if !can_trace() {
        return;
    }
    // As on a share of a disk with FAT, whose server alone knows the limit.
    let mut trial = Trial::new();
    let failing = ["fallocate:error=EOPNOTSUPP", "pwritev:error=EFBIG:when=9+"];
    let ran = trial.start_with(&failing, Some("f.bin.part")).wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(1), "{}", said(&ran.stderr));
    let path = trial.rig.path("f.bin");
    let words = format!("f.bin: writing {} failed: File too large (os error 27)", path.display());
    assert_eq!(said(&ran.stderr), words);
    trial.rig.assert_waits("f.bin");
    let story = trial.rig.fetch(trial.rig.known("f.bin", &trial.route)).await;
    assert!(story.completed() && story.restarts().is_empty(), "{:#?}", story.told());
    assert!(story.outcome().wire_bytes <= SIZE - MIB, "{} bytes", story.outcome().wire_bytes);
    trial.assert_whole();
}

#[tokio::test]
async fn the_name_of_a_folder_that_is_made_is_on_the_disk_too() {
    if !can_trace() {
        return;
    }
    let trial = Trial::new();
    std::fs::remove_dir(&trial.rig.folder).unwrap();
    let calls = trial.calls_of(&["fsync"], None, &[]);
    for folder in [trial.rig.home.path(), &trial.rig.folder] {
        let synced = |line: &String| line.contains(&format!("<{}>)", folder.display()));
        assert!(calls.iter().any(synced), "{} is not synced: {calls:#?}", folder.display());
    }
}
