//! What was measured of the clients, and how it stands against what was asked for.
//!
//! A ratio is the median of the ratios of the rounds, as in [`super::super::figure`].

use std::fmt;

use super::super::figure::{Unit, Verdict, spread};

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// This client.
    Dockhand,
    /// go-containerregistry's.
    Crane,
    /// regclient's.
    Regctl,
    /// The one of podman and buildah.
    Skopeo,
    /// The one for artifacts.
    Oras,
    /// One request after another, as scripts on top of a library do.
    Serial,
}

impl Who {
    /// All, in the order of the columns.
    pub(super) const ALL: [Self; 6] = [
        Self::Dockhand,
        Self::Crane,
        Self::Regctl,
        Self::Skopeo,
        Self::Oras,
        Self::Serial,
    ];
    /// Those that are programs, in the order in which they take turns.
    pub(super) const PROGRAMS: [Self; 5] = [
        Self::Dockhand,
        Self::Crane,
        Self::Regctl,
        Self::Skopeo,
        Self::Oras,
    ];

    /// As it stands in commands, repositories and the table.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Dockhand => "dockhand",
            Self::Crane => "crane",
            Self::Regctl => "regctl",
            Self::Skopeo => "skopeo",
            Self::Oras => "oras",
            Self::Serial => "serial",
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a figure of dockhand should be; of all figures here, less is better.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// At most this value, in the unit of the figure.
    Limit(f64),
    /// At least so many times less than another.
    Times(f64, Who),
}

/// One line of the table: what each did, round by round.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) unit: Unit,
    targets: Vec<Target>,
    rounds: [Vec<f64>; Who::ALL.len()],
}

impl Figure {
    /// A figure without a round.
    pub(super) fn new(name: impl Into<String>, unit: Unit, targets: Vec<Target>) -> Self {
        Self {
            name: name.into(),
            unit,
            targets,
            rounds: Default::default(),
        }
    }

    /// Adds what someone did in one round.
    pub(super) fn add(&mut self, who: Who, value: f64) {
        self.rounds[who as usize].push(value);
    }

    /// What someone did, round by round.
    fn rounds(&self, who: Who) -> &[f64] {
        &self.rounds[who as usize]
    }

    /// How many times more another needs than dockhand.
    fn times(&self, who: Who) -> Option<f64> {
        let pairs = self.rounds(who).iter().zip(self.rounds(Who::Dockhand));
        let ratios: Vec<f64> = pairs.map(|(theirs, ours)| theirs / ours).collect();
        spread(&ratios).map(|spread| spread.median)
    }

    /// `3.51 (3.48–3.72), 4.1 ×`, or a dash for who does not take part.
    pub(super) fn cell(&self, who: Who) -> String {
        let Some(spread) = spread(self.rounds(who)) else {
            return "–".to_owned();
        };
        let show = |value| self.unit.show(value);
        let mut cell = show(spread.median);
        if spread.min < spread.max {
            cell += &format!(" ({}–{})", show(spread.min), show(spread.max));
        }
        match self.times(who) {
            Some(times) if who != Who::Dockhand => format!("{cell}, {times:.1} ×"),
            _ => cell,
        }
    }

    /// How the targets were met; one that cannot be judged is not met.
    pub(super) fn verdicts(&self) -> Vec<Verdict> {
        self.targets.iter().map(|at| self.judge(*at)).collect()
    }

    fn judge(&self, target: Target) -> Verdict {
        let ours = spread(self.rounds(Who::Dockhand)).map(|spread| spread.median);
        let (asked, found) = match target {
            Target::Limit(bound) => (
                format!("≤ {} {}", self.unit.show(bound), self.unit),
                ours.map(|ours| (self.unit.show(ours), ours <= bound)),
            ),
            Target::Times(bound, who) => (
                format!("≥ {bound:.0} × less than {who}"),
                self.times(who)
                    .map(|times| (format!("{times:.1} ×"), times >= bound)),
            ),
        };
        let (found, met) = found.unwrap_or_else(|| ("not measured".to_owned(), false));
        Verdict { asked, found, met }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_and_targets_compare_round_by_round() {
        let targets = vec![Target::Limit(1.0), Target::Times(4.0, Who::Crane)];
        let mut figure = Figure::new("x", Unit::Seconds, targets);
        for (ours, theirs) in [(1.0, 4.0), (0.5, 2.5), (2.0, 6.0)] {
            figure.add(Who::Dockhand, ours);
            figure.add(Who::Crane, theirs);
        }
        assert_eq!(figure.cell(Who::Dockhand), "1.000 (0.500–2.000)");
        assert_eq!(figure.cell(Who::Crane), "4.000 (2.500–6.000), 4.0 ×");
        assert_eq!(figure.cell(Who::Oras), "–");
        let verdicts: Vec<String> = figure.verdicts().iter().map(ToString::to_string).collect();
        assert_eq!(
            verdicts,
            ["≤ 1.000 s: 1.000 met", "≥ 4 × less than crane: 4.0 × met"]
        );
    }

    #[test]
    fn what_was_not_measured_is_not_met() {
        let figure = Figure::new("x", Unit::Requests, vec![Target::Limit(3.0)]);
        assert_eq!(
            figure.verdicts()[0].to_string(),
            "≤ 3.0 requests: not measured MISSED"
        );
    }
}
