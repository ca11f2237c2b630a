//! The analysis of a set of validators as text: a table with bars, and sentences. It fits 80 columns and
//! needs no colour.

use std::fmt::Write;

use assent_genesis::analysis::{Analysis, Availability, Bounds, Coalition, Coalitions, Grouping, MemberAnalysis};

use crate::cli::table::count;

/// Columns.
const WIDTH: usize = 80;

/// Characters of a name in a table.
const NAME: usize = 20;

/// Characters of the longest bar, where there is room.
const BAR: usize = 20;

/// What the table of validators needs beside names, weights and bars.
const OTHER_COLUMNS: usize = 30;

/// Validators and groups in a table; more are told by their number.
const ROWS: usize = 40;

/// Names of a list that are told, and the characters of each.
const NAMES: usize = 8;
const LISTED_NAME: usize = 40;

/// The whole report.
pub(super) fn report(analysis: &Analysis, chain_id: u64) -> String {
    let mut text = String::new();
    let title = format!(
        "Chain {chain_id}: {} with weight {}, a quorum needs {}",
        count(analysis.validators.len() as u64, "validator"),
        analysis.total,
        analysis.needed
    );
    wrap(&mut text, "", &title);
    text.push('\n');
    validators(&mut text, &analysis.validators);
    failures(&mut text, analysis);
    coalitions(&mut text, "Who can halt the chain", &analysis.halting);
    coalitions(&mut text, "Who can break safety, by voting for two blocks at once", &analysis.breaking);
    for grouping in &analysis.groupings {
        groups(&mut text, grouping);
    }
    availability(&mut text, analysis);
    text.push_str("\nAdvice\n");
    if analysis.advice.is_empty() {
        text.push_str("  Nothing stands out.\n");
    }
    for advice in &analysis.advice {
        wrap(&mut text, "  - ", advice);
    }
    text
}

fn validators(text: &mut String, validators: &[MemberAnalysis]) {
    let weight = width("Weight", validators.iter().map(|validator| validator.weight.to_string()));
    let name = width("Validator", validators.iter().map(|validator| cut(&validator.name, NAME)));
    let longest = BAR.min(WIDTH.saturating_sub(OTHER_COLUMNS + name + weight));
    let _ = writeln!(text, "{:name$}  {:>weight$}   Share  {:longest$}       Up", "Validator", "Weight", "");
    for validator in validators.iter().take(ROWS) {
        let line = format!(
            "{:name$}  {:>weight$}  {:>6}  {:longest$}  {:>7}  {}",
            cut(&validator.name, NAME),
            validator.weight,
            percent(validator.share),
            bar(validator.share, longest),
            percent_of_time(validator.up_probability),
            note(validator)
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    more(text, validators.len());
}

/// What is special about a validator, in a word or two.
fn note(validator: &MemberAnalysis) -> &'static str {
    match validator {
        MemberAnalysis { weight: 0, .. } => "no vote",
        MemberAnalysis { decides: true, .. } => "decides",
        MemberAnalysis { can_halt: true, .. } => "halts",
        MemberAnalysis { idle: true, .. } => "idle",
        _ => "",
    }
}

fn more(text: &mut String, rows: usize) {
    if let Some(left) = rows.checked_sub(ROWS).filter(|left| *left > 0) {
        let _ = writeln!(text, "... and {left} more: --json has all");
    }
}

fn failures(text: &mut String, analysis: &Analysis) {
    let failures = &analysis.failures;
    text.push_str("\nHow many may fail while blocks go on\n");
    let _ = writeln!(text, "  worst case  {}, whichever", count(failures.worst_case as u64, "validator"));
    let lightest = match &failures.best_case_members[..] {
        [] => String::new(),
        names => format!(", the lightest: {}", list(names)),
    };
    wrap(text, "  best case   ", &format!("{}{lightest}", count(failures.best_case as u64, "validator")));
}

fn coalitions(text: &mut String, title: &str, coalitions: &Coalitions) {
    let _ = writeln!(text, "\n{title}");
    let Some(fewest) = &coalitions.fewest else { return };
    wrap(text, "  weight      ", &format!("{} or more; never less", coalitions.least_weight));
    let size = count(fewest.members.len() as u64, "validator");
    let fewest_text = if coalitions.fewest_at_least == fewest.members.len() {
        format!("{size}: {}", together(fewest))
    } else {
        format!("at most {size}: {}; at least {} (bounds)", together(fewest), coalitions.fewest_at_least)
    };
    wrap(text, "  fewest      ", &fewest_text);
    let mut smallest: Vec<String> = coalitions.smallest.iter().map(|coalition| list_with(coalition, " + ")).collect();
    if !coalitions.complete {
        smallest.push("and others".to_owned());
    }
    wrap(text, "  smallest    ", &smallest.join("; "));
}

fn together(coalition: &Coalition) -> String {
    format!("{} ({})", list(&coalition.members), percent(coalition.share))
}

fn groups(text: &mut String, grouping: &Grouping) {
    let by = grouping.by;
    let _ = writeln!(text, "\nLoss of a whole {by}");
    if grouping.groups.is_empty() {
        wrap(text, "  ", &format!("No validator has a label \"{by}\" in the genesis file."));
        return;
    }
    let name = width("", grouping.groups.iter().map(|group| cut(&group.name, NAME)));
    for group in grouping.groups.iter().take(ROWS) {
        let outcome = match &group.while_lost {
            Some(lost) => format!("blocks go on, down {} per year", lost.downtime()),
            None => format!("halts, {} missing", group.missing),
        };
        let start = format!("  {:name$}  {:>6}  ", cut(&group.name, NAME), percent(group.share));
        let safety = if group.breaks_safety == Some(true) { "; alone it can break safety" } else { "" };
        wrap(text, &start, &format!("{outcome}{safety} ({})", list(&group.members)));
    }
    more(text, grouping.groups.len());
    let _ =
        writeln!(text, "  Any {} may be lost and blocks go on.", count(grouping.worst_case as u64, &by.to_string()));
    if grouping.unlabelled > 0 {
        let unlabelled = count(grouping.unlabelled as u64, "validator");
        let _ = writeln!(text, "  Without such a label: {unlabelled}.");
    }
}

fn availability(text: &mut String, analysis: &Analysis) {
    let Availability { up, outage, .. } = &analysis.availability;
    text.push_str("\nHow much of the time a quorum is up, if validators fail independently\n");
    let bounds = if up.exact { "" } else { " (bounds, not exact: too many unrelated weights)" };
    wrap(text, "  quorum up   ", &format!("{}{bounds}", time_up(up, outage)));
    wrap(text, "  downtime    ", &format!("{} per year, expected", analysis.availability.downtime()));
    wrap(text, "  if equal    ", &format!("{} per year, if all weighed the same", analysis.equal_weights.downtime()));
}

/// The share of the time with as many digits as its distance from 100% needs.
fn time_up(up: &Bounds, outage: &Bounds) -> String {
    let one = |up: f64, outage: f64| {
        if outage > 0.0 && outage < 1e-12 {
            return format!("all of the time but {outage:.1e} of it");
        }
        // Two digits of the distance.
        let digits = if outage > 0.0 { (-outage.log10()).ceil().max(1.0) as usize } else { 1 };
        format!("{:.digits$}%", up * 100.0)
    };
    let (least, most) = (one(up.lower, outage.upper), one(up.upper, outage.lower));
    if least == most { least } else { format!("{least} to {most}") }
}

/// A share of the time: `99%`, `99.95%`.
pub(super) fn percent_of_time(probability: f64) -> String {
    let text = format!("{:.3}", probability * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

fn percent(share: f64) -> String {
    // Cut, so that a third or two thirds never look like more.
    format!("{:.1}%", (share * 1000.0 + 1e-9).floor() / 10.0)
}

fn bar(share: f64, longest: usize) -> String {
    let length = (share * longest as f64).round() as usize;
    // Whoever weighs something is seen.
    "#".repeat(if share > 0.0 { length.max(1) } else { 0 })
}

fn width(heading: &str, cells: impl Iterator<Item = String>) -> usize {
    cells.map(|cell| cell.chars().count()).chain([heading.len()]).max().unwrap_or(0)
}

/// A name or a label with at most so many characters. A label may hold anything; nothing in it reaches the
/// terminal as a command.
fn cut(name: &str, most: usize) -> String {
    let name = name.escape_debug().to_string();
    if name.chars().count() <= most {
        return name;
    }
    let start: String = name.chars().take(most.saturating_sub(2)).collect();
    format!("{start}..")
}

fn list(names: &[String]) -> String {
    named(names, ", ")
}

fn list_with(coalition: &Coalition, between: &str) -> String {
    named(&coalition.members, between)
}

fn named(names: &[String], between: &str) -> String {
    let mut shown: Vec<String> = names.iter().take(NAMES).map(|name| cut(name, LISTED_NAME)).collect();
    if let Some(left) = names.len().checked_sub(NAMES).filter(|left| *left > 0) {
        shown.push(format!("{left} more"));
    }
    shown.join(between)
}

/// Writes words in lines of at most 80 columns: the first begins with `start`, the others below its end.
fn wrap(text: &mut String, start: &str, words: &str) {
    let indent = start.chars().count();
    let mut line = start.to_owned();
    let mut column = indent;
    for word in words.split_whitespace() {
        let length = word.chars().count();
        if column > indent && column + 1 + length > WIDTH {
            let _ = writeln!(text, "{line}");
            line = " ".repeat(indent);
            column = indent;
        }
        if column > indent {
            line.push(' ');
            column += 1;
        }
        line.push_str(word);
        column += length;
    }
    let _ = writeln!(text, "{}", line.trim_end());
}

#[cfg(test)]
mod tests {
    use assent_genesis::analysis::{Member, Options, analyze};

    use super::*;

    fn four() -> Vec<Member> {
        [("north", 40), ("east", 30), ("south", 20), ("west", 10)]
            .map(|(name, weight)| Member::new(name, weight))
            .into()
    }

    #[test]
    fn the_report_of_four_says_it_all() {
        let mut members = four();
        members[0].org = Some("bank".into());
        members[1].org = Some("bank".into());
        let text = report(&analyze(&members, &Options::default()), 7);
        for line in [
            "Chain 7: 4 validators with weight 100, a quorum needs 67",
            "Validator  Weight   Share                             Up",
            "north          40   40.0%  ########                  99%  halts",
            "west           10   10.0%  ##                        99%",
            "  worst case  0 validators, whichever",
            "  best case   2 validators, the lightest: west, south",
            "  smallest    north; east + south; east + west",
            "  bank   70.0%  halts, 37 missing; alone it can break safety (north, east)",
            "  Without such a label: 2 validators.",
            "  if equal    5.2 h per year, if all weighed the same",
        ] {
            assert!(text.lines().any(|written| written == line), "{line:?} is not in\n{text}");
        }
    }

    #[test]
    fn every_line_fits_80_columns() {
        let long = |index: u64| Member {
            org: Some(format!("{}-{}", "organisation".repeat(4), index % 3)),
            ..Member::new(format!("{}-{index}", "n".repeat(50)), u64::from(u32::MAX) * 1_000_000_000 + index)
        };
        for members in [four(), (0..4).map(long).collect(), (0..100).map(|i| Member::new(format!("v{i}"), i)).collect()]
        {
            let text = report(&analyze(&members, &Options::default()), u64::MAX / 3);
            for line in text.lines() {
                assert!(line.chars().count() <= WIDTH, "{line:?} in\n{text}");
                assert_eq!(line, line.trim_end());
            }
        }
    }

    #[test]
    fn the_share_of_time_has_the_digits_that_matter() {
        let at = |outage: f64| {
            let bounds = |value: f64| Bounds { lower: value, upper: value, exact: true };
            time_up(&bounds(1.0 - outage), &bounds(outage))
        };
        assert_eq!(at(0.0), "100.0%");
        assert_eq!(at(0.0103), "98.97%");
        assert_eq!(at(0.000_592), "99.9408%");
        assert_eq!(at(0.75), "25.0%");
        assert_eq!(at(3e-42), "all of the time but 3.0e-42 of it");
        assert_eq!(percent_of_time(0.99), "99%");
        assert_eq!(percent_of_time(0.999_5), "99.95%");
        assert_eq!(percent_of_time(0.0), "0%");
    }

    #[test]
    fn shares_are_cut_and_everybody_with_weight_has_a_bar() {
        assert_eq!([2.0 / 3.0, 0.4, 0.001].map(percent), ["66.6%", "40.0%", "0.1%"]);
        assert_eq!([0.0, 0.001, 1.0].map(|share| bar(share, BAR).len()), [0, 1, BAR]);
    }
}
