//! Pushes that are on the disk when they are acknowledged: both registries sync files and folders
//! before they answer.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::{Bench, Transport};
use crate::bench::accounts::processor_time;
use crate::bench::content::{Blob, digest, image};
use crate::bench::crowd::{self, Client};
use crate::bench::figure::{Figure, Target, Unit, Who};
use crate::bench::load::Read;
use crate::bench::servers::Peer;
use crate::bench::upload;
use crate::bench::wire::Connection;

const REPO: &str = "bench/pushes";
/// At once, as the issue of a busy build farm.
const PUSHERS: usize = 16;

/// One blob of 1 GiB on one connection, another one in each round.
pub(super) fn large(bench: &Bench) -> Result<Vec<Figure>> {
    large_over(bench, Transport::Plain)
}

/// The same over TLS.
pub(super) fn large_tls(bench: &Bench) -> Result<Vec<Figure>> {
    large_over(bench, Transport::Tls)
}

fn large_over(bench: &Bench, transport: Transport) -> Result<Vec<Figure>> {
    let size = bench.pick(1 << 30, 1 << 28);
    let words = bench.pick("1 GiB", "256 MiB");
    let target = vec![Target::AtLeast(1.5, Who::Distribution)];
    let name = format!("blob push {words}{}, durable", transport.suffix());
    let mut throughput = Figure::new(name.clone(), Unit::GigabytesPerSecond, target);
    let floor = match transport {
        // Hashing takes 0.56 of it where SHA-256 has instructions of its own; the rest is receiving
        // and writing.
        Transport::Plain => vec![Target::Limit(1.1)],
        Transport::Tls => Vec::new(),
    };
    let mut cost = Figure::new(
        format!("{name}: processor"),
        Unit::SecondsPerGigabyte,
        floor,
    );
    for round in 0..bench.rounds {
        let blob = bench.stock.blob(size);
        let bytes = blob.size as f64 / 1e9;
        // Empty folders in each round, so that no round has more on the disk than another.
        let place = bench.place()?;
        for peer in bench.start_over(transport, &Who::REGISTRIES, place.path())? {
            let (took, processor) = push_large(bench, &peer, &blob).context(peer.who)?;
            throughput.add(peer.who, bytes / took.as_secs_f64());
            cost.add(peer.who, processor.as_secs_f64() / bytes);
            if round == 0 {
                let path = format!("/v2/{REPO}/blobs/{}", blob.digest);
                Read::get(&path, blob.size as u64).verify(&peer.endpoint, &blob.digest)?;
            }
        }
    }
    Ok(vec![throughput, cost])
}

fn push_large(bench: &Bench, peer: &Peer, blob: &Blob) -> Result<(Duration, Duration)> {
    let mut connection = Connection::open(&peer.endpoint)?;
    upload::blob(&mut connection, REPO, &bench.stock.blob(4096))?;
    // What others left to be written is written now, and not at the cost of this push.
    rustix::fs::sync();
    let booked = processor_time(peer.pid())?;
    let began = Instant::now();
    upload::blob(&mut connection, REPO, blob)?;
    Ok((
        began.elapsed(),
        processor_time(peer.pid())?.saturating_sub(booked),
    ))
}

/// Whole images, each of its own blobs, by several clients at once.
pub(super) fn small(bench: &Bench) -> Result<Vec<Figure>> {
    let place = bench.place()?;
    let peers = bench.start(&Who::REGISTRIES, place.path())?;
    let target = vec![Target::AtLeast(3.0, Who::Distribution)];
    let name = format!("push of small images, {PUSHERS} at once, durable");
    let mut rate = Figure::new(name, Unit::PerSecond, target);
    for round in 0..bench.rounds {
        for peer in &peers {
            let each = bench.pick(20, 5);
            let farm = Farm::new(bench, each);
            rustix::fs::sync();
            let took = farm.push(peer, round).context(peer.who)?;
            rate.add(peer.who, (PUSHERS * each) as f64 / took.as_secs_f64());
            if round == 0 {
                farm.verify(peer)?;
            }
        }
    }
    Ok(vec![rate])
}

/// An image that nobody has yet.
struct Image {
    config: Blob,
    layer: Blob,
    manifest: Vec<u8>,
}

impl Image {
    fn new(bench: &Bench) -> Self {
        let (config, layer) = (bench.stock.blob(512), bench.stock.blob(4096));
        let manifest = image(&config, &layer);
        Self {
            config,
            layer,
            manifest,
        }
    }

    fn push(&self, connection: &mut Connection, repo: &str, tag: &str) -> Result<()> {
        upload::blob(connection, repo, &self.config)?;
        upload::blob(connection, repo, &self.layer)?;
        upload::manifest(connection, repo, tag, &self.manifest)
    }
}

/// Images for each of the pushers.
struct Farm(Vec<Vec<Image>>);

impl Farm {
    fn new(bench: &Bench, each: usize) -> Self {
        let some = |_| (0..each).map(|_| Image::new(bench)).collect();
        Self((0..PUSHERS).map(some).collect())
    }

    /// Pushes all: session and PUT of the config, the same of the layer, and the manifest by tag.
    fn push(&self, peer: &Peer, round: usize) -> Result<Duration> {
        let pushers = self.0.iter().enumerate();
        let clients = pushers.map(|(pusher, images)| client(peer, pusher, round, images));
        Ok(crowd::run(clients.collect::<Result<_>>()?)?.1)
    }

    /// Reads the last image of each pusher of the first round.
    fn verify(&self, peer: &Peer) -> Result<()> {
        for (pusher, images) in self.0.iter().enumerate() {
            let Some(image) = images.last() else {
                continue;
            };
            let (repo, tag) = (repo(pusher), tag(0, images.len() - 1));
            let path = format!("/v2/{repo}/manifests/{tag}");
            Read::get(&path, image.manifest.len() as u64)
                .verify(&peer.endpoint, &digest(&image.manifest))?;
            let path = format!("/v2/{repo}/blobs/{}", image.layer.digest);
            Read::get(&path, image.layer.size as u64)
                .verify(&peer.endpoint, &image.layer.digest)?;
        }
        Ok(())
    }
}

/// Pushes these images one after the other.
fn client<'a>(
    peer: &Peer,
    pusher: usize,
    round: usize,
    images: &'a [Image],
) -> Result<Client<'a, ()>> {
    let (mut connection, repo) = (Connection::open(&peer.endpoint)?, repo(pusher));
    Ok(Box::new(move || {
        let mut images = images.iter().enumerate();
        images.try_for_each(|(at, image)| image.push(&mut connection, &repo, &tag(round, at)))
    }))
}

fn repo(pusher: usize) -> String {
    format!("bench/small-{pusher}")
}

fn tag(round: usize, at: usize) -> String {
    format!("v{round}.{at}")
}
