//! How many requests a copy costs, by the logs of the registries.
//!
//! What a blob costs is the difference between copies of images with many and with few layers.

use anyhow::{Context as _, Result};

use super::Bench;
use crate::bench::client::figure::{Figure, Target, Who};
use crate::bench::client::proxy::Distance;
use crate::bench::client::site::Site;
use crate::bench::figure::Unit;

const FEW: usize = 10;
const MANY: usize = 30;
const SIZE: usize = 256 << 10;

pub(super) fn counted(bench: &Bench) -> Result<Vec<Figure>> {
    let figure = |name: &str, limit| {
        let target = vec![Target::Limit(limit)];
        Figure::new(name, Unit::Requests, target)
    };
    let mut cold = figure("a blob that the other registry lacks: requests", 3.0);
    let mut mounted = figure("a blob of another repository there: requests", 1.0);
    let mut unchanged = figure("a copy of what is there already: requests", 2.0);
    let site = bench.site(Distance::default())?;
    for who in Who::PROGRAMS {
        let counts = count(&site, who).context(who)?;
        cold.add(who, counts.cold);
        mounted.add(who, counts.mounted);
        unchanged.add(who, counts.unchanged);
    }
    Ok(vec![cold, mounted, unchanged])
}

struct Counts {
    cold: f64,
    mounted: f64,
    unchanged: f64,
}

fn count(site: &Site<'_>, who: Who) -> Result<Counts> {
    let (few, many) = (format!("{who}/few"), format!("{who}/many"));
    let mut cold = Vec::new();
    for (repo, layers) in [(&few, FEW), (&many, MANY)] {
        let image = site.image(repo, layers, SIZE)?;
        cold.push(during(site, || site.copy(who, repo, repo))?);
        site.target.has(repo, &image)?;
    }
    let unchanged = during(site, || site.copy(who, &many, &many))?;
    let mut mounted = Vec::new();
    for repo in [&few, &many] {
        let to = format!("{repo}-again");
        mounted.push(during(site, || site.copy_within(who, repo, &to))?);
    }
    let per_blob = |counts: &[f64]| match counts {
        [few, many] => (many - few) / (MANY - FEW) as f64,
        _ => f64::NAN,
    };
    Ok(Counts {
        cold: per_blob(&cold),
        mounted: per_blob(&mounted),
        unchanged,
    })
}

/// How many requests were answered while a client ran.
fn during<T>(site: &Site<'_>, run: impl FnOnce() -> Result<T>) -> Result<f64> {
    let before = site.requests();
    run()?;
    Ok((site.requests() - before) as f64)
}
