//! How many connections there may be: of one address, since one that takes them all would shut everybody else out; of all
//! strangers together, so that this machine and the proxies that the operator trusts always get in; and in all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use service::access::Client;

use crate::descriptors::ConnectionLimits;

/// The connections that are open.
#[derive(Debug)]
pub(crate) struct Connections {
    limits: ConnectionLimits,
    trusted: Vec<IpNet>,
    open: Mutex<Open>,
}

/// How many are open.
#[derive(Debug, Default)]
struct Open {
    by_client: HashMap<Client, usize>,
    strangers: usize,
    total: usize,
}

/// One open connection; its place is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    connections: Arc<Connections>,
    client: Client,
    is_stranger: bool,
}

impl Connections {
    /// None is open yet.
    pub(crate) fn new(limits: ConnectionLimits, trusted: Vec<IpNet>) -> Arc<Self> {
        Arc::new(Self { limits, trusted, open: Mutex::default() })
    }

    /// A place for one more from this address; `None`: there are as many as there may be. A trusted proxy may hold those of
    /// many addresses.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let client = Client::address(address);
        let address = address.to_canonical();
        let is_trusted = self.trusted.iter().any(|network| network.contains(&address));
        let is_stranger = !is_trusted && !address.is_loopback();
        let mut open = self.lock();
        let of_client = open.by_client.get(&client).copied().unwrap_or(0);
        let is_full = open.total >= self.limits.total
            || (is_stranger && open.strangers >= self.limits.strangers)
            || (!is_trusted && of_client >= self.limits.per_address);
        if is_full {
            return None;
        }
        open.by_client.insert(client.clone(), of_client + 1);
        open.total += 1;
        open.strangers += usize::from(is_stranger);
        Some(Place { connections: Arc::clone(self), client, is_stranger })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.total -= 1;
        open.strangers -= usize::from(self.is_stranger);
        if let Some(count) = open.by_client.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.by_client.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn limits(per_address: usize) -> ConnectionLimits {
        ConnectionLimits { per_address, strangers: 20, total: 30 }
    }

    /// However many addresses a stranger has, this machine gets in, and the process keeps what it needs.
    #[test]
    fn strangers_leave_room_for_this_machine() {
        let connections = Connections::new(limits(10), Vec::new());
        let places: Vec<Place> = (0..50).filter_map(|host| connections.take(IpAddr::from([192, 0, 2, host]))).collect();
        assert_eq!(places.len(), 20);
        let here: Vec<Place> = (1..50).filter_map(|host| connections.take(IpAddr::from([127, 0, 0, host]))).collect();
        assert_eq!(here.len(), 10);
    }

    #[test]
    fn an_address_has_so_many_places_and_gets_them_back() {
        let connections = Connections::new(limits(2), Vec::new());
        let address = IpAddr::from([192, 0, 2, 1]);
        let places: Vec<Option<Place>> = (0..3).map(|_| connections.take(address)).collect();
        assert_eq!(places.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false]);
        assert!(connections.take(IpAddr::from([192, 0, 2, 2])).is_some(), "another address has its own");
        drop(places);
        assert!(connections.take(address).is_some());
        assert!(connections.lock().by_client.is_empty(), "nothing is remembered of those that left");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_a_trusted_proxy_has_no_limit() {
        let proxies = vec![IpNet::from(IpAddr::from([10, 0, 0, 1]))];
        let connections = Connections::new(limits(1), proxies);
        let inside = |host: u128| IpAddr::from(Ipv6Addr::from_bits((0x2001_0db8 << 96) | host));
        let _held = connections.take(inside(1));
        assert!(connections.take(inside(2)).is_none());
        let places: Vec<Option<Place>> = (0..9).map(|_| connections.take(IpAddr::from([10, 0, 0, 1]))).collect();
        assert!(places.iter().all(Option::is_some));
    }
}
