//! Times as Go writes them: `168h`, `1h30m`, `1.5s`, and bare numbers, which are nanoseconds.

use std::time::Duration;

/// Units and their length in nanoseconds. <https://pkg.go.dev/time#ParseDuration>
const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("μs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
];

/// Reads a time; negative ones have no use here and are none.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if let Ok(nanoseconds) = rest.parse() {
        return Some(Duration::from_nanos(nanoseconds));
    }
    let mut nanoseconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let (_, unit) = UNITS
            .iter()
            .find(|(name, _)| rest.get(..end) == Some(name))?;
        nanoseconds += number * unit;
        rest = rest.get(end..)?;
    }
    let whole = !text.is_empty() && nanoseconds < u64::MAX as f64;
    whole.then(|| Duration::from_nanos(nanoseconds.round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_reads_them() {
        for (text, milliseconds) in [
            ("168h", 604_800_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1500),
            (".5s", 500),
            ("300ms", 300),
            ("1000us", 1),
            ("1000µs", 1),
            ("0", 0),
            ("0s", 0),
            ("+1m", 60_000),
            ("30000000000", 30_000),
        ] {
            assert_eq!(
                parse(text),
                Some(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        for bad in [
            "",
            "s",
            "5 s",
            "-5s",
            "5d",
            "1w",
            "h5",
            "1..5s",
            "5S",
            "99999999999999h",
            "10s5",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
