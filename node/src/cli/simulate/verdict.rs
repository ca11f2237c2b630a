//! What a run says: when blocks were made and when not, why not, and what that means for the operator.

use assent_consensus::sim::Report;
use serde::Serialize;

use super::activity::Activity;
use super::faults::Fault;
use super::presence::{Lack, Presence};
use super::validators::Validators;

/// What is usual in a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// How long the run is.
    pub(super) run_us: u64,
    /// The longest usual time between two blocks when nothing is wrong.
    pub(super) usual_us: u64,
    /// How long a view lasts before it is given up, at first and at most.
    pub(super) view_us: u64,
    pub(super) view_max_us: u64,
}

/// A long time without a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pause {
    pub(super) from_us: u64,
    pub(super) to_us: u64,
    /// The last block before it.
    pub(super) height: u64,
    /// A block came after it.
    pub(super) ended: bool,
    /// What there was of faults when the least weight was there.
    pub(super) faults: Vec<String>,
    /// Why no quorum was possible at that time; none when one was possible all the time.
    pub(super) lack: Option<Lack>,
    /// How long after a quorum was possible again the next block came.
    pub(super) again_after_us: Option<u64>,
}

/// A time in which the faults did not change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Phase {
    pub(super) from_us: u64,
    pub(super) to_us: u64,
    pub(super) faults: Vec<String>,
    pub(super) blocks: usize,
    pub(super) longest_pause_us: u64,
    pub(super) view_changes: usize,
    /// For how long of it no block came because no quorum was possible.
    pub(super) halted_us: u64,
    pub(super) lack: Option<Lack>,
    /// After how long blocks came again, if there were none when it began.
    pub(super) again_after_us: Option<u64>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Outcome {
    /// Blocks were made all the time.
    WentOn,
    /// There were no blocks for a while, and then there were.
    Recovered,
    /// There were none at the end.
    Halted,
    /// The program did what it never may.
    Broken,
}

/// The verdict on a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    pub(super) text: String,
    pub(super) phases: Vec<Phase>,
    /// Long times without a block.
    pub(super) pauses: Vec<Pause>,
}

/// The time between two blocks, or before the first or after the last.
#[derive(Debug, Clone, Copy)]
struct Gap {
    from_us: u64,
    to_us: u64,
    height: u64,
    ended: bool,
}

/// What of one time lies in another.
fn common(one: (u64, u64), other: (u64, u64)) -> Option<(u64, u64)> {
    let (from, to) = (one.0.max(other.0), one.1.min(other.1));
    (from < to).then_some((from, to))
}

/// What is needed for a verdict.
struct Judge<'a> {
    report: &'a Report,
    faults: &'a [Fault],
    activity: &'a Activity,
    presence: Presence<'a>,
    pace: Pace,
    gaps: Vec<Gap>,
}

/// Judges a run.
pub(super) fn judge(
    report: &Report,
    activity: &Activity,
    faults: &[Fault],
    validators: &Validators,
    pace: Pace,
) -> Verdict {
    // A run that failed ended early.
    let run_us = if report.is_ok() { pace.run_us } else { pace.run_us.min(report.virtual_ms.saturating_mul(1000)) };
    let presence = Presence::new(validators, faults, activity);
    let pace = Pace { run_us, ..pace };
    let judge = Judge { report, faults, activity, presence, pace, gaps: gaps(report, run_us) };
    let pauses: Vec<Pause> = judge.gaps.iter().filter_map(|gap| judge.pause(gap)).collect();
    let phases = judge.phases(&pauses);
    let (outcome, text) = match &report.failure {
        Some(failure) => (Outcome::Broken, broken(failure, report.seed)),
        None => judge.outcome(&pauses),
    };
    Verdict { outcome, text, phases, pauses }
}

fn broken(failure: &str, seed: u64) -> String {
    format!(
        "The simulation found a defect of Assent itself: {failure}. This must never be: please report it with the seed \
         {seed}, the faults and the genesis file."
    )
}

/// The times between blocks.
fn gaps(report: &Report, end_us: u64) -> Vec<Gap> {
    let (mut gaps, mut from_us, mut height) = (Vec::new(), 0, 0);
    for block in report.blocks.iter().filter(|block| block.at_us <= end_us) {
        gaps.push(Gap { from_us, to_us: block.at_us, height, ended: true });
        (from_us, height) = (block.at_us, block.height);
    }
    gaps.push(Gap { from_us, to_us: end_us, height, ended: false });
    gaps
}

impl Judge<'_> {
    /// A gap that is longer than is usual with one failed view, or in which blocks cannot come any more.
    fn pause(&self, gap: &Gap) -> Option<Pause> {
        let Gap { from_us, to_us, height, ended } = *gap;
        let long = to_us - from_us > self.pace.usual_us + self.pace.view_us;
        if !long && (ended || self.can_go_on()) {
            return None;
        }
        let worst = self.presence.worst(from_us, to_us);
        let at = worst.as_ref().map_or(from_us, |(at, _)| *at);
        let back = self.presence.back(from_us, to_us).filter(|_| ended);
        Some(Pause {
            from_us,
            to_us,
            height,
            ended,
            faults: self.presence.states(at, at + 1),
            lack: worst.map(|(_, lack)| lack),
            again_after_us: back.map(|at| to_us - at),
        })
    }

    /// The last moment of the run.
    fn last_us(&self) -> u64 {
        self.pace.run_us.saturating_sub(1)
    }

    /// Whether a quorum was possible at the end.
    fn can_go_on(&self) -> bool {
        self.presence.is_quorum_at(self.last_us())
    }

    fn phases(&self, pauses: &[Pause]) -> Vec<Phase> {
        let ends = self.faults.iter().flat_map(|fault| [Some(fault.from_ms), fault.to_ms]).flatten();
        let mut times: Vec<u64> = ends.map(|ms| ms * 1000).filter(|at| *at < self.pace.run_us).collect();
        times.extend([0, self.pace.run_us]);
        times.sort_unstable();
        times.dedup();
        times.windows(2).map(|window| self.phase((window[0], window[1]), pauses)).collect()
    }

    fn phase(&self, (from_us, to_us): (u64, u64), pauses: &[Pause]) -> Phase {
        let inside = |at: u64| from_us <= at && at < to_us;
        let of_gaps = self.gaps.iter().filter_map(|gap| common((gap.from_us, gap.to_us), (from_us, to_us)));
        let (mut halted_us, mut longest, mut lack) = (0, 0, None);
        for pause in pauses.iter().filter(|pause| pause.lack.is_some()) {
            let Some((from, to)) = common((pause.from_us, pause.to_us), (from_us, to_us)) else { continue };
            let Some((_, why)) = self.presence.worst(from, to) else { continue };
            halted_us += to - from;
            if to - from > longest {
                (longest, lack) = (to - from, Some(why));
            }
        }
        let resumed = pauses.iter().find(|pause| pause.ended && pause.from_us < from_us && inside(pause.to_us));
        Phase {
            from_us,
            to_us,
            faults: self.presence.states(from_us, to_us),
            blocks: self.report.blocks.iter().filter(|block| inside(block.at_us)).count(),
            longest_pause_us: of_gaps.map(|(from, to)| to - from).max().unwrap_or(0),
            view_changes: self.activity.view_changes.iter().filter(|(at, _)| inside(*at)).count(),
            halted_us,
            again_after_us: resumed.filter(|_| lack.is_none()).map(|pause| pause.to_us - from_us),
            lack,
        }
    }

    fn outcome(&self, pauses: &[Pause]) -> (Outcome, String) {
        if let Some(last) = pauses.last().filter(|pause| !pause.ended) {
            let patience = self.pace.usual_us + self.pace.view_us + self.pace.view_max_us;
            if !self.can_go_on() || last.to_us - last.from_us > patience {
                return (Outcome::Halted, self.at_the_end(last));
            }
        }
        let halts: Vec<&Pause> = pauses.iter().filter(|pause| pause.lack.is_some() && pause.ended).collect();
        match halts.as_slice() {
            [] => (Outcome::WentOn, self.went_on(pauses)),
            [one] => (Outcome::Recovered, recovered(one)),
            many => {
                let each: Vec<String> = many.iter().map(|halt| pause_text(halt)).collect();
                let text =
                    format!("The network halted {} times and went on by itself: {}.", many.len(), each.join("; "));
                (Outcome::Recovered, text)
            }
        }
    }

    fn at_the_end(&self, last: &Pause) -> String {
        let since = span(last.to_us - last.from_us);
        let why = match self.presence.worst(self.last_us(), self.pace.run_us) {
            Some((_, lack)) => lack.text(),
            None => {
                "a quorum could hear each other; run longer (--for TIME), or look at all steps (--timeline)".to_string()
            }
        };
        let states = self.presence.states(self.last_us(), self.pace.run_us);
        format!("The network was halted at the end: no block for the last {since}{}: {why}.", with(&states))
    }

    fn went_on(&self, pauses: &[Pause]) -> String {
        let what = if self.faults.is_empty() {
            "The network made blocks all the time"
        } else {
            "The network went on through all faults"
        };
        let longest = pauses.iter().filter(|pause| pause.ended).max_by_key(|pause| pause.to_us - pause.from_us);
        match longest {
            Some(pause) => format!("{what}; its longest pause was {}.", pause_text(pause)),
            None => format!("{what}."),
        }
    }
}

fn pause_text(pause: &Pause) -> String {
    format!("{} from {} on{}", span(pause.to_us - pause.from_us), clock(pause.from_us), with(&pause.faults))
}

fn recovered(halt: &Pause) -> String {
    let again = match halt.again_after_us {
        Some(us) => format!(" {} after a quorum could hear each other again", span(us)),
        None => String::new(),
    };
    let length = span(halt.to_us - halt.from_us);
    format!("The network halted for {length}{}, and went on by itself{again}.", with(&halt.faults))
}

/// ` with alice down`, or nothing.
pub(super) fn with(states: &[String]) -> String {
    if states.is_empty() { String::new() } else { format!(" with {}", states.join(" and ")) }
}

/// How long, for people: `20.4 s`, `350 ms`.
pub(super) fn span(us: u64) -> String {
    if us < 950_000 { format!("{} ms", (us + 500) / 1000) } else { clock(us) }
}

/// When, for people: `20.4 s`.
pub(super) fn clock(us: u64) -> String {
    let tenths = (us + 50_000) / 100_000;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::super::{activity::tests::report, faults::resolve, syntax::parse, validators::tests::four};
    use super::*;

    const PACE: Pace = Pace { run_us: 60_000_000, usual_us: 200_000, view_us: 1_000_000, view_max_us: 10_000_000 };

    /// The verdict on a run of 60 seconds with a block each 100 ms but for the times of the gaps, in milliseconds.
    fn verdict(faults: &str, gaps: &[(u64, u64)], lines: &[(u64, usize, &str)]) -> Verdict {
        let validators = four();
        let faults = resolve(parse(faults, 60_000).unwrap(), &validators, 60_000, &mut |_, _| 0).unwrap();
        let inside = |at: &u64| !gaps.iter().any(|(from, to)| from < at && at < to);
        let times: Vec<u64> = (1..600).map(|number| number * 100).filter(inside).collect();
        let report = report(&times, lines);
        judge(&report, &Activity::of(&report, 4, PACE.run_us), &faults, &validators, PACE)
    }

    #[test]
    fn a_network_without_faults_makes_blocks_all_the_time() {
        let verdict = verdict("", &[], &[]);
        assert_eq!(
            (verdict.outcome, verdict.text.as_str()),
            (Outcome::WentOn, "The network made blocks all the time.")
        );
        assert_eq!(verdict.phases.len(), 1);
        let phase = &verdict.phases[0];
        assert_eq!((phase.blocks, phase.longest_pause_us, phase.halted_us), (599, 100_000, 0));
    }

    #[test]
    fn a_network_goes_on_without_a_third() {
        let lines = [(10_000, 1, "crashes"), (30_000, 1, "starts")];
        let calm = verdict("kill:bob@10s+20s", &[(11_000, 12_100)], &lines);
        assert_eq!(calm.text, "The network went on through all faults.");
        assert_eq!(
            calm.phases.iter().map(|phase| phase.longest_pause_us).collect::<Vec<_>>(),
            [100_000, 1_100_000, 100_000]
        );
        assert_eq!(calm.phases[1].faults, ["bob down"]);
        let slow = verdict("kill:bob@10s+20s", &[(11_000, 14_000)], &lines);
        let text = "The network went on through all faults; its longest pause was 3.0 s from 11.0 s on with bob down.";
        assert_eq!((slow.outcome, slow.text.as_str()), (Outcome::WentOn, text));
    }

    #[test]
    fn a_halt_is_explained_and_so_is_what_followed() {
        let lines = [(10_000, 0, "crashes"), (30_000, 0, "starts")];
        let verdict = verdict("kill:alice@10s+20s", &[(10_000, 30_400)], &lines);
        assert_eq!(verdict.outcome, Outcome::Recovered);
        assert_eq!(
            verdict.text,
            "The network halted for 20.4 s with alice down, and went on by itself 400 ms after a quorum could hear \
             each other again."
        );
        let [before, during, after] = verdict.phases.as_slice() else { panic!("{:?}", verdict.phases) };
        assert_eq!((before.blocks, before.halted_us), (99, 0));
        let lack = during.lack.as_ref().unwrap();
        assert_eq!((during.halted_us, lack.weight, lack.needed, lack.missing), (20_000_000, 60, 67, 7));
        assert_eq!((after.again_after_us, after.halted_us, after.blocks), (Some(400_000), 0, 296));
    }

    #[test]
    fn several_halts_are_told_each() {
        let lines = [(10_000, 0, "crashes"), (20_000, 0, "starts")];
        let gaps = [(10_000, 20_500), (40_000, 45_200)];
        let verdict = verdict("kill:alice@10s+10s;cut:alice@40s+5s", &gaps, &lines);
        assert_eq!(
            verdict.text,
            "The network halted 2 times and went on by itself: 10.5 s from 10.0 s on with alice down; 5.2 s from 40.0 s \
             on with alice cut off."
        );
    }

    #[test]
    fn a_network_that_is_halted_at_the_end_says_so() {
        let dead = verdict("kill:alice@10s", &[(10_000, 60_000)], &[(10_000, 0, "crashes")]);
        assert_eq!(dead.outcome, Outcome::Halted);
        assert_eq!(
            dead.text,
            "The network was halted at the end: no block for the last 50.0 s with alice down: the validators that were \
             up (bob, carol, dave) weigh 60 of 100, 67 are needed: 7 missing."
        );
        // Even when it has just begun.
        let cut = verdict("cut:alice@59900ms", &[], &[]);
        assert_eq!(cut.outcome, Outcome::Halted);
        assert!(cut.text.contains("no block for the last 100 ms with alice cut off"), "{}", cut.text);
        // And when nothing explains it.
        let stuck = verdict("", &[(40_000, 60_000)], &[]);
        assert_eq!(stuck.outcome, Outcome::Halted);
        assert!(stuck.text.contains("a quorum could hear each other; run longer"), "{}", stuck.text);
        let late = verdict("", &[(55_000, 60_000)], &[]);
        assert_eq!(late.outcome, Outcome::WentOn);
    }

    #[test]
    fn a_defect_is_no_fault_of_the_network() {
        let mut report = report(&[100], &[]);
        (report.failure, report.virtual_ms) = (Some("two blocks".to_string()), 200);
        let verdict = judge(&report, &Activity::of(&report, 4, PACE.run_us), &[], &four(), PACE);
        assert_eq!(verdict.outcome, Outcome::Broken);
        assert!(verdict.text.contains("a defect of Assent itself: two blocks."), "{}", verdict.text);
        assert_eq!(verdict.phases[0].to_us, 200_000);
    }
}
