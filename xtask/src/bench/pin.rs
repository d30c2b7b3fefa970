//! Servers on one core, clients on the others: on request only.
//!
//! Left to the scheduler, a server and its client share a core in one round and have one each in the
//! next, and figures of one connection scatter by half. Pinned they scatter by a tenth, but then no
//! server can use a second core, and none is run like this.

use anyhow::{Context as _, Result, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores of servers and of clients.
#[derive(Clone, Debug)]
pub(crate) struct Pin {
    servers: CpuSet,
    clients: CpuSet,
}

impl Pin {
    /// Divides the cores that this process may use.
    pub(crate) fn new() -> Result<Self> {
        let mut clients = sched_getaffinity(None).context("cannot ask for the cores")?;
        ensure!(clients.count() > 1, "pinning needs two cores");
        let first = (0..CpuSet::MAX_CPU).find(|core| clients.is_set(*core));
        let first = first.context("no core is allowed")?;
        let mut servers = CpuSet::new();
        servers.set(first);
        clients.unset(first);
        Ok(Self { servers, clients })
    }

    /// From here on this thread, and what it starts, runs where servers do.
    pub(crate) fn as_server(&self) -> Result<()> {
        sched_setaffinity(None, &self.servers).context("cannot pin to the core of servers")
    }

    /// From here on this thread, and what it starts, runs where clients do.
    pub(crate) fn as_client(&self) -> Result<()> {
        sched_setaffinity(None, &self.clients).context("cannot pin to the cores of clients")
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn the_cores_are_divided() {
        let before = sched_getaffinity(None).unwrap();
        if before.count() < 2 {
            let refusal = Pin::new().unwrap_err().to_string();
            assert_eq!(refusal, "pinning needs two cores");
            return;
        }
        let pin = Pin::new().unwrap();
        assert_eq!(pin.servers.count() + pin.clients.count(), before.count());
        // On a thread of its own: other tests keep their cores.
        let now =
            thread::spawn(move || pin.as_server().and_then(|()| Ok(sched_getaffinity(None)?)));
        assert_eq!(now.join().unwrap().unwrap().count(), 1);
    }
}
