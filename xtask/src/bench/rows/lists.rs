//! Pages deep in long lists: tags of one repository, and the catalog.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::Value;

use super::start::LIMIT;
use super::{Bench, fill};
use crate::bench::figure::{Figure, Target, Unit, Who, percentile};
use crate::bench::servers::Peer;
use crate::bench::wire::Connection;

const PAGE: usize = 100;
/// The short list, against which the long one has to be flat.
const SHORT: usize = 1_000;
/// A page of a peer may take seconds: what it does in this time is enough to know it.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is listed.
struct List {
    what: &'static str,
    unit: &'static str,
    /// The path up to the query.
    path: fn() -> String,
    /// The field of the answer.
    field: &'static str,
    /// The entries in order.
    entry: fn(usize) -> String,
    fill: fn(std::net::SocketAddr, usize) -> Result<()>,
    /// The same, written straight to the disk of CNCF Distribution.
    place: fn(&Path, usize) -> Result<()>,
}

pub(super) fn tags(bench: &Bench) -> Result<Vec<Figure>> {
    list(
        bench,
        &List {
            what: "page of 100 tags",
            unit: "tags",
            path: || format!("/v2/{}/tags/list", fill::TAGGED),
            field: "tags",
            entry: fill::tag,
            fill: fill::tags,
            place: fill::tag_folders,
        },
    )
}

pub(super) fn catalog(bench: &Bench) -> Result<Vec<Figure>> {
    list(
        bench,
        &List {
            what: "catalog page of 100",
            unit: "repositories",
            path: || "/v2/_catalog".to_owned(),
            field: "repositories",
            entry: fill::repository,
            fill: fill::repositories,
            place: fill::repository_folders,
        },
    )
}

fn list(bench: &Bench, list: &List) -> Result<Vec<Figure>> {
    let long = bench.pick(100_000, 10_000);
    let place = bench.place()?;
    let (few, many) = (place.path().join("few"), place.path().join("many"));
    let small = bench.programs.start(Who::Dockhand, &few, None)?;
    timed(list, SHORT, &small, || (list.fill)(small.address, SHORT))?;
    let large = bench.start(&Who::REGISTRIES, &many)?;
    for peer in &large {
        timed(list, long, peer, || match peer.who {
            Who::Distribution => (list.place)(&many.join("distribution/data"), long),
            _ => (list.fill)(peer.address, long),
        })?;
    }
    let figure = |part: &str, count: usize| {
        let name = format!("{} of {} {}, {part}", list.what, grouped(count), list.unit);
        Figure::new(name, Unit::Milliseconds, Vec::new())
    };
    let [mut p50_few, mut p99_few] = ["p50", "p99"].map(|part| figure(part, SHORT));
    let [mut p50, mut p99] = ["p50", "p99"].map(|part| figure(part, long));
    let pages = bench.pick(4000, 400);
    for _ in 0..bench.rounds {
        for peer in &large {
            let (short, long) = ((&small, SHORT), (peer, long));
            if peer.who == Who::Dockhand {
                let times = list.pages(&[short, long], pages)?;
                add([&mut p50_few, &mut p99_few], peer.who, &times[0]);
                add([&mut p50, &mut p99], peer.who, &times[1]);
            } else {
                add(
                    [&mut p50, &mut p99],
                    peer.who,
                    &list.pages(&[long], pages)?[0],
                );
            }
        }
    }
    p99.ask(Target::Limit(20.0));
    for (figure, few) in [(&mut p50, &p50_few), (&mut p99, &p99_few)] {
        figure.ask(Target::Flat(
            2.0,
            few.rounds(Who::Dockhand).to_vec(),
            "that of 1,000",
        ));
    }
    let name = format!("start to ready, {} {}", grouped(long), list.unit);
    let mut ready = Figure::new(
        name,
        Unit::Seconds,
        vec![Target::Limit(LIMIT.as_secs_f64())],
    );
    large.into_iter().try_for_each(Peer::end)?;
    for _ in 0..bench.rounds {
        for peer in bench.start(&Who::REGISTRIES, &many)? {
            ready.add(peer.who, peer.ready.as_secs_f64());
        }
    }
    Ok(vec![p50_few, p99_few, p50, p99, ready])
}

fn timed(list: &List, count: usize, peer: &Peer, fill: impl FnOnce() -> Result<()>) -> Result<()> {
    let began = Instant::now();
    fill().with_context(|| format!("filling {}", peer.who))?;
    let (took, count) = (began.elapsed().as_secs_f64(), grouped(count));
    println!("     {}: {count} {} in {took:.1} s", peer.who, list.unit);
    Ok(())
}

fn add([p50, p99]: [&mut Figure; 2], who: Who, times: &[f64]) {
    for (figure, part) in [(p50, 0.5), (p99, 0.99)] {
        if let Some(value) = percentile(times, part) {
            figure.add(who, value);
        }
    }
}

impl List {
    /// Reads pages of lists, in turn one of each, so that what happens on the machine happens to all;
    /// all in the last fifth, each checked entry by entry. Returns what each took, in milliseconds.
    fn pages(&self, lists: &[(&Peer, usize)], pages: usize) -> Result<Vec<Vec<f64>>> {
        let mut open = Vec::new();
        for (peer, _) in lists {
            open.push(Connection::open(peer.address)?);
        }
        let began = Instant::now();
        let mut times = vec![Vec::new(); lists.len()];
        for page in 0..pages {
            for (at, (peer, count)) in lists.iter().enumerate() {
                let (first, end) = (count * 4 / 5, count - PAGE);
                // A prime step: the pages lie all over the range, and no two runs differ.
                let last = first + page * 7919 % (end - first);
                times[at].push(self.page(&mut open[at], last).context(peer.who)?);
            }
            if began.elapsed() > PATIENCE {
                break;
            }
        }
        Ok(times)
    }

    fn page(&self, connection: &mut Connection, at: usize) -> Result<f64> {
        let (path, last) = ((self.path)(), (self.entry)(at));
        let request =
            format!("GET {path}?n={PAGE}&last={last} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        let began = Instant::now();
        let answer = connection.ask(request.as_bytes())?;
        let took = began.elapsed();
        let answer: Value = serde_json::from_slice(&answer.expect(200)?.body)?;
        let entries = answer.get(self.field).and_then(Value::as_array);
        let entries = entries.ok_or_else(|| anyhow!("no {} in the answer", self.field))?;
        ensure!(
            entries.len() == PAGE,
            "{} entries after {last} instead of {PAGE}",
            entries.len()
        );
        for (offset, entry) in entries.iter().enumerate() {
            let wanted = (self.entry)(at + 1 + offset);
            ensure!(
                entry.as_str() == Some(&wanted),
                "{entry} instead of {wanted} after {last}"
            );
        }
        Ok(took.as_secs_f64() * 1000.0)
    }
}

/// `100,000`.
fn grouped(number: usize) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", number / 1000, number % 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(100_000), "100,000");
        assert_eq!(grouped(1_001), "1,001");
    }
}
