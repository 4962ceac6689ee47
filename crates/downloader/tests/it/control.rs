//! Limits that change while bytes arrive, and random sequences of everything that can be asked or go wrong.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use downloader::{CommandError, Existing, FileJob, Job, JobEvent, JobId, JobState, PauseReason, Settings};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use test_support::file_server::{Content, FileServer, Route, When};

use crate::rig::{MIB, Rig, TIMEOUT, settings};

#[tokio::test]
async fn rate_limits_hold_and_can_be_lifted_meanwhile() {
    let route = FileServer::start().file("/f", Content::pattern(81, 3 * MIB));
    let mut rig = Rig::with(Settings { rate_limit: Some(4 * MIB), ..settings() });
    let start = Instant::now();
    assert!(rig.fetch(rig.known("a", &route)).await.completed());
    let limited = start.elapsed();
    assert!(limited >= Duration::from_millis(450), "{limited:?}");

    rig.downloader.set_global_rate_limit(None);
    let job = Job { rate_limit: Some(20_000), ..Job::new(JobId::new("slow"), vec![rig.known("b", &route)]) };
    rig.downloader.enqueue(job).await.unwrap();
    rig.until("slow", |event| matches!(event, JobEvent::Progress(_))).await;
    rig.downloader.set_rate_limit(&JobId::new("slow"), None).await.unwrap();
    // Under the limit it would take minutes, far longer than this waits.
    assert!(rig.rest("slow").await.completed());
}

#[tokio::test]
async fn a_limit_that_is_set_while_bytes_arrive_holds_at_once_and_is_lifted_at_once() {
    for global in [true, false] {
        let route = FileServer::start().file("/f", Content::pattern(84, 4 * MIB));
        let gate = route.hold_at(MIB);
        // Silence is given up soon, and shown as a stall sooner; what a limit holds back is no stall.
        let mut rig = Rig::with(Settings { stall_timeout: Duration::from_millis(600), ..settings() });
        rig.enqueue("job", vec![rig.known("f", &route)]).await;
        gate.reached().await;
        let downloader = rig.downloader.clone();
        let limit = |limit: Option<u64>| {
            let downloader = downloader.clone();
            async move {
                match global {
                    true => downloader.set_global_rate_limit(limit),
                    false => downloader.set_rate_limit(&JobId::new("job"), limit).await.unwrap(),
                }
            }
        };
        limit(Some(1)).await;
        gate.open();
        // Twenty ticks are time enough for all of it, without a limit, and for a stall to show.
        let ticks = AtomicUsize::new(0);
        let twentieth = |event: &JobEvent| matches!(event, JobEvent::Progress(_)) && ticks.fetch_add(1, Relaxed) == 20;
        let story = rig.until("job", twentieth).await;
        let Some(JobEvent::Progress(tick)) = story.events.last() else { panic!("{:#?}", story.told()) };
        assert!(tick.downloaded_bytes < 2 * MIB, "global {global}: {}", tick.downloaded_bytes);
        assert!(!tick.stalled, "global {global}: it is held back, not stalled");
        limit(None).await;
        assert!(rig.rest("job").await.completed());
        rig.assert_whole("f", &route.content());
        assert_eq!(route.requests().len(), 1, "a connection that is held back is not given up");
    }
}

#[tokio::test]
async fn all_jobs_share_the_global_limit_and_all_files_of_a_job_its_own() {
    const RATE: u64 = 8 * MIB;
    for global in [true, false] {
        // Four files at once, each over a connection of its own: as four jobs, or as one.
        let server = FileServer::start();
        let routes: Vec<_> = (0..4).map(|n| server.file(&format!("/{n}"), Content::pattern(85 + n, 2 * MIB))).collect();
        let settings = Settings { max_concurrent_downloads: 4, rate_limit: global.then_some(RATE), ..settings() };
        let mut rig = Rig::with(settings);
        let files = routes.iter().map(|route| rig.known(&route.path()[1..], route)).collect::<Vec<_>>();
        let jobs: Vec<_> = if global { files.into_iter().map(|file| vec![file]).collect() } else { vec![files] };
        let (began, count) = (Instant::now(), jobs.len());
        for (n, files) in jobs.into_iter().enumerate() {
            let rate_limit = (!global).then_some(RATE);
            let job = Job { rate_limit, ..Job::new(JobId::new(format!("job {n}")), files) };
            rig.downloader.enqueue(job).await.unwrap();
        }
        for _ in 0..count {
            let story = rig.any(|event| matches!(event, JobEvent::Completed | JobEvent::Failed { .. })).await;
            assert!(story.completed(), "{:#?}", story.told());
        }
        // A second's worth, less what may have been saved up; four times as fast if each had a limit of its own.
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(750), "global {global}: {took:?}");
        routes.iter().for_each(|route| rig.assert_whole(&route.path()[1..], &route.content()));
    }
}

#[tokio::test]
async fn a_job_under_a_strict_limit_pauses_at_once() {
    let route = FileServer::start().file("/f", Content::pattern(82, 3 * MIB));
    let mut rig = Rig::start();
    let id = JobId::new("job");
    let job = Job { rate_limit: Some(1000), ..Job::new(id.clone(), vec![rig.known("f", &route)]) };
    rig.downloader.enqueue(job).await.unwrap();
    rig.until("job", |event| matches!(event, JobEvent::FileStarted { .. })).await;
    // What is on its way by then would take minutes under the limit.
    let paused = tokio::time::timeout(TIMEOUT, rig.downloader.pause(&id)).await;
    assert_eq!(paused.expect("the pause waits for the limit"), Ok(JobState::Paused(PauseReason::Requested)));
}

#[tokio::test]
async fn a_body_that_never_ends_holds_up_neither_a_whole_file_nor_a_pause() {
    const SIZE: u64 = 2 * MIB;
    let patient = || Settings { stall_timeout: Duration::from_secs(3600), ..settings() };
    let endless = |route: Route| route.chunked(When::Always).stall_after(SIZE, When::Always);
    // The range says where it ends.
    let route = endless(FileServer::start().file("/f", Content::pattern(87, SIZE)));
    let mut rig = Rig::with(patient());
    assert!(rig.fetch(rig.known("f", &route)).await.completed());
    rig.assert_whole("f", &route.content());

    // Nothing says so, and more bytes would show that it is another file.
    let route = endless(FileServer::start().file("/f", Content::pattern(88, SIZE)).ignore_range(When::Always));
    let mut rig = Rig::with(patient());
    rig.enqueue("job", vec![FileJob { size: Some(SIZE), ..rig.known("f", &route) }]).await;
    rig.until("job", |event| matches!(event, JobEvent::Progress(tick) if tick.downloaded_bytes == SIZE)).await;
    let id = JobId::new("job");
    let paused = tokio::time::timeout(TIMEOUT, rig.downloader.pause(&id)).await;
    assert_eq!(paused.expect("a pause waits for nobody"), Ok(JobState::Paused(PauseReason::Requested)));
    rig.rest("job").await;
    rig.downloader.resume(&id).await.unwrap();
    assert!(rig.rest("job").await.completed(), "all of it was here");
    rig.assert_whole("f", &route.content());
    assert_eq!(route.requests().len(), 1);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Pause,
    Resume,
    /// The engine is shut down, and another one started.
    Restart,
    /// The engine is gone from one moment to the next.
    Kill,
    Wait,
}

/// What happens to one file.
#[derive(Debug, Clone)]
struct Life {
    size: u64,
    hash_is_known: bool,
    /// Each connection ends after so many bytes, and how.
    cut_after: u64,
    reset: bool,
    steps: Vec<Step>,
    cancel: bool,
}

fn lives() -> impl Strategy<Value = Life> {
    let step = (0..5_usize).prop_map(|n| [Step::Pause, Step::Resume, Step::Restart, Step::Kill, Step::Wait][n]);
    let server = (1..9 * MIB, any::<bool>(), 200_000..3 * MIB, any::<bool>());
    (server, proptest::collection::vec(step, 0..10), any::<bool>()).prop_map(|(server, steps, cancel)| {
        let (size, hash_is_known, cut_after, reset) = server;
        Life { size, hash_is_known, cut_after, reset, steps, cancel }
    })
}

/// Carries a life out; in the end the file is whole, or the folder clean.
async fn live(life: Life) {
    let route = FileServer::start().file("/f", Content::pattern(83, life.size)).rate(60_000_000, When::Always);
    match life.reset {
        true => route.reset_after(life.cut_after, When::Always),
        false => route.cut_after(life.cut_after, When::Always),
    };
    let file = |rig: &Rig| if life.hash_is_known { rig.known("f", &route) } else { rig.file("f", &route.url()) };
    let mut rig = Rig::start();
    let id = JobId::new("job");
    rig.enqueue("job", vec![file(&rig)]).await;
    // Nothing is wrong with the bytes, so what was journalled once stays.
    let mut journalled = 0;
    for step in life.steps {
        let answer = match step {
            Step::Pause => {
                let paused = rig.downloader.pause(&id).await;
                if paused.is_ok() {
                    journalled = journalled_bytes(&rig, journalled);
                }
                paused.map(drop)
            }
            Step::Resume => rig.downloader.resume(&id).await.map(drop),
            Step::Wait => {
                for _ in 0..1_000 {
                    tokio::task::yield_now().await;
                }
                Ok(())
            }
            Step::Restart | Step::Kill => {
                let home = if matches!(step, Step::Kill) { rig.kill().await } else { rig.shutdown().await };
                rig = Rig::on(home, settings());
                journalled = journalled_bytes(&rig, journalled);
                rig.enqueue("job", vec![again(file(&rig))]).await;
                Ok(())
            }
        };
        let ended = Err(CommandError::UnknownJob(id.clone()));
        assert!(answer.is_ok() || answer == ended, "{answer:?}");
    }
    if life.cancel {
        match rig.downloader.cancel(&id).await {
            Ok(_) if !rig.path("f").exists() => return rig.assert_absent("f"),
            Ok(_) | Err(CommandError::UnknownJob(_)) => {}
            Err(error) => panic!("{error}"),
        }
    } else if rig.downloader.resume(&id).await.is_ok() {
        let done = |event: &JobEvent| matches!(event, JobEvent::Completed | JobEvent::Failed { .. });
        let story = rig.until("job", done).await;
        assert!(story.completed(), "{:#?}", story.told());
    }
    rig.assert_whole("f", &route.content());
}

/// What the journal of the partial file believes, while nobody writes it; no less than before, unless the file is whole.
fn journalled_bytes(rig: &Rig, before: u64) -> u64 {
    if rig.path("f").exists() {
        return 0;
    }
    let journal = std::fs::read(rig.path("f.part.journal")).unwrap_or_default();
    let mut blocks = BTreeMap::new();
    let mut rest = journal.get(8..).unwrap_or_default();
    let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
    while let Some((length, record)) = rest.split_first_chunk::<4>()
        && let Some((body, after)) = record.split_at_checked(u32::from_le_bytes(*length) as usize)
    {
        match body[0] {
            1 => blocks.clear(),
            2 => _ = blocks.insert(number(&body[1..5]), u64::from(number(&body[5..9]))),
            3 => _ = blocks.remove(&number(&body[1..5])),
            _ => {}
        }
        rest = after.get(4..).unwrap_or_default();
    }
    let now = blocks.values().sum();
    assert!(now >= before, "{before} bytes were journalled, {now} are");
    now
}

/// The job of an earlier engine, which may have ended unheard: a file that is there is the one that was wanted.
fn again(file: FileJob) -> FileJob {
    FileJob { existing: Existing::Share, ..file }
}

#[test]
fn any_sequence_of_pause_resume_restart_kill_and_cut_ends_whole_or_clean() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // The same lives each time, so that a failure can be repeated; others by this variable.
    let seed = std::env::var("CONTROL_SEED").map_or(0, |seed| seed.parse::<u64>().unwrap());
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let outcome = runner.run(&lives(), |life| {
        runtime.block_on(live(life));
        Ok(())
    });
    outcome.unwrap();
}
