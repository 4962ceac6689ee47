//! Answers that are final, and bodies that are no file: nothing under the final name, and a sentence that says why.

use downloader::{FileJob, JobId, Settings, TransferError};
use test_support::file_server::{
    Content, FileServer, Reply, Route,
    When::{After, Always},
};

use crate::rig::{MIB, Rig, Story, settings};

async fn refused(rule: impl Fn(&Route) -> Route) -> (Story, Route) {
    let route = rule(&FileServer::start().file("/f.safetensors", Content::pattern(21, 2 * MIB)));
    let mut rig = Rig::start();
    let story = rig.fetch(rig.file("f.safetensors", &route.url())).await;
    rig.assert_absent("f.safetensors");
    // The same with a known hash and size: the story is the page, not the hash or the size.
    let mut rig = Rig::start();
    let known = FileJob { size: Some(2 * MIB), ..rig.known("f.safetensors", &route) };
    let known = rig.fetch(known).await;
    assert_eq!(known.error().to_string(), story.error().to_string());
    rig.assert_absent("f.safetensors");
    (story, route)
}

type Rule = fn(&Route) -> Route;

/// What is sent instead of a file, and what it is called.
const NO_FILES: [(Rule, &str); 6] = [
    (|route| route.login_page(After(0)), "an HTML page"),
    (|route| route.json_error(After(0)), "a JSON message"),
    (|route| route.lfs_pointer(After(0)), "a Git LFS pointer"),
    (|route| route.empty_body(After(0)), "an empty body"),
    (
        |route| route.reply(Reply::text(200, "<html><body>Log in to this network</body></html>"), After(0)),
        "an HTML page",
    ),
    (
        |route| {
            let document = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>";
            route.reply(Reply::status(200).header("Content-Type", "application/xml").body(document), After(0))
        },
        "an XML message",
    ),
];

#[tokio::test]
async fn a_page_a_message_a_pointer_or_nothing_never_becomes_a_model() {
    for (rule, expected) in NO_FILES {
        let (story, route) = refused(rule).await;
        match story.error() {
            TransferError::NotAFile { what, .. } => assert_eq!(*what, expected),
            other => panic!("{expected}: {other}"),
        }
        let words = format!("{} sent {expected} instead of the file", route.server().address());
        assert!(story.error().to_string().starts_with(&words), "{}", story.error());
        assert_eq!(route.requests().len(), 2, "{expected}: one request each, none repeated");
    }
}

#[tokio::test]
async fn a_page_in_the_middle_of_a_file_is_not_appended_and_costs_nothing_that_is_here() {
    const CUT: u64 = MIB + 777;
    for (rule, expected) in NO_FILES {
        for known in [true, false] {
            let route =
                FileServer::start().file("/f.safetensors", Content::pattern(29, 2 * MIB)).cut_after(CUT, Always);
            let mut rig = Rig::start();
            let file = if known { rig.known("f.safetensors", &route) } else { rig.file("f.safetensors", &route.url()) };
            // The first answer is the file, as far as it comes.
            let gate = route.hold_at(MIB);
            rig.enqueue("job", vec![file]).await;
            gate.reached().await;
            rule(&route);
            gate.open();
            let story = rig.rest("job").await;
            let words = format!("sent {expected} instead of the file");
            assert!(story.error().to_string().contains(&words), "{expected}: {}", story.error());
            rig.assert_waits("f.safetensors");
            route.behave();
            rig.downloader.resume(&JobId::new("job")).await.unwrap();
            let story = rig.rest("job").await;
            assert_eq!(story.outcome().wire_bytes, 2 * MIB - CUT, "{expected}, hash known {known}");
            rig.assert_whole("f.safetensors", &route.content());
        }
    }
}

#[tokio::test]
async fn a_file_that_is_asked_for_as_empty_may_be_empty() {
    // A server that is asked for a range of it says 416, or sends nothing.
    let empty = FileServer::start().file("/f.txt", Content::bytes(""));
    let nothing = FileServer::start().file("/f.txt", Content::bytes("")).ignore_range(Always);
    for route in [empty, nothing] {
        let mut rig = Rig::start();
        let story = rig.fetch(FileJob { size: Some(0), ..rig.known("f.txt", &route) }).await;
        assert!(story.completed(), "{:#?}", story.told());
        rig.assert_whole("f.txt", &route.content());
        let story = rig.fetch(rig.known("g.txt", &route)).await;
        assert!(matches!(story.error(), TransferError::NotAFile { what: "an empty body", .. }), "{}", story.error());
        rig.assert_absent("g.txt");
    }
}

#[tokio::test]
async fn final_answers_are_not_asked_again() {
    type IsExpected = fn(&TransferError) -> bool;
    let login = "asks for a login: this host takes no token that is known here";
    let table: [(u16, IsExpected, &str); 6] = [
        (404, |error| matches!(error, TransferError::NotFound { status: 404, .. }), "has no such file (404)"),
        (410, |error| matches!(error, TransferError::NotFound { status: 410, .. }), "has no such file (410)"),
        (401, |error| matches!(error, TransferError::Unauthorized { .. }), login),
        (403, |error| matches!(error, TransferError::Forbidden { .. }), "refuses the file (403)"),
        (400, |error| matches!(error, TransferError::UnexpectedStatus { .. }), "answered with status 400"),
        (451, |error| matches!(error, TransferError::UnexpectedStatus { .. }), "answered with status 451"),
    ];
    for (status, is_expected, words) in table {
        let (story, route) = refused(|route| route.status(status, Always)).await;
        assert!(is_expected(story.error()), "{status}: {}", story.error());
        assert_eq!(story.error().to_string(), format!("{} {words}", route.server().address()));
        assert_eq!(route.requests().len(), 2, "{status}: one request each");
    }
}

#[tokio::test]
async fn nobody_is_asked_by_head() {
    for status in [403, 405] {
        let route = FileServer::start().file("/f.bin", Content::pattern(30, MIB)).refuse_head(status);
        let mut rig = Rig::start();
        let facts = rig.downloader.probe(&[route.url().parse().unwrap()]).await.unwrap();
        assert_eq!((facts.size, facts.ranges), (Some(MIB), true));
        assert!(rig.fetch(rig.file("f.bin", &route.url())).await.completed());
        assert!(route.requests().iter().all(|request| request.method == "GET"));
    }
}

#[tokio::test]
async fn redirects_are_followed_ten_times_and_not_more() {
    for (hops, arrives) in [(1, true), (10, true), (11, false)] {
        let route = FileServer::start().file("/f.bin", Content::pattern(22, 1000)).redirect_hops(hops);
        let mut rig = Rig::start();
        let story = rig.fetch(rig.file("f.bin", &route.url())).await;
        assert_eq!(story.completed(), arrives, "{hops} hops: {:#?}", story.told());
        if arrives {
            rig.assert_whole("f.bin", &route.content());
        } else {
            let words = format!("{} redirects in a loop or more than 10 times", route.server().address());
            assert!(story.error().to_string().starts_with(&words), "{}", story.error());
            rig.assert_absent("f.bin");
        }
    }
    let (story, route) = refused(Route::redirect_loop).await;
    assert!(matches!(story.error(), TransferError::TooManyRedirects { .. }), "{}", story.error());
    assert_eq!(route.requests().len(), 2, "a loop is seen at once");
}

#[tokio::test]
async fn redirects_to_other_schemes_or_with_passwords_are_refused() {
    let table = [
        ("file:///etc/passwd", "leads to a URL that is refused: it is neither http nor https"),
        ("ftp://127.0.0.1/f", "leads to a URL that is refused: it is neither http nor https"),
        ("http://user:secret@127.0.0.1/f", "leads to a URL that is refused: it carries a user name or a password"),
        ("http://[", "leads to a URL that is refused: the redirect's address is no URL"),
        ("", "redirects in a loop or more than 10 times"),
    ];
    for (target, words) in table {
        let (story, route) = refused(|route| route.redirect(target, Always)).await;
        assert_eq!(story.error().to_string(), format!("{} {words}", route.server().address()), "{target}");
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

/// Another service on the host of the mirror is no mirror.
#[tokio::test]
async fn an_endpoint_opens_its_own_port_and_no_other() {
    let (mirror, canary) = (FileServer::start(), FileServer::start());
    canary.file("/f.bin", Content::pattern(24, 1000));
    mirror.file("/org/repo/resolve/main/f.bin", Content::pattern(27, 1000));
    for host in ["127.0.0.1", "localhost"] {
        let strict = || Settings {
            private_sources: downloader::PrivateSources::None,
            hf_endpoint: mirror.url("").replace("127.0.0.1", host).parse().unwrap(),
            ..settings()
        };
        let mut rig = Rig::with(strict());
        let story = rig.fetch(rig.file("f.bin", &canary.url("/f.bin").replace("127.0.0.1", host))).await;
        assert!(matches!(story.error(), TransferError::RefusedAddress { .. }), "{host}: {}", story.error());
        let mut rig = Rig::with(strict());
        let story = rig.fetch(rig.file("f.bin", "hf://org/repo/f.bin")).await;
        assert!(story.completed(), "{host}: {:#?}", story.told());
    }
    assert_eq!(canary.connections_opened(), 0);
}

#[tokio::test]
async fn a_link_that_leads_to_a_proxy_itself_is_judged_like_any_other() {
    let canary = FileServer::start();
    canary.file("/f.bin", Content::pattern(24, 1000));
    let (by_address, by_name) = (canary.url("/f.bin"), canary.url("/f.bin").replace("127.0.0.1", "localhost"));
    let strict = Settings {
        private_sources: downloader::PrivateSources::None,
        proxy_hosts: vec!["127.0.0.1".into(), "localhost".into()],
        ..settings()
    };
    for link in [by_address, by_name] {
        let mut rig = Rig::with(strict.clone());
        let story = rig.fetch(rig.file("f.bin", &link)).await;
        assert!(matches!(story.error(), TransferError::RefusedAddress { .. }), "{link}: {}", story.error());
    }
    assert_eq!(canary.connections_opened(), 0);
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
    rig.assert_absent("f.bin");
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

#[tokio::test]
async fn a_redirect_in_plain_unicode_is_followed() {
    let server = FileServer::start();
    let content = Content::pattern(93, 300_000);
    let link = server.file("/f.bin", Content::bytes([])).redirect("/mod\u{e8}les/\u{6a21}\u{578b}.bin", Always);
    server.file("/mod%C3%A8les/%E6%A8%A1%E5%9E%8B.bin", content.clone());
    let mut rig = Rig::start();
    let story = rig.fetch(rig.file("f.bin", &link.url())).await;
    assert!(story.completed(), "{:#?}", story.told());
    rig.assert_whole("f.bin", &content);
}
