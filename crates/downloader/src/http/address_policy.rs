//! Which addresses a URL may lead to. Pure: `client` asks for every address it is about to connect to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::{PrivateSources, Settings};

/// Suffixes of names that lead into private networks wherever they are resolved (RFC 6761, 6762, 8375, and ICANN's `internal`).
const PRIVATE_SUFFIXES: [&str; 6] = ["localhost", "local", "localdomain", "internal", "home.arpa", "lan"];

/// Decides by host, port and address.
#[derive(Debug, Clone)]
pub(crate) struct AddressPolicy {
    allowed: PrivateSources,
    /// Hosts and ports of the endpoints: another service on the same host is not one.
    endpoints: Vec<(String, Option<u16>)>,
    proxies: Vec<String>,
}

impl AddressPolicy {
    pub(crate) fn new(settings: &Settings) -> Self {
        let endpoints = [&settings.hf_endpoint, &settings.civitai_endpoint];
        let endpoints = endpoints.iter().filter_map(|url| host_and_port(url)).collect();
        let proxies = settings.proxy_hosts.iter().map(|host| normal(host)).collect();
        Self { allowed: settings.private_sources.clone(), endpoints, proxies }
    }

    /// The same policy with one more address of the operator's own.
    pub(crate) fn with_endpoint(mut self, url: &Url) -> Self {
        self.endpoints.extend(host_and_port(url));
        self
    }

    /// Whether a URL may not be redirected to: its address, or what is known of its name without resolving it. The name of a
    /// proxy, or of an endpoint on another port, would be resolved under the rules of that one.
    pub(crate) fn refuses_redirect(&self, url: &Url) -> bool {
        let is_refused_name = |name: &str| self.is_named(&normal(name)) || is_private_name(name);
        self.permits_literal(url).is_err() || self.name_to_judge(url).is_some_and(is_refused_name)
    }

    /// Whether a connection to this address may be made for this host name. A name that the operator gave, of an endpoint or of a
    /// proxy, may lead anywhere: the port is not known at name resolution; [`name_to_judge`](Self::name_to_judge) checks it.
    pub(crate) fn permits(&self, host: &str, address: IpAddr) -> bool {
        self.is_named(&normal(host)) || self.permits_link(address)
    }

    /// Whether a link that is no endpoint may lead to this address.
    pub(crate) fn permits_link(&self, address: IpAddr) -> bool {
        let networks = match &self.allowed {
            PrivateSources::All => return true,
            PrivateSources::None => &[][..],
            PrivateSources::Networks(networks) => networks.as_slice(),
        };
        let meant = meant_by(address);
        is_public(meant) || networks.iter().any(|network| network.contains(&address) || network.contains(&meant))
    }

    /// A URL whose host is an address is judged here, since no name is resolved for it. `Err` holds the address.
    pub(crate) fn permits_literal(&self, url: &Url) -> Result<(), String> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            _ => return Ok(()),
        };
        if self.is_endpoint(url) || self.permits_link(address) { Ok(()) } else { Err(address.to_string()) }
    }

    /// The name in a URL, where it has to be resolved and judged before anybody is asked: it is also that of a proxy or of an
    /// endpoint on another port, or a proxy may be handed it, which resolves it by itself.
    pub(crate) fn name_to_judge<'a>(&self, url: &'a Url) -> Option<&'a str> {
        if self.allowed == PrivateSources::All || self.is_endpoint(url) {
            return None;
        }
        url.domain().filter(|name| !self.proxies.is_empty() || self.is_named(&normal(name)))
    }

    fn is_endpoint(&self, url: &Url) -> bool {
        host_and_port(url).is_some_and(|asked| self.endpoints.contains(&asked))
    }

    fn is_named(&self, host: &String) -> bool {
        self.proxies.contains(host) || self.endpoints.iter().any(|(endpoint, _)| endpoint == host)
    }
}

/// Whether a name leads into a private network although nobody here can resolve it: its suffix says so, or it is that of this
/// machine.
pub(crate) fn is_private_name(name: &str) -> bool {
    let name = normal(name);
    let own = rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase();
    let ends_in = |suffix: &&str| name.strip_suffix(*suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    name == own || PRIVATE_SUFFIXES.iter().any(ends_in)
}

fn host_and_port(url: &Url) -> Option<(String, Option<u16>)> {
    Some((normal(url.host_str()?), url.port_or_known_default()))
}

fn normal(host: &str) -> String {
    host.trim_end_matches('.').trim_matches(['[', ']']).to_ascii_lowercase()
}

/// The IPv4 address inside a mapped, translated or tunnelled IPv6 address, since that is where the packets go.
fn meant_by(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let embedded = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => embedded(high, low),
        [0, 0, 0, 0, 0xffff, 0, high, low] => embedded(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        [0, 0, 0, 0, 0, 0, high, low] if (high, low) != (0, 0) && (high, low) != (0, 1) => embedded(high, low),
        _ => address,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b)) // carrier-grade NAT; some clouds keep metadata there
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19)))
}

/// Only global unicast is public, less what is carved out of it.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let teredo_or_special = segments[0] == 0x2001 && segments[1] < 0x0200;
    let documentation = (segments[0] == 0x2001 && segments[1] == 0x0db8) || (segments[0] & 0xfff0) == 0x3ff0;
    (segments[0] & 0xe000) == 0x2000 && !teredo_or_special && !documentation
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(private_sources: PrivateSources) -> AddressPolicy {
        let hf_endpoint = Url::parse("http://mirror.internal:8000").expect("a URL");
        let proxy_hosts = vec!["proxy.internal".to_owned(), "10.9.9.9".to_owned()];
        AddressPolicy::new(&Settings { private_sources, hf_endpoint, proxy_hosts, ..Settings::default() })
    }

    fn verdict(policy: &AddressPolicy, url: &str) -> bool {
        policy.permits_literal(&Url::parse(url).expect("a URL")).is_ok()
    }

    const REFUSED: [&str; 42] = [
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://①②⑦.0.0.1/",
        "http://127。0。0。1/",
        "http://10.0.0.1/",
        "http://172.16.0.1/",
        "http://192.168.1.1/",
        "http://169.254.169.254/",
        "http://100.100.100.200/",
        "http://0.0.0.0/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://[::1]/",
        "http://[::]/",
        "http://[fe80::1]/",
        "http://[fd00:ec2::254]/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[64:ff9b:1::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[2001::1]/",
        "http://[::7f00:1]/",
        "http://[::ffff:0:7f00:1]/",
        "http://[ff02::1]/",
        "http://[fec0::1]/",
        // The first and last of each block that is no one's to reach, and what lies beside it below.
        "http://0.1.2.3/",
        "http://100.64.0.0/",
        "http://100.127.255.255/",
        "http://192.0.0.170/",
        "http://192.0.2.1/",
        "http://192.88.99.1/",
        "http://198.18.0.0/",
        "http://198.19.255.255/",
        "http://240.0.0.1/",
        "http://[2001:1ff::1]/",
        "http://[2001:db8::1]/",
        "http://[3ff0::1]/",
        "http://[3fff::1]/",
    ];

    #[test]
    fn every_spelling_of_a_private_address_is_refused() {
        let strict = policy(PrivateSources::None);
        for url in REFUSED {
            assert!(!verdict(&strict, url), "{url} was permitted");
        }
        let permitted = [
            "http://1.1.1.1/",
            "http://[2606:4700::1111]/",
            "http://[::ffff:1.1.1.1]/",
            "http://a.example/",
            "http://100.63.255.255/",
            "http://100.128.0.0/",
            "http://198.17.255.255/",
            "http://198.20.0.0/",
            "http://223.255.255.255/",
            "http://[2001:200::1]/",
        ];
        for url in permitted {
            assert!(verdict(&strict, url), "{url} was refused");
        }
    }

    #[test]
    fn listed_networks_and_endpoint_hosts_are_permitted() {
        let some = policy(PrivateSources::Networks(vec!["10.1.0.0/16".parse().expect("a network")]));
        assert!(verdict(&some, "http://10.1.2.3/"));
        assert!(verdict(&some, "http://[::ffff:10.1.2.3]/"));
        assert!(!verdict(&some, "http://10.2.2.3/"));
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert!(some.permits("Mirror.Internal.", local));
        assert!(!some.permits("other.internal", local));
        assert!(policy(PrivateSources::All).permits("other.internal", local));
    }

    /// Another service on the host of the mirror is not the mirror.
    #[test]
    fn an_endpoint_is_permitted_with_its_port_only() {
        let name = |policy: &AddressPolicy, url: &str| {
            policy.name_to_judge(&Url::parse(url).expect("a URL")).map(str::to_owned)
        };
        let hf_endpoint = Url::parse("http://127.0.0.1:8000").expect("a URL");
        let strict = AddressPolicy::new(&Settings { hf_endpoint, ..Settings::default() });
        assert!(verdict(&strict, "http://127.0.0.1:8000/f"));
        assert!(!verdict(&strict, "http://127.0.0.1:9000/f") && !verdict(&strict, "http://127.0.0.1/f"));
        let hf_endpoint = Url::parse("http://mirror.internal:8000").expect("a URL");
        let strict = AddressPolicy::new(&Settings { hf_endpoint, ..Settings::default() });
        assert_eq!(name(&strict, "http://mirror.internal:8000/f"), None);
        assert_eq!(name(&strict, "http://Mirror.internal.:9000/f").as_deref(), Some("mirror.internal."));
        assert_eq!(name(&strict, "http://other.example/f"), None, "the resolver judges it");
    }

    #[test]
    fn names_of_private_networks_are_known_unresolved() {
        for name in ["localhost", "a.localhost", "metadata.google.internal", "Metadata.Google.Internal.", "nas.local"] {
            assert!(is_private_name(name), "{name}");
        }
        let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
        assert!(is_private_name(&own), "{own}");
        for name in ["huggingface.co", "internal.example", "notlocalhost", "mylocal.example"] {
            assert!(!is_private_name(name), "{name}");
        }
    }

    #[test]
    fn a_proxy_may_have_a_private_address_and_a_link_to_it_may_not() {
        let strict = policy(PrivateSources::None);
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert!(strict.permits("Proxy.Internal", local) && !strict.permits_link(local));
        assert!(!verdict(&strict, "http://10.9.9.9:22/"));
        let name = |url: &str| strict.name_to_judge(&Url::parse(url).expect("a URL")).map(str::to_owned);
        assert_eq!(name("http://proxy.internal.:22/").as_deref(), Some("proxy.internal."));
        assert_eq!(name("http://files.example/").as_deref(), Some("files.example"), "the proxy would resolve it");
        assert_eq!((name("http://mirror.internal:8000/"), name("http://10.9.9.9/")), (None, None));
    }
}
