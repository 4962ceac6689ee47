//! Answers that are final, and bodies that are no file: nothing under the final name, and a sentence that says why.

use downloader::{FileJob, Settings, TransferError};
use test_support::file_server::{Content, FileServer, Reply, Route, When::Always};

use crate::rig::{MIB, Rig, Story, settings};

async fn refused(rule: impl Fn(&Route) -> Route) -> (Story, Route) {
    let route = rule(&FileServer::start().file("/f.safetensors", Content::pattern(21, 2 * MIB)));
    let mut rig = Rig::start();
    let story = rig.fetch(rig.file("f.safetensors", &route.url())).await;
    assert!(!rig.path("f.safetensors").exists());
    // The same with a known hash: the story is the page, not the hash.
    let mut rig = Rig::start();
    let known = rig.fetch(rig.known("f.safetensors", &route)).await;
    assert_eq!(known.error().to_string(), story.error().to_string());
    assert!(!rig.path("f.safetensors").exists());
    (story, route)
}

#[tokio::test]
async fn a_page_a_message_a_pointer_or_nothing_never_becomes_a_model() {
    type Rule = fn(&Route) -> Route;
    let rules: [(Rule, &str); 5] = [
        (|route| route.login_page(Always), "an HTML page"),
        (|route| route.json_error(Always), "a JSON message"),
        (|route| route.lfs_pointer(Always), "a Git LFS pointer"),
        (|route| route.empty_body(Always), "an empty body"),
        (
            |route| route.reply(Reply::text(200, "<html><body>Log in to this network</body></html>"), Always),
            "an HTML page",
        ),
    ];
    for (rule, expected) in rules {
        let (story, route) = refused(rule).await;
        match story.error() {
            TransferError::NotAFile { what, .. } => assert_eq!(*what, expected),
            other => panic!("{expected}: {other}"),
        }
        assert_eq!(route.requests().len(), 2, "{expected}: one request each, none repeated");
    }
}

#[tokio::test]
async fn final_answers_are_not_asked_again() {
    type IsExpected = fn(&TransferError) -> bool;
    let table: [(u16, IsExpected); 6] = [
        (404, |error| matches!(error, TransferError::NotFound { status: 404, .. })),
        (410, |error| matches!(error, TransferError::NotFound { status: 410, .. })),
        (401, |error| matches!(error, TransferError::Unauthorized { .. })),
        (403, |error| matches!(error, TransferError::Forbidden { .. })),
        (400, |error| matches!(error, TransferError::UnexpectedStatus { status: 400, .. })),
        (451, |error| matches!(error, TransferError::UnexpectedStatus { status: 451, .. })),
    ];
    for (status, is_expected) in table {
        let (story, route) = refused(|route| route.status(status, Always)).await;
        assert!(is_expected(story.error()), "{status}: {}", story.error());
        assert_eq!(route.requests().len(), 2, "{status}: one request each");
    }
}

#[tokio::test]
async fn redirects_are_followed_ten_times_and_not_more() {
    for (hops, arrives) in [(1, true), (10, true), (11, false)] {
        let route = FileServer::start().file("/f.bin", Content::pattern(22, 1000)).redirect_hops(hops);
        let mut rig = Rig::start();
        let story = rig.fetch(rig.file("f.bin", &route.url())).await;
        assert_eq!(story.completed(), arrives, "{hops} hops: {:#?}", story.told());
        if !arrives {
            assert!(matches!(story.error(), TransferError::TooManyRedirects { .. }), "{}", story.error());
        }
    }
    let (story, _) = refused(Route::redirect_loop).await;
    assert!(matches!(story.error(), TransferError::TooManyRedirects { .. }), "{}", story.error());
}

#[tokio::test]
async fn redirects_to_other_schemes_or_with_passwords_are_refused() {
    for target in ["file:///etc/passwd", "ftp://127.0.0.1/f", "http://user:secret@127.0.0.1/f", "http://[", ""] {
        let (story, _) = refused(|route| route.redirect(target, Always)).await;
        let error = story.error();
        let expected = matches!(error, TransferError::RefusedRedirect { .. } | TransferError::TooManyRedirects { .. });
        assert!(expected, "{target}: {error}");
        assert!(!error.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn private_addresses_are_refused_at_every_hop_and_never_connected_to() {
    let canary = FileServer::start();
    let address = canary.address().to_string();
    let canary_route = canary.file("/f.bin", Content::pattern(23, 1000));
    // The endpoint's own host is the operator's word; it is reached under a name of its own.
    let public = FileServer::start();
    let endpoint = public.url("").replace("127.0.0.1", "localhost");
    let strict = || Settings {
        private_sources: downloader::PrivateSources::None,
        hf_endpoint: endpoint.parse().unwrap(),
        ..settings()
    };
    let port = canary.address().port();
    let spellings = [
        format!("http://{address}/f.bin"),
        format!("http://2130706433:{port}/f.bin"),
        format!("http://0x7f.1:{port}/f.bin"),
        format!("http://[::ffff:127.0.0.1]:{port}/f.bin"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[::1]:9/f".to_owned(),
    ];
    for url in &spellings {
        let mut rig = Rig::with(strict());
        let story = rig.fetch(rig.file("f.bin", url)).await;
        assert!(matches!(story.error(), TransferError::RefusedAddress { .. }), "{url}: {}", story.error());

        let hop = public.file("/org/repo/resolve/main/f.bin", Content::pattern(1, 9)).redirect(url, Always);
        let mut rig = Rig::with(strict());
        let story = rig.fetch(rig.file("f.bin", "hf://org/repo/f.bin")).await;
        assert!(matches!(story.error(), TransferError::RefusedAddress { .. }), "hop to {url}: {}", story.error());
        assert!(!hop.requests().is_empty());
    }
    assert_eq!(canary.connections_opened(), 0);
    drop(canary_route);
}

#[tokio::test]
async fn a_name_with_only_private_addresses_is_refused() {
    let canary = FileServer::start();
    let url = canary.url("/f.bin").replace("127.0.0.1", "localhost");
    let mut rig = Rig::with(Settings { private_sources: downloader::PrivateSources::None, ..settings() });
    let story = rig.fetch(rig.file("f.bin", &url)).await;
    assert!(matches!(story.error(), TransferError::RefusedAddress { .. }), "{}", story.error());
    assert_eq!(canary.connections_opened(), 0);
    let networks = vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
    canary.file("/f.bin", Content::pattern(24, 1000));
    let mut rig = Rig::with(Settings { private_sources: downloader::PrivateSources::Networks(networks), ..settings() });
    let story = rig.fetch(rig.file("f.bin", &url)).await;
    assert!(story.completed(), "{:#?}", story.told());
}

#[tokio::test]
async fn another_size_or_hash_than_asked_for_is_refused() {
    let route = FileServer::start().file("/f.bin", Content::pattern(25, 5000));
    let mut rig = Rig::start();
    let story = rig.fetch(FileJob { size: Some(4999), ..rig.file("f.bin", &route.url()) }).await;
    assert!(
        matches!(story.error(), TransferError::SizeMismatch { expected: 4999, actual: 5000, .. }),
        "{}",
        story.error()
    );
    let wrong = Content::pattern(26, 5000).sha256().parse().unwrap();
    let story = rig.fetch(FileJob { sha256: Some(wrong), ..rig.file("f.bin", &route.url()) }).await;
    assert!(matches!(story.error(), TransferError::HashMismatch { .. }), "{}", story.error());
    assert_eq!(story.restarts(), [downloader::RestartReason::HashMismatch], "one full retry");
    rig.assert_absent("f.bin");
}

#[tokio::test]
async fn a_failing_file_does_not_stop_its_siblings() {
    let server = FileServer::start();
    let bad = server.file("/bad.bin", Content::pattern(27, 1000)).status(404, Always);
    let good = server.file("/good.bin", Content::pattern(28, 1000));
    let mut rig = Rig::start();
    rig.enqueue("job", vec![rig.known("bad.bin", &bad), rig.known("good.bin", &good)]).await;
    let story = rig.rest("job").await;
    assert!(matches!(story.error(), TransferError::NotFound { .. }));
    rig.assert_whole("good.bin", &good.content());
}
