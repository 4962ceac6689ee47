//! Where a request comes from and how. What proxies say of that is believed only from those that the operator trusts:
//! everybody else could write the same headers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::http::header::{self, HeaderMap};
use ipnet::IpNet;

use crate::origin::single;

/// How a request came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Where it was made.
    pub(crate) address: IpAddr,
    /// It was made by https: a cookie that answers it may be kept for https.
    pub(crate) is_https: bool,
    /// The host and port that it was made to; empty where that is not clear.
    pub(crate) host: String,
    /// It was made on this machine and to it: not through a proxy, not to a name that somebody else controls.
    pub(crate) is_local: bool,
}

impl Arrival {
    /// Reads a request whose connection has `peer` at its other end.
    pub(crate) fn of(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let peer = peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.to_canonical());
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
        let host = single(headers, header::HOST.as_str()).unwrap_or_default();
        if !is_trusted(peer) {
            let is_local = peer.is_loopback() && !is_forwarded(headers) && is_name_of_this_machine(host);
            return Self { address: peer, is_https: false, host: host.to_owned(), is_local };
        }
        let proxied_host = single(headers, "x-forwarded-host");
        Self {
            address: made_at(peer, headers, is_trusted),
            is_https: last_word(headers, "x-forwarded-proto")
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
            host: proxied_host.unwrap_or(host).to_owned(),
            is_local: false,
        }
    }
}

/// Goes back from the peer, hop by hop, until somebody is not trusted: what stands left of them is hearsay.
fn made_at(peer: IpAddr, headers: &HeaderMap, is_trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let all: Vec<&str> = headers.get_all("x-forwarded-for").filter_map(|value| value.to_str().ok()).collect();
    let mut address = peer;
    for hop in all.iter().flat_map(|value| value.split(',')).rev() {
        if !is_trusted(address) {
            break;
        }
        let Some(earlier) = hop_address(hop.trim()) else { break };
        address = earlier;
    }
    address
}

/// An address as proxies write it, with or without a port.
fn hop_address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

fn last_word<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get_all(name).last()?.to_str().ok()?.rsplit(',').next().map(str::trim)
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        name == "forwarded" || name == "via" || name.starts_with("x-forwarded-")
    })
}

fn is_name_of_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1" || name == "[::1]"
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    type Pairs = &'static [(&'static str, &'static str)];

    fn headers(pairs: Pairs) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    fn arrival(peer: &str, trusted: &[&str], pairs: Pairs) -> Arrival {
        let trusted: Vec<IpNet> = trusted.iter().filter_map(|network| network.parse().ok()).collect();
        Arrival::of(peer.parse().ok(), &headers(pairs), &trusted)
    }

    #[test]
    fn the_address_is_the_first_one_from_the_right_that_is_not_trusted() {
        let proxies = ["10.0.0.0/8", "fd00::/8"];
        let rows: [(&str, Pairs, &str); 11] = [
            ("192.0.2.1", &[("x-forwarded-for", "198.51.100.1")], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[("x-forwarded-for", "198.51.100.1")], "198.51.100.1"),
            ("10.0.0.1", &[("x-forwarded-for", "1.2.3.4, 198.51.100.1")], "198.51.100.1"),
            ("10.0.0.1", &[("x-forwarded-for", "198.51.100.1, 10.9.9.9")], "198.51.100.1"),
            ("10.0.0.1", &[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-for", "198.51.100.1")], "198.51.100.1"),
            ("10.0.0.1", &[("x-forwarded-for", "1.2.3.4, unknown")], "10.0.0.1"),
            ("10.0.0.1", &[("x-forwarded-for", "198.51.100.1:4711")], "198.51.100.1"),
            ("10.0.0.1", &[("x-forwarded-for", "[2001:db8::1]:4711")], "2001:db8::1"),
            ("fd00::1", &[("x-forwarded-for", "2001:db8::1")], "2001:db8::1"),
            ("::ffff:10.0.0.1", &[("x-forwarded-for", "::ffff:198.51.100.1")], "198.51.100.1"),
        ];
        for (peer, pairs, made_at) in rows {
            let expected: Option<IpAddr> = made_at.parse().ok();
            assert_eq!(Some(arrival(peer, &proxies, pairs).address), expected, "{peer} {pairs:?}");
        }
        let forged: Pairs = &[("forwarded", "for=198.51.100.1"), ("x-real-ip", "198.51.100.1")];
        assert_eq!(arrival("10.0.0.1", &proxies, forged).address.to_string(), "10.0.0.1");
    }

    #[test]
    fn scheme_and_host_come_from_trusted_proxies_only() {
        let said: Pairs =
            &[("host", "10.1.1.1:8082"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "pod.example")];
        let believed = arrival("10.0.0.1", &["10.0.0.0/8"], said);
        assert_eq!((believed.is_https, believed.host.as_str()), (true, "pod.example"));
        let hearsay = arrival("192.0.2.1", &["10.0.0.0/8"], said);
        assert_eq!((hearsay.is_https, hearsay.host.as_str()), (false, "10.1.1.1:8082"));
    }

    #[test]
    fn only_a_plain_request_on_this_machine_to_its_own_name_is_local() {
        let rows: [(&str, Pairs, bool); 15] = [
            ("127.0.0.1", &[("host", "localhost:8082")], true),
            ("127.0.0.1", &[("host", "LOCALHOST")], true),
            ("::1", &[("host", "[::1]:8082")], true),
            ("::ffff:127.0.0.1", &[("host", "127.0.0.1:8082")], true),
            ("192.0.2.1", &[("host", "localhost:8082")], false),
            ("127.0.0.1", &[("host", "rebound.example:8082")], false),
            ("127.0.0.1", &[("host", "localhost.evil.example")], false),
            ("127.0.0.1", &[("host", "127.0.0.1.evil.example")], false),
            ("127.0.0.1", &[("host", "127.0.0.2:8082")], false),
            ("127.0.0.1", &[], false),
            ("127.0.0.1", &[("host", "localhost"), ("host", "evil.example")], false),
            ("127.0.0.1", &[("host", "localhost"), ("x-forwarded-for", "127.0.0.1")], false),
            ("127.0.0.1", &[("host", "localhost"), ("x-forwarded-anything", "x")], false),
            ("127.0.0.1", &[("host", "localhost"), ("forwarded", "for=127.0.0.1")], false),
            ("127.0.0.1", &[("host", "localhost"), ("via", "1.1 proxy")], false),
        ];
        for (peer, pairs, is_local) in rows {
            assert_eq!(arrival(peer, &[], pairs).is_local, is_local, "{peer} {pairs:?}");
        }
        let proxy = arrival("127.0.0.1", &["127.0.0.1/32"], &[("host", "localhost")]);
        assert!(!proxy.is_local, "a trusted proxy on this machine speaks for others");
    }
}
