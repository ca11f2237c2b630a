//! What the chain withstands: the analysis of the validators' weights, as figures, bars and words.

use assent_genesis::analysis::{Analysis, Availability, Coalition, Coalitions, Group, Grouping};
use maud::{Markup, html};

use crate::explorer::{
    Explorer,
    format::{count, grouped},
    page::{self, section},
    picture,
};

/// Coalitions of each kind that are drawn.
const DRAWN: usize = 8;

/// Names of a coalition that are written out.
const NAMES: usize = 6;

/// The sections of the analysis.
pub(super) fn sections(explorer: &Explorer) -> Markup {
    let Some(analysis) = explorer.analysis() else {
        return section("tolerance", "What the chain withstands", page::empty("The weights cannot be analysed."));
    };
    html! {
        (section("tolerance", "What the chain withstands", overview(analysis)))
        div.pair {
            (section("halting", "Who can halt the chain", coalitions(analysis, &analysis.halting,
                "Without them the others are no quorum: no block is made until some are back. Nothing is lost.")))
            (section("breaking", "Who can break its safety", coalitions(analysis, &analysis.breaking,
                "Voting twice, they could make two different blocks final. Both votes are proof against them.")))
        }
        @for grouping in &analysis.groupings { (groups(grouping)) }
    }
}

fn overview(analysis: &Analysis) -> Markup {
    let failures = &analysis.failures;
    let advice = &analysis.advice;
    html! {
        (page::figures(vec![
            ("May fail, whichever", html! { span.num { (failures.worst_case) } },
                html! { "of " (count(analysis.validators.len(), "validator")) }),
            ("May fail, the lightest", html! { span.num { (failures.best_case) } }, html! { (names(&failures.best_case_members)) }),
            ("Down per year", html! { (analysis.availability.downtime()) }, html! { (assumed(analysis)) }),
            ("With equal weights", html! { (analysis.equal_weights.downtime()) }, html! { "down per year" }),
        ]))
        @if !advice.is_empty() {
            h3.advice { "Advice" }
            ul.advice { @for text in advice { li { (text) } } }
        }
    }
}

/// How likely each validator is taken to be up.
fn assumed(analysis: &Analysis) -> String {
    let up: Vec<f64> = analysis.validators.iter().map(|validator| validator.up_probability).collect();
    match up.split_first() {
        Some((first, rest)) if rest.iter().all(|other| other == first) => {
            format!("if each validator is up {} of the time", share(*first))
        }
        _ => "if each validator is up as often as configured".into(),
    }
}

/// A number from 0 to 1 in percent, with as many digits as it needs.
fn share(part: f64) -> String {
    let text = format!("{:.2}", part * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

fn names(members: &[String]) -> String {
    match members.split_at_checked(NAMES) {
        Some((shown, rest)) if !rest.is_empty() => format!("{} and {} more", shown.join(", "), rest.len()),
        _ => members.join(", "),
    }
}

/// The smallest coalitions as bars, with the weight that they need.
fn coalitions(analysis: &Analysis, found: &Coalitions, meaning: &str) -> Markup {
    let least = found.least_weight as f64 / (analysis.total as f64).max(1.0);
    let row = |coalition: &Coalition| {
        let label = html! {
            span { (names(&coalition.members)) }
            span.num.muted { (grouped(&coalition.weight.to_string())) " · " (share(coalition.share)) }
        };
        html! { li { div { (label) } (picture::against(coalition.share, least)) } }
    };
    html! {
        p.muted { (meaning) " No " (least_words(found)) " can." }
        @if found.smallest.is_empty() { (page::empty("No coalition can.")) }
        ol.list { @for coalition in found.smallest.iter().take(DRAWN) { (row(coalition)) } }
        @if found.smallest.len() > DRAWN || !found.complete { p.muted { "And further ones." } }
    }
}

fn least_words(found: &Coalitions) -> String {
    let weight = format!("coalition with less than {} weight", grouped(&found.least_weight.to_string()));
    match found.fewest_at_least {
        0 | 1 => weight,
        most => format!("{weight} or with fewer than {most} members"),
    }
}

fn groups(grouping: &Grouping) -> Markup {
    let by = grouping.by.to_string();
    let rows = grouping.groups.iter().map(|group| {
        vec![
            html! { (group.name) },
            html! { (names(&group.members)) },
            html! { span.num { (share(group.share)) } (picture::share(group.share, 1.0)) },
            survives(group),
            html! { @match group.breaks_safety {
                Some(true) => (page::badge("bad", "Yes")),
                Some(false) => (page::badge("good", "No")),
                None => { span.muted { "unknown" } }
            } },
            html! { (group.while_lost.as_ref().map_or_else(|| "always".to_owned(), Availability::downtime)) },
        ]
    });
    let head = ["Name", "Validators", "Weight", "Without it", "Breaks safety", "Down per year without it"];
    section(&format!("by-{by}"), &format!("The loss of one {by}"), page::table(&head, rows.collect()))
}

fn survives(group: &Group) -> Markup {
    html! {
        @if group.survives { (page::badge("good", "Goes on")) }
        @else { (page::badge("bad", "Halts")) " " span.num.muted { (grouped(&group.missing.to_string())) " weight is missing" } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_the_digits_that_they_need() {
        for (part, text) in [(0.99, "99%"), (0.9995, "99.95%"), (1.0, "100%"), (0.0, "0%"), (1.0 / 3.0, "33.33%")] {
            assert_eq!(share(part), text);
        }
    }

    #[test]
    fn many_names_are_counted() {
        let all: Vec<String> = (0..8).map(|index| format!("n{index}")).collect();
        assert_eq!(names(&all), "n0, n1, n2, n3, n4, n5 and 2 more");
        assert_eq!(names(&all[..2]), "n0, n1");
        assert_eq!(names(&all[..6]), "n0, n1, n2, n3, n4, n5");
    }
}
