//! From faults as they are written to what the simulator does.

use assent_consensus::sim::{self, FaultKind, Planned};

use super::syntax::{Kind, Spec, refuse, time};
use super::validators::{Group, Validators};

/// Faults without an end last so much longer than the run.
const BEYOND_MS: u64 = 60_000;

/// A fault of stated validators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The words of the user.
    pub(super) source: String,
    /// What is so while it lasts, after "with".
    pub(super) state: String,
    /// Whom it strikes.
    pub(super) members: Vec<usize>,
    pub(super) from_ms: u64,
    /// None: until the end of the run.
    pub(super) to_ms: Option<u64>,
    parts: Vec<Part>,
}

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) from_ms: u64,
    pub(super) to_ms: Option<u64>,
    pub(super) kind: FaultKind,
    pub(super) fault: sim::Fault,
}

impl Part {
    pub(super) fn is_on(&self, at_us: u64) -> bool {
        self.from_ms * 1000 <= at_us && self.to_ms.is_none_or(|to| at_us < to * 1000)
    }

    /// What cannot be had twice at a time, and by whom.
    fn holds(&self) -> Option<(&'static str, &[usize])> {
        match &self.fault {
            sim::Fault::Down(nodes) => Some(("down", nodes)),
            sim::Fault::Wipe(node) => Some(("down", std::slice::from_ref(node))),
            sim::Fault::Pause(node) => Some(("paused", std::slice::from_ref(node))),
            sim::Fault::Clock(node, _) => Some(("given another time", std::slice::from_ref(node))),
            sim::Fault::SlowDisk(node, _) => Some(("given a slow disk", std::slice::from_ref(node))),
            _ => None,
        }
    }

    /// Whether both are there at one moment, the last one of the first included.
    fn meets(&self, other: &Self) -> bool {
        let begins_in = |one: &Self, two: &Self| one.to_ms.is_none_or(|to| two.from_ms <= to);
        begins_in(self, other) && begins_in(other, self)
    }
}

impl Fault {
    fn new(spec: &Spec, group: &Group, validators: &Validators, run_ms: u64) -> Result<Self, String> {
        let mut fault = Self {
            source: spec.text.clone(),
            state: state(spec.kind, &group.label),
            members: group.members.clone(),
            from_ms: spec.from_ms,
            to_ms: spec.to_ms,
            parts: Vec::new(),
        };
        match spec.kind {
            Kind::Kill => fault.add(FaultKind::Crash, sim::Fault::Down(group.members.clone())),
            Kind::Wipe => fault.each(FaultKind::Wiped, sim::Fault::Wipe),
            Kind::Pause => fault.each(FaultKind::Paused, sim::Fault::Pause),
            Kind::Clock(ms) => {
                let kind = if ms < 0 { FaultKind::ClockBack } else { FaultKind::ClockAhead };
                fault.each(kind, |node| sim::Fault::Clock(node, ms));
            }
            Kind::Disk(ms) => fault.each(FaultKind::DiskSlow, |node| sim::Fault::SlowDisk(node, ms)),
            Kind::Deaf => fault.each(FaultKind::Deaf, |node| sim::Fault::Cut(validators.others(&[node]), vec![node])),
            Kind::Mute => fault.each(FaultKind::Mute, |node| sim::Fault::Cut(vec![node], validators.others(&[node]))),
            Kind::Restart(ms) => fault.restart(ms, run_ms)?,
            _ => {
                for (one, other) in links(group, validators)? {
                    fault.impair(spec.kind, one, other, run_ms);
                }
            }
        }
        Ok(fault)
    }

    /// The parts that cannot be had twice at a time, with what and by whom.
    fn held(&self) -> impl Iterator<Item = (&Part, &'static str, &[usize])> {
        self.parts.iter().filter_map(|part| part.holds().map(|(what, nodes)| (part, what, nodes)))
    }

    fn add(&mut self, kind: FaultKind, fault: sim::Fault) {
        self.parts.push(Part { from_ms: self.from_ms, to_ms: self.to_ms, kind, fault });
    }

    fn each(&mut self, kind: FaultKind, fault: impl Fn(usize) -> sim::Fault) {
        for member in self.members.clone() {
            self.add(kind, fault(member));
        }
    }

    /// One after the other; the next one when the one before has been back for as long as it was down.
    fn restart(&mut self, down_ms: u64, run_ms: u64) -> Result<(), String> {
        let mut from_ms = self.from_ms;
        for member in &self.members {
            let to_ms = from_ms.saturating_add(down_ms);
            let fault = sim::Fault::Down(vec![*member]);
            self.parts.push(Part { from_ms, to_ms: Some(to_ms), kind: FaultKind::RollingRestart, fault });
            self.to_ms = Some(to_ms);
            from_ms = to_ms.saturating_add(down_ms);
        }
        match self.to_ms {
            Some(to) if to >= run_ms => Err(format!(
                "it takes until {}, and the run ends at {}: run longer (--for TIME), or let each be down for a shorter \
                 time (restart=TIME)",
                time(to),
                time(run_ms)
            )),
            _ => Ok(()),
        }
    }

    /// A fault of the links between some and others.
    fn impair(&mut self, kind: Kind, one: Vec<usize>, other: Vec<usize>, run_ms: u64) {
        match kind {
            Kind::Slow(ms) => self.add(FaultKind::SlowRegion, sim::Fault::Slow(one, other, ms)),
            Kind::Lossy(percent) => self.add(FaultKind::LossyLink, sim::Fault::Lossy(one, other, percent * 10)),
            Kind::Flap(turn_ms) => {
                let end = self.to_ms.unwrap_or(run_ms);
                let mut from_ms = self.from_ms;
                while from_ms < end {
                    let to_ms = Some((from_ms + turn_ms).min(end));
                    for fault in both_ways(&one, &other) {
                        self.parts.push(Part { from_ms, to_ms, kind: FaultKind::Flapping, fault });
                    }
                    from_ms += 2 * turn_ms;
                }
            }
            _ => both_ways(&one, &other).into_iter().for_each(|fault| self.add(FaultKind::Partition, fault)),
        }
    }
}

fn both_ways(one: &[usize], other: &[usize]) -> [sim::Fault; 2] {
    [sim::Fault::Cut(one.to_vec(), other.to_vec()), sim::Fault::Cut(other.to_vec(), one.to_vec())]
}

/// Two sides of links, by position.
type Sides = (Vec<usize>, Vec<usize>);

/// The links that are meant, each once: those between the group and the rest, or all.
fn links(group: &Group, validators: &Validators) -> Result<Vec<Sides>, String> {
    let count = validators.len();
    if count < 2 {
        return Err("there is one validator alone, and no link".to_string());
    }
    if group.all {
        return Ok((0..count - 1).map(|node| (vec![node], (node + 1..count).collect())).collect());
    }
    let rest = validators.others(&group.members);
    if rest.is_empty() {
        return Err(format!(
            "{} are all validators, and there is no rest: write all to mean every link between any two",
            group.label
        ));
    }
    Ok(vec![(group.members.clone(), rest)])
}

/// What is so while the fault lasts, after "with".
fn state(kind: Kind, who: &str) -> String {
    let signed = |ms: i64| {
        let side = if ms < 0 { "behind" } else { "ahead" };
        format!("{} {side}", time(ms.unsigned_abs()))
    };
    match kind {
        Kind::Kill => format!("{who} down"),
        Kind::Wipe => format!("{who} down, the disk lost"),
        Kind::Restart(ms) => format!("{who} restarting one after another, down for {} each", time(ms)),
        Kind::Pause => format!("{who} standing still"),
        Kind::Cut => format!("{who} cut off"),
        Kind::Deaf => format!("{who} hearing nobody"),
        Kind::Mute => format!("nobody hearing {who}"),
        Kind::Slow(ms) => format!("the links of {who} {} slower", time(ms)),
        Kind::Lossy(percent) => format!("the links of {who} losing {percent}%"),
        Kind::Flap(ms) => format!("{who} cut off and back every {}", time(ms)),
        Kind::Clock(ms) => format!("the clock of {who} {}", signed(ms)),
        Kind::Disk(ms) => format!("disk syncs of {who} taking {}", time(ms)),
    }
}

/// Finds out who is meant. `leader_at` says who leads at a time, after the faults before it.
pub(super) fn resolve(
    mut specs: Vec<Spec>,
    validators: &Validators,
    run_ms: u64,
    leader_at: &mut dyn FnMut(&[Fault], u64) -> usize,
) -> Result<Vec<Fault>, String> {
    specs.sort_by_key(|spec| spec.from_ms);
    let mut faults: Vec<Fault> = Vec::new();
    for spec in specs {
        let mut group = validators.group(&spec.who).map_err(|why| refuse(&spec.text, &why))?;
        if group.leader {
            add_leader(&mut group, leader_at(&faults, spec.from_ms), validators);
        }
        faults.push(Fault::new(&spec, &group, validators, run_ms).map_err(|why| refuse(&spec.text, &why))?);
    }
    check_meeting(&faults, validators)?;
    Ok(faults)
}

fn add_leader(group: &mut Group, leader: usize, validators: &Validators) {
    if group.members.contains(&leader) {
        return;
    }
    group.members.push(leader);
    group.members.sort_unstable();
    let name = format!("{} (the leader)", validators.list(&[leader]));
    group.label = if group.label.is_empty() { name } else { format!("{name}, {}", group.label) };
}

/// The simulator ends a fault for good: it does not know that another one of the kind goes on.
fn check_meeting(faults: &[Fault], validators: &Validators) -> Result<(), String> {
    for (number, one) in faults.iter().enumerate() {
        for other in &faults[number + 1..] {
            if let Some((what, who)) = clash(one, other) {
                return Err(format!(
                    "the faults \"{}\" and \"{}\" meet: {} would be {what} twice at a time. Make them one fault, or \
                     leave some time between them",
                    one.source,
                    other.source,
                    validators.list(&[who])
                ));
            }
        }
    }
    Ok(())
}

fn clash(one: &Fault, other: &Fault) -> Option<(&'static str, usize)> {
    for (first, what, nodes) in one.held() {
        for (second, also, others) in other.held() {
            let who = nodes.iter().find(|node| others.contains(node));
            if let Some(who) = who.filter(|_| what == also && first.meets(second)) {
                return Some((what, *who));
            }
        }
    }
    None
}

/// All parts of all faults.
pub(super) fn parts(faults: &[Fault]) -> impl Iterator<Item = &Part> {
    faults.iter().flat_map(|fault| &fault.parts)
}

/// What the simulator is to do in a run of so many milliseconds.
pub(super) fn planned(faults: &[Fault], run_ms: u64) -> Vec<Planned> {
    let one = |part: &Part| Planned {
        at_ms: part.from_ms,
        for_ms: part.to_ms.unwrap_or(run_ms + BEYOND_MS).saturating_sub(part.from_ms),
        kind: part.kind,
        fault: part.fault.clone(),
    };
    parts(faults).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{syntax::parse, validators::tests::four};
    use super::*;

    const RUN_MS: u64 = 60_000;

    fn resolved(text: &str) -> Result<Vec<Fault>, String> {
        resolve(parse(text, RUN_MS)?, &four(), RUN_MS, &mut |_, _| 2)
    }

    fn plan(text: &str) -> Vec<(u64, u64, sim::Fault)> {
        planned(&resolved(text).unwrap(), RUN_MS).into_iter().map(|one| (one.at_ms, one.for_ms, one.fault)).collect()
    }

    #[test]
    fn each_kind_becomes_what_the_simulator_does() {
        use sim::Fault::{Clock, Cut, Down, Lossy, Pause, Slow, SlowDisk, Wipe};
        for (text, expected) in [
            ("kill:alice,bob@10s+20s", vec![(10_000, 20_000, Down(vec![0, 1]))]),
            ("kill:alice@10s", vec![(10_000, 110_000, Down(vec![0]))]),
            ("wipe:region=eu@1s+2s", vec![(1_000, 2_000, Wipe(0)), (1_000, 2_000, Wipe(1))]),
            ("pause:bob@1s+2s", vec![(1_000, 2_000, Pause(1))]),
            ("clock=-3s:bob@1s+2s", vec![(1_000, 2_000, Clock(1, -3_000))]),
            ("disk=70ms:bob@1s+2s", vec![(1_000, 2_000, SlowDisk(1, 70))]),
            ("deaf:bob@1s+2s", vec![(1_000, 2_000, Cut(vec![0, 2, 3], vec![1]))]),
            ("mute:bob@1s+2s", vec![(1_000, 2_000, Cut(vec![1], vec![0, 2, 3]))]),
            (
                "cut:region=asia@1s+2s",
                vec![(1_000, 2_000, Cut(vec![2, 3], vec![0, 1])), (1_000, 2_000, Cut(vec![0, 1], vec![2, 3]))],
            ),
            ("slow=9ms:region=asia@1s+2s", vec![(1_000, 2_000, Slow(vec![2, 3], vec![0, 1], 9))]),
            ("lossy=30%:dave@1s+2s", vec![(1_000, 2_000, Lossy(vec![3], vec![0, 1, 2], 300))]),
            (
                "slow=9ms:all@1s+2s",
                vec![
                    (1_000, 2_000, Slow(vec![0], vec![1, 2, 3], 9)),
                    (1_000, 2_000, Slow(vec![1], vec![2, 3], 9)),
                    (1_000, 2_000, Slow(vec![2], vec![3], 9)),
                ],
            ),
            ("restart=1s:alice,bob@10s", vec![(10_000, 1_000, Down(vec![0])), (12_000, 1_000, Down(vec![1]))]),
            (
                "flap=1s:dave@10s+2500ms",
                vec![
                    (10_000, 1_000, Cut(vec![3], vec![0, 1, 2])),
                    (10_000, 1_000, Cut(vec![0, 1, 2], vec![3])),
                    (12_000, 500, Cut(vec![3], vec![0, 1, 2])),
                    (12_000, 500, Cut(vec![0, 1, 2], vec![3])),
                ],
            ),
        ] {
            assert_eq!(plan(text), expected, "{text}");
        }
    }

    #[test]
    fn a_fault_says_what_is_so_while_it_lasts() {
        for (text, state) in [
            ("kill:third", "bob (all that a quorum can miss) down"),
            ("wipe:alice", "alice down, the disk lost"),
            ("cut:region=eu", "region eu (alice and bob) cut off"),
            ("cut:all", "all validators cut off"),
            ("cut:leader", "carol (the leader) cut off"),
            ("kill:leader,dave", "carol (the leader), dave down"),
            ("kill:leader,carol", "carol down"),
            ("mute:dave", "nobody hearing dave"),
            ("slow=200ms:dave", "the links of dave 200ms slower"),
            ("lossy=30%:dave", "the links of dave losing 30%"),
            ("clock=-1m:dave", "the clock of dave 1m behind"),
            ("disk=1s:dave", "disk syncs of dave taking 1s"),
            ("restart:dave@1s", "dave restarting one after another, down for 2s each"),
        ] {
            assert_eq!(resolved(text).unwrap()[0].state, state, "{text}");
        }
    }

    #[test]
    fn the_leader_is_asked_for_after_the_faults_before_it() {
        let mut asked = Vec::new();
        let specs = parse("cut:leader@20s;kill:alice@10s;mute:leader@30s", RUN_MS).unwrap();
        let faults = resolve(specs, &four(), RUN_MS, &mut |faults, at_ms| {
            asked.push((faults.len(), at_ms));
            at_ms as usize / 10_000
        });
        assert_eq!(asked, [(1, 20_000), (2, 30_000)]);
        let members: Vec<Vec<usize>> = faults.unwrap().into_iter().map(|fault| fault.members).collect();
        assert_eq!(members, [vec![0], vec![2], vec![3]]);
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for (text, why) in [
            ("kill:eve", "the fault \"kill:eve\": there is no validator \"eve\""),
            ("cut:region=eu,region=asia", "are all validators, and there is no rest: write all"),
            ("restart=20s:all@1s", "it takes until 2m 21s, and the run ends at 1m"),
            ("kill:alice@10s+5s;kill:all@12s", "alice would be down twice at a time"),
            ("kill:alice@10s+5s;wipe:alice@15s", "alice would be down twice at a time"),
            ("restart:all@10s;kill:bob@15s", "bob would be down twice at a time"),
            ("pause:bob;pause:bob@9s", "bob would be paused twice at a time"),
            ("clock=1s:bob;clock=2s:bob@9s", "bob would be given another time twice at a time"),
        ] {
            let error = resolved(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(resolved("kill:alice@10s+5s;kill:alice@16s").is_ok());
        // In this one bob is down from 14 s to 16 s only.
        assert!(resolved("restart:all@10s;kill:bob@20s").is_ok());
        assert!(resolved("kill:alice;pause:bob;disk=1s:alice;cut:alice;mute:alice").is_ok());
    }
}
