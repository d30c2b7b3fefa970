//! The table, for the terminal and for the documentation.

use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};

use super::figure::{Figure, Who, spread};

/// What stands above the table.
#[derive(Debug)]
pub(crate) struct Heading {
    pub(crate) date: String,
    pub(crate) machine: String,
    /// The versions of the three.
    pub(crate) versions: Vec<(Who, String)>,
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
    pub(crate) pinned: bool,
}

impl Heading {
    fn versions(&self) -> String {
        let all: Vec<_> = self
            .versions
            .iter()
            .map(|(who, text)| format!("{who} {text}"))
            .collect();
        all.join(", ")
    }
}

/// The table for a terminal.
pub(crate) fn terminal(heading: &Heading, figures: &[Figure]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header());
    for figure in figures {
        table.add_row(cells(figure, "\n"));
    }
    format!(
        "{}: {}\n{}\n{table}\n",
        heading.date,
        heading.machine,
        heading.versions()
    )
}

/// What is written by hand stands below this line, and outlives a page that is written anew.
pub(crate) const BY_HAND: &str =
    "<!-- What stands below is written by hand; `cargo xtask bench` keeps it. -->";

/// The table as a page of the documentation; `before` is the page as it was.
pub(crate) fn markdown(heading: &Heading, figures: &[Figure], before: &str) -> String {
    let mut page = format!(
        "# Benchmarks\n\n\
         Dockhand beside CNCF Distribution with its filesystem driver, and beside nginx serving the \
         same bytes as files, which is the ceiling for reads. Measured on {} by `cargo xtask bench`.\n\n\
         * Machine: {}.\n* Versions: {}.\n",
        heading.date,
        heading.machine,
        heading.versions(),
    );
    if heading.quick {
        page += "* **A quick run: smaller contents and shorter loads; its figures show little.**\n";
    }
    // Writing to a string does not fail.
    let _ = write!(
        page,
        "\n| {} |\n|{}\n",
        header().join(" | "),
        "---|".repeat(header().len())
    );
    for figure in figures {
        let _ = writeln!(page, "| {} |", cells(figure, "<br>").join(" | "));
    }
    let _ = write!(page, "\n{}", notes(heading));
    page + "\n" + BY_HAND + kept(before)
}

/// What was written by hand in a page as it was.
pub(crate) fn kept(before: &str) -> &str {
    before.split_once(BY_HAND).map_or("\n", |(_, kept)| kept)
}

fn header() -> [&'static str; 6] {
    [
        "what",
        "unit",
        "dockhand",
        "nginx",
        "Distribution",
        "target: found",
    ]
}

fn cells(figure: &Figure, line: &str) -> [String; 6] {
    let verdicts: Vec<_> = figure.verdicts().iter().map(ToString::to_string).collect();
    [
        figure.name.clone(),
        figure.unit.to_string(),
        rounds(figure, Who::Dockhand),
        rounds(figure, Who::Nginx),
        rounds(figure, Who::Distribution),
        verdicts.join(line),
    ]
}

/// `1.83 (1.70–1.90)`, or a dash for who does not take part.
fn rounds(figure: &Figure, who: Who) -> String {
    let Some(spread) = spread(figure.rounds(who)) else {
        return "–".to_owned();
    };
    let show = |value| figure.unit.show(value);
    format!(
        "{} ({}–{})",
        show(spread.median),
        show(spread.min),
        show(spread.max)
    )
}

fn notes(heading: &Heading) -> String {
    let rounds = heading.rounds;
    let pinned = if heading.pinned {
        "All servers ran on one core and the clients on the others."
    } else {
        "Nothing is pinned to a core."
    };
    format!(
        "Each figure is the median of {rounds} rounds with the least and the most in parentheses; the \
         servers take turns in each round. A ratio is the median of the ratios of the rounds. \
         Ratios can be compared between machines, the figures themselves cannot.\n\n\
         How it is measured:\n\n\
         * All servers and the clients run on one machine over the loopback interface, plain HTTP/1.1 \
         with connections that stay open, contents in the page cache, data on one file system. \
         The clients share the processors with the servers: one blocking thread for each connection, \
         requests prepared before, bodies read and thrown away. {pinned} \
         Where the system paces what it sends (bbr), a network namespace without pacing is used.\n\
         * Processor seconds are user and system time of all processes of a server, by `/proc`.\n\
         * CNCF Distribution runs with the settings of its own image (blob descriptors cached in \
         memory), with deletes, and without a log of requests; nginx with `sendfile`, `tcp_nopush`, a \
         worker for each core and without a log; dockhand with `--access-log off` and nothing else \
         set.\n\
         * `push` is `POST` and one `PUT` for each blob, then the manifest. Both registries sync files \
         and folders before they acknowledge.\n\
         * Long lists are pushed to dockhand through its API; for CNCF Distribution the folders are \
         made that its lists look at, and no more. Pages lie in the last fifth of the list, at another \
         place each time, and every entry is checked. A server that is slow is asked for three \
         seconds in each round.\n\
         * Memory is `VmRSS` of a server that was started a second ago, and `VmHWM` under the load.\n\
         * Every answer is checked for its status and length, and in each row once for its digest.\n\n\
         To measure again, on a machine that does nothing else:\n\n\
         ```sh\n\
         cargo xtask bench --markdown docs/benchmarks.md\n\
         ```\n\n\
         It needs Go and, for nginx, root or `nginx` on the `PATH`; `--only blob-4k,manifest` measures \
         some rows, `--quick` all of them in smaller sizes, and `--pin` with servers and clients on \
         cores of their own, which is steadier.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figure::{Target, Unit};

    fn heading() -> Heading {
        Heading {
            date: "2026-01-02".to_owned(),
            machine: "a machine".to_owned(),
            versions: vec![(Who::Nginx, "1.2".to_owned())],
            rounds: 2,
            quick: false,
            pinned: false,
        }
    }

    #[test]
    fn a_page_has_a_line_for_each_figure() {
        let mut figure = Figure::new(
            "GET",
            Unit::PerSecond,
            vec![Target::AtLeast(0.8, Who::Nginx)],
        );
        for (ours, nginx) in [(100.0, 100.0), (50.0, 100.0)] {
            figure.add(Who::Dockhand, ours);
            figure.add(Who::Nginx, nginx);
        }
        let line = "| GET | /s | 75 (50–100) | 100 (100–100) | – | ≥ 0.80 × nginx: 0.75 × MISSED |";
        let page = markdown(&heading(), &[figure.clone()], "");
        assert!(page.contains(line), "{page}");
        assert!(
            page.contains("Versions: nginx 1.2.") && !page.contains("quick run"),
            "{page}"
        );
        let again = markdown(
            &heading(),
            &[figure.clone()],
            &format!("{page}\nBecause.\n"),
        );
        assert_eq!(again, format!("{page}\nBecause.\n"));
        assert!(terminal(&heading(), &[figure]).contains("75 (50–100)"));
    }
}
