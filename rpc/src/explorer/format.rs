//! Numbers, amounts and times as people read them. Text only; whoever shows it escapes it.

use std::time::{SystemTime, UNIX_EPOCH};

use alloy_primitives::U256;

/// Digits in groups of three: `1,234,567`.
pub(crate) fn grouped(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A whole number in groups of three.
pub(crate) fn number(value: u64) -> String {
    grouped(&value.to_string())
}

/// One of several things: `1 block`, `2 blocks`.
pub(crate) fn count(value: usize, what: &str) -> String {
    let plural = if value == 1 { "" } else { "s" };
    format!("{} {what}{plural}", number(value as u64))
}

/// An amount with this many decimals, exact, without zeros at its end.
pub(crate) fn token_amount(amount: U256, decimals: u8) -> String {
    let digits = amount.to_string();
    let decimals = usize::from(decimals);
    if decimals == 0 {
        return grouped(&digits);
    }
    let padded = format!("{digits:0>width$}", width = decimals + 1);
    let (whole, fraction) = padded.split_at(padded.len() - decimals);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { grouped(whole) } else { format!("{}.{fraction}", grouped(whole)) }
}

/// A price per gas, in the unit in which it is short.
pub(crate) fn gas_price(wei: u128) -> String {
    const GWEI: u128 = 1_000_000_000;
    if wei < GWEI / 1_000 {
        return format!("{} wei", grouped(&wei.to_string()));
    }
    format!("{} gwei", token_amount(U256::from(wei), 9))
}

/// A part of a whole in percent with one decimal, rounded half up; nothing of nothing is 0.
pub(crate) fn percent(part: u128, whole: u128) -> String {
    if whole == 0 {
        return "0.0%".into();
    }
    // Weights have 63 bits and there are at most 256 of them: a thousand times that fits.
    let tenths = (part.saturating_mul(2_000) / whole).div_ceil(2);
    format!("{}.{}%", tenths / 10, tenths % 10)
}

/// Now, in milliseconds of Unix time.
pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// How long something took or is ago, in its largest unit: `350 ms`, `4.2 s`, `12 min`, `3 h`, `5 d`.
pub(crate) fn duration(ms: u64) -> String {
    const SECOND: u64 = 1_000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match ms {
        0..SECOND => format!("{ms} ms"),
        SECOND..10_000 => format!("{}.{} s", ms / SECOND, ms % SECOND / 100),
        10_000..MINUTE => format!("{} s", ms / SECOND),
        MINUTE..HOUR => format!("{} min", ms / MINUTE),
        HOUR..DAY => format!("{} h", ms / HOUR),
        _ => format!("{} d", number(ms / DAY)),
    }
}

/// How long ago a moment was. A moment that is ahead (another clock) is now.
pub(crate) fn ago(time_ms: u64) -> String {
    match now_ms().saturating_sub(time_ms) {
        0..1_000 => "just now".into(),
        passed @ 1_000..60_000 => format!("{} s ago", passed / 1_000),
        passed => format!("{} ago", duration(passed)),
    }
}

/// A moment in UTC: `2023-11-14 22:13:20.123 UTC`.
pub(crate) fn utc(time_ms: u64) -> String {
    let (seconds, ms) = (time_ms / 1_000, time_ms % 1_000);
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{ms:03} UTC")
}

/// The same as machines read it (RFC 3339).
pub(crate) fn rfc3339(time_ms: u64) -> String {
    utc(time_ms).replace(" UTC", "Z").replace(' ', "T")
}

/// Year, month and day of the Gregorian calendar, from days since 1970. Years begin in March here, so that the day that
/// comes and goes is their last.
fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    // From 1 March of the year 0 to 1 January 1970.
    let days = days + 719_468;
    let (era, day_of_era) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / (DAYS_OF_400_YEARS - 1)) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_groups() {
        for (value, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(number(value), text);
        }
        assert_eq!((count(1, "block"), count(0, "block")), ("1 block".into(), "0 blocks".into()));
    }

    #[test]
    fn amounts_are_exact() {
        for (amount, decimals, text) in [
            (0_u128, 18, "0"),
            (1, 18, "0.000000000000000001"),
            (1_500_000_000_000_000_000, 18, "1.5"),
            (1_234_000_000_000_000_000_000, 18, "1,234"),
            (12_345, 0, "12,345"),
            (12_345, 2, "123.45"),
        ] {
            assert_eq!(token_amount(U256::from(amount), decimals), text);
        }
        assert!(token_amount(U256::MAX, u8::MAX).starts_with("0.000"));
        assert_eq!(gas_price(0), "0 wei");
        assert_eq!(gas_price(1_500_000_000), "1.5 gwei");
    }

    #[test]
    fn parts_are_rounded() {
        for (part, whole, text) in [(0, 0, "0.0%"), (1, 3, "33.3%"), (2, 3, "66.7%"), (5, 5, "100.0%")] {
            assert_eq!(percent(part, whole), text);
        }
    }

    #[test]
    fn times_in_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00.007 UTC"),
            (951_782_399, "2000-02-28 23:59:59.007 UTC"),
            (951_782_400, "2000-02-29 00:00:00.007 UTC"),
            (1_700_000_000, "2023-11-14 22:13:20.007 UTC"),
            (1_735_689_599, "2024-12-31 23:59:59.007 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00.007 UTC"),
        ] {
            assert_eq!(utc(seconds * 1_000 + 7), text);
        }
        assert_eq!(rfc3339(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        // A hostile or broken time makes no panic.
        assert!(!utc(u64::MAX).is_empty());
    }

    #[test]
    fn durations_have_one_unit() {
        for (ms, text) in [(0, "0 ms"), (1_200, "1.2 s"), (59_999, "59 s"), (60_000, "1 min"), (7_200_000, "2 h")] {
            assert_eq!(duration(ms), text);
        }
        assert_eq!(duration(172_800_000), "2 d");
    }
}
