//! From the start of the process to its first good answer, on an empty folder.

use std::time::Duration;

use anyhow::Result;

use super::Bench;
use crate::bench::figure::{Figure, Target, Unit, Who};

/// What a person does not wait for.
pub(super) const LIMIT: Duration = Duration::from_millis(200);

pub(super) fn start(bench: &Bench) -> Result<Vec<Figure>> {
    let target = vec![Target::Limit(LIMIT.as_secs_f64())];
    let mut ready = Figure::new("start to ready, empty", Unit::Seconds, target);
    for _ in 0..bench.rounds {
        let place = bench.place()?;
        for who in Who::ALL {
            for peer in bench.start(&[who], place.path())? {
                ready.add(who, peer.ready.as_secs_f64());
            }
        }
    }
    Ok(vec![ready])
}
