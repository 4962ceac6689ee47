//! Validating and repairing models: what a file is compared with, what is remembered of it, and how many read the library.

use std::{fs, os::unix::fs::PermissionsExt, os::unix::process::CommandExt, process::Command};

use service::{
    Error,
    jobs::JobState,
    models::{FindingCode, IntegrityState, ModelQuery, Safety, ValidateOptions, ValidationReport},
};
use test_support::file_server::Content;

use crate::world::{Running, TIMEOUT, World, content};

fn safetensors(n: usize) -> Vec<u8> {
    let head = format!("{{\"t\":{{\"dtype\":\"U8\",\"shape\":[{n}],\"data_offsets\":[0,{n}]}}}}");
    [(head.len() as u64).to_le_bytes().as_slice(), head.as_bytes(), &vec![7; n]].concat()
}

/// A file that takes no room and hours to read.
fn place_endless(world: &World, model: &str) {
    world.place(model, b"");
    fs::File::options().write(true).open(world.path(model)).unwrap().set_len(1 << 40).unwrap();
}

async fn validate(running: &Running) -> ValidationReport {
    running.dashboard.models.validate(ValidateOptions::default()).await.unwrap()
}

fn codes(report: &ValidationReport) -> Vec<FindingCode> {
    report.errors.iter().chain(&report.warnings).map(|finding| finding.code).collect()
}

async fn integrity(running: &Running) -> Vec<(IntegrityState, bool, Option<Safety>)> {
    let list = running.dashboard.models.list(&ModelQuery::default()).await.unwrap();
    let seen = list.page.items.into_iter();
    seen.map(|model| (model.integrity.state, model.integrity.checked_at.is_some(), model.safety)).collect()
}

/// The old arrival is no reason to call the content damaged that the registry asks for, nor to fetch the old one again.
#[tokio::test(flavor = "multi_thread")]
async fn content_that_the_registry_pins_is_believed_before_an_old_arrival() {
    let mut world = World::new();
    let (old, new) = (content(1, 200_000), content(2, 210_000));
    let url = world.file("a", "a.bin", &old);
    world.preset("ONE", "1.0.0", &[("vae/a.bin", &url)]);
    let running = world.start().await;
    running.install_whole("ONE").await;
    running.stop().await;

    let newer = world.file("b", "a.bin", &new);
    let preset = world.preset("ONE", "2.0.0", &[("vae/a.bin", &newer)]);
    preset["files"][0]["checksum"] = format!("sha256:{}", new.sha256()).into();
    let running = world.start().await;
    assert_eq!(validate(&running).await.errors, [], "the old version is as it arrived");
    world.place("vae/a.bin", &new.to_vec());
    assert_eq!(validate(&running).await.errors, []);
    running.dashboard.models.rescan().await.unwrap();
    assert_eq!(integrity(&running).await, [(IntegrityState::Verified, true, Some(Safety::Unknown))]);
    let repair = running.dashboard.downloads.repair(&["vae/a.bin".to_owned()], service::MayReplace::Any).await;
    assert!(matches!(repair, Err(Error::Conflict { .. })), "{repair:?}");

    let mut broken = new.to_vec();
    broken[7] ^= 1;
    world.place("vae/a.bin", &broken);
    assert_eq!(validate(&running).await.errors[0].code, FindingCode::ChecksumMismatch);
    let repair = running.dashboard.downloads.repair(&["vae/a.bin".to_owned()], service::MayReplace::Any).await;
    assert!(matches!(repair, Err(Error::Conflict { .. })), "the old content is not fetched in its place: {repair:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trailing_bytes_of_the_publisher_are_no_damage_and_not_repaired() {
    let mut world = World::new();
    let published = Content::bytes([safetensors(5_000).as_slice(), b"trailing"].concat());
    let url = world.file("a", "a.safetensors", &published);
    world.preset("ONE", "1.0.0", &[("vae/a.safetensors", &url)]);
    let running = world.start().await;
    running.install_whole("ONE").await;
    let report = validate(&running).await;
    assert_eq!((report.errors.len(), codes(&report)), (0, vec![FindingCode::OddStructure]), "{report:?}");
    assert_eq!(integrity(&running).await, [(IntegrityState::Verified, true, None)]);
    let repair = running.dashboard.downloads.repair(&["vae/a.safetensors".to_owned()], service::MayReplace::Any).await;
    let Err(Error::Conflict { message, .. }) = repair else { panic!("{repair:?}") };
    assert!(message.contains("SHA-256 is the expected one"), "{message}");
    running.stop().await;
}

/// Root reads whatever the mode is, so as root the test runs once more as nobody.
#[test]
fn a_file_that_could_not_be_read_is_read_again() {
    const INNER: &str = "VALIDATION_TEST_AS_NOBODY";
    if rustix::process::geteuid().is_root() && std::env::var_os(INNER).is_none() {
        let mut inner = Command::new(std::env::current_exe().unwrap());
        inner.args(["--exact", "validation::a_file_that_could_not_be_read_is_read_again"]).env(INNER, "1");
        let inner = inner.env("TMPDIR", "/tmp").current_dir("/").uid(65534).gid(65534).output().unwrap();
        assert!(inner.status.success(), "{}", String::from_utf8_lossy(&inner.stdout));
        return;
    }
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let world = World::new();
        world.place("loras/one.safetensors", &safetensors(500));
        let path = world.path("loras/one.safetensors");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
        let running = world.start().await;
        assert_eq!(codes(&validate(&running).await), [FindingCode::Unreadable], "and no checksum of nothing");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(codes(&validate(&running).await), []);
        running.stop().await;
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn integrity_and_safety_are_what_the_best_proof_says() {
    let mut world = World::new();
    let url = world.file("a", "a.bin", &content(1, 1_000));
    world.preset("ONE", "1.0.0", &[("a/a.bin", &url)]);
    let mut cut = safetensors(500);
    cut.pop();
    world.place("b/cut.safetensors", &cut);
    world.place("c/evil.pt", b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00ls\x85R.");
    world.place("d/plain.pkl", b"\x80\x02}.");
    world.place("e/whole.safetensors", &safetensors(500));
    world.place("f/yolo.pt", b"\x80\x02cultralytics.nn.tasks\nDetectionModel\n)R.");
    let running = world.start().await;
    running.install_whole("ONE").await;
    let before: Vec<_> = integrity(&running).await.into_iter().map(|(state, ..)| state).collect();
    assert_eq!(before[0], IntegrityState::Verified);
    assert_eq!(before[1..], [IntegrityState::Unchecked; 5]);
    let report = validate(&running).await;
    let errors: Vec<&str> = report.errors.iter().map(|finding| finding.path.as_str()).collect();
    assert_eq!(errors, ["b/cut.safetensors", "c/evil.pt"]);
    let yolo = report.warnings.iter().find(|finding| finding.path == "f/yolo.pt").unwrap();
    assert!(yolo.code == FindingCode::UnknownPickle && yolo.message.contains("ultralytics.nn.tasks.DetectionModel"));
    let after = [
        (IntegrityState::Verified, true, Some(Safety::Unknown)),
        (IntegrityState::Damaged, true, None),
        (IntegrityState::Unchecked, false, Some(Safety::Unsafe)),
        (IntegrityState::Unchecked, false, Some(Safety::Clean)),
        (IntegrityState::Structure, true, None),
        (IntegrityState::Unchecked, false, Some(Safety::Unknown)),
    ];
    assert_eq!(integrity(&running).await, after);
    running.stop().await;
    let running = world.start().await;
    assert_eq!(integrity(&running).await, after, "it outlasts a restart");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_job_of_a_scope_runs_and_all_who_ask_get_it() {
    let world = World::new();
    place_endless(&world, "vae/endless.bin");
    let running = world.start().await;
    let (models, jobs) = (&running.dashboard.models, &running.dashboard.jobs);
    let first = models.validate_in_background(ValidateOptions::default()).await.unwrap();
    let second = models.validate_in_background(ValidateOptions::default()).await.unwrap();
    assert_eq!((&second.id, jobs.list().len()), (&first.id, 1));
    let asked = {
        let models = models.clone();
        tokio::spawn(async move { models.validate(ValidateOptions::default()).await.map(drop) })
    };
    // Forced reading is not what the running job does.
    let forced = ValidateOptions { force: true, ..ValidateOptions::default() };
    let forced = models.validate_in_background(forced).await.unwrap();
    assert_ne!(forced.id, first.id);
    for id in [&first.id, &forced.id] {
        assert_eq!(jobs.cancel(id).unwrap().state, JobState::Cancelled);
    }
    // It waited for the first job, or came after its end and reads for itself.
    asked.abort();
    let told = tokio::time::timeout(TIMEOUT, asked).await.expect("it ends");
    assert!(!matches!(told, Ok(Ok(()))), "{told:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_run_at_once_are_bounded() {
    let world = World::new();
    let folders: Vec<String> = (0..17).map(|number| format!("folder{number:02}")).collect();
    folders.iter().for_each(|folder| place_endless(&world, &format!("{folder}/endless.bin")));
    let running = world.start().await;
    let models = &running.dashboard.models;
    let mut begun = Vec::new();
    for folder in folders {
        let options = ValidateOptions { kind: Some(folder), ..ValidateOptions::default() };
        begun.push(models.validate_in_background(options).await);
    }
    assert!(begun[..16].iter().all(Result::is_ok));
    assert!(matches!(begun[16], Err(Error::Conflict { .. })), "{:?}", begun[16]);
    for job in begun.into_iter().flatten() {
        running.dashboard.jobs.cancel(&job.id).unwrap();
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_remembered_is_told_without_reading() {
    let world = World::new();
    world.place("loras/whole.safetensors", &safetensors(500));
    world.place("loras/evil.pt", b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00ls\x85R.");
    let running = world.start().await;
    let remembered = async || {
        let report = running.dashboard.models.remembered_validation(ValidateOptions::default()).await.unwrap();
        (report.validated, codes(&report), report.unchecked)
    };
    let both = vec!["loras/evil.pt".to_owned(), "loras/whole.safetensors".to_owned()];
    assert_eq!(remembered().await, (0, vec![], both));
    validate(&running).await;
    assert_eq!(remembered().await, (2, vec![FindingCode::UnsafePickle], vec![]));
    world.place("loras/evil.pt", b"\x80\x02}.");
    running.dashboard.models.rescan().await.unwrap();
    assert_eq!(remembered().await, (1, vec![], vec!["loras/evil.pt".to_owned()]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_ask_for_a_scan_see_what_was_there_before() {
    let world = World::new();
    let running = world.start().await;
    for round in 0..5_u64 {
        world.place(&format!("loras/{round}.bin"), b"12345");
        let scans = (0..20).map(|_| running.dashboard.models.rescan());
        for scan in futures_util::future::join_all(scans).await {
            assert_eq!(scan.unwrap().files, round + 1);
        }
    }
    running.stop().await;
}
