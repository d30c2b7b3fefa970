//! Reads of what is in the page cache: blobs and manifests, beside nginx serving files of the same
//! bytes under the same paths.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Bench, Transport};
use crate::bench::content::{Blob, digest, image_of};
use crate::bench::figure::{Figure, Target, Unit, Who};
use crate::bench::load::{self, Read};
use crate::bench::servers::{Peer, nginx_root};
use crate::bench::upload;
use crate::bench::wire::Connection;

const REPO: &str = "bench/reads";
/// The size of an ordinary manifest of a dozen layers.
const MANIFEST: usize = 4096;
/// Few, and many: what a cluster that starts something asks for at once.
const SMALL_CONNECTIONS: [usize; 2] = [8, 32];

pub(super) fn blob_1g(bench: &Bench) -> Result<Vec<Figure>> {
    large_blob(bench, Transport::Plain, "1 GiB", 1 << 30)
}

pub(super) fn blob_1g_tls(bench: &Bench) -> Result<Vec<Figure>> {
    large_blob(bench, Transport::Tls, "1 GiB", 1 << 30)
}

pub(super) fn blob_1m(bench: &Bench) -> Result<Vec<Figure>> {
    large_blob(bench, Transport::Plain, "1 MiB", 1 << 20)
}

pub(super) fn blob_1m_tls(bench: &Bench) -> Result<Vec<Figure>> {
    large_blob(bench, Transport::Tls, "1 MiB", 1 << 20)
}

/// Throughput, and what it costs the server.
fn large_blob(
    bench: &Bench,
    transport: Transport,
    words: &str,
    size: usize,
) -> Result<Vec<Figure>> {
    let place = bench.place()?;
    let peers = bench.start_over(transport, &Who::ALL, place.path())?;
    let read = blob_everywhere(bench, &peers, place.path(), size)?;
    let mut figures = Vec::new();
    let costs = match transport {
        Transport::Plain => [(1, 1.2), (4, 1.0)],
        Transport::Tls => [(1, 1.0), (4, 1.0)],
    };
    for (connections, cost) in costs {
        let plural = if connections == 1 { "" } else { "s" };
        let over = transport.suffix();
        let name = format!("blob GET {words}{over}, {connections} connection{plural}");
        let faster = vec![
            Target::AtLeast(1.0, Who::Nginx),
            Target::AtLeast(1.0, Who::Distribution),
        ];
        let cheaper = vec![Target::AtMost(cost, Who::Nginx)];
        let mut throughput = Figure::new(name.clone(), Unit::GigabytesPerSecond, faster);
        let mut cost = Figure::new(
            format!("{name}: processor"),
            Unit::SecondsPerGigabyte,
            cheaper,
        );
        for _ in 0..bench.rounds {
            for peer in &peers {
                let run = load::run(peer, &read, connections, bench.load_time())?;
                throughput.add(peer.who, run.throughput());
                cost.add(peer.who, run.cost());
            }
        }
        figures.extend([throughput, cost]);
    }
    Ok(figures)
}

pub(super) fn blob_4k(bench: &Bench) -> Result<Vec<Figure>> {
    small_blob(bench, Transport::Plain, 0.8)
}

pub(super) fn blob_4k_tls(bench: &Bench) -> Result<Vec<Figure>> {
    small_blob(bench, Transport::Tls, 1.0)
}

fn small_blob(bench: &Bench, transport: Transport, rate: f64) -> Result<Vec<Figure>> {
    let place = bench.place()?;
    let peers = bench.start_over(transport, &Who::ALL, place.path())?;
    let read = blob_everywhere(bench, &peers, place.path(), 4096)?;
    let targets = || vec![Target::AtLeast(rate, Who::Nginx)];
    let name = format!("blob GET 4 KiB{}", transport.suffix());
    rates(bench, &peers, &read, &name, &targets)
}

pub(super) fn manifest(bench: &Bench) -> Result<Vec<Figure>> {
    let place = bench.place()?;
    let peers = bench.start(&Who::ALL, place.path())?;
    let (config, layer) = (bench.stock.blob(512), bench.stock.blob(4096));
    let manifest = image_of(MANIFEST, &config, &layer);
    let path = format!("/v2/{REPO}/manifests/latest");
    for peer in &peers {
        if peer.who == Who::Nginx {
            let file = place_file(place.path(), &path)?;
            fs::write(file, &manifest)?;
            continue;
        }
        let mut connection = Connection::open(&peer.endpoint)?;
        upload::blob(&mut connection, REPO, &config)?;
        upload::blob(&mut connection, REPO, &layer)?;
        upload::manifest(&mut connection, REPO, "latest", &manifest)?;
    }
    let length = manifest.len() as u64;
    let targets = || {
        vec![
            Target::AtLeast(0.6, Who::Nginx),
            Target::AtLeast(4.0, Who::Distribution),
        ]
    };
    let mut figures = Vec::new();
    for (read, word) in [
        (Read::get(&path, length), "GET"),
        (Read::head(&path, length), "HEAD"),
    ] {
        for peer in &peers {
            read.verify(&peer.endpoint, &digest(&manifest))
                .context(peer.who)?;
        }
        let name = format!("manifest {word} by tag");
        figures.extend(rates(bench, &peers, &read, &name, &targets)?);
    }
    Ok(figures)
}

/// Requests per second with few and with many connections.
fn rates(
    bench: &Bench,
    peers: &[Peer],
    read: &Read,
    name: &str,
    targets: &dyn Fn() -> Vec<Target>,
) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for connections in SMALL_CONNECTIONS {
        let name = format!("{name}, {connections} connections");
        let mut rate = Figure::new(name, Unit::PerSecond, targets());
        for _ in 0..bench.rounds {
            for peer in peers {
                rate.add(
                    peer.who,
                    load::run(peer, read, connections, bench.load_time())?.rate(),
                );
            }
        }
        figures.push(rate);
    }
    Ok(figures)
}

/// Gives the servers one blob, and reads it once from each.
fn blob_everywhere(bench: &Bench, peers: &[Peer], place: &Path, size: usize) -> Result<Read> {
    let blob = bench.stock.blob(size);
    let path = format!("/v2/{REPO}/blobs/{}", blob.digest);
    let read = Read::get(&path, size as u64);
    for peer in peers {
        give(peer, &blob, place, &path).context(peer.who)?;
        read.verify(&peer.endpoint, &blob.digest)
            .context(peer.who)?;
    }
    Ok(read)
}

fn give(peer: &Peer, blob: &Blob, place: &Path, path: &str) -> Result<()> {
    if peer.who == Who::Nginx {
        let mut file = File::create(place_file(place, path)?)?;
        blob.write_to(&mut file)?;
        // Not left for the kernel to write while others are measured.
        file.sync_all()?;
        return Ok(());
    }
    upload::blob(&mut Connection::open(&peer.endpoint)?, REPO, blob)
}

/// The file that nginx answers this path with; its folder is made.
fn place_file(place: &Path, path: &str) -> Result<std::path::PathBuf> {
    let file = nginx_root(&place.join("nginx")).join(path.trim_start_matches('/'));
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(file)
}
