//! A proxy that makes a server on this machine as far away as one on another continent: every byte
//! arrives half a round trip later, a new connection costs one round trip, and each connection carries
//! only so many bytes per second in each direction.
//!
//! It works above TCP: a handshake is one round trip, slow start does not happen, and up to
//! [`WINDOW`] bytes are on the way at once.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// How much is read at once.
const PIECE: usize = 64 << 10;
/// How much is on the way in one direction of a connection: at 50 MB/s, 160 ms.
const WINDOW: usize = 8 << 20;
/// Five threads per connection, none of which needs much.
const STACK: usize = 256 << 10;

/// What lies between client and server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Distance {
    /// The time from a request to its answer.
    pub(crate) round_trip: Duration,
    /// What one connection carries in one direction, in bytes per second; nothing for no limit.
    pub(crate) rate: Option<f64>,
}

/// The proxy. It accepts connections until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    connections: AtomicUsize,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 for a server.
    pub(crate) fn start(server: SocketAddr, distance: Distance) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let for_loop = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if for_loop.stop.load(Ordering::SeqCst) {
                    break;
                }
                for_loop.connections.fetch_add(1, Ordering::SeqCst);
                // The client was told that it is connected; what it sends now waits for the time
                // at which it would have been told so.
                let opened = Instant::now() + distance.round_trip;
                // An error here is a connection that ended, as connections do.
                let carry = move || drop(carry(client, server, opened, distance));
                let _ = thread::Builder::new().stack_size(STACK).spawn(carry);
            }
        });
        Ok(Self { address, shared })
    }

    /// How many connections it has accepted.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the loop, which looks at the mark and ends.
        drop(TcpStream::connect(self.address));
    }
}

/// Bytes, and when they arrive.
type Piece = (Instant, Vec<u8>);

/// Carries one connection in both directions until both have ended.
fn carry(client: TcpStream, server: SocketAddr, opened: Instant, distance: Distance) -> Result<()> {
    let server = TcpStream::connect(server)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let back = (server.try_clone()?, client.try_clone()?);
    for (from, to) in [(client, server), back] {
        let (sender, receiver) = sync_channel(WINDOW / PIECE);
        let reader = from.try_clone()?;
        let way = distance.round_trip / 2;
        let take = move || take(&reader, opened, way, &sender);
        thread::Builder::new().stack_size(STACK).spawn(take)?;
        let give = move || give(&from, &to, distance.rate, &receiver);
        thread::Builder::new().stack_size(STACK).spawn(give)?;
    }
    Ok(())
}

/// Reads, and notes when what was read arrives on the other side.
fn take(mut from: &TcpStream, opened: Instant, way: Duration, to: &SyncSender<Piece>) {
    loop {
        let mut bytes = vec![0; PIECE];
        // A connection that breaks ends on the other side too.
        let count = from.read(&mut bytes).unwrap_or(0);
        bytes.truncate(count);
        let arrives = Instant::now().max(opened) + way;
        // An empty piece is the end.
        if to.send((arrives, bytes)).is_err() || count == 0 {
            return;
        }
    }
}

/// Writes each piece when it arrives, and no faster than the rate.
fn give(from: &TcpStream, mut to: &TcpStream, rate: Option<f64>, pieces: &Receiver<Piece>) {
    let mut free = Instant::now();
    for (arrives, bytes) in pieces {
        let last = rate.map_or(Duration::ZERO, |rate| {
            Duration::from_secs_f64(bytes.len() as f64 / rate)
        });
        free = free.max(arrives) + last;
        thread::sleep(free.saturating_duration_since(Instant::now()));
        if bytes.is_empty() {
            let _ = to.shutdown(Shutdown::Write);
            return;
        }
        if to.write_all(&bytes).is_err() {
            // Who sends is not left waiting for a reader that is gone.
            let _ = from.shutdown(Shutdown::Both);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends everything back.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
            }
        });
        address
    }

    /// Sends bytes and waits until all have come back, and the connection has ended.
    fn there_and_back(proxy: &Proxy, bytes: usize) -> Duration {
        let began = Instant::now();
        let mut stream = TcpStream::connect(proxy.address).unwrap();
        let mut reader = stream.try_clone().unwrap();
        let sender = thread::spawn(move || {
            stream.write_all(&vec![7; bytes]).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        });
        let mut back = Vec::new();
        reader.read_to_end(&mut back).unwrap();
        sender.join().unwrap();
        assert_eq!(back, vec![7; bytes]);
        began.elapsed()
    }

    #[test]
    fn a_connection_and_an_answer_cost_a_round_trip_each() {
        let round_trip = Duration::from_millis(40);
        let distance = Distance {
            round_trip,
            rate: None,
        };
        let proxy = Proxy::start(echo(), distance).unwrap();
        assert!(there_and_back(&proxy, 10) >= 2 * round_trip);
        assert!(there_and_back(&proxy, 100_000) >= 2 * round_trip);
        assert_eq!(proxy.connections(), 2);
    }

    #[test]
    fn a_connection_carries_no_more_than_its_rate() {
        let distance = Distance {
            round_trip: Duration::ZERO,
            rate: Some(10e6),
        };
        let proxy = Proxy::start(echo(), distance).unwrap();
        assert!(there_and_back(&proxy, 1_000_000) >= Duration::from_millis(100));
    }
}
