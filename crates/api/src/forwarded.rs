//! Where a request comes from and how. What proxies say of that is believed only from those that the operator trusts:
//! everybody else could write the same headers.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::LazyLock;

use actix_web::HttpRequest;
use actix_web::http::{
    Version,
    header::{self, HeaderMap},
};
use ipnet::IpNet;
use service::text;

use crate::origin::single;
use crate::peer_owner::PeerOwner;

/// Headers by which proxies name a client, an address or the request as it was; a name that ends with `-` stands for all that
/// begin with it.
const OF_PROXIES: &[&str] = &[
    "forwarded",
    "via",
    "x-forward",
    "x-forward-",
    "x-forwarded",
    "x-forwarded-",
    "x-real-",
    "x-client-",
    "x-cluster-client-",
    "x-original-",
    "x-originating-",
    "x-remote-",
    "x-proxy-",
    "x-proxyuser-",
    "x-host",
    "x-url-scheme",
    "x-scheme",
    "x-envoy-",
    "x-amzn-",
    "x-amz-cf-",
    "x-azure-",
    "x-arr-",
    "x-appengine-",
    "x-goog-",
    "x-cloud-trace-context",
    "x-vercel-",
    "x-nf-",
    "x-akamai-",
    "akamai-",
    "cf-",
    "cdn-",
    "fastly-",
    "fly-",
    "true-client-",
    "client-ip",
    "proxy-",
    "wl-proxy-",
    "do-connecting-ip",
    "tailscale-",
    "remote-addr",
];

/// How a request came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Where it was made.
    pub(crate) address: IpAddr,
    /// It was made by https: a cookie that answers it may be kept for https.
    pub(crate) is_https: bool,
    /// The host and port that it was made to; empty where that is not clear.
    pub(crate) host: String,
    /// Why it does not count as made on this machine and to it, if so.
    pub(crate) not_local: Option<NotLocal>,
}

/// Why the trust in localhost does not hold for a request. The text goes on after "localhost is trusted, and".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotLocal {
    /// It comes from another machine.
    Elsewhere(IpAddr),
    /// It comes from a proxy that the operator trusts, which speaks for others.
    TrustedProxy,
    /// It has a header that proxies add.
    Forwarded(String),
    /// It is of an older HTTP than browsers and clients speak: proxies do by default.
    OldVersion,
    /// It was made to another name.
    Host(String),
    /// The other end of its connection is another user's.
    OtherUser(u32),
    /// Whose the other end is cannot be looked up.
    UnknownUser(String),
}

impl fmt::Display for NotLocal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elsewhere(address) => write!(out, "this request comes from {address}"),
            Self::TrustedProxy => write!(out, "this request comes through a proxy of TRUSTED_PROXIES"),
            Self::Forwarded(name) => write!(out, "this request has the header `{name}`, which proxies add"),
            Self::OldVersion => write!(out, "this request is not HTTP/1.1; proxies send older versions"),
            Self::Host(host) => write!(out, "this request was made to the host {host:?}"),
            Self::OtherUser(uid) => write!(out, "this connection is one of another user (id {uid})"),
            Self::UnknownUser(cause) => write!(out, "the user of this connection cannot be looked up: {cause}"),
        }
    }
}

impl Arrival {
    /// Reads a request.
    pub(crate) fn of(request: &HttpRequest, trusted: &[IpNet]) -> Self {
        static UNKNOWN: LazyLock<PeerOwner> =
            LazyLock::new(|| PeerOwner::Unknown("the connection was not looked at".into()));
        let owner = request.conn_data::<PeerOwner>().unwrap_or_else(|| &UNKNOWN);
        Self::read(request.peer_addr().map(|peer| peer.ip()), owner, request.version(), request.headers(), trusted)
    }

    /// Reads a request whose connection has `peer` at its other end.
    fn read(peer: Option<IpAddr>, owner: &PeerOwner, version: Version, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let peer = peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.to_canonical());
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
        let host = single(headers, header::HOST.as_str()).unwrap_or_default();
        if !is_trusted(peer) {
            let not_local = not_local(peer, owner, version, headers, host);
            return Self { address: peer, is_https: false, host: host.to_owned(), not_local };
        }
        let proxied_host = single(headers, "x-forwarded-host");
        Self {
            address: made_at(peer, headers, is_trusted),
            is_https: last_word(headers, "x-forwarded-proto")
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
            host: proxied_host.unwrap_or(host).to_owned(),
            not_local: Some(NotLocal::TrustedProxy),
        }
    }
}

fn not_local(peer: IpAddr, owner: &PeerOwner, version: Version, headers: &HeaderMap, host: &str) -> Option<NotLocal> {
    if !peer.is_loopback() {
        return Some(NotLocal::Elsewhere(peer));
    }
    match owner {
        PeerOwner::Us => {}
        PeerOwner::Other(uid) => return Some(NotLocal::OtherUser(*uid)),
        PeerOwner::Unknown(cause) => return Some(NotLocal::UnknownUser(cause.to_string())),
    }
    if version != Version::HTTP_11 {
        return Some(NotLocal::OldVersion);
    }
    if let Some(name) = headers.keys().map(header::HeaderName::as_str).find(|name| is_of_proxies(name)) {
        return Some(NotLocal::Forwarded(text::cut(name).into_owned()));
    }
    (!is_name_of_this_machine(host)).then(|| NotLocal::Host(text::cut(host).into_owned()))
}

fn is_of_proxies(name: &str) -> bool {
    OF_PROXIES.iter().any(|known| name == *known || (known.ends_with('-') && name.starts_with(known)))
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

fn is_name_of_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1" || name == "[::1]"
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
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
        Arrival::read(peer.parse().ok(), &PeerOwner::Us, Version::HTTP_11, &headers(pairs), &trusted)
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
            assert_eq!(arrival(peer, &[], pairs).not_local.is_none(), is_local, "{peer} {pairs:?}");
        }
        let proxy = arrival("127.0.0.1", &["127.0.0.1/32"], &[("host", "localhost")]);
        assert_eq!(proxy.not_local, Some(NotLocal::TrustedProxy), "a trusted proxy on this machine speaks for others");
    }
    /// One table of headers: the names that proxies use, and every name of the families that they invent.
    #[test]
    fn request_with_a_header_of_proxies_is_not_local() {
        let names = [
            "x-real-ip",
            "cf-connecting-ip",
            "cf-ray",
            "true-client-ip",
            "x-client-ip",
            "client-ip",
            "fastly-client-ip",
            "x-envoy-external-address",
            "x-amzn-trace-id",
            "x-original-forwarded-for",
            "x-cluster-client-ip",
            "x-forwarded",
            "x-forwarded-anything",
            "x-azure-clientip",
            "x-appengine-user-ip",
            "fly-client-ip",
            "proxy-connection",
            "cdn-loop",
        ];
        for name in names {
            let mut headers = headers(&[("host", "localhost")]);
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("1.2.3.4"));
            let localhost = Some(Ipv4Addr::LOCALHOST.into());
            let arrival = Arrival::read(localhost, &PeerOwner::Us, Version::HTTP_11, &headers, &[]);
            assert_eq!(arrival.not_local, Some(NotLocal::Forwarded(name.to_owned())));
        }
        for name in ["x-request-id", "x-api-version", "client-hints", "forwarded-by-nobody", "viable"] {
            assert!(!is_of_proxies(name), "{name}");
        }
    }

    #[test]
    fn only_http_1_1_of_our_own_user_or_root_is_local() {
        let headers = headers(&[("host", "localhost")]);
        let judged = |owner: PeerOwner, version| {
            Arrival::read(Some(Ipv4Addr::LOCALHOST.into()), &owner, version, &headers, &[]).not_local
        };
        assert_eq!(judged(PeerOwner::Us, Version::HTTP_11), None);
        assert_eq!(judged(PeerOwner::Us, Version::HTTP_10), Some(NotLocal::OldVersion));
        assert_eq!(judged(PeerOwner::Other(33), Version::HTTP_11), Some(NotLocal::OtherUser(33)));
        let unknown = judged(PeerOwner::Unknown("no table".into()), Version::HTTP_11);
        assert!(unknown.unwrap().to_string().contains("no table"));
    }
}
