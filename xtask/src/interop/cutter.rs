//! A proxy in front of the registry that cuts the first long download in its middle.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;

/// A connection on which nothing moves for so long is let go.
const IDLE: Duration = Duration::from_secs(30);

/// The proxy. It accepts connections until it is dropped.
#[derive(Debug)]
pub(super) struct Cutter {
    authority: String,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    cuts: AtomicUsize,
    sent_after: AtomicUsize,
}

impl Cutter {
    /// Starts it; the first connection that has carried `after` bytes to the client is cut.
    pub(super) fn start(registry: &str, after: usize) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let authority = listener.local_addr()?.to_string();
        let shared = Arc::new(Shared::default());
        let (registry, for_loop) = (registry.to_owned(), shared.clone());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if for_loop.stop.load(Ordering::SeqCst) {
                    break;
                }
                let (registry, shared) = (registry.clone(), for_loop.clone());
                // An error here is a connection that ended, as connections do.
                thread::spawn(move || drop(carry(&client, &registry, after, &shared)));
            }
        });
        Ok(Self { authority, shared })
    }

    /// Its `host:port`.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// How many connections it has cut.
    pub(super) fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::SeqCst)
    }

    /// How many bytes went to the client on all connections since the cut.
    pub(super) fn sent_after(&self) -> usize {
        self.shared.sent_after.load(Ordering::SeqCst)
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the loop, which looks at the mark and ends.
        drop(TcpStream::connect(&self.authority));
    }
}

/// Carries one connection in both directions.
fn carry(client: &TcpStream, registry: &str, after: usize, shared: &Shared) -> Result<()> {
    let server = TcpStream::connect(registry)?;
    for stream in [client, &server] {
        stream.set_read_timeout(Some(IDLE))?;
        stream.set_write_timeout(Some(IDLE))?;
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = std::io::copy(&mut &*client, &mut &server);
            let _ = server.shutdown(Shutdown::Write);
        });
        let _ = carry_back(&server, client, after, shared);
        let _ = (
            client.shutdown(Shutdown::Both),
            server.shutdown(Shutdown::Both),
        );
    });
    Ok(())
}

/// Carries the answers, and returns in the middle of one when it is time to cut.
fn carry_back(
    mut server: impl Read,
    mut client: impl Write,
    after: usize,
    shared: &Shared,
) -> Result<()> {
    let (mut buffer, mut carried) = (vec![0; 64 << 10], 0);
    loop {
        let count = server.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        client.write_all(buffer.get(..count).unwrap_or_default())?;
        carried += count;
        if shared.cuts.load(Ordering::SeqCst) > 0 {
            shared.sent_after.fetch_add(count, Ordering::SeqCst);
        } else if carried >= after
            && shared
                .cuts
                .compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
        {
            return Ok(());
        }
    }
}
