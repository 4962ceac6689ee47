//! Real handshakes with certificates of an authority that was made for the test.

use downloader::{Settings, TransferError};
use test_support::file_server::{Content, FileServer, Reply, Route};
use test_support::tls_front::{Authority, Handshake, TlsFront};

use crate::rig::{MIB, Rig, alone, settings};

fn trusting(authority: &Authority) -> Settings {
    Settings { extra_roots: vec![authority.pem()], ..settings() }
}

async fn served(authority: &Authority, name: &str) -> (Route, TlsFront) {
    let route = FileServer::start().file("/f.bin", Content::pattern(91, 40 * MIB));
    let front = TlsFront::start(authority, name, route.server().address()).await;
    (route, front)
}

#[tokio::test]
async fn ranges_arrive_over_connections_of_tls_1_3_that_each_speak_http_1_1() {
    let authority = Authority::default();
    let (route, front) = served(&authority, "127.0.0.1").await;
    route.server().set_rate_per_connection(20_000_000);
    let mut rig = Rig::with(trusting(&authority));
    let story = rig.fetch(rig.file("f.bin", &front.url("/f.bin"))).await;
    assert!(story.completed(), "{:#?}", story.told());
    rig.assert_whole("f.bin", &route.content());
    let version = Some(rustls::ProtocolVersion::TLSv1_3);
    let expected = Some(Handshake { version, protocol: Some("http/1.1".into()) });
    let handshakes = front.handshakes().await;
    assert!(handshakes.len() > 1 && handshakes.iter().all(|found| *found == expected), "{handshakes:?}");
}

#[tokio::test]
async fn a_certificate_that_proves_nothing_is_refused_in_words_and_not_asked_again() {
    let authority = Authority::default();
    let table =
        [("127.0.0.1", settings(), "UnknownIssuer"), ("other.example", trusting(&authority), "not valid for name")];
    for (name, settings, expected) in table {
        let (route, front) = served(&authority, name).await;
        let mut rig = Rig::with(settings);
        let story = rig.fetch(rig.file("f.bin", &front.url("/f.bin"))).await;
        let words = story.error().to_string();
        assert!(matches!(story.error(), TransferError::UntrustedCertificate { .. }), "{words}");
        assert!(words.contains("127.0.0.1") && words.contains(expected) && words.contains("SSL_CERT_FILE"), "{words}");
        assert_eq!((front.handshakes().await, route.requests().len()), (vec![None], 0), "{name}");
        rig.assert_absent("f.bin");
    }
}

#[tokio::test]
async fn a_mirror_takes_over_from_a_host_that_cannot_prove_who_it_is() {
    let (route, front) = served(&Authority::default(), "127.0.0.1").await;
    let mut rig = Rig::start();
    let mut file = rig.file("f.bin", &front.url("/f.bin"));
    file.sources.push(route.url().parse().unwrap());
    assert!(rig.fetch(file).await.completed());
    rig.assert_whole("f.bin", &route.content());
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_refused() {
    let authority = Authority::default();
    let (route, front) = served(&authority, "127.0.0.1").await;
    let open = route.url();
    route.server().handle("/moved", move |_| Reply::redirect(open.clone()));
    let mut rig = Rig::with(trusting(&authority));
    let story = rig.fetch(rig.file("f.bin", &front.url("/moved"))).await;
    assert!(matches!(story.error(), TransferError::RefusedRedirect { .. }), "{}", story.error());
    assert!(story.error().to_string().contains("from https to http"), "{}", story.error());
    assert!(route.requests().is_empty());
    rig.assert_absent("f.bin");
}

/// The environment is that of a process, so this one starts itself again.
#[test]
fn the_authorities_in_ssl_cert_file_are_trusted() {
    const URL: &str = "COMFYUI_DASHBOARD_TEST_TLS_URL";
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Ok(url) = std::env::var(URL) {
        return runtime.block_on(async {
            let mut rig = Rig::start();
            let story = rig.fetch(rig.file("f.bin", &url)).await;
            assert!(story.completed(), "{:#?}", story.told());
        });
    }
    let authority = Authority::default();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), authority.pem()).unwrap();
    let (_route, front) = runtime.block_on(served(&authority, "127.0.0.1"));
    let url = front.url("/f.bin");
    alone("tls::the_authorities_in_ssl_cert_file_are_trusted", |command| {
        command.env(URL, &url).env("SSL_CERT_FILE", file.path());
    });
}
