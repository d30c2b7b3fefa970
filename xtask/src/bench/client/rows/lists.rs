//! The tags of a repository with their digests: one request per tag, which is a matter of how many
//! are on the way at once.
//!
//! The serial way is that of docker_registry2, which asks for each tag on a connection of its own; and,
//! for who would keep the connection open, the same on one connection.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::Bench;
use crate::bench::client::figure::{Figure, Target, Who};
use crate::bench::client::proxy::Distance;
use crate::bench::figure::Unit;
use crate::bench::upload;
use crate::bench::wire::Connection;

const REPO: &str = "tags";
const ROUND_TRIP: Duration = Duration::from_millis(20);

pub(super) fn digests(bench: &Bench) -> Result<Vec<Figure>> {
    let count = bench.pick(1_000, 100);
    let words = bench.pick("1,000", "100");
    let figure = |how: &str| {
        let name = format!("{words} tags with digests, 20 ms round trip; serial: {how}");
        Figure::new(name, Unit::Seconds, vec![Target::Times(10.0, Who::Serial)])
    };
    let mut each = figure("docker_registry2's way, a connection for each");
    let mut one = figure("on one connection");
    let site = bench.site(Distance {
        round_trip: ROUND_TRIP,
        rate: None,
    })?;
    site.image(REPO, 1, 1 << 10)?;
    tag(site.source.address, count)?;
    let repository = format!("{}/{REPO}", site.near.address);
    let words: Vec<OsString> = ["ls", &repository, "--digests"].map(Into::into).into();
    for _ in 0..bench.rounds {
        let ran = site.run(Who::Dockhand, &words)?;
        each.add(Who::Dockhand, ran.seconds);
        one.add(Who::Dockhand, ran.seconds);
        each.add(Who::Serial, serial(site.near.address, count, true)?);
        one.add(Who::Serial, serial(site.near.address, count, false)?);
    }
    Ok(vec![each, one])
}

fn name(number: usize) -> String {
    format!("t{number:04}")
}

/// Gives the image more tags, nearby.
fn tag(registry: SocketAddr, count: usize) -> Result<()> {
    let mut connection = Connection::open(registry)?;
    let manifest = ask(&mut connection, "GET", "v1")?;
    for number in 0..count {
        upload::manifest(&mut connection, REPO, &name(number), &manifest)?;
    }
    Ok(())
}

/// Asks for the digest of every tag, one after the other. Returns the seconds that it took.
fn serial(registry: SocketAddr, count: usize, connection_each: bool) -> Result<f64> {
    let began = Instant::now();
    let mut connection = Connection::open(registry)?;
    for number in 0..count {
        if connection_each && number > 0 {
            connection = Connection::open(registry)?;
        }
        ask(&mut connection, "HEAD", &name(number))?;
    }
    Ok(began.elapsed().as_secs_f64())
}

fn ask(connection: &mut Connection, method: &str, tag: &str) -> Result<Vec<u8>> {
    let head = format!(
        "{method} /v2/{REPO}/manifests/{tag} HTTP/1.1\r\nHost: 127.0.0.1\r\n\
         Accept: application/vnd.oci.image.manifest.v1+json\r\n\r\n"
    );
    let answer = connection.ask(head.as_bytes())?.expect(200);
    Ok(answer.with_context(|| format!("{method} of {tag}"))?.body)
}
