//! Who could hear whom at which time of a run, and whether that was enough for a quorum.

use assent_consensus::sim::{Fault as Simulated, FaultKind};
use serde::Serialize;

use super::activity::{Activity, Silence};
use super::faults::{Fault, parts};
use super::validators::Validators;

/// Why no quorum was possible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Lack {
    /// The most weight that could hear each other.
    pub(super) weight: u64,
    pub(super) total: u64,
    pub(super) needed: u64,
    pub(super) missing: u64,
    /// Whose weight that is.
    pub(super) heard: Vec<String>,
    /// Whether others were up too, and out of reach.
    pub(super) apart: bool,
    /// Who was up and did not vote, having lost what it signed.
    pub(super) abstaining: Vec<String>,
}

impl Lack {
    /// Why there was no quorum, for people.
    pub(super) fn text(&self) -> String {
        let Self { weight, total, needed, missing, .. } = self;
        let who = self.heard.join(", ");
        let mut text = if self.heard.is_empty() {
            format!("no validator was up and voted, and {needed} of {total} are needed")
        } else if self.apart {
            format!(
                "the most that could hear each other ({who}) weigh {weight} of {total}, {needed} are needed: {missing} \
                 missing"
            )
        } else {
            format!(
                "the validators that were up ({who}) weigh {weight} of {total}, {needed} are needed: {missing} missing"
            )
        };
        if !self.abstaining.is_empty() {
            let who = self.abstaining.join(", ");
            text = format!("{text}; up again, but without a vote until that is safe, the disk being lost: {who}");
        }
        text
    }
}

/// The largest weight of validators that could hear each other.
#[derive(Debug, Default)]
struct Heard {
    weight: u128,
    members: Vec<usize>,
    apart: bool,
    abstaining: Vec<usize>,
}

/// Who is there in a run.
#[derive(Debug)]
pub(super) struct Presence<'a> {
    validators: &'a Validators,
    faults: &'a [Fault],
    activity: &'a Activity,
    /// When who is there changes, in order.
    changes: Vec<u64>,
}

/// Whether a part decides who is there. Links that come and go do not: there is always a next time.
fn decides(kind: FaultKind) -> bool {
    kind != FaultKind::Flapping
}

impl<'a> Presence<'a> {
    pub(super) fn new(validators: &'a Validators, faults: &'a [Fault], activity: &'a Activity) -> Self {
        let deciding = parts(faults).filter(|part| decides(part.kind));
        let of_parts = deciding.flat_map(|part| [Some(part.from_ms), part.to_ms]).flatten().map(|ms| ms * 1000);
        let silences = activity.silences.iter().flatten();
        let of_silences = silences.flat_map(|silence| [Some(silence.from_us), silence.to_us]).flatten();
        let mut changes: Vec<u64> = of_parts.chain(of_silences).collect();
        changes.sort_unstable();
        changes.dedup();
        Self { validators, faults, activity, changes }
    }

    fn silences(&self, member: usize) -> &[Silence] {
        &self.activity.silences[member]
    }

    /// Messages from the one to the other arrive at a time; a validator that is not there has none of its own either.
    fn links(&self, at_us: u64) -> Vec<Vec<bool>> {
        let on: Vec<&Simulated> =
            parts(self.faults).filter(|part| decides(part.kind) && part.is_on(at_us)).map(|part| &part.fault).collect();
        let votes = |member: usize| {
            let paused = on.iter().any(|fault| matches!(fault, Simulated::Pause(node) if *node == member));
            !paused && !self.silences(member).iter().any(|silence| silence.is_on(at_us))
        };
        let count = self.validators.len();
        let there: Vec<bool> = (0..count).map(votes).collect();
        let mut links: Vec<Vec<bool>> =
            (0..count).map(|from| (0..count).map(|to| there[from] && there[to]).collect()).collect();
        for fault in on {
            let Simulated::Cut(these, those) = fault else { continue };
            for (from, to) in these.iter().flat_map(|from| those.iter().map(move |to| (*from, *to))) {
                links[from][to] &= from == to;
            }
        }
        links
    }

    /// Votes count where they are heard by one who can pass on what follows from them: among those who reach each
    /// other, over others too.
    fn heard(&self, at_us: u64) -> Heard {
        let links = self.links(at_us);
        let all: Vec<usize> = (0..links.len()).collect();
        let up: Vec<usize> = all.iter().copied().filter(|node| links[*node][*node]).collect();
        let mut best = Heard::default();
        for listener in &up {
            let to = reached(*listener, links.len(), &|one, next| links[one][next]);
            let from = reached(*listener, links.len(), &|one, next| links[next][one]);
            let counts = |node: &usize| links[*node][*listener] && to[*node] && from[*node];
            let members: Vec<usize> = up.iter().copied().filter(counts).collect();
            let weight = self.validators.weigh(&members);
            if best.members.is_empty() || weight > best.weight {
                best = Heard { weight, members, ..best };
            }
        }
        best.apart = best.members.len() < up.len();
        let abstains = |node: &usize| self.silences(*node).iter().any(|silence| silence.abstains(at_us));
        best.abstaining = all.into_iter().filter(abstains).collect();
        best
    }

    /// Whether enough could hear each other.
    pub(super) fn is_quorum_at(&self, at_us: u64) -> bool {
        self.validators.is_quorum(self.heard(at_us).weight)
    }

    /// A time, and all up to another at which something changed.
    fn times(&self, from_us: u64, to_us: u64) -> impl Iterator<Item = u64> {
        let between = self.changes.iter().copied().filter(move |at| from_us < *at && *at < to_us);
        std::iter::once(from_us).chain(between)
    }

    /// When the least weight was there, and why it was no quorum; none if there was a quorum all the time.
    pub(super) fn worst(&self, from_us: u64, to_us: u64) -> Option<(u64, Lack)> {
        let all = self.times(from_us, to_us).map(|at| (at, self.heard(at)));
        let (at, heard) = all.min_by_key(|(_, heard)| heard.weight)?;
        if self.validators.is_quorum(heard.weight) {
            return None;
        }
        let small = |weight: u128| u64::try_from(weight).unwrap_or(u64::MAX);
        let needed = self.validators.needed();
        let lack = Lack {
            weight: small(heard.weight),
            total: small(self.validators.total()),
            needed: small(needed),
            missing: small(needed.saturating_sub(heard.weight)),
            heard: self.validators.names(&heard.members),
            apart: heard.apart,
            abstaining: self.validators.names(&heard.abstaining),
        };
        Some((at, lack))
    }

    /// When a quorum was possible again that was not possible before, up to the end of a time.
    pub(super) fn back(&self, from_us: u64, to_us: u64) -> Option<u64> {
        let lacking = self.times(from_us, to_us).filter(|at| !self.is_quorum_at(*at)).max()?;
        self.changes.iter().copied().find(|at| lacking < *at && *at <= to_us && self.is_quorum_at(*at))
    }

    /// The faults that last for all of a time.
    pub(super) fn states(&self, from_us: u64, to_us: u64) -> Vec<String> {
        let on = |fault: &&Fault| fault.from_ms * 1000 <= from_us && fault.to_ms.is_none_or(|to| to_us <= to * 1000);
        self.faults.iter().filter(on).map(|fault| fault.state.clone()).collect()
    }
}

/// Whom one reaches, over others too.
fn reached(start: usize, count: usize, link: &dyn Fn(usize, usize) -> bool) -> Vec<bool> {
    let (mut reached, mut open) = (vec![false; count], vec![start]);
    while let Some(node) = open.pop() {
        if !reached[node] {
            reached[node] = true;
            open.extend((0..count).filter(|next| link(node, *next)));
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::super::{faults::resolve, syntax::parse, validators::tests::four};
    use super::*;

    /// The worst of the 60 seconds with these faults, when who is killed is silent as planned.
    fn worst(text: &str) -> Option<(u64, Lack)> {
        let validators = four();
        let faults = resolve(parse(text, 60_000).unwrap(), &validators, 60_000, &mut |_, _| 0).unwrap();
        let mut activity = Activity { silences: vec![Vec::new(); 4], ..Activity::default() };
        for part in parts(&faults) {
            let (from_us, to_us) = (part.from_ms * 1000, part.to_ms.map(|to| to * 1000));
            match &part.fault {
                Simulated::Down(nodes) => {
                    let silence = Silence { from_us, up_us: to_us, to_us };
                    nodes.iter().for_each(|node| activity.silences[*node].push(silence));
                }
                Simulated::Wipe(node) => {
                    activity.silences[*node].push(Silence { from_us, up_us: to_us, to_us: None });
                }
                _ => {}
            }
        }
        Presence::new(&validators, &faults, &activity).worst(0, 60_000_000)
    }

    #[test]
    fn the_weight_of_those_who_hear_each_other_decides() {
        // faults, when, weight, whose, apart
        type Case = (&'static str, Option<(u64, u64, &'static [&'static str], bool)>);
        let cases: [Case; 13] = [
            ("", None),
            ("kill:bob", None),
            ("kill:alice", Some((5, 60, &["bob", "carol", "dave"], false))),
            ("kill:bob@10s+5s;kill:dave@14s", Some((14, 60, &["alice", "carol"], false))),
            ("kill:bob@10s+5s;kill:dave@16s", None),
            ("kill:all@7s+1s", Some((7, 0, &[], false))),
            ("pause:alice", Some((5, 60, &["bob", "carol", "dave"], false))),
            ("cut:region=asia", None),
            ("cut:carol,dave;kill:dave@9s", None),
            ("cut:alice", Some((5, 60, &["bob", "carol", "dave"], true))),
            ("mute:alice", Some((5, 60, &["bob", "carol", "dave"], true))),
            ("deaf:alice", Some((5, 60, &["bob", "carol", "dave"], true))),
            ("cut:all@8s", Some((8, 40, &["alice"], true))),
        ];
        for (text, expected) in cases {
            let found = worst(text);
            let found =
                found.as_ref().map(|(at, lack)| (at / 1_000_000, lack.weight, lack.heard.join(" "), lack.apart));
            let expected = expected.map(|(at, weight, who, apart)| (at, weight, who.join(" "), apart));
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(worst("slow=1s:all;lossy=90%:all;flap:all;disk=1s:all;clock=1s:alice"), None);
    }

    #[test]
    fn a_lack_is_told_with_its_numbers() {
        let text = |faults: &str| worst(faults).unwrap().1.text();
        assert_eq!(
            text("kill:alice"),
            "the validators that were up (bob, carol, dave) weigh 60 of 100, 67 are needed: 7 missing"
        );
        assert_eq!(
            text("cut:bob,carol"),
            "the most that could hear each other (alice, dave) weigh 50 of 100, 67 are needed: 17 missing"
        );
        assert_eq!(text("kill:all"), "no validator was up and voted, and 67 of 100 are needed");
        let both = text("wipe:alice,bob@10s+1s;kill:carol@20s");
        assert_eq!(
            both,
            "the validators that were up (dave) weigh 10 of 100, 67 are needed: 57 missing; up again, but without a \
             vote until that is safe, the disk being lost: alice, bob"
        );
    }

    #[test]
    fn a_quorum_is_back_when_enough_are() {
        let validators = four();
        let faults = resolve(parse("cut:alice@10s+20s", 60_000).unwrap(), &validators, 60_000, &mut |_, _| 0).unwrap();
        let activity = Activity { silences: vec![Vec::new(); 4], ..Activity::default() };
        let presence = Presence::new(&validators, &faults, &activity);
        assert!(presence.is_quorum_at(9_999_999) && !presence.is_quorum_at(10_000_000));
        assert!(!presence.is_quorum_at(29_999_999) && presence.is_quorum_at(30_000_000));
        assert_eq!(presence.back(9_000_000, 31_000_000), Some(30_000_000));
        assert_eq!(presence.back(9_000_000, 29_000_000), None);
        assert_eq!(presence.back(31_000_000, 32_000_000), None);
        assert_eq!(presence.states(10_000_000, 30_000_000), ["alice cut off"]);
        assert_eq!(presence.states(10_000_000, 30_000_001), [] as [&str; 0]);
    }
}
