//! Resident memory: of a server that nobody asked anything, and of one under load.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::Bench;
use crate::bench::accounts::{forget_peak, memory};
use crate::bench::content::Blob;
use crate::bench::crowd::{self, Client};
use crate::bench::figure::{Figure, Target, Unit, Who};
use crate::bench::load::Read;
use crate::bench::servers::Peer;
use crate::bench::upload;
use crate::bench::wire::Connection;

const REPO: &str = "bench/memory";
const PULLS: usize = 64;
const PUSHES: usize = 16;
/// What starts in the background has started by then.
const SETTLE: Duration = Duration::from_secs(1);
/// The load takes some ten seconds here; a server that is this slow is stuck.
const LOAD: Duration = Duration::from_secs(300);

/// What was resident, in megabytes.
struct Resident {
    idle: f64,
    peak: f64,
    after: f64,
}

pub(super) fn resident(bench: &Bench) -> Result<Vec<Figure>> {
    let size = bench.pick(100 << 20, 10 << 20);
    let words = bench.pick("100 MiB", "10 MiB");
    let load = format!("{PULLS} pulls and {PUSHES} pushes of {words}");
    let figure = |name: String, targets| Figure::new(name, Unit::Megabytes, targets);
    let mut idle = figure("resident memory, idle".into(), vec![Target::Limit(30.0)]);
    let mut peak = figure(
        format!("resident memory, peak under {load}"),
        vec![Target::Limit(100.0)],
    );
    let mut after = figure("resident memory, after that load".into(), Vec::new());
    let pulled = bench.stock.blob(size);
    let pushed: Vec<Blob> = (0..PUSHES).map(|_| bench.stock.blob(size)).collect();
    for _ in 0..bench.rounds {
        let place = bench.place()?;
        for who in Who::REGISTRIES {
            for peer in bench.start(&[who], place.path())? {
                let resident = measure(&peer, &pulled, &pushed).context(who)?;
                idle.add(who, resident.idle);
                peak.add(who, resident.peak);
                after.add(who, resident.after);
            }
        }
    }
    Ok(vec![idle, peak, after])
}

fn measure(peer: &Peer, pulled: &Blob, pushed: &[Blob]) -> Result<Resident> {
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    thread::sleep(SETTLE);
    let idle = memory(peer.pid())?.now;
    upload::blob(&mut Connection::open(peer.address)?, REPO, pulled)?;
    let path = format!("/v2/{REPO}/blobs/{}", pulled.digest);
    let read = Read::get(&path, pulled.size as u64);
    read.verify(peer.address, &pulled.digest)?;
    forget_peak(peer.pid())?;
    load(peer, &read, pushed)?;
    let peak = memory(peer.pid())?.peak;
    thread::sleep(SETTLE);
    let after = memory(peer.pid())?.now;
    Ok(Resident {
        idle: megabytes(idle),
        peak: megabytes(peak),
        after: megabytes(after),
    })
}

/// All pushes at once, once each; and as many pulls, over and over until the last push is done.
fn load(peer: &Peer, read: &Read, pushed: &[Blob]) -> Result<()> {
    let left = &AtomicUsize::new(pushed.len());
    let until = Instant::now() + LOAD;
    let pull = |_| -> Client<'_, ()> {
        Box::new(|| {
            let mut connection = Connection::open(peer.address)?;
            read.once(&mut connection)?;
            while left.load(Ordering::Relaxed) > 0 {
                ensure!(
                    Instant::now() < until,
                    "the pushes do not end within {LOAD:?}"
                );
                read.once(&mut connection)?;
            }
            Ok(())
        })
    };
    let push = |blob| -> Client<'_, ()> {
        Box::new(move || {
            let result = Connection::open(peer.address)
                .and_then(|mut connection| upload::blob(&mut connection, REPO, blob));
            // Whatever came of it, nobody waits for it any more.
            left.fetch_sub(1, Ordering::Relaxed);
            result
        })
    };
    let clients = (0..PULLS).map(pull).chain(pushed.iter().map(push));
    crowd::run(clients.collect()).map(drop)
}
