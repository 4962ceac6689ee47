//! How many connections one address may hold: one that takes them all would shut everybody else out. Proxies that the
//! operator trusts hold those of many.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use service::access::Client;

/// The connections that are open.
#[derive(Debug)]
pub(crate) struct Connections {
    most: usize,
    trusted: Vec<IpNet>,
    open: Mutex<HashMap<Client, usize>>,
}

/// One open connection; its place is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    connections: Arc<Connections>,
    client: Client,
}

impl Connections {
    /// None is open yet.
    pub(crate) fn new(most: usize, trusted: Vec<IpNet>) -> Arc<Self> {
        Arc::new(Self { most, trusted, open: Mutex::default() })
    }

    /// A place for one more from this address; `None`: it has as many as it may.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let client = Client::address(address);
        let is_trusted = self.trusted.iter().any(|network| network.contains(&address.to_canonical()));
        let mut open = self.lock();
        let count = open.entry(client.clone()).or_default();
        if *count >= self.most && !is_trusted {
            return None;
        }
        *count += 1;
        Some(Place { connections: Arc::clone(self), client })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Client, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        if let Some(count) = open.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn an_address_has_so_many_places_and_gets_them_back() {
        let connections = Connections::new(2, Vec::new());
        let address = IpAddr::from([192, 0, 2, 1]);
        let places: Vec<Option<Place>> = (0..3).map(|_| connections.take(address)).collect();
        assert_eq!(places.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false]);
        assert!(connections.take(IpAddr::from([192, 0, 2, 2])).is_some(), "another address has its own");
        drop(places);
        assert!(connections.take(address).is_some());
        assert!(connections.lock().is_empty(), "nothing is remembered of those that left");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_a_trusted_proxy_has_no_limit() {
        let proxies = vec![IpNet::from(IpAddr::from([10, 0, 0, 1]))];
        let connections = Connections::new(1, proxies);
        let inside = |host: u128| IpAddr::from(Ipv6Addr::from_bits((0x2001_0db8 << 96) | host));
        let _held = connections.take(inside(1));
        assert!(connections.take(inside(2)).is_none());
        let places: Vec<Option<Place>> = (0..9).map(|_| connections.take(IpAddr::from([10, 0, 0, 1]))).collect();
        assert!(places.iter().all(Option::is_some));
    }
}
