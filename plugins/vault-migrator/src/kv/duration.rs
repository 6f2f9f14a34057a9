//! Durations and times as Vault and `OpenBao` write them.

use std::time::UNIX_EPOCH;

/// The seconds of a Go duration such as `3h25m19s` or `0s`, rounded up; none if it is none or negative.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    const UNITS: [(&str, f64); 7] = [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("h", 3_600.0), ("m", 60.0), ("s", 1.0)];
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        // A plain number is seconds.
        let (unit, factor) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit)).copied().or((rest.is_empty()).then_some(("", 1.0)))?;
        rest = &rest[unit.len()..];
        total += number * factor;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "durations of secrets are small and not negative")]
    (total.is_finite() && !text.is_empty()).then(|| total.ceil() as u64)
}

/// Milliseconds since the Unix epoch of a UTC time of RFC 3339, as the servers write it; none if it is none.
pub(crate) fn epoch_millis(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut parts = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = clock.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    // Days from civil: the year begins in March, so that the leap day is last.
    let (year, shifted) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * shifted + 2) / 5 + day - 1 - 719_468;
    u64::try_from(((days * 24 + hour) * 60 + minute) * 60_000 + second * 1_000 + millis).ok()
}

/// Milliseconds since the Unix epoch of a date of HTTP (RFC 9110 section 5.6.7), which has whole seconds; none if it is none.
pub(crate) fn http_millis(text: &str) -> Option<u64> {
    let since = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}

/// Whether a time of RFC 3339 is a whole number of seconds after another one, to the last digit that the servers write.
pub(crate) fn is_seconds_after(one: &str, other: &str) -> bool {
    let fraction = |time: &str| time.rsplit_once('.').map_or_else(String::new, |(_, fraction)| fraction.trim_end_matches('Z').to_owned());
    match (epoch_millis(one), epoch_millis(other)) {
        (Some(first), Some(then)) => then > first && fraction(one) == fraction(other),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_servers_write() {
        let cases = [("0s", 0), ("3h0m0s", 10_800), ("3h25m19s", 12_319), ("1.5s", 2), ("90", 90), ("720h0m0s", 2_592_000), ("5ms", 1)];
        for (text, expected) in cases {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        assert!(["", "-1s", "x", "3 h", "h"].iter().all(|text| seconds(text).is_none()));
    }

    #[test]
    fn reads_times() {
        assert_eq!(epoch_millis("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(epoch_millis("2026-11-22T05:30:21.847693246Z"), Some(1_795_325_421_847));
        assert_eq!(epoch_millis("2024-02-29T12:00:00.5Z"), Some(1_709_208_000_500));
        assert!(["", "2026", "2026-11-22T05:30:21+01:00"].iter().all(|text| epoch_millis(text).is_none()));
        assert_eq!(http_millis("Sun, 22 Nov 2026 05:30:21 GMT"), Some(1_795_325_421_000));
        assert_eq!(http_millis("2026-11-22T05:30:21Z"), None);
    }

    #[test]
    fn a_timer_is_known_by_its_whole_seconds() {
        let made = "2026-11-22T05:30:21.847693246Z";
        assert!(is_seconds_after(made, "2026-11-22T05:31:21.847693246Z"));
        assert!(is_seconds_after("2026-11-22T05:30:21Z", "2026-11-22T05:30:22Z"));
        assert!(
            [made, "2026-11-22T05:31:21.847693247Z", "2026-11-22T05:30:20.847693246Z", "2026-11-22T05:31:21Z", ""]
                .iter()
                .all(|time| !is_seconds_after(made, time))
        );
    }
}
