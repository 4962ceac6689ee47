//! Proxies that the usual variables name: who is asked for what, and which addresses they may have. The variables are those of a
//! process, so each test starts itself again.

use std::process::Command;

use downloader::{Credentials, PrivateSources, Secret, Settings};
use test_support::file_server::{Content, FileServer, Times};
use test_support::tls_front::{Authority, TlsFront};
use test_support::tunnel::Tunnel;
use tokio::runtime::Runtime;

use crate::rig::{MIB, Rig, alone, settings};

/// What the process that is started fetches, and whom it trusts.
const LINK: &str = "COMFYUI_DASHBOARD_TEST_PROXIED_LINK";
const AUTHORITY: &str = "COMFYUI_DASHBOARD_TEST_PROXIED_AUTHORITY";

/// Nobody has this name: whoever asks for its address has not asked the proxy.
const HOST: &str = "files.invalid";

fn content() -> Content {
    Content::pattern(151, 3 * MIB)
}

/// Runs a test of this file again, with these variables and no others about proxies.
fn behind(test: &str, variables: &[(&str, &str)]) {
    alone(&format!("proxies::{test}"), |command: &mut Command| {
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            command.env_remove(name).env_remove(name.to_uppercase());
        }
        command.envs(variables.iter().copied());
    });
}

/// In the process that was started: the link.
fn link() -> Option<String> {
    std::env::var(LINK).ok()
}

/// In the process that was started: fetches the link, and says how that failed.
fn fetched(link: &str, settings: Settings) -> Result<(), String> {
    Runtime::new().unwrap().block_on(async {
        let mut rig = Rig::with(settings);
        let story = rig.fetch(rig.file("f.bin", link)).await;
        if !story.completed() {
            return Err(story.error().to_string());
        }
        rig.assert_whole("f.bin", &content());
        Ok(())
    })
}

#[test]
fn a_link_goes_through_http_proxy_unless_no_proxy_names_its_host() {
    if let Some(links) = link() {
        return links.split(' ').for_each(|link| fetched(link, settings()).unwrap());
    }
    let (proxy, direct) = (FileServer::start(), FileServer::start());
    // A proxy is sent the whole address.
    let proxied = proxy.file(&format!("http://{HOST}/f.bin"), content()).cut_after(MIB + 99, Times(1));
    let direct = direct.file("/f.bin", content());
    let links = format!("http://{HOST}/f.bin {}", direct.url());
    for variable in ["http_proxy", "HTTP_PROXY", "all_proxy"] {
        behind(
            "a_link_goes_through_http_proxy_unless_no_proxy_names_its_host",
            &[(variable, &proxy.url("")), ("no_proxy", "127.0.0.1"), (LINK, &links)],
        );
    }
    let firsts = proxied.requests().iter().map(|request| request.range().unwrap().0).collect::<Vec<_>>();
    assert_eq!(firsts, [0, MIB + 99, 0, 0], "it resumes through a proxy too");
    assert_eq!((proxy.requests().len(), direct.requests().len()), (4, 3));
}

#[test]
fn a_link_of_https_goes_through_a_tunnel_that_learns_the_host_alone() {
    if let Some(link) = link() {
        let credentials = Credentials { hf_token: Some(Secret::new("hf_canary")), civitai_token: None };
        let extra_roots = vec![std::env::var(AUTHORITY).unwrap()];
        let hf_endpoint = link.parse::<url::Url>().unwrap().join("/").unwrap();
        let settings = Settings { credentials, extra_roots, hf_endpoint, ..settings() };
        return fetched(&link, settings).unwrap();
    }
    let (server, authority) = (FileServer::start(), Authority::default());
    let route = server.file("/f.bin", content());
    let runtime = Runtime::new().unwrap();
    let front = runtime.block_on(TlsFront::start(&authority, HOST, server.address()));
    let tunnel = runtime.block_on(Tunnel::start(front.address()));
    behind(
        "a_link_of_https_goes_through_a_tunnel_that_learns_the_host_alone",
        &[
            ("https_proxy", &format!("http://{}", tunnel.address())),
            (LINK, &format!("https://{HOST}/f.bin")),
            (AUTHORITY, &authority.pem()),
        ],
    );
    assert_eq!(route.requests().iter().map(|request| request.bearer()).collect::<Vec<_>>(), [Some("hf_canary")]);
    let asked = tunnel.asked();
    assert!(asked.iter().all(|head| head.starts_with(&format!("CONNECT {HOST}:443 "))), "{asked:?}");
    assert!(asked.len() == 1 && !asked[0].contains("canary"), "{asked:?}");
}

#[test]
fn a_proxy_may_have_a_private_name_where_the_operator_says_so_and_a_link_never() {
    if let Some(link) = link() {
        let strict = || Settings { private_sources: PrivateSources::None, ..settings() };
        let refused = fetched(&link, strict()).unwrap_err();
        assert!(refused.contains(&format!("{HOST} leads to localhost, a private or reserved address")), "{refused}");
        let told = || Settings { proxy_hosts: vec!["localhost".into()], ..strict() };
        fetched(&link, told()).unwrap();
        let refused = fetched("http://10.0.0.1/f.bin", told()).unwrap_err();
        assert!(refused.contains("10.0.0.1, a private or reserved address"), "{refused}");
        // The proxy would resolve these by itself.
        for name in ["localhost", "metadata.google.internal", "nowhere.local"] {
            let refused = fetched(&format!("http://{name}:9/f.bin"), told()).unwrap_err();
            assert!(refused.contains(&format!("{name}, a private or reserved address")), "{refused}");
        }
        return;
    }
    let proxy = FileServer::start();
    let route = proxy.file(&format!("http://{HOST}/f.bin"), content());
    behind(
        "a_proxy_may_have_a_private_name_where_the_operator_says_so_and_a_link_never",
        &[("http_proxy", &proxy.url("").replace("127.0.0.1", "localhost")), (LINK, route.path())],
    );
    assert_eq!(proxy.requests().len(), 1);
}
