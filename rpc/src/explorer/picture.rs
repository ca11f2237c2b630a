//! What is drawn: certificates, weights, throughput and presence. Lengths are percentages, so that a picture fits any
//! width; colours come from the style sheet. What a picture says is also there in words.

use maud::{Markup, html};

use crate::explorer::{
    format::{count, number, percent, utc},
    recent::Throughput,
};

/// A validator in a picture.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) index: u16,
    pub(crate) name: String,
    pub(crate) weight: u64,
    /// Whether it signed, or is heard.
    pub(crate) there: bool,
}

/// A percentage for an attribute.
fn length(part: f64, whole: f64) -> String {
    let share = if whole > 0.0 { part / whole * 100.0 } else { 0.0 };
    format!("{share:.3}%")
}

/// Who signed with which weight: those who did first, so that the line of the quorum stands where they have to reach.
/// `verb` is what those who are there did.
pub(crate) fn weights(parts: &[Part], needed: u64, verb: &str) -> Markup {
    let total: u128 = parts.iter().map(|part| u128::from(part.weight)).sum();
    let there: u128 = parts.iter().filter(|part| part.there).map(|part| u128::from(part.weight)).sum();
    let summary = format!(
        "{verb}: {} of {} weight ({}); a quorum needs {}",
        number(u64::try_from(there).unwrap_or(u64::MAX)),
        number(u64::try_from(total).unwrap_or(u64::MAX)),
        percent(there, total),
        number(needed)
    );
    html! {
        figure.weights {
            (weight_bar(parts, total as f64, needed, &summary))
            figcaption {
                span class={ "badge " (if there >= u128::from(needed) { "good" } else { "bad" }) } {
                    (if there >= u128::from(needed) { "Quorum" } else { "No quorum" })
                }
                " " (summary) "."
            }
            ul.signers { @for part in parts {
                li class=(if part.there { "signed" } else { "missing" }) {
                    span.tick aria-hidden="true" { (if part.there { "✓" } else { "–" }) }
                    a href={ "/validator/" (part.index) } { (part.name) }
                    span.hidden { (if part.there { format!(" {}", verb.to_lowercase()) } else { " did not".into() }) }
                    span.num.muted { (number(part.weight)) " · " (percent(part.weight.into(), total)) }
                }
            } }
        }
    }
}

fn weight_bar(parts: &[Part], total: f64, needed: u64, summary: &str) -> Markup {
    let mut sorted: Vec<&Part> = parts.iter().filter(|part| part.weight > 0).collect();
    sorted.sort_by_key(|part| !part.there);
    let mut start = 0.0;
    let mut drawn = Vec::with_capacity(sorted.len());
    for part in sorted {
        drawn.push((part, start));
        start += part.weight as f64;
    }
    let quorum = length(needed as f64, total);
    html! {
        svg.weight-bar width="100%" height="64" role="img" aria-label=(summary) {
            defs {
                pattern #hatch width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    line.hatch x1="0" y1="0" x2="0" y2="6" stroke-width="2" {}
                }
            }
            @for (part, start) in &drawn {
                @let weight = part.weight as f64;
                g class=(if part.there { "signed" } else { "missing" }) {
                    title { (part.name) ": " (number(part.weight)) }
                    rect.ground x=(length(*start, total)) y="20" width=(length(weight, total)) height="40" rx="3" {}
                    @if !part.there {
                        rect.over x=(length(*start, total)) y="20" width=(length(weight, total)) height="40" rx="3" fill="url(#hatch)" {}
                    }
                    @if fits(&part.name, weight / total) {
                        text x=(length(start + weight / 2.0, total)) y="45" text-anchor="middle" { (part.name) }
                    }
                }
            }
            line.quorum x1=(quorum) x2=(quorum) y1="14" y2="64" stroke-width="2" stroke-dasharray="3 3" {}
            text.quorum x=(quorum) y="10" text-anchor="end" { "quorum " (number(needed)) }
        }
    }
}

/// Whether a name has room in its part of the bar, on a narrow screen as well.
fn fits(name: &str, share: f64) -> bool {
    const NARROW: f64 = 300.0;
    const CHARACTER: f64 = 8.0;
    (name.chars().count() as f64 + 1.0) * CHARACTER <= share * NARROW
}

/// Transactions per second, as bars.
pub(crate) fn throughput(throughput: &Throughput) -> Markup {
    let seconds = throughput.per_second.len();
    let peak = throughput.per_second.iter().copied().max().unwrap_or(0);
    let sum: u64 = throughput.per_second.iter().sum();
    let mean = sum as f64 / seconds.max(1) as f64;
    let summary = format!(
        "{} in the {seconds} seconds before the last block: {mean:.1} per second, {} in the busiest",
        count(usize::try_from(sum).unwrap_or(usize::MAX), "transaction"),
        number(peak)
    );
    let scale = peak.max(1) as f64;
    let first_ms = throughput.end_ms.saturating_sub(seconds as u64 * 1_000);
    html! {
        figure.throughput {
            div.plot {
                div.scale aria-hidden="true" { span { (number(peak.max(1))) } span { "0" } }
                svg width="100%" height="120" role="img" aria-label=(summary) {
                    @for y in ["0.5", "60", "119.5"] { line.grid x1="0" x2="100%" y1=(y) y2=(y) {} }
                    @for (second, rate) in throughput.per_second.iter().enumerate() {
                        @let height = *rate as f64;
                        rect.bar x=(length(second as f64 + 0.1, seconds as f64)) width=(length(0.8, seconds as f64))
                            y=(length(scale - height, scale)) height=(length(height, scale)) {
                            title { (utc(first_ms + second as u64 * 1_000)) ": " (number(*rate)) " per second" }
                        }
                    }
                }
            }
            div.axis aria-hidden="true" { span { (seconds) " s ago" } span { "last block" } }
            figcaption { (summary) "." }
        }
    }
}

/// A part of a whole as a bar.
pub(crate) fn share(part: f64, whole: f64) -> Markup {
    html! {
        svg.share width="100%" height="6" aria-hidden="true" {
            rect.ground width="100%" height="6" rx="3" {}
            rect.part width=(length(part.min(whole), whole)) height="6" rx="3" {}
        }
    }
}

/// A part of a whole as a bar, with a line at what it needs; both from 0 to 1.
pub(crate) fn against(part: f64, needed: f64) -> Markup {
    html! {
        svg.share.against width="100%" height="12" aria-hidden="true" {
            rect.ground y="3" width="100%" height="6" rx="3" {}
            rect.part y="3" width=(length(part, 1.0)) height="6" rx="3" {}
            line.quorum x1=(length(needed, 1.0)) x2=(length(needed, 1.0)) y1="0" y2="12" stroke-width="2" {}
        }
    }
}

/// When something was there, oldest first.
pub(crate) fn presence(parts: &[bool], what: &str) -> Markup {
    let there = parts.iter().filter(|there| **there).count();
    let label = format!("{what}: there in {there} of {} parts", parts.len());
    html! {
        svg.presence width="100%" height="22" role="img" aria-label=(label) {
            @for (index, there) in parts.iter().enumerate() {
                rect class=(if *there { "there" } else { "gone" }) height="22" rx="1.5"
                    x=(length(index as f64 + 0.12, parts.len() as f64)) width=(length(0.76, parts.len() as f64)) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, weight: u64, there: bool) -> Part {
        Part { index: 0, name: name.into(), weight, there }
    }

    #[test]
    fn a_certificate_says_who_signed_and_how_much() {
        let parts = [part("a", 40, true), part("b", 30, false), part("<b>", 30, true)];
        let shown = weights(&parts, 67, "Signed").into_string();
        assert!(shown.contains("Signed: 70 of 100 weight (70.0%); a quorum needs 67"), "{shown}");
        assert!(!shown.contains("<b>"), "{shown}");
        // Those who signed stand first: b begins at 70.
        assert!(shown.contains(r#"x="70.000%""#), "{shown}");
        assert!(weights(&[part("a", 1, false), part("b", 2, true)], 3, "Signed").into_string().contains("No quorum"));
    }

    #[test]
    fn the_largest_weights_and_none_at_all_can_be_drawn() {
        let most = i64::MAX as u64;
        let shown = weights(&[part("a", most, true), part("b", 0, false)], most, "Signed").into_string();
        assert!(shown.contains(r#"width="100.000%""#), "{shown}");
        assert!(!weights(&[], 0, "Signed").into_string().contains("NaN"));
        assert!(!presence(&[], "up").into_string().contains("NaN"));
        let none = Throughput { per_second: vec![0; 60], end_ms: 0 };
        assert!(!throughput(&none).into_string().contains("NaN"));
    }
}
