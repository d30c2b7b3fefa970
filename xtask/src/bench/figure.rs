//! What was measured, and how it stands against what was asked for.
//!
//! A ratio is the median of the ratios of the rounds: server and peer of one round ran within seconds
//! of each other, so that what drifts on the machine drifts in both.

use std::fmt;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// This registry.
    Dockhand,
    /// A web server with `sendfile`: the ceiling for reads.
    Nginx,
    /// CNCF Distribution with its filesystem driver: the registry that most people run.
    Distribution,
}

impl Who {
    /// All, in the order in which they take turns.
    pub(crate) const ALL: [Self; 3] = [Self::Dockhand, Self::Nginx, Self::Distribution];
    /// Those that take pushes.
    pub(crate) const REGISTRIES: [Self; 2] = [Self::Dockhand, Self::Distribution];
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dockhand => "dockhand",
            Self::Nginx => "nginx",
            Self::Distribution => "Distribution",
        })
    }
}

/// In what a figure is counted. Giga and mega are powers of ten here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    GigabytesPerSecond,
    SecondsPerGigabyte,
    PerSecond,
    Milliseconds,
    Seconds,
    Megabytes,
    Requests,
    Connections,
}

impl Unit {
    /// A value in this unit, with as many places as can be trusted.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::PerSecond | Self::Connections => format!("{value:.0}"),
            Self::Megabytes | Self::Requests => format!("{value:.1}"),
            Self::GigabytesPerSecond | Self::Milliseconds => format!("{value:.2}"),
            Self::SecondsPerGigabyte | Self::Seconds => format!("{value:.3}"),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GigabytesPerSecond => "GB/s",
            Self::SecondsPerGigabyte => "s/GB",
            Self::PerSecond => "/s",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Megabytes => "MB",
            Self::Requests => "requests",
            Self::Connections => "connections",
        })
    }
}

/// What a figure of dockhand should be.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// At least so many times the figure of a peer.
    AtLeast(f64, Who),
    /// At most so many times the figure of a peer.
    AtMost(f64, Who),
    /// At most this value, in the unit of the figure.
    Limit(f64),
    /// At most so many times what dockhand itself needs for less: the rounds of that, and its name.
    Flat(f64, Vec<f64>, &'static str),
}

/// How a target was met.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    /// What was asked for: `≥ 1.00 × nginx`.
    pub(crate) asked: String,
    /// What was found: `1.07 ×`.
    pub(crate) found: String,
    /// Whether that is enough.
    pub(crate) met: bool,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.met { "met" } else { "MISSED" };
        write!(f, "{}: {} {word}", self.asked, self.found)
    }
}

/// The middle of the rounds and their extremes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// The middle and the extremes; nothing of nothing.
pub(crate) fn spread(values: &[f64]) -> Option<Spread> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    let middle = sorted.len() / 2;
    let median = match sorted.len() % 2 {
        0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    };
    Some(Spread { median, min, max })
}

/// The value that this part of all (`0.99`) does not exceed.
pub(crate) fn percentile(values: &[f64], part: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    // The nearest rank: of 100 values, the 99th is the 99th percentile.
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

/// One line of the table: what each of the servers did, round by round.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    targets: Vec<Target>,
    rounds: [Vec<f64>; Who::ALL.len()],
}

impl Figure {
    /// A figure without a round.
    pub(crate) fn new(name: impl Into<String>, unit: Unit, targets: Vec<Target>) -> Self {
        Self {
            name: name.into(),
            unit,
            targets,
            rounds: Default::default(),
        }
    }

    /// Adds what a server did in one round.
    pub(crate) fn add(&mut self, who: Who, value: f64) {
        self.rounds[who as usize].push(value);
    }

    /// Asks for one thing more.
    pub(crate) fn ask(&mut self, target: Target) {
        self.targets.push(target);
    }

    /// What a server did, round by round.
    pub(crate) fn rounds(&self, who: Who) -> &[f64] {
        &self.rounds[who as usize]
    }

    /// How the targets were met; one that cannot be judged is not met.
    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        self.targets
            .iter()
            .map(|target| self.judge(target))
            .collect()
    }

    fn judge(&self, target: &Target) -> Verdict {
        let ours = self.rounds(Who::Dockhand);
        let ratio = |theirs: &[f64]| {
            let pairs = ours.iter().zip(theirs);
            spread(
                &pairs
                    .map(|(ours, theirs)| ours / theirs)
                    .collect::<Vec<_>>(),
            )
        };
        let (asked, found) = match target {
            Target::AtLeast(bound, who) => {
                (format!("≥ {bound:.2} × {who}"), ratio(self.rounds(*who)))
            }
            Target::AtMost(bound, who) => {
                (format!("≤ {bound:.2} × {who}"), ratio(self.rounds(*who)))
            }
            Target::Flat(bound, less, words) => (format!("≤ {bound:.2} × {words}"), ratio(less)),
            Target::Limit(bound) => (format!("≤ {bound} {}", self.unit), spread(ours)),
        };
        let Some(Spread { median, .. }) = found else {
            let found = "not measured".to_owned();
            return Verdict {
                asked,
                found,
                met: false,
            };
        };
        let met = match target {
            Target::AtLeast(bound, _) => median >= *bound,
            Target::AtMost(bound, _) | Target::Flat(bound, ..) | Target::Limit(bound) => {
                median <= *bound
            }
        };
        let found = match target {
            Target::Limit(_) => self.unit.show(median),
            _ => format!("{median:.2} ×"),
        };
        Verdict { asked, found, met }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_and_percentiles() {
        assert_eq!(spread(&[]), None);
        assert_eq!(
            spread(&[3.0, 1.0, 2.0]),
            Some(Spread {
                median: 2.0,
                min: 1.0,
                max: 3.0
            })
        );
        assert_eq!(
            spread(&[4.0, 1.0]),
            Some(Spread {
                median: 2.5,
                min: 1.0,
                max: 4.0
            })
        );
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&hundred, 0.99), Some(99.0));
        assert_eq!(percentile(&hundred, 0.5), Some(50.0));
        assert_eq!(percentile(&[7.0], 0.99), Some(7.0));
        assert_eq!(percentile(&[], 0.99), None);
    }

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        let mut figure = Figure::new("x", Unit::PerSecond, vec![Target::AtLeast(0.8, Who::Nginx)]);
        for (ours, nginx) in [(90.0, 100.0), (45.0, 50.0), (10.0, 100.0)] {
            figure.add(Who::Dockhand, ours);
            figure.add(Who::Nginx, nginx);
        }
        assert_eq!(
            figure.verdicts()[0].to_string(),
            "≥ 0.80 × nginx: 0.90 × met"
        );
    }

    #[test]
    fn limits_and_flatness_are_judged() {
        let mut figure = Figure::new("x", Unit::Milliseconds, vec![Target::Limit(20.0)]);
        figure.add(Who::Dockhand, 21.0);
        figure.ask(Target::Flat(2.0, vec![10.5], "at 1,000"));
        figure.ask(Target::AtMost(1.0, Who::Distribution));
        let verdicts: Vec<String> = figure.verdicts().iter().map(ToString::to_string).collect();
        assert_eq!(
            verdicts,
            [
                "≤ 20 ms: 21.00 MISSED",
                "≤ 2.00 × at 1,000: 2.00 × met",
                "≤ 1.00 × Distribution: not measured MISSED",
            ]
        );
    }
}
