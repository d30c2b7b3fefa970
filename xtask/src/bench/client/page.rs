//! The table of the clients, for the terminal and for the documentation.

use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};

use super::super::page::{BY_HAND, kept};
use super::figure::{Figure, Who};

/// What stands above the table.
#[derive(Debug)]
pub(super) struct Heading {
    pub(super) date: String,
    pub(super) machine: String,
    pub(super) versions: String,
    /// Where the contents lay.
    pub(super) place: String,
    pub(super) rounds: usize,
    pub(super) quick: bool,
}

/// The table for a terminal.
pub(super) fn terminal(heading: &Heading, figures: &[Figure]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header());
    for figure in figures {
        table.add_row(cells(figure, "\n"));
    }
    format!(
        "{}: {}\n{}\n{table}\n",
        heading.date, heading.machine, heading.versions
    )
}

/// The table as a page of the documentation; `before` is the page as it was.
pub(super) fn markdown(heading: &Heading, figures: &[Figure], before: &str) -> String {
    let mut page = format!(
        "# Benchmarks of the client\n\n\
         `dockhand` beside the clients that people use, each doing the same between the same two \
         servers. Measured on {} by `cargo xtask bench client`.\n\n\
         * Machine: {}.\n* Versions: {}.\n",
        heading.date, heading.machine, heading.versions,
    );
    if heading.quick {
        page += "* **A quick run: smaller contents; its figures show little.**\n";
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
    page + "\n" + &notes(heading) + "\n" + BY_HAND + kept(before)
}

fn header() -> Vec<String> {
    let names = Who::ALL.iter().map(ToString::to_string);
    ["what".to_owned(), "unit".to_owned()]
        .into_iter()
        .chain(names)
        .chain(["target: found".to_owned()])
        .collect()
}

fn cells(figure: &Figure, line: &str) -> Vec<String> {
    let verdicts: Vec<_> = figure.verdicts().iter().map(ToString::to_string).collect();
    [figure.name.clone(), figure.unit.to_string()]
        .into_iter()
        .chain(Who::ALL.map(|who| figure.cell(who)))
        .chain([verdicts.join(line)])
        .collect()
}

fn notes(heading: &Heading) -> String {
    let (rounds, place) = (heading.rounds, &heading.place);
    format!(
        "Each figure is the median of {rounds} rounds, with the least and the most in parentheses where \
         they differ; the clients take turns in each round. `×` says how many times more than \
         dockhand a client needs: the median of the ratios of the rounds. Less is better everywhere. \
         Ratios can be compared between machines, the figures themselves cannot.\n\n\
         How it is measured:\n\n\
         * Two servers of CNCF Distribution with its filesystem driver, on folders that are empty at \
         first ({place}), plain HTTP, no credentials, all on one machine. Every client is a process that is \
         started for the command and timed from its start to its end, with default settings and a home \
         folder without any.\n\
         * Distance is made by a proxy before each server: every byte arrives half a round trip later, \
         a new connection costs one round trip, a connection carries its rate in each \
         direction and no more, and up to 8 MiB are on the way at once. There is no slow start \
         and no loss. The proxy shares the processors with clients and servers.\n\
         * Layers are gzip files of bytes that cannot be packed. No image is copied twice except where \
         that is what is measured. What arrived is checked: the manifest by its digest, \
         each blob by a `HEAD`, and in what was pulled every byte.\n\
         * Requests are counted in the logs of the servers. What a blob costs is the difference \
         between images of 30 and of 10 layers, so that manifests and greetings do not count.\n\
         * skopeo, asked to do without checking certificates, tries TLS first on each connection.\n\
         * The serial way asks for the digests by one `HEAD` after the other, written for this table in \
         place of docker_registry2, which opens a connection for each.\n\
         * To keep repositories the same regclient has a program of its own, regsync, which stands in \
         the column of regctl; it mirrors the registry once and not in each round, since that takes long.\n\
         * Memory is the peak of what a client has resident, `VmHWM`, looked at every two \
         milliseconds.\n\n\
         To measure again, on a machine that does nothing else:\n\n\
         ```sh\n\
         cargo xtask bench client --markdown docs/benchmarks-client.md\n\
         ```\n\n\
         It needs Go, and root or skopeo on the `PATH`; `--only copy,digests` measures some \
         cases, `--quick` all of them in smaller sizes.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::super::super::figure::Unit;
    use super::super::figure::Target;
    use super::*;

    #[test]
    fn a_page_has_a_line_for_each_figure_and_keeps_what_is_written_by_hand() {
        let heading = Heading {
            date: "2026-01-02".to_owned(),
            machine: "a machine".to_owned(),
            versions: "crane 1.2".to_owned(),
            place: "in memory".to_owned(),
            rounds: 1,
            quick: true,
        };
        let mut figure = Figure::new("copy", Unit::Seconds, vec![Target::Limit(1.0)]);
        figure.add(Who::Dockhand, 0.5);
        figure.add(Who::Crane, 2.0);
        let before = format!("As it was.\n{BY_HAND}\n\nBy hand.\n");
        let page = markdown(&heading, &[figure], &before);
        let line = "| copy | s | 0.500 | 2.000, 4.0 × | – | – | – | – | ≤ 1.000 s: 0.500 met |";
        assert!(page.contains(line), "{page}");
        assert!(page.contains("2026-01-02") && page.contains("quick"));
        assert!(page.ends_with("\n\nBy hand.\n") && !page.contains("As it was."));
    }
}
