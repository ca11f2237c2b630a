//! A run as a person and as a program reads it.

use std::fmt::Write;

use anyhow::Result;
use assent_consensus::sim::Report;
use serde::Serialize;

use super::Settings;
use super::activity::{Activity, Event};
use super::faults::Fault;
use super::syntax::time;
use super::validators::Validators;
use super::verdict::{Outcome, Pause, Phase, Verdict, clock, span, with};
use crate::cli::table::{Lines, count, table};

/// All that is known of a run.
pub(super) struct Run<'a> {
    pub(super) settings: &'a Settings,
    pub(super) validators: &'a Validators,
    pub(super) faults: &'a [Fault],
    pub(super) report: &'a Report,
    pub(super) activity: &'a Activity,
    pub(super) verdict: &'a Verdict,
    pub(super) events: &'a [Event],
}

/// One of those who vote, and what became of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: String,
    weight: u64,
    region: Option<String>,
    org: Option<String>,
    /// Its final height at the end.
    height: u64,
    /// Final blocks of views that it led.
    proposed: usize,
    down_us: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FaultView<'a> {
    fault: &'a str,
    state: &'a str,
    validators: Vec<String>,
    from_us: u64,
    /// None: until the end.
    to_us: Option<u64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EventView<'a> {
    at_us: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    validator: &'a str,
    text: &'a str,
}

#[derive(Debug, Serialize)]
struct VerdictView<'a> {
    outcome: Outcome,
    text: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RunView<'a> {
    chain_id: u64,
    seed: u64,
    for_ms: u64,
    /// None: no transactions.
    load_ms: Option<u64>,
    delay_ms: [u64; 2],
    total: u64,
    needed: u64,
    validators: Vec<Row>,
    faults: Vec<FaultView<'a>>,
    timeline: Vec<EventView<'a>>,
    phases: &'a [Phase],
    pauses: &'a [Pause],
    blocks: usize,
    view_changes: usize,
    verdict: VerdictView<'a>,
    /// SHA-256 over all events: the same run has the same.
    trace: String,
}

impl Run<'_> {
    fn run_us(&self) -> u64 {
        self.settings.run_ms * 1000
    }

    fn blocks(&self) -> usize {
        self.report.blocks.iter().filter(|block| block.at_us <= self.run_us()).count()
    }

    fn rows(&self) -> Vec<Row> {
        let row = |(position, member): (usize, &super::validators::Member)| Row {
            name: member.name.clone(),
            weight: member.weight,
            region: member.region.clone(),
            org: member.org.clone(),
            height: self.report.node_heights.get(position).copied().unwrap_or(0),
            proposed: self.report.blocks.iter().filter(|block| block.proposer.position() == position).count(),
            down_us: self.activity.down_us(position, self.run_us()),
        };
        self.validators.members.iter().enumerate().map(row).collect()
    }

    /// For a program.
    pub(super) fn json(&self) -> Result<String> {
        let faults = self.faults.iter().map(|fault| FaultView {
            fault: &fault.source,
            state: &fault.state,
            validators: self.validators.names(&fault.members),
            from_us: fault.from_ms * 1000,
            to_us: fault.to_ms.map(|to| to * 1000),
        });
        let timeline =
            self.events.iter().map(|event| EventView { at_us: event.at_us, validator: &event.name, text: &event.text });
        let view = RunView {
            chain_id: self.settings.chain_id,
            seed: self.report.seed,
            for_ms: self.settings.run_ms,
            load_ms: self.settings.load_ms,
            delay_ms: [self.settings.delay.least_ms, self.settings.delay.most_ms],
            total: u64::try_from(self.validators.total()).unwrap_or(u64::MAX),
            needed: u64::try_from(self.validators.needed()).unwrap_or(u64::MAX),
            validators: self.rows(),
            faults: faults.collect(),
            timeline: timeline.collect(),
            phases: &self.verdict.phases,
            pauses: &self.verdict.pauses,
            blocks: self.blocks(),
            view_changes: self.activity.view_changes.len(),
            verdict: VerdictView { outcome: self.verdict.outcome, text: &self.verdict.text },
            trace: self.report.trace.to_string(),
        };
        Ok(format!("{}\n", serde_json::to_string(&view)?))
    }

    /// For a person.
    pub(super) fn text(&self) -> String {
        let mut text = self.head();
        text.push_str("\nTimeline\n");
        let width = self.validators.members.iter().map(|member| member.name.len()).max().unwrap_or(0);
        for event in self.events {
            let (seconds, rest) = (event.at_us / 1_000_000, event.at_us % 1_000_000 / 1000);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{seconds:>5}.{rest:03} s  {:<width$}  {}", event.name, event.text);
        }
        if self.events.is_empty() {
            text.push_str("  nothing but blocks\n");
        }
        text.push_str("\nPhases\n");
        for phase in &self.verdict.phases {
            text.push_str(&phase_text(phase));
        }
        text.push('\n');
        text.push_str(&self.table());
        let _ = writeln!(text, "\n{}", self.verdict.text);
        text
    }

    fn head(&self) -> String {
        let (settings, validators) = (self.settings, self.validators);
        let load = match settings.load_ms {
            Some(ms) => format!("a transaction every {}", time(ms)),
            None => "no transactions".to_string(),
        };
        let mut lines = Lines::default();
        lines.add("Chain", settings.chain_id);
        let (count_of, total, needed) = (validators.len(), validators.total(), validators.needed());
        lines.add("Validators", format!("{count_of}, weighing {total}; a quorum has at least {needed}"));
        lines.add("Run", format!("{} with seed {}, {load}", time(settings.run_ms), self.report.seed));
        lines.add("Messages", format!("take {}", settings.delay));
        let given_up = count(self.activity.view_changes.len() as u64, "view");
        lines.add("Blocks", format!("{} final, {given_up} given up", self.blocks()));
        lines.text()
    }

    fn table(&self) -> String {
        let total = self.validators.total().max(1);
        let row = |row: Row| {
            let tenths = u128::from(row.weight) * 1000 / total;
            [
                row.name,
                row.weight.to_string(),
                format!("{}.{} %", tenths / 10, tenths % 10),
                row.height.to_string(),
                row.proposed.to_string(),
                if row.down_us == 0 { "-".to_string() } else { span(row.down_us) },
            ]
        };
        let headings = ["Validator", "Weight", "Share", "Final height", "Blocks proposed", "Down for"];
        table(headings, self.rows().into_iter().map(row))
    }
}

fn phase_text(phase: &Phase) -> String {
    let faults = if phase.faults.is_empty() { ", no fault".to_string() } else { with(&phase.faults) };
    let blocks = count(phase.blocks as u64, "block");
    let what = match &phase.lack {
        Some(lack) if phase.blocks == 0 => format!("no block for {}: {}", span(phase.halted_us), lack.text()),
        Some(lack) => format!("{blocks}, and none for {}: {}", span(phase.halted_us), lack.text()),
        None => {
            let again = phase.again_after_us.map(|us| format!("blocks again after {}: ", span(us))).unwrap_or_default();
            let given_up = count(phase.view_changes as u64, "view");
            format!("{again}{blocks}, longest pause {}, {given_up} given up", span(phase.longest_pause_us))
        }
    };
    format!("  {} to {}{faults}\n      {what}\n", clock(phase.from_us), clock(phase.to_us))
}

#[cfg(test)]
mod tests {
    use super::super::presence::Lack;
    use super::*;

    #[test]
    fn a_phase_says_what_was_made_or_why_not() {
        let phase = Phase {
            from_us: 10_000_000,
            to_us: 30_000_000,
            faults: vec!["bob down".to_string()],
            blocks: 120,
            longest_pause_us: 1_310_000,
            view_changes: 1,
            halted_us: 0,
            lack: None,
            again_after_us: None,
        };
        assert_eq!(
            phase_text(&phase),
            "  10.0 s to 30.0 s with bob down\n      120 blocks, longest pause 1.3 s, 1 view given up\n"
        );
        let lack = Lack {
            weight: 60,
            total: 100,
            needed: 67,
            missing: 7,
            heard: vec!["bob".to_string()],
            apart: false,
            abstaining: Vec::new(),
        };
        let halted = Phase { blocks: 0, halted_us: 20_000_000, lack: Some(lack), ..phase.clone() };
        assert!(phase_text(&halted).contains("no block for 20.0 s: the validators that were up (bob) weigh 60 of 100"));
        let late = Phase { blocks: 1, halted_us: 19_900_000, ..halted };
        assert!(phase_text(&late).contains("1 block, and none for 19.9 s: the validators"));
        let back = Phase { again_after_us: Some(400_000), faults: Vec::new(), ..phase };
        let text = phase_text(&back);
        assert!(
            text.contains("30.0 s, no fault\n") && text.contains("blocks again after 400 ms: 120 blocks"),
            "{text}"
        );
    }
}
