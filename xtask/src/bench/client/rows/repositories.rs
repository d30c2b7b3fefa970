//! Whole repositories: all tags of one, the same again with nothing to do, and all repositories of a
//! registry. The images are small, so that every request that waits for another counts.
//!
//! Beside `cp --all-tags` stands `crane copy --all-tags`; beside `sync` skopeo's, which one image after
//! another is, and regclient's, which is a program of its own, regsync.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::Bench;
use crate::bench::client::figure::{Figure, Target, Who};
use crate::bench::client::image::Image;
use crate::bench::client::programs::{Ran, sync_whole};
use crate::bench::client::proxy::Distance;
use crate::bench::client::site::Site;
use crate::bench::figure::Unit;

const ROUND_TRIP: Duration = Duration::from_millis(50);
/// The layer of an image, in bytes; its config is as small.
const SIZE: usize = 4 << 10;
/// The most memory that dockhand should take, in megabytes.
const MEMORY: f64 = 80.0;

fn distance() -> Distance {
    Distance {
        round_trip: ROUND_TRIP,
        rate: None,
    }
}

/// The figures of one way to copy.
struct Figures {
    seconds: Figure,
    memory: Figure,
}

impl Figures {
    fn new(what: &str, limit: Option<f64>) -> Self {
        let goals = |limit: Option<f64>| limit.map(Target::Limit).into_iter().collect();
        let memory = limit.map(|_| MEMORY);
        Self {
            seconds: Figure::new(what, Unit::Seconds, goals(limit)),
            memory: Figure::new(
                format!("{what}: peak memory"),
                Unit::Megabytes,
                goals(memory),
            ),
        }
    }

    fn add(&mut self, who: Who, ran: Ran) {
        self.seconds.add(who, ran.seconds);
        self.memory.add(who, ran.megabytes);
    }

    fn both(self) -> [Figure; 2] {
        [self.seconds, self.memory]
    }
}

/// All tags of a repository: by `cp`, by `sync`, and by `sync` once more.
pub(super) fn tags(bench: &Bench) -> Result<Vec<Figure>> {
    let count = bench.pick(100, 20);
    let goal = |limit: f64| bench.pick(Some(limit), None);
    let figures = |what: &str, limit| {
        let words = format!("{what} of {count} tags of small images, 50 ms round trip");
        Figures::new(&words, goal(limit))
    };
    let mut copied = figures("cp --all-tags", 1.5);
    let mut synced = figures("sync", 1.5);
    let mut again = figures("sync with nothing to do", 0.5);
    let site = bench.site(distance())?;
    let images = fill(&site, "all", count)?;
    for round in 0..bench.rounds {
        for who in [Who::Dockhand, Who::Crane] {
            let to = format!("copied/{who}/{round}");
            copied.add(who, site.copy_all(who, "all", &to)?);
            arrived(&site, &to, &images).context(who)?;
        }
        // The others take minutes.
        let peers: &[Who] = if round == 0 {
            &[Who::Regctl, Who::Skopeo]
        } else {
            &[]
        };
        for who in [Who::Dockhand].iter().chain(peers).copied() {
            let to = format!("synced/{who}/{round}");
            // Skopeo puts the name of the repository below where it is to go.
            let below = format!("{to}/all");
            let to = if who == Who::Skopeo { &to } else { &below };
            synced.add(who, site.sync(who, "all", to)?);
            arrived(&site, &below, &images).context(who)?;
            again.add(who, site.sync(who, "all", to)?);
        }
    }
    Ok({ [copied, synced, again].into_iter() }
        .flat_map(Figures::both)
        .collect())
}

/// All repositories of a registry.
pub(super) fn registry(bench: &Bench) -> Result<Vec<Figure>> {
    let (repos, count) = bench.pick((50, 10), (5, 4));
    let what = format!("mirror of {repos} repositories of {count} tags, 50 ms round trip");
    let mut figures = Figures::new(&what, bench.pick(Some(3.0), None));
    let site = bench.site(distance())?;
    let mut filled = Vec::new();
    for number in 0..repos {
        let repo = format!("team{}/app{number:02}", number % 5);
        let images = fill(&site, &repo, count)?;
        filled.push((repo, images));
    }
    for round in 0..bench.rounds {
        // The other takes minutes.
        let peers: &[Who] = if round == 0 { &[Who::Regctl] } else { &[] };
        for who in [Who::Dockhand].iter().chain(peers) {
            let below = format!("{who}/{round}");
            figures.add(*who, site.mirror(*who, &below)?);
            for (repo, images) in &filled {
                arrived(&site, &format!("{below}/{repo}"), images).context(*who)?;
            }
        }
    }
    Ok(figures.both().into())
}

/// Puts so many images into a repository of the source, each with a tag.
fn fill(site: &Site<'_>, repo: &str, count: usize) -> Result<Vec<(String, Image)>> {
    let tagged = (0..count).map(|number| {
        let tag = format!("v{number:03}");
        let image = site.tagged(repo, &tag, 1, SIZE)?;
        Ok((tag, image))
    });
    tagged.collect()
}

/// An error unless the target has all of these images, whole.
fn arrived(site: &Site<'_>, repo: &str, images: &[(String, Image)]) -> Result<()> {
    ensure!(!images.is_empty(), "there was nothing to copy");
    let mut connection = site.target.connect()?;
    for (tag, image) in images {
        site.target.has_tag(&mut connection, repo, tag, image)?;
    }
    Ok(())
}

impl Site<'_> {
    /// Has a client copy all tags of a repository.
    fn copy_all(&self, who: Who, repo: &str, to: &str) -> Result<Ran> {
        let (near, far) = (self.near.address, self.far.address);
        let verb = if who == Who::Crane { "copy" } else { "cp" };
        let line = format!("{verb} --all-tags {near}/{repo} {far}/{to}");
        let words: Vec<_> = line.split_whitespace().map(Into::into).collect();
        self.run(who, &words)
    }

    /// Has a client bring a repository to the state of another.
    fn sync(&self, who: Who, repo: &str, to: &str) -> Result<Ran> {
        let from = format!("{}/{repo}", self.near.address);
        let to = format!("{}/{to}", self.far.address);
        self.run_sync(who, &sync_whole(who, &from, &to, "repository"))
    }

    /// Has a client copy all repositories to below a path.
    fn mirror(&self, who: Who, below: &str) -> Result<Ran> {
        let from = self.near.address.to_string();
        let to = format!("{}/{below}", self.far.address);
        self.run_sync(who, &sync_whole(who, &from, &to, "registry"))
    }
}
