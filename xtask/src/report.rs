//! Named results, printed as they come and as a table at the end, with one last line that a script
//! can read: `N passed, N failed`.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use comfy_table::{ContentArrangement, Table, presets};

/// How wide the table is where no terminal says: what the log of a build service shows.
const WIDTH: u16 = 140;

/// One result.
#[derive(Debug)]
struct Row {
    name: String,
    failure: bool,
    detail: String,
    took: Duration,
}

/// The results of one run, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// A report without results.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Runs a check and records how it ended: its detail, or its error with all causes.
    ///
    /// Returns whether it passed.
    pub(crate) fn check(&mut self, name: &str, check: impl FnOnce() -> Result<String>) -> bool {
        let began = Instant::now();
        let result = check();
        self.record(
            name,
            result.map_err(|error| format!("{error:#}")),
            began.elapsed(),
        )
    }

    /// Records a result that was found elsewhere: a detail, or what went wrong.
    ///
    /// Returns whether it passed.
    pub(crate) fn record(
        &mut self,
        name: &str,
        result: Result<String, String>,
        took: Duration,
    ) -> bool {
        let failure = result.is_err();
        let (Ok(detail) | Err(detail)) = result;
        let word = if failure { "FAIL" } else { "pass" };
        println!("{word} {name} ({:.1} s) {detail}", took.as_secs_f64());
        self.rows.push(Row {
            name: name.to_owned(),
            failure,
            detail,
            took,
        });
        !failure
    }

    /// Prints the table and the last line; an error when anything failed or nothing ran.
    pub(crate) fn finish(self) -> Result<()> {
        println!("\n{}", self.table());
        let failed = self.rows.iter().filter(|row| row.failure).count();
        println!("{} passed, {failed} failed", self.rows.len() - failed);
        if self.rows.is_empty() {
            bail!("nothing ran");
        }
        if failed > 0 {
            bail!("{failed} failed");
        }
        Ok(())
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        if !table.is_tty() {
            table.set_width(WIDTH);
        }
        table.set_header(["what", "result", "seconds", "detail"]);
        for row in &self.rows {
            let word = if row.failure { "FAIL" } else { "pass" };
            // The whole of a failure was printed when it happened; the table takes its first line.
            let detail = row.detail.lines().next().unwrap_or_default();
            let seconds = format!("{:.1}", row.took.as_secs_f64());
            table.add_row([row.name.as_str(), word, &seconds, detail]);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_failure_fails_the_run_and_keeps_its_causes() {
        let mut report = Report::new();
        assert!(report.check("good", || Ok("3 things".to_owned())));
        assert!(!report.check("bad", || Err(anyhow!("the cause").context("the failure"))));
        assert_eq!(report.rows[1].detail, "the failure: the cause");
        let table = report.table().to_string();
        assert!(
            table.contains("3 things") && table.contains("FAIL"),
            "{table}"
        );
        assert_eq!(report.finish().unwrap_err().to_string(), "1 failed");
    }

    #[test]
    fn a_run_of_nothing_is_no_success() {
        assert!(Report::new().finish().is_err());
    }
}
