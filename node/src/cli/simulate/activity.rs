//! What the nodes did in a run, from the simulator's timeline: who was there, which views were given up, and what of it
//! is worth a line.

use std::collections::BTreeSet;

use assent_consensus::sim::{Line, Report};

/// A time in which a validator did not vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Silence {
    /// It lost power then.
    pub(super) from_us: u64,
    /// It was started again then, if it was.
    pub(super) up_us: Option<u64>,
    /// It votes again since then: at once, or, when it has lost its disk, when that is safe.
    pub(super) to_us: Option<u64>,
}

impl Silence {
    pub(super) fn is_on(&self, at_us: u64) -> bool {
        self.from_us <= at_us && self.to_us.is_none_or(|to| at_us < to)
    }

    /// Whether it is up and does not vote yet.
    pub(super) fn abstains(&self, at_us: u64) -> bool {
        self.is_on(at_us) && self.up_us.is_some_and(|up| up <= at_us)
    }
}

/// Something worth a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) at_us: u64,
    /// The validator's name; empty for what concerns all.
    pub(super) name: String,
    pub(super) text: String,
}

/// What the nodes did.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// For each validator.
    pub(super) silences: Vec<Vec<Silence>>,
    /// When views were given up, and which.
    pub(super) view_changes: Vec<(u64, u64)>,
    /// What single validators did that is worth a line.
    pub(super) events: Vec<Event>,
}

/// A line of the timeline, as far as it counts here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Crashes,
    Starts {
        wiped: bool,
    },
    Enters(u64),
    TimesOut(u64),
    Signs,
    Final(u64),
    /// Rare and worth a line as it is.
    Rare,
    Other,
}

impl Moment {
    fn of(text: &str) -> Self {
        let number =
            |rest: &str| rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok());
        let after = |prefix: &str| text.strip_prefix(prefix).and_then(number);
        if text == "crashes" {
            Self::Crashes
        } else if text.starts_with("starts") {
            Self::Starts { wiped: text.contains("wiped") }
        } else if text.starts_with("signs ") {
            Self::Signs
        } else if let Some(view) = after("is in view ") {
            Self::Enters(view)
        } else if let Some(view) = after("waited long enough in view ") {
            Self::TimesOut(view)
        } else if let Some(height) = after("has final height ") {
            Self::Final(height)
        } else if text.starts_with("has evidence") || text.starts_with("does not start") {
            Self::Rare
        } else {
            Self::Other
        }
    }
}

/// What is known of one node while the timeline is read.
#[derive(Debug, Clone, Copy, Default)]
struct Node {
    height: u64,
    /// It was started again, is behind, and has not caught up.
    behind: bool,
    /// It has lost its disk and has not voted since.
    forgetful: bool,
}

/// Reads a timeline.
struct Reader {
    activity: Activity,
    nodes: Vec<Node>,
    height: u64,
    view: Option<u64>,
    timed_out: BTreeSet<u64>,
    /// Views of final blocks.
    fruitful: BTreeSet<u64>,
}

impl Activity {
    /// Reads the timeline of a run up to its end.
    pub(super) fn of(report: &Report, validators: usize, end_us: u64) -> Self {
        let mut reader = Reader {
            activity: Self { silences: vec![Vec::new(); validators], ..Self::default() },
            nodes: vec![Node::default(); validators],
            height: 0,
            view: None,
            timed_out: BTreeSet::new(),
            fruitful: report.blocks.iter().map(|block| block.view).collect(),
        };
        for line in report.timeline.iter().filter(|line| line.at_us <= end_us) {
            if let Some(node) = line.node.filter(|node| *node < validators) {
                reader.read(line, node);
            }
        }
        reader.activity
    }

    /// The highest view that any node had entered before a time; 1 before all of them.
    pub(super) fn view_before(report: &Report, at_us: u64) -> u64 {
        let entered =
            report.timeline.iter().filter(|line| line.at_us < at_us).filter_map(|line| match Moment::of(&line.text) {
                Moment::Enters(view) => Some(view),
                _ => None,
            });
        entered.max().unwrap_or(1)
    }

    /// How long a validator had no power.
    pub(super) fn down_us(&self, member: usize, end_us: u64) -> u64 {
        let down = |silence: &Silence| silence.up_us.unwrap_or(end_us).saturating_sub(silence.from_us);
        self.silences[member].iter().map(down).sum()
    }
}

impl Reader {
    fn read(&mut self, line: &Line, node: usize) {
        match Moment::of(&line.text) {
            Moment::Crashes => self.crashes(line, node),
            Moment::Starts { wiped } => self.starts(line, node, wiped),
            Moment::Signs => self.signs(line, node),
            Moment::Enters(view) => self.enters(line, view),
            Moment::TimesOut(view) => {
                self.timed_out.insert(view);
            }
            Moment::Final(height) => self.is_final(line, node, height),
            Moment::Rare => self.event(line, &line.text),
            Moment::Other => {}
        }
    }

    fn event(&mut self, line: &Line, text: &str) {
        self.activity.events.push(Event { at_us: line.at_us, name: line.name.clone(), text: text.to_string() });
    }

    fn crashes(&mut self, line: &Line, node: usize) {
        let silences = &mut self.activity.silences[node];
        if let Some(before) = silences.last_mut() {
            before.to_us = before.to_us.or(Some(line.at_us));
        }
        silences.push(Silence { from_us: line.at_us, up_us: None, to_us: None });
        self.nodes[node].behind = false;
        self.event(line, &line.text);
    }

    /// The first start of all is no news.
    fn starts(&mut self, line: &Line, node: usize, wiped: bool) {
        let Some(silence) = self.activity.silences[node].last_mut().filter(|silence| silence.to_us.is_none()) else {
            return;
        };
        silence.up_us = silence.up_us.or(Some(line.at_us));
        if wiped {
            (self.nodes[node].height, self.nodes[node].forgetful) = (0, true);
        }
        if !self.nodes[node].forgetful {
            silence.to_us = Some(line.at_us);
        }
        self.nodes[node].behind = self.nodes[node].height < self.height;
        self.event(line, &line.text);
    }

    /// Who lost its disk votes again with its first signature.
    fn signs(&mut self, line: &Line, node: usize) {
        self.nodes[node].forgetful = false;
        if let Some(silence) = self.activity.silences[node].last_mut().filter(|silence| silence.to_us.is_none()) {
            silence.to_us = Some(line.at_us);
            self.event(line, "votes again");
        }
    }

    /// The first node that enters a view tells what became of those before.
    fn enters(&mut self, line: &Line, view: u64) {
        let highest = self.view.unwrap_or(view);
        self.view = Some(highest.max(view));
        let last = self.fruitful.last().copied().unwrap_or(0);
        for passed in highest..view {
            let fruitless = !self.fruitful.contains(&passed) && (passed < last || self.timed_out.contains(&passed));
            if fruitless {
                self.activity.view_changes.push((line.at_us, passed));
            }
        }
    }

    fn is_final(&mut self, line: &Line, node: usize, height: u64) {
        self.height = self.height.max(height);
        self.nodes[node].height = height;
        if self.nodes[node].behind && height == self.height {
            self.nodes[node].behind = false;
            self.event(line, &format!("has caught up, at height {height}"));
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use assent_consensus::ValidatorIndex;
    use assent_consensus::sim::{BlockMoment, Load, Scenario, run};

    use super::super::validators::tests::four;
    use super::*;

    /// A report of `four` that says what a test needs: times of blocks in milliseconds, one view each, and lines.
    pub(in crate::cli::simulate) fn report(blocks_ms: &[u64], lines: &[(u64, usize, &str)]) -> Report {
        let scenario = Scenario { goal: assent_consensus::sim::Goal::Time(1), load: Load::Idle, ..Scenario::calm() };
        let block = |(at_ms, height): (&u64, u64)| BlockMoment {
            at_us: at_ms * 1000,
            height,
            view: height,
            proposer: ValidatorIndex(0),
        };
        let line = |(at_ms, node, text): &(u64, usize, &str)| Line {
            at_us: at_ms * 1000,
            node: Some(*node),
            name: four().members[*node].name.clone(),
            text: (*text).to_string(),
        };
        Report {
            blocks: blocks_ms.iter().zip(1..).map(block).collect(),
            heights: blocks_ms.len() as u64,
            node_heights: vec![blocks_ms.len() as u64; 4],
            timeline: lines.iter().map(line).collect(),
            failure: None,
            ..run(&scenario, 1)
        }
    }

    fn texts(activity: &Activity) -> Vec<String> {
        activity.events.iter().map(|event| format!("{} {} {}", event.at_us / 1000, event.name, event.text)).collect()
    }

    #[test]
    fn a_crash_is_a_silence_until_the_start() {
        let lines = [
            (0, 0, "starts"),
            (0, 1, "starts"),
            (1_000, 0, "crashes"),
            (1_500, 1, "has final height 1: 0x12"),
            (3_000, 0, "starts"),
            (3_100, 0, "has final height 1: 0x12"),
            (3_200, 0, "signs Commit view 2 block 0x12"),
        ];
        let activity = Activity::of(&report(&[1_500], &lines), 4, 9_000_000);
        let silence = Silence { from_us: 1_000_000, up_us: Some(3_000_000), to_us: Some(3_000_000) };
        assert_eq!(activity.silences, [vec![silence], vec![], vec![], vec![]]);
        assert_eq!(activity.down_us(0, 9_000_000), 2_000_000);
        assert!(silence.is_on(1_000_000) && silence.is_on(2_999_999) && !silence.is_on(3_000_000));
        assert_eq!(
            texts(&activity),
            ["1000 alice crashes", "3000 alice starts", "3100 alice has caught up, at height 1"]
        );
    }

    #[test]
    fn who_lost_its_disk_is_silent_until_it_votes() {
        let lines = [
            (1_000, 0, "crashes"),
            (2_000, 0, "starts with a wiped disk"),
            (5_000, 0, "signs Prepare view 9 block 0x12"),
            (6_000, 2, "crashes"),
        ];
        let activity = Activity::of(&report(&[], &lines), 4, 9_000_000);
        let silence = Silence { from_us: 1_000_000, up_us: Some(2_000_000), to_us: Some(5_000_000) };
        assert_eq!(activity.silences[0], [silence]);
        assert!(!silence.abstains(1_999_999) && silence.abstains(2_000_000) && !silence.abstains(5_000_000));
        assert_eq!(activity.down_us(0, 9_000_000), 1_000_000);
        assert_eq!(activity.down_us(2, 9_000_000), 3_000_000);
        assert_eq!(
            texts(&activity),
            [
                "1000 alice crashes",
                "2000 alice starts with a wiped disk",
                "5000 alice votes again",
                "6000 carol crashes"
            ]
        );
    }

    #[test]
    fn who_lost_its_disk_and_crashes_again_is_silent_all_the_time() {
        let lines = [
            (1_000, 0, "crashes"),
            (2_000, 0, "starts with a wiped disk"),
            (3_000, 0, "crashes"),
            (4_000, 0, "starts"),
            (5_000, 0, "signs Prepare view 9 block 0x12"),
        ];
        let activity = Activity::of(&report(&[], &lines), 4, 9_000_000);
        let silences = [(1_000_000, 2_000_000, 3_000_000), (3_000_000, 4_000_000, 5_000_000)];
        let silences = silences.map(|(from_us, up, to)| Silence { from_us, up_us: Some(up), to_us: Some(to) });
        assert_eq!(activity.silences[0], silences);
        assert_eq!(activity.down_us(0, 9_000_000), 2_000_000);
    }

    #[test]
    fn a_view_is_given_up_when_it_has_no_block_and_a_later_one_has_or_it_was_waited_for() {
        // Views 1, 2 and 3 have blocks.
        let lines = [
            (0, 0, "is in view 1"),
            (100, 1, "is in view 2"),
            (150, 0, "is in view 2"),
            (200, 1, "is in view 4"),
            (1_300, 1, "waited long enough in view 4"),
            (1_400, 0, "is in view 5"),
            (1_400, 1, "is in view 5"),
            (1_500, 1, "is in view 6"),
        ];
        let activity = Activity::of(&report(&[90, 190, 195], &lines), 4, 9_000_000);
        assert_eq!(activity.view_changes, [(1_400_000, 4)]);
        let mut missing = report(&[90, 190, 195], &lines);
        missing.blocks[1].view = 7;
        let activity = Activity::of(&missing, 4, 9_000_000);
        assert_eq!(activity.view_changes, [(200_000, 2), (1_400_000, 4), (1_500_000, 5)]);
        assert_eq!(Activity::view_before(&missing, 1_400_000), 4);
        assert_eq!(Activity::view_before(&missing, 0), 1);
    }

    #[test]
    fn what_comes_after_the_end_does_not_count() {
        let activity = Activity::of(&report(&[], &[(10_001, 0, "crashes")]), 4, 10_000_000);
        assert!(activity.events.is_empty() && activity.silences[0].is_empty());
    }

    /// The words of the simulator are those that are understood here.
    #[test]
    fn the_timeline_of_a_real_run_is_understood() {
        use assent_consensus::sim::{Fault, FaultKind, Faults, Goal, Planned, Stakes};
        let planned = |at_ms, kind, fault| Planned { at_ms, for_ms: 2_000, kind, fault };
        let scenario = Scenario {
            names: four().names(&[0, 1, 2, 3]),
            stakes: Stakes::Given(vec![40, 30, 20, 10]),
            goal: Goal::Time(60_000),
            faults: Faults {
                for_ms: 60_001,
                planned: vec![
                    planned(2_000, FaultKind::Crash, Fault::Down(vec![0])),
                    planned(8_000, FaultKind::Wiped, Fault::Wipe(3)),
                ],
                ..Faults::default()
            },
            whole_timeline: true,
            ..Scenario::calm()
        };
        let report = run(&scenario, 1);
        assert_eq!(report.failure, None);
        let activity = Activity::of(&report, 4, 60_000_000);
        assert_eq!(activity.down_us(0, 60_000_000), 2_000_000);
        let silence = activity.silences[3][0];
        assert!(silence.up_us == Some(10_000_000), "{silence:?}");
        assert!(silence.to_us.is_some_and(|to| to >= 10_000_000), "{silence:?}");
        let texts = texts(&activity);
        for text in ["2000 alice crashes", "4000 alice starts", "8000 dave crashes"] {
            assert!(texts.iter().any(|found| found == text), "{text}: {texts:?}");
        }
        assert!(texts.iter().any(|text| text.contains("alice has caught up") || text.contains("dave has caught up")));
        let last = report.blocks.last().unwrap();
        assert!(Activity::view_before(&report, 60_000_000) >= last.view);
    }
}
