//! Who runs when: places, priorities, positions, and the words for jobs that are not there.

use downloader::{
    CommandError, Existing, FileJob, Job, JobEvent, JobId, JobState, PauseReason, Priority, Settings, TransferError,
};
use test_support::file_server::{Content, FileServer, Switch, When};

use crate::rig::{MIB, Rig, settings};

fn one_at_a_time() -> Settings {
    Settings { max_concurrent_downloads: 1, ..settings() }
}

#[tokio::test]
async fn jobs_run_by_priority_then_position_then_order_of_asking() {
    let server = FileServer::start();
    let first = server.file("/first", Content::pattern(71, 2 * MIB));
    let gate = first.hold_at(MIB);
    let rig = Rig::with(one_at_a_time());
    rig.enqueue("first", vec![rig.known("first", &first)]).await;
    gate.reached().await;
    let waiting = [
        ("low", Priority::Low, -9),
        ("second", Priority::Normal, 5),
        ("third", Priority::Normal, 5),
        ("before", Priority::Normal, 1),
        ("raised", Priority::Low, 0),
        ("moved", Priority::Normal, 9),
    ];
    for (name, priority, position) in waiting {
        let route = server.file(&format!("/{name}"), Content::pattern(72, 1000));
        let files = vec![rig.known(name, &route)];
        let job = Job { priority, position, ..Job::new(JobId::new(name), files) };
        rig.downloader.enqueue(job).await.unwrap();
    }
    rig.downloader.set_priority(&JobId::new("raised"), Priority::High).await.unwrap();
    rig.downloader.set_position(&JobId::new("moved"), 0).await.unwrap();
    gate.open();
    let all = |seen: &[test_support::file_server::Request]| seen.len() == 7;
    server.wait_for(all).await;
    let order: Vec<_> = server.requests().iter().map(|request| request.path().to_owned()).collect();
    assert_eq!(order, ["/first", "/raised", "/moved", "/before", "/second", "/third", "/low"]);
}

#[tokio::test]
async fn as_many_jobs_run_at_once_as_there_are_places_each_over_the_connections_it_may_have() {
    const JOBS: usize = 5;
    const PLACES: usize = 2;
    const CONNECTIONS: usize = 3;
    let server = FileServer::start();
    let gate = server.hold_after_total(0);
    let mut rig =
        Rig::with(Settings { max_concurrent_downloads: PLACES, connections_per_download: CONNECTIONS, ..settings() });
    let routes: Vec<_> =
        (0..JOBS as u64 * 6).map(|n| server.file(&format!("/{n}"), Content::pattern(n, 9_000))).collect();
    for (n, routes) in routes.chunks(6).enumerate() {
        let files = routes.iter().map(|route| rig.known(&route.path()[1..], route)).collect();
        rig.enqueue(&format!("job {n}"), files).await;
    }
    server.wait_for(|requests| requests.len() == PLACES * CONNECTIONS).await;
    // Time enough for more, if there were any.
    for _ in 0..10 {
        rig.any(|event| matches!(event, JobEvent::Progress(_))).await;
    }
    assert_eq!((server.requests().len(), server.connections_open()), (PLACES * CONNECTIONS, PLACES * CONNECTIONS));
    gate.open();
    for _ in 0..JOBS {
        let story = rig.any(|event| matches!(event, JobEvent::Completed | JobEvent::Failed { .. })).await;
        assert!(story.completed(), "{:#?}", story.told());
    }
    routes.iter().for_each(|route| rig.assert_whole(&route.path()[1..], &route.content()));
}

#[tokio::test]
async fn a_paused_job_waits_for_its_resume_and_gives_its_place_to_others() {
    let server = FileServer::start();
    let slow = server.file("/slow", Content::pattern(73, 2 * MIB));
    let gate = slow.hold_at(MIB);
    let quick = server.file("/quick", Content::pattern(74, 1000));
    let mut rig = Rig::with(one_at_a_time());
    rig.enqueue("slow", vec![rig.known("slow", &slow)]).await;
    rig.enqueue("quick", vec![rig.known("quick", &quick)]).await;
    let paused = Job { paused: true, ..Job::new(JobId::new("born paused"), vec![rig.known("third", &quick)]) };
    rig.downloader.enqueue(paused).await.unwrap();
    gate.reached().await;
    let id = JobId::new("slow");
    assert_eq!(rig.downloader.pause(&id).await.unwrap(), JobState::Paused(PauseReason::Requested));
    assert!(rig.rest("quick").await.completed());
    gate.open();
    assert_eq!(rig.downloader.resume(&id).await.unwrap(), JobState::Queued);
    assert!(rig.rest("slow").await.completed());
    assert!(!rig.path("third").exists());
    rig.downloader.resume(&JobId::new("born paused")).await.unwrap();
    assert!(rig.rest("born paused").await.completed());
}

#[tokio::test]
async fn commands_on_what_is_not_there_are_refused_in_words() {
    let rig = Rig::start();
    let id = JobId::new("nobody");
    let unknown = CommandError::UnknownJob(id.clone());
    assert_eq!(rig.downloader.pause(&id).await.unwrap_err(), unknown);
    assert_eq!(rig.downloader.resume(&id).await.unwrap_err(), unknown);
    assert_eq!(rig.downloader.cancel(&id).await.unwrap_err(), unknown);
    assert_eq!(rig.downloader.set_priority(&id, Priority::High).await.unwrap_err(), unknown);
    let file = rig.file("f", "http://127.0.0.1/f");
    let unfit = [
        (vec![], "it names no file"),
        (vec![FileJob { sources: vec![], ..file.clone() }], "one of its files names no source"),
        (vec![FileJob { size: Some(u64::MAX), ..file }], "one of its files is larger than any that is taken"),
    ];
    for (files, words) in unfit {
        let refused = rig.downloader.enqueue(Job::new(id.clone(), files)).await.unwrap_err();
        assert_eq!(refused.to_string(), format!("download nobody cannot be taken: {words}"));
    }
    let downloader = rig.downloader.clone();
    rig.shutdown().await;
    assert_eq!(downloader.pause(&id).await.unwrap_err(), CommandError::Stopped);
    downloader.shutdown().await;
}

#[tokio::test]
async fn a_name_is_taken_until_its_job_has_ended() {
    let route = FileServer::start().file("/f", Content::pattern(75, MIB)).status(404, When::Times(1));
    let mut rig = Rig::start();
    rig.enqueue("job", vec![rig.known("f", &route)]).await;
    let again = rig.downloader.enqueue(Job::new(JobId::new("job"), vec![rig.known("f", &route)])).await;
    assert_eq!(again.unwrap_err(), CommandError::AlreadyThere(JobId::new("job")));
    rig.rest("job").await.error();
    rig.enqueue("job", vec![rig.known("f", &route)]).await;
    assert!(rig.rest("job").await.completed());
}

#[tokio::test]
async fn a_failed_job_resumes_with_what_is_missing() {
    let server = FileServer::start();
    let mended = Switch::new();
    let good = server.file("/good", Content::pattern(76, 1000));
    let bad = server.file("/bad", Content::pattern(77, 1000)).status(404, When::Until(mended.clone()));
    let mut rig = Rig::start();
    rig.enqueue("job", vec![rig.known("good", &good), rig.known("bad", &bad)]).await;
    rig.rest("job").await.error();
    mended.throw();
    rig.downloader.resume(&JobId::new("job")).await.unwrap();
    assert!(rig.rest("job").await.completed());
    assert_eq!(good.requests().len(), 1);
    rig.assert_whole("bad", &bad.content());
}

#[tokio::test]
async fn two_jobs_that_share_a_file_fetch_it_once() {
    let route = FileServer::start().file("/f", Content::pattern(78, 3 * MIB));
    let gate = route.hold_at(MIB);
    let mut rig = Rig::start();
    let shared = FileJob { existing: Existing::Share, ..rig.file("f", &route.url()) };
    rig.enqueue("one", vec![shared.clone()]).await;
    rig.enqueue("two", vec![shared]).await;
    gate.reached().await;
    // Longer than a foreign holder of the file would be waited for.
    tokio::time::timeout(settings().lock_wait * 2, rig.until("two", |_| false)).await.unwrap_err();
    gate.open();
    assert!(rig.rest("one").await.completed());
    let story = rig.rest("two").await;
    assert_eq!(story.outcome().how, downloader::Arrival::AlreadyWhole);
    assert_eq!(route.requests().len(), 1);
}

#[tokio::test]
async fn a_file_that_another_job_fetches_does_not_hold_up_the_others_of_a_job() {
    let server = FileServer::start();
    let route = server.file("/f", Content::pattern(84, 40 * MIB));
    let other = server.file("/other", Content::pattern(85, MIB));
    let gate = route.hold_at(MIB);
    let mut rig = Rig::with(Settings { connections_per_download: 1, ..settings() });
    let shared = FileJob { existing: Existing::Share, size: Some(40 * MIB), ..rig.file("f", &route.url()) };
    rig.enqueue("one", vec![shared.clone()]).await;
    gate.reached().await;
    rig.enqueue("two", vec![shared, rig.file("other", &other.url())]).await;
    rig.until("two", |event| matches!(event, JobEvent::FileCompleted { file: 1, .. })).await;
    gate.open();
    assert!(rig.rest("one").await.completed());
    assert!(rig.rest("two").await.completed());
    assert_eq!(route.body_bytes_sent(), 40 * MIB, "it is fetched once");
}

/// A job that failed goes on with nothing: a cancel of another one for the same file removes what is here of it.
#[tokio::test]
async fn cancel_removes_a_part_that_only_a_failed_job_left() {
    let route = FileServer::start().file("/f", Content::pattern(68, 4 * MIB)).cut_after(2 * MIB, When::Nth(1));
    let route = route.status(404, When::After(1));
    let mut rig = Rig::start();
    let story = rig.fetch(rig.known("f", &route)).await;
    assert!(matches!(story.error(), TransferError::NotFound { .. }), "{}", story.error());
    rig.assert_waits("f");
    let retry = Job { paused: true, ..Job::new(JobId::new("retry"), vec![rig.known("f", &route)]) };
    rig.downloader.enqueue(retry).await.unwrap();
    assert!(rig.downloader.cancel(&JobId::new("retry")).await.unwrap(), "nothing was removed");
    rig.assert_absent("f");
}

#[tokio::test]
async fn failed_jobs_are_kept_up_to_a_bound() {
    let route = FileServer::start().file("/f", Content::pattern(69, 10)).status(404, When::Always);
    let mut rig = Rig::start();
    for n in 0..102 {
        let id = format!("job {n}");
        rig.enqueue(&id, vec![rig.known(&id, &route)]).await;
        assert!(matches!(rig.rest(&id).await.events.last(), Some(JobEvent::Failed { .. })));
    }
    let resumed = async |n: u32| rig.downloader.resume(&JobId::new(format!("job {n}"))).await;
    assert_eq!(resumed(0).await, Err(CommandError::UnknownJob(JobId::new("job 0"))));
    assert!(resumed(2).await.is_ok() && resumed(101).await.is_ok());
}

#[tokio::test]
async fn a_cancel_leaves_what_another_job_still_wants() {
    let route = FileServer::start().file("/f", Content::pattern(80, 6 * MIB));
    let gate = route.hold_at(4 * MIB);
    let mut rig = Rig::start();
    let shared = FileJob { existing: Existing::Share, ..rig.file("f", &route.url()) };
    rig.enqueue("one", vec![shared.clone()]).await;
    rig.until("one", |event| matches!(event, JobEvent::Progress(tick) if tick.downloaded_bytes == 4 * MIB)).await;
    rig.downloader.pause(&JobId::new("one")).await.unwrap();
    rig.rest("one").await;
    gate.open();
    let two = Job { paused: true, ..Job::new(JobId::new("two"), vec![shared]) };
    rig.downloader.enqueue(two).await.unwrap();
    assert!(!rig.downloader.cancel(&JobId::new("two")).await.unwrap(), "it is not its to remove");
    rig.assert_waits("f");
    rig.downloader.resume(&JobId::new("one")).await.unwrap();
    let story = rig.rest("one").await;
    assert!(story.completed());
    rig.assert_whole("f", &route.content());
    assert_eq!(story.outcome().wire_bytes, 2 * MIB);
}

#[tokio::test]
async fn a_shutdown_parks_what_runs() {
    let route = FileServer::start().file("/f", Content::pattern(79, 6 * MIB));
    let gate = route.hold_at(4 * MIB + 5);
    let mut rig = Rig::start();
    rig.enqueue("job", vec![rig.known("f", &route)]).await;
    rig.until("job", |event| matches!(event, JobEvent::Progress(tick) if tick.downloaded_bytes == 4 * MIB + 5)).await;
    let home = rig.shutdown().await;
    gate.open();
    let mut rig = Rig::on(home, settings());
    let story = rig.fetch(rig.known("f", &route)).await;
    assert!(story.completed());
    rig.assert_whole("f", &route.content());
    assert_eq!(story.outcome().wire_bytes, 2 * MIB - 5, "every byte that had arrived is kept");
}
