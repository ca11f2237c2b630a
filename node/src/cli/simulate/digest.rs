//! The timeline of a run for people: what went wrong, and what came of it.

use assent_consensus::sim::Report;

use super::activity::{Activity, Event};
use super::faults::Fault;
use super::validators::Validators;
use super::verdict::{Pace, Pause, Verdict, span};

/// A pause without a halt is worth a line when it is longer than so many failed views.
const VIEWS: u64 = 3;

/// A line in the making.
enum Item {
    Event(Event),
    /// A view was given up.
    View(u64, u64),
}

impl Item {
    fn at_us(&self) -> u64 {
        match self {
            Self::Event(event) => event.at_us,
            Self::View(at_us, _) => *at_us,
        }
    }
}

/// What is worth a line, in order.
pub(super) fn digest(
    verdict: &Verdict,
    activity: &Activity,
    faults: &[Fault],
    validators: &Validators,
    pace: Pace,
) -> Vec<Event> {
    let worth =
        |pause: &&Pause| pause.lack.is_some() || pause.to_us - pause.from_us > pace.usual_us + VIEWS * pace.view_us;
    let pauses = verdict.pauses.iter().filter(worth).flat_map(pause_events);
    let events = fault_events(faults, pace.run_us).into_iter().chain(activity.events.iter().cloned()).chain(pauses);
    let views = activity.view_changes.iter().map(|(at_us, view)| Item::View(*at_us, *view));
    let mut items: Vec<Item> = events.map(Item::Event).chain(views).collect();
    items.sort_by_key(Item::at_us);
    merged(items, validators)
}

/// All that happened, in order.
pub(super) fn whole(report: &Report, faults: &[Fault], run_us: u64) -> Vec<Event> {
    let lines = report.timeline.iter().filter(|line| line.at_us <= run_us && line.node.is_some());
    let lines = lines.map(|line| Event { at_us: line.at_us, name: line.name.clone(), text: line.text.clone() });
    let mut events: Vec<Event> = fault_events(faults, run_us).into_iter().chain(lines).collect();
    events.sort_by_key(|event| event.at_us);
    events
}

fn of_all(at_us: u64, text: String) -> Event {
    Event { at_us, name: String::new(), text }
}

fn fault_events(faults: &[Fault], run_us: u64) -> Vec<Event> {
    let mut events = Vec::new();
    for fault in faults {
        events.push(of_all(fault.from_ms * 1000, format!("fault begins: {}", fault.state)));
        if let Some(to_us) = fault.to_ms.map(|to| to * 1000).filter(|to| *to < run_us) {
            events.push(of_all(to_us, format!("fault ends: {}", fault.state)));
        }
    }
    events
}

fn pause_events(pause: &Pause) -> Vec<Event> {
    let (height, length) = (pause.height, span(pause.to_us - pause.from_us));
    let begins = match (height, pause.ended) {
        (0, true) => format!("no block for {length}"),
        (0, false) => "no block at all".to_string(),
        (_, true) => format!("the last block for {length}: height {height}"),
        (_, false) => format!("the last block: height {height}"),
    };
    let mut events = vec![of_all(pause.from_us, begins)];
    if pause.ended {
        events.push(of_all(pause.to_us, format!("blocks again: height {}", height + 1)));
    }
    events
}

/// Views that were given up one after another are told in one line.
fn merged(items: Vec<Item>, validators: &Validators) -> Vec<Event> {
    let (mut events, mut views) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Item::View(at_us, view) => views.push((at_us, view)),
            Item::Event(event) => {
                events.extend(given_up(&std::mem::take(&mut views), validators));
                events.push(event);
            }
        }
    }
    events.extend(given_up(&views, validators));
    events
}

fn given_up(views: &[(u64, u64)], validators: &Validators) -> Option<Event> {
    let ((at_us, first), (_, last)) = (views.first()?, views.last()?);
    let mut leaders: Vec<usize> = views.iter().map(|(_, view)| validators.leader(*view)).collect();
    leaders.sort_unstable();
    leaders.dedup();
    let leaders = validators.list(&leaders);
    let text = match views.len() {
        1 => format!("view {first} is given up; {leaders} led it"),
        count => format!("{count} views are given up, from {first} to {last}; {leaders} led them"),
    };
    Some(of_all(*at_us, text))
}

#[cfg(test)]
mod tests {
    use super::super::{
        activity::tests::report, faults::resolve, syntax::parse, validators::tests::four, verdict::judge,
    };
    use super::*;

    const PACE: Pace = Pace { run_us: 17_000_000, usual_us: 200_000, view_us: 1_000_000, view_max_us: 10_000_000 };

    fn texts(events: &[Event]) -> Vec<String> {
        events.iter().map(|event| format!("{} {} {}", event.at_us / 1000, event.name, event.text)).collect()
    }

    #[test]
    fn the_digest_tells_faults_crashes_views_and_pauses_in_order() {
        let validators = four();
        let faults = resolve(parse("kill:alice@5s+10s", 20_000).unwrap(), &validators, 20_000, &mut |_, _| 0).unwrap();
        // Each block is of the view of its height.
        let lines = [
            (0, 0, "starts"),
            (1, 1, "is in view 1"),
            (4_000, 1, "is in view 2"),
            (5_000, 0, "crashes"),
            (15_000, 0, "starts"),
            (15_100, 1, "is in view 4"),
            (15_200, 1, "is in view 5"),
            (15_300, 1, "is in view 7"),
            (15_400, 0, "signs Prepare view 7 block 0x12"),
        ];
        let mut report = report(&[4_000, 15_500], &lines);
        report.blocks[1].view = 7;
        let activity = Activity::of(&report, 4, PACE.run_us);
        let verdict = judge(&report, &activity, &faults, &validators, PACE);
        let digest = digest(&verdict, &activity, &faults, &validators, PACE);
        let leaders = [2, 3, 4, 5, 6].map(|view| validators.leader(view));
        let mut leaders = leaders.to_vec();
        leaders.sort_unstable();
        leaders.dedup();
        let given_up = format!("15100  5 views are given up, from 2 to 6; {} led them", validators.list(&leaders));
        assert_eq!(
            texts(&digest),
            [
                "0  no block for 4.0 s",
                "4000  blocks again: height 1",
                "4000  the last block for 11.5 s: height 1",
                "5000  fault begins: alice down",
                "5000 alice crashes",
                "15000  fault ends: alice down",
                "15000 alice starts",
                given_up.as_str(),
                "15500  blocks again: height 2",
            ]
        );
        let whole = whole(&report, &faults, PACE.run_us);
        assert_eq!(whole.len(), lines.len() + 2);
        assert_eq!(texts(&whole)[3], "5000  fault begins: alice down");
    }

    #[test]
    fn a_pause_to_the_end_is_the_last_block() {
        let pause = |height| Pause {
            from_us: 1_000_000,
            to_us: 2_000_000,
            height,
            ended: false,
            faults: Vec::new(),
            lack: None,
            again_after_us: None,
        };
        assert_eq!(texts(&pause_events(&pause(7))), ["1000  the last block: height 7"]);
        assert_eq!(texts(&pause_events(&pause(0))), ["1000  no block at all"]);
    }
}
