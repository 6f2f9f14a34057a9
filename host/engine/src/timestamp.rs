//! Points in time, as numbers. The engine has no clock: every event brings its own.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// This point plus `span`, at most the end of time.
    #[must_use]
    pub fn after(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, with seconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_millisecond(millis) {
            Ok(time) => write!(f, "{}", time.strftime("%Y-%m-%dT%H:%M:%SZ")),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

/// A length of time in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(pub u64);

impl Span {
    /// A whole number of seconds.
    #[must_use]
    pub const fn seconds(count: u64) -> Self {
        Self(count * 1_000)
    }

    /// Reads `72h`, `10m`, `1h 30m`, `250ms`.
    ///
    /// # Errors
    /// Says what is wrong with the text; also for negative spans and for calendar units, whose length varies.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parsed: jiff::SignedDuration =
            text.parse().map_err(|_| format!("`{text}` is no duration; write for example `90s`, `10m` or `72h`"))?;
        u64::try_from(parsed.as_millis()).map(Self).map_err(|_| format!("`{text}` is negative"))
    }

    /// In the largest unit that divides it: `90m`, `72h`, `250ms`. Equal spans have equal texts.
    #[must_use]
    pub fn exact(self) -> String {
        let units = [("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
        let unit = units.into_iter().find(|(_, millis)| self.0 > 0 && self.0.is_multiple_of(*millis));
        unit.map_or_else(|| format!("{}ms", self.0), |(name, millis)| format!("{}{name}", self.0 / millis))
    }
}

impl fmt::Display for Span {
    /// The largest two units that matter, such as `1h 30m`; below one second `250ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1_000;
        let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        match (hours, minutes, rest) {
            (0, 0, 0) if self.0 > 0 => write!(f, "{}ms", self.0),
            (0, 0, s) => write!(f, "{s}s"),
            (0, m, 0) => write!(f, "{m}m"),
            (0, m, s) => write!(f, "{m}m {s}s"),
            (h, 0, _) => write!(f, "{h}h"),
            (h, m, _) => write!(f, "{h}h {m}m"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_spans_people_write() {
        for (text, millis) in [("72h", 259_200_000), ("10m", 600_000), ("1h 30m", 5_400_000), ("250ms", 250), ("0s", 0)] {
            assert_eq!(Span::parse(text), Ok(Span(millis)), "{text}");
        }
        for text in ["", "ten", "-5s", "3"] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn prints_time_in_utc_and_spans_in_the_units_that_matter() {
        assert_eq!(Timestamp(1_795_000_000_000).to_string(), "2026-11-18T11:06:40Z");
        for (millis, text) in [(0, "0s"), (250, "250ms"), (51_216, "51s"), (65_999, "1m 5s"), (5_400_000, "1h 30m")] {
            assert_eq!(Span(millis).to_string(), text);
        }
    }
}
