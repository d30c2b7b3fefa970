//! A pull of one large layer where a single connection is slow, as object stores behind registries
//! and long ways make it.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Bench;
use crate::bench::client::figure::{Figure, Target, Who};
use crate::bench::client::proxy::Distance;
use crate::bench::figure::Unit;

/// What one connection carries, in bytes per second.
const RATE: f64 = 50e6;
const ROUND_TRIP: Duration = Duration::from_millis(20);

pub(super) fn large(bench: &Bench) -> Result<Vec<Figure>> {
    let size = bench.pick(1 << 30, 64 << 20);
    let words = bench.pick("1 GiB", "64 MiB");
    let what = format!("pull of {words}, 50 MB/s per connection, 20 ms round trip");
    let goal = bench.pick(vec![Target::Limit(5.0)], Vec::new());
    let mut seconds = Figure::new(what.clone(), Unit::Seconds, goal);
    let mut memory = Figure::new(
        format!("{what}: peak memory"),
        Unit::Megabytes,
        vec![Target::Limit(80.0)],
    );
    let site = bench.site(Distance {
        round_trip: ROUND_TRIP,
        rate: Some(RATE),
    })?;
    let image = site.image("large", 1, size)?;
    for _ in 0..bench.rounds {
        for who in Who::PROGRAMS {
            let ran = site.pull(who, "large", &image).context(who)?;
            seconds.add(who, ran.seconds);
            memory.add(who, ran.megabytes);
        }
    }
    Ok(vec![seconds, memory])
}
