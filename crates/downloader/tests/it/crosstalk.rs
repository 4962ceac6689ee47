//! What many files share: connections, and the table of open files. That their bytes do not mix is shown in `src/engine/tests/crosstalk.rs`.

use downloader::{Backoff, Settings};
use rustix::process::{Resource, Rlimit, setrlimit};
use test_support::file_server::{Content, FileServer};

use crate::rig::{MIB, Rig, alone, settings};

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

#[tokio::test]
async fn connections_are_used_again_from_file_to_file() {
    let server = FileServer::start();
    let route = server.file("/f", Content::pattern(98, 5 * MIB));
    let mut rig = Rig::start();
    for n in 0..21 {
        assert!(rig.fetch(rig.known(&format!("f{n}"), &route)).await.completed());
    }
    assert!(server.connections_opened() <= 3, "{} connections for 21 files", server.connections_opened());
}

/// The limit is that of a process, so this one starts itself again: it fetches from a server that is not under the limit.
#[test]
fn a_full_file_table_is_waited_for() {
    const SERVER: &str = "COMFYUI_DASHBOARD_TEST_FEW_FILES";
    const COUNT: u64 = 60;
    let content = |n| Content::pattern(200 + n, 300_000 + n);
    if let Ok(server) = std::env::var(SERVER) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let few = Some(open_descriptors() as u64 + 12);
        setrlimit(Resource::Nofile, Rlimit { current: few, maximum: few }).unwrap();
        return runtime.block_on(async {
            let backoff = Backoff { tries_without_progress: 1000, ..settings().backoff };
            let mut rig = Rig::with(Settings { backoff, ..settings() });
            let files = (0..COUNT).map(|n| rig.file(&n.to_string(), &format!("{server}/{n}"))).collect();
            rig.enqueue("job", files).await;
            let story = rig.rest("job").await;
            assert!(story.completed(), "{:#?}", story.told());
            (0..COUNT).for_each(|n| rig.assert_whole(&n.to_string(), &content(n)));
        });
    }
    let server = FileServer::start();
    for n in 0..COUNT {
        server.file(&format!("/{n}"), content(n));
    }
    alone("crosstalk::a_full_file_table_is_waited_for", |command| _ = command.env(SERVER, server.url("")));
}
