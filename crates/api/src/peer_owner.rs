//! Whose program is at the other end of a connection of this machine. The trust in localhost is for the user who runs the server:
//! a proxy or a service of another user speaks for others. Looked up once, when the connection is accepted: later the socket may
//! be gone and its port somebody else's.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Once},
};

use rustix::process::geteuid;

/// The user who always may.
const ROOT: u32 = 0;

/// What the trust in localhost is, and what it cannot tell apart: for the log at start and for `doctor`.
pub(crate) const TRUST_IN_LOCALHOST: &str = "requests that this user or root sends on this machine to localhost have every \
     right; a tunnel or proxy that they run themselves (ssh -R, socat, kubectl port-forward, cloudflared) cannot be told apart: \
     set a password before you run one";

/// Who owns the socket at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PeerOwner {
    /// Our own user, or root. On other systems than Linux everybody of this machine.
    Us,
    /// Another user of this machine.
    Other(u32),
    /// It could not be looked up.
    Unknown(Arc<str>),
}

type Lookup = dyn Fn(SocketAddr, SocketAddr) -> io::Result<u32> + Send + Sync;

/// Where the owner of a peer's socket is looked up, by the peer's address and ours.
#[derive(Clone)]
pub struct PeerOwners(Arc<Lookup>);

impl PeerOwners {
    /// Looks owners up by this function, which answers with a user id.
    pub fn by(lookup: impl Fn(SocketAddr, SocketAddr) -> io::Result<u32> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// Who owns the socket of a peer that has connected to `local`. A peer of another machine is judged by its address alone.
    pub(crate) fn owner_of(&self, peer: SocketAddr, local: SocketAddr) -> PeerOwner {
        static TOLD: Once = Once::new();
        if !peer.ip().to_canonical().is_loopback() {
            return PeerOwner::Unknown("it comes from another machine".into());
        }
        match (self.0)(peer, local) {
            Ok(uid) if uid == ROOT || uid == geteuid().as_raw() => PeerOwner::Us,
            Ok(uid) => PeerOwner::Other(uid),
            Err(cause) => {
                let not_trusted = "localhost is not trusted: the owner of a local connection cannot be looked up";
                TOLD.call_once(|| tracing::warn!(error = %cause, "{not_trusted}"));
                PeerOwner::Unknown(cause.to_string().into())
            }
        }
    }
}

impl Default for PeerOwners {
    fn default() -> Self {
        Self::by(look_up)
    }
}

impl fmt::Debug for PeerOwners {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("PeerOwners(..)")
    }
}

/// Looks up the owner of a connection to ourselves.
pub(crate) fn try_out() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    look_up(client.local_addr()?, client.peer_addr()?).map(drop)
}

/// The user whose socket is bound to `peer` and connected to `local`.
#[cfg(target_os = "linux")]
pub(crate) fn look_up(peer: SocketAddr, local: SocketAddr) -> io::Result<u32> {
    sock_diag::look_up(peer, local).or_else(|cause| {
        proc_net::look_up(peer, local).map_err(|other| io::Error::other(format!("sock_diag: {cause}; /proc: {other}")))
    })
}

/// Elsewhere nobody can be asked, and the address decides.
#[cfg(not(target_os = "linux"))]
pub(crate) fn look_up(_: SocketAddr, _: SocketAddr) -> io::Result<u32> {
    Ok(geteuid().as_raw())
}

/// The kernel's own table of sockets (sock_diag(7), linux/inet_diag.h).
#[cfg(target_os = "linux")]
mod sock_diag {
    use std::{
        io::{self, Read, Write},
        net::{IpAddr, SocketAddr},
        time::Duration,
    };

    use socket2::{Domain, Protocol, Socket, Type};

    const AF_NETLINK: i32 = 16;
    const NETLINK_SOCK_DIAG: i32 = 4;
    const NLMSG_ERROR: u16 = 2;
    const SOCK_DIAG_BY_FAMILY: u16 = 20;
    const NLM_F_REQUEST: u16 = 1;
    const IPPROTO_TCP: u8 = 6;
    const HEADER: usize = 16;
    /// A kernel that does not answer at once is not waited for.
    const TIMEOUT: Duration = Duration::from_millis(200);

    pub(super) fn look_up(peer: SocketAddr, local: SocketAddr) -> io::Result<u32> {
        let mut socket = Socket::new(Domain::from(AF_NETLINK), Type::DGRAM, Some(Protocol::from(NETLINK_SOCK_DIAG)))?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        socket.write_all(&request(peer, local))?;
        let mut answer = [0; 1024];
        let length = socket.read(&mut answer)?;
        owner(answer.get(..length).unwrap_or_default(), peer, local)
    }

    /// `struct nlmsghdr` and `struct inet_diag_req_v2`: the socket whose own address is the peer's.
    fn request(peer: SocketAddr, local: SocketAddr) -> Vec<u8> {
        let mut body = vec![if peer.is_ipv4() { 2 } else { 10 }, IPPROTO_TCP, 0, 0];
        body.extend(u32::MAX.to_ne_bytes());
        body.extend(peer.port().to_be_bytes());
        body.extend(local.port().to_be_bytes());
        body.extend(sixteen(peer.ip()));
        body.extend(sixteen(local.ip()));
        // Any interface, no cookie.
        body.extend([0; 4]);
        body.extend([0xff; 8]);
        let mut message = Vec::with_capacity(HEADER + body.len());
        message.extend(((HEADER + body.len()) as u32).to_ne_bytes());
        message.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        message.extend(NLM_F_REQUEST.to_ne_bytes());
        message.extend([0; 8]);
        message.extend(body);
        message
    }

    fn sixteen(address: IpAddr) -> [u8; 16] {
        let mut bytes = [0; 16];
        match address {
            IpAddr::V4(address) => bytes[..4].copy_from_slice(&address.octets()),
            IpAddr::V6(address) => bytes = address.octets(),
        }
        bytes
    }

    /// `struct inet_diag_msg`. A socket that no process holds any more has no inode and says nothing of its owner.
    fn owner(answer: &[u8], peer: SocketAddr, local: SocketAddr) -> io::Result<u32> {
        let unreadable = || io::Error::new(io::ErrorKind::InvalidData, "an answer that cannot be read");
        let number = |at: usize| Some(u32::from_ne_bytes(answer.get(at..at + 4)?.try_into().ok()?));
        let short = |at: usize| Some(u16::from_ne_bytes(answer.get(at..at + 2)?.try_into().ok()?));
        match short(4).ok_or_else(unreadable)? {
            SOCK_DIAG_BY_FAMILY => {}
            NLMSG_ERROR => {
                let code = number(HEADER).ok_or_else(unreadable)?.cast_signed();
                return Err(io::Error::from_raw_os_error(code.saturating_neg()));
            }
            _ => return Err(unreadable()),
        }
        let body = HEADER;
        let ports = (short(body + 4).map(u16::from_be), short(body + 6).map(u16::from_be));
        let (uid, inode) = (number(body + 64), number(body + 68));
        match (uid, inode) {
            (Some(uid), Some(inode)) if inode != 0 && ports == (Some(peer.port()), Some(local.port())) => Ok(uid),
            _ => Err(io::Error::new(io::ErrorKind::NotFound, "no process holds the other end")),
        }
    }
}

/// The same table as text, for kernels without sock_diag: slower the more connections there are.
#[cfg(target_os = "linux")]
mod proc_net {
    use std::{
        fs, io,
        net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    };

    pub(super) fn look_up(peer: SocketAddr, local: SocketAddr) -> io::Result<u32> {
        // A socket of IPv6 may be connected to an address of IPv4, and stands in the other table.
        for table in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
            match fs::read_to_string(table) {
                Ok(text) => {
                    if let Some(uid) = find(&text, peer, local) {
                        return Ok(uid);
                    }
                }
                Err(cause) if cause.kind() == io::ErrorKind::NotFound && table.ends_with('6') => {}
                Err(cause) => return Err(cause),
            }
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "no process holds the other end"))
    }

    pub(super) fn find(table: &str, peer: SocketAddr, local: SocketAddr) -> Option<u32> {
        table.lines().skip(1).find_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, own, other, _, _, _, _, uid, _, inode, ..] = words.as_slice() else { return None };
            let is_it = address(own)? == canonical(peer) && address(other)? == canonical(local) && *inode != "0";
            if is_it { uid.parse().ok() } else { None }
        })
    }

    fn canonical(address: SocketAddr) -> SocketAddr {
        SocketAddr::new(address.ip().to_canonical(), address.port())
    }

    /// `0100007F:1F92`: words of four bytes in the machine's order, and the port.
    fn address(text: &str) -> Option<SocketAddr> {
        let (address, port) = text.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
        let ip: IpAddr = match address.len() {
            8 => Ipv4Addr::from(word(0)?).into(),
            32 => {
                let mut bytes = [0; 16];
                for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                    chunk.copy_from_slice(&word(at * 8)?);
                }
                Ipv6Addr::from(bytes).into()
            }
            _ => return None,
        };
        Some(SocketAddr::new(ip.to_canonical(), port))
    }
}

#[cfg(all(test, target_os = "linux"))]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    /// Both tables know the owner of a socket that a process holds, and nobody of one that is closed.
    #[test]
    fn both_tables_name_the_owner_of_an_open_socket() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                println!("{address} does not exist here");
                continue;
            };
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (accepted, peer) = listener.accept().unwrap();
            let local = accepted.local_addr().unwrap();
            let ours = geteuid().as_raw();
            assert_eq!(sock_diag::look_up(peer, local).unwrap(), ours, "{address}");
            assert_eq!(proc_net::look_up(peer, local).unwrap(), ours, "{address}");
            let elsewhere = SocketAddr::new(peer.ip(), 1);
            assert!(look_up(elsewhere, local).is_err());
            drop(client);
            assert!(look_up(peer, local).is_err(), "{address}: who closed it may be anybody");
        }
    }

    /// A client of IPv6 that is connected to an address of IPv4, as those of Java are.
    #[test]
    fn owner_of_a_dual_stack_socket_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mapped = SocketAddr::new("::ffff:127.0.0.1".parse().unwrap(), listener.local_addr().unwrap().port());
        let Ok(_client) = TcpStream::connect(mapped) else { return println!("this machine has no IPv6") };
        let (accepted, peer) = listener.accept().unwrap();
        assert_eq!(look_up(peer, accepted.local_addr().unwrap()).unwrap(), geteuid().as_raw());
    }

    #[test]
    fn other_users_and_failed_lookups_are_not_us() {
        let here: SocketAddr = "127.0.0.1:1".parse().unwrap();
        assert_eq!(PeerOwners::by(|_, _| Ok(ROOT)).owner_of(here, here), PeerOwner::Us);
        let stranger = geteuid().as_raw() + 4711;
        assert_eq!(PeerOwners::by(move |_, _| Ok(stranger)).owner_of(here, here), PeerOwner::Other(stranger));
        let failed = PeerOwners::by(|_, _| Err(io::Error::other("no table"))).owner_of(here, here);
        assert_eq!(failed, PeerOwner::Unknown("no table".into()));
    }
}
