//! How many connections each address has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Connections by address: as many entries as addresses that are connected.
#[derive(Clone, Debug, Default)]
pub(crate) struct PerAddress(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One of an address's connections, given back on drop.
#[derive(Debug)]
pub(crate) struct Place {
    address: IpAddr,
    all: PerAddress,
}

impl PerAddress {
    /// Counts one more, unless there are `limit` already.
    pub(crate) fn enter(&self, address: IpAddr, limit: usize) -> Option<Place> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(address).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Place {
            address,
            all: self.clone(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.address);
            }
        }
    }
}
