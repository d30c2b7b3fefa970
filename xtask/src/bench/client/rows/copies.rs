//! Copies from one registry to another: many layers far away, and one large layer nearby.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Bench;
use crate::bench::client::figure::{Figure, Target, Who};
use crate::bench::client::proxy::Distance;
use crate::bench::figure::Unit;

const LAYERS: usize = 40;
const ROUND_TRIP: Duration = Duration::from_millis(50);

/// A copy of many layers, where every round trip counts.
pub(super) fn wide(bench: &Bench) -> Result<Vec<Figure>> {
    let size = bench.pick(1 << 20, 64 << 10);
    let words = bench.pick("1 MiB", "64 KiB");
    let what = format!("copy of {LAYERS} layers of {words}, 50 ms round trip");
    let goal = bench.pick(vec![Target::Limit(1.0)], Vec::new());
    let mut seconds = Figure::new(what.clone(), Unit::Seconds, goal);
    let mut connections = Figure::new(
        format!("{what}: connections"),
        Unit::Connections,
        Vec::new(),
    );
    let site = bench.site(Distance {
        round_trip: ROUND_TRIP,
        rate: None,
    })?;
    for round in 0..bench.rounds {
        for who in Who::PROGRAMS {
            // Of its own for each: some remember which blobs a registry has.
            let repo = format!("{who}/{round}");
            let image = site.image(&repo, LAYERS, size)?;
            let before = site.connections();
            let ran = site.copy(who, &repo, &repo)?;
            seconds.add(who, ran.seconds);
            connections.add(who, (site.connections() - before) as f64);
            site.target.has(&repo, &image).context(who)?;
        }
    }
    Ok(vec![seconds, connections])
}

/// The memory of a copy of one large layer, as fast as this machine can.
pub(super) fn memory(bench: &Bench) -> Result<Vec<Figure>> {
    let size = bench.pick(1 << 30, 32 << 20);
    let what = format!("copy of {}", bench.pick("1 GiB", "32 MiB"));
    let mut memory = Figure::new(
        format!("{what}: peak memory"),
        Unit::Megabytes,
        vec![Target::Limit(30.0)],
    );
    let mut seconds = Figure::new(format!("{what}, no distance"), Unit::Seconds, Vec::new());
    for _ in 0..bench.rounds {
        // Servers of each round's own: a client may remember that a registry has the blob.
        let site = bench.site(Distance::default())?;
        let image = site.image("large", 1, size)?;
        for who in Who::PROGRAMS {
            let ran = site.copy(who, "large", who.name())?;
            site.target.has(who.name(), &image).context(who)?;
            memory.add(who, ran.megabytes);
            seconds.add(who, ran.seconds);
        }
    }
    Ok(vec![memory, seconds])
}
