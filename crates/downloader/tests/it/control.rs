//! Limits that change while bytes arrive, and random sequences of everything that can be asked or go wrong.

use std::sync::Arc;
use std::time::{Duration, Instant};

use downloader::{CommandError, Job, JobEvent, JobId, Settings};
use proptest::prelude::*;
use test_support::file_server::{Content, FileServer, When};

use crate::rig::{MIB, Rig, settings};

#[tokio::test]
async fn rate_limits_hold_and_can_be_lifted_meanwhile() {
    let route = FileServer::start().file("/f", Content::pattern(81, 3 * MIB));
    let mut rig = Rig::with(Settings { rate_limit: Some(4 * MIB), ..settings() });
    let start = Instant::now();
    assert!(rig.fetch(rig.known("a", &route)).await.completed());
    let limited = start.elapsed();
    assert!((Duration::from_millis(450)..Duration::from_secs(4)).contains(&limited), "{limited:?}");

    rig.downloader.set_global_rate_limit(0).await.unwrap();
    let job = Job { rate_limit: Some(20_000), ..Job::new(JobId::new("slow"), vec![rig.known("b", &route)]) };
    rig.downloader.enqueue(job).await.unwrap();
    rig.until("slow", |event| matches!(event, JobEvent::Progress(_))).await;
    rig.downloader.set_rate_limit(&JobId::new("slow"), None).await.unwrap();
    let lifted = Instant::now();
    assert!(rig.rest("slow").await.completed());
    assert!(lifted.elapsed() < Duration::from_secs(8), "{:?}", lifted.elapsed());
}

#[tokio::test]
async fn a_job_under_a_strict_limit_pauses_at_once() {
    let route = FileServer::start().file("/f", Content::pattern(82, 3 * MIB));
    let mut rig = Rig::start();
    let id = JobId::new("job");
    let job = Job { rate_limit: Some(1000), ..Job::new(id.clone(), vec![rig.known("f", &route)]) };
    rig.downloader.enqueue(job).await.unwrap();
    rig.until("job", |event| matches!(event, JobEvent::FileStarted { .. })).await;
    let start = Instant::now();
    rig.downloader.pause(&id).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Pause,
    Resume,
    Restart,
    Wait,
}

fn steps() -> impl Strategy<Value = (Vec<Step>, bool, u64, u64)> {
    let step = prop_oneof![Just(Step::Pause), Just(Step::Resume), Just(Step::Restart), Just(Step::Wait)];
    (proptest::collection::vec(step, 0..10), any::<bool>(), 200_000..3 * MIB, 1..9 * MIB)
}

/// Carries a sequence out over a server that cuts every answer; in the end the file is whole, or the folder clean.
async fn carry_out(steps: Vec<Step>, cancel: bool, cut_after: u64, size: u64) {
    let route = FileServer::start()
        .file("/f", Content::pattern(83, size))
        .cut_after(cut_after, When::Always)
        .rate(60_000_000, When::Always);
    let mut rig = Rig::start();
    let id = JobId::new("job");
    rig.enqueue("job", vec![rig.known("f", &route)]).await;
    for step in steps {
        let answer = match step {
            Step::Pause => rig.downloader.pause(&id).await.map(drop),
            Step::Resume => rig.downloader.resume(&id).await.map(drop),
            Step::Wait => {
                for _ in 0..1_000 {
                    tokio::task::yield_now().await;
                }
                Ok(())
            }
            Step::Restart => {
                rig = Rig::on(rig.shutdown().await, settings());
                rig.enqueue("job", vec![rig.known("f", &route)]).await;
                Ok(())
            }
        };
        let ended = Err(CommandError::UnknownJob(id.clone()));
        assert!(answer.is_ok() || answer == ended, "{answer:?}");
    }
    if cancel {
        match rig.downloader.cancel(&id).await {
            Ok(_) if !rig.path("f").exists() => return rig.assert_absent("f"),
            Ok(_) | Err(CommandError::UnknownJob(_)) => {}
            Err(error) => panic!("{error}"),
        }
    } else if rig.downloader.resume(&id).await.is_ok() {
        let done = |event: &JobEvent| matches!(event, JobEvent::Completed | JobEvent::Failed { .. });
        assert!(rig.until("job", done).await.completed());
    }
    rig.assert_whole("f", &route.content());
}

#[test]
fn any_sequence_of_pause_resume_restart_and_cut_ends_whole_or_clean() {
    let runtime = Arc::new(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&steps(), |(steps, cancel, cut_after, size)| {
        runtime.block_on(carry_out(steps, cancel, cut_after, size));
        Ok(())
    });
    outcome.unwrap();
}
