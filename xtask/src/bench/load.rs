//! One request, asked again and again for a while on some connections at once.
//!
//! One blocking thread per connection. Client and server are left to the scheduler: pinning them to
//! a core each makes runs steadier, but then no server can show what it does with two cores.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

use super::accounts::processor_time;
use super::content::hex;
use super::crowd::{self, Client};
use super::endpoint::Endpoint;
use super::servers::Peer;
use super::wire::{Connection, Head};

/// A request and what has to come back.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    request: Vec<u8>,
    /// The length that the head has to say.
    length: u64,
    has_body: bool,
}

impl Read {
    /// `GET` of something of this length.
    pub(crate) fn get(path: &str, length: u64) -> Self {
        Self {
            request: read_request("GET", path),
            length,
            has_body: true,
        }
    }

    /// `HEAD` of something of this length.
    pub(crate) fn head(path: &str, length: u64) -> Self {
        Self {
            request: read_request("HEAD", path),
            length,
            has_body: false,
        }
    }

    /// Reads it once whole and checks every byte by its digest; this warms the caches too.
    pub(crate) fn verify(&self, endpoint: impl Into<Endpoint>, digest: &str) -> Result<()> {
        let mut connection = Connection::open(endpoint)?;
        connection.send(&self.request)?;
        let head = connection.head()?;
        self.check(&head)?;
        if self.has_body {
            let mut hash = Sha256::new();
            connection.body(&head, |bytes| hash.update(bytes))?;
            let found = format!("sha256:{}", hex(&hash.finalize()));
            ensure!(found == digest, "the content is {found}, not {digest}");
        }
        Ok(())
    }

    /// Asks once, and reads all of the answer.
    pub(crate) fn once(&self, connection: &mut Connection) -> Result<()> {
        // No answer is so large that a server on the same machine needs longer.
        self.until(connection, Instant::now() + Duration::from_secs(300))?;
        Ok(())
    }

    /// Asks until the time is over. Returns whole answers and bytes of bodies; a body that is not
    /// whole at the end is left, so that no connection goes on alone.
    fn repeat(&self, connection: &mut Connection, until: Instant) -> Result<(u64, u64)> {
        let (mut answers, mut bytes) = (0, 0);
        while Instant::now() < until {
            let read = self.until(connection, until)?;
            bytes += read;
            answers += u64::from(read == self.body());
        }
        Ok((answers, bytes))
    }

    /// Asks once, and reads the body until the time is over. Returns how much of it came.
    fn until(&self, connection: &mut Connection, until: Instant) -> Result<u64> {
        connection.send(&self.request)?;
        self.check(&connection.head()?)?;
        connection.drain(self.body(), until)
    }

    fn check(&self, head: &Head) -> Result<()> {
        ensure!(
            head.status == 200,
            "answered {} instead of 200",
            head.status
        );
        ensure!(
            head.length == Some(self.length),
            "the length is {:?} instead of {}",
            head.length,
            self.length
        );
        Ok(())
    }

    fn body(&self) -> u64 {
        if self.has_body { self.length } else { 0 }
    }
}

/// Manifests are asked for with the type that they have; Distribution hides them otherwise.
fn read_request(method: &str, path: &str) -> Vec<u8> {
    let accept = super::content::IMAGE;
    format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {accept}, */*\r\n\r\n").into()
}

/// What a server did while it was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    answers: u64,
    bytes: u64,
    took: Duration,
    processor: Duration,
}

impl Run {
    /// Answers per second.
    pub(crate) fn rate(&self) -> f64 {
        self.answers as f64 / self.took.as_secs_f64()
    }

    /// Gigabytes of bodies per second.
    pub(crate) fn throughput(&self) -> f64 {
        self.bytes as f64 / 1e9 / self.took.as_secs_f64()
    }

    /// Seconds of processor time of the server for a gigabyte.
    pub(crate) fn cost(&self) -> f64 {
        self.processor.as_secs_f64() * 1e9 / self.bytes as f64
    }
}

/// Asks a server on so many connections for so long.
pub(crate) fn run(peer: &Peer, read: &Read, connections: usize, time: Duration) -> Result<Run> {
    let client = |_| -> Result<Client<'_, (u64, u64)>> {
        let mut connection = Connection::open(&peer.endpoint)?;
        Ok(Box::new(move || {
            read.repeat(&mut connection, Instant::now() + time)
        }))
    };
    let clients = (0..connections).map(client).collect::<Result<_>>()?;
    let booked = processor_time(peer.pid())?;
    let (results, took) =
        crowd::run(clients).with_context(|| format!("{} under load", peer.who))?;
    let processor = processor_time(peer.pid())?.saturating_sub(booked);
    let answers = results.iter().map(|(answers, _)| answers).sum();
    let bytes = results.iter().map(|(_, bytes)| bytes).sum();
    ensure!(
        answers > 0 || bytes > 0,
        "{} answered nothing in {time:?}",
        peer.who
    );
    Ok(Run {
        answers,
        bytes,
        took,
        processor,
    })
}
