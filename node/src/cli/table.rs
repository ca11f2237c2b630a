//! Output for people: lines of name and value, tables, times, sizes.

use std::fmt::{Display, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::status::ago;

/// The last second of the year 9999, after which dates are not written as such.
const LAST_SECOND: u64 = 253_402_300_799;

/// Names and values, one per line, the values below each other.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<(&'static str, String)>);

impl Lines {
    pub(super) fn add(&mut self, name: &'static str, value: impl Display) {
        self.0.push((name, value.to_string()));
    }

    pub(super) fn text(&self) -> String {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut text = String::new();
        for (name, value) in &self.0 {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name:<width$}  {value}");
        }
        text
    }
}

/// A table with a line of headings.
pub(super) fn table<const N: usize>(headings: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = std::iter::once(headings.map(String::from)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

/// A moment, and how long ago that is. Both count from 1970.
pub(super) fn moment(time: Duration, now: Duration) -> String {
    let seconds = time.as_secs();
    if seconds > LAST_SECOND {
        return format!("{seconds} s after 1970");
    }
    let date = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
    let date = date.replace('T', " ").replace('Z', " UTC");
    match now.checked_sub(time) {
        Some(age) => format!("{date}, {} ago", ago(age)),
        None => format!("{date}, {} ahead of this machine's clock", ago(time.saturating_sub(now))),
    }
}

/// The time since 1970.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A number of bytes as people say it.
pub(super) fn bytes(count: u64) -> String {
    if count < 1024 { format!("{count} B") } else { bytesize::ByteSize(count).to_string() }
}

/// `1 block`, `2 blocks`.
pub(super) fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_below_each_other() {
        let mut lines = Lines::default();
        lines.add("Block", 12);
        lines.add("Gas limit", "x");
        assert_eq!(lines.text(), "Block      12\nGas limit  x\n");
        let text = table(["A", "Name"], [["long".to_string(), "é".to_string()], [String::new(), String::new()]]);
        assert_eq!(text, "A     Name\nlong  é\n\n");
    }

    #[test]
    fn times_are_dates_with_an_age() {
        let at = |seconds: u64| Duration::from_secs(seconds);
        assert_eq!(moment(at(1_700_000_000), at(1_700_000_003)), "2023-11-14 22:13:20 UTC, 3.0 s ago");
        assert_eq!(moment(at(61), at(0)), "1970-01-01 00:01:01 UTC, 1 min 1 s ahead of this machine's clock");
        assert_eq!(moment(at(u64::MAX), at(0)), format!("{} s after 1970", u64::MAX));
        assert!(moment(at(LAST_SECOND), at(0)).starts_with("9999-12-31 23:59:59 UTC"));
    }

    #[test]
    fn sizes_and_counts_are_short() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(count(1, "record"), "1 record");
        assert_eq!(count(0, "record"), "0 records");
    }
}
