//! A database in a folder of its own, and access to it.

use std::{net::IpAddr, path::PathBuf};

use service::{
    Dashboard, DatabasePlace, ManualClock, Settings, Supervisor,
    access::{Access, Credential, Identity, NewKey, Role},
};

/// 2026-01-01.
pub(crate) const START: i64 = 1_767_225_600_000;
pub(crate) const SECOND: i64 = 1000;
pub(crate) const HOUR: i64 = 3600 * SECOND;

pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) clock: ManualClock,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), clock: ManualClock::at(START) }
    }

    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join("data").join(name)
    }

    /// Access as another process has it, such as the shell beside a server.
    pub(crate) async fn open(&self) -> Access {
        Access::open(&self.data("dashboard.db"), self.clock.clone()).await.unwrap()
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            database: DatabasePlace(self.data("dashboard.db")),
            registry_url: "http://127.0.0.1:9/registry.json".to_owned(),
            registry_sync_interval: std::time::Duration::ZERO,
            ..Settings::in_folder(self.folder.path().to_owned())
        }
    }

    pub(crate) async fn start(&self, settings: Settings) -> (Dashboard, Supervisor) {
        Dashboard::start(settings, self.clock.clone()).await.unwrap()
    }

    /// Whether a secret stands in any file of the data folder.
    pub(crate) fn disk_holds(&self, secret: &str) -> bool {
        let mut files = std::fs::read_dir(self.data("")).unwrap().flatten();
        files.any(|file| {
            let content = std::fs::read(file.path()).unwrap();
            content.windows(secret.len()).any(|window| window == secret.as_bytes())
        })
    }
}

pub(crate) fn key(name: &str, role: Role) -> NewKey {
    NewKey { name: name.to_owned(), role, expires_at: None }
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Who a key is; `None`: it is refused.
pub(crate) async fn owner(access: &Access, key: &str) -> Option<Identity> {
    access.authenticate(Credential::Key(key)).await.ok()
}

/// Whether a cookie opens anything.
pub(crate) async fn is_open(access: &Access, cookie: &str) -> bool {
    access.authenticate(Credential::Session(cookie)).await.is_ok()
}

/// Runs the test of that name in a process of its own, for what belongs to a process and not to a test.
pub(crate) fn in_a_process_of_its_own(name: &str, test: impl Future<Output = ()>) {
    const ALONE: &str = "COMFYUI_DASHBOARD_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return tokio::runtime::Runtime::new().unwrap().block_on(test);
    }
    let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
    let ended = alone.args(["--exact", name, "--nocapture"]).env(ALONE, "1").output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(String::from_utf8_lossy(&ended.stdout).contains("1 passed"), "the test is named as it is called");
}
