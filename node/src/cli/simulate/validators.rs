//! Who votes with which weight, from the genesis, and whom a fault means.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use anyhow::Result;
use assent_consensus::{Epoch, ValidatorSet, View, is_quorum, least_quorum};
use assent_genesis::Genesis;

/// One of those who vote.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) weight: u64,
    pub(super) region: Option<String>,
    pub(super) org: Option<String>,
}

/// All who vote. They are named by their position.
#[derive(Debug, Clone)]
pub(super) struct Validators {
    pub(super) members: Vec<Member>,
    set: ValidatorSet,
}

/// Those whom a fault means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Group {
    /// Their positions, in order.
    pub(super) members: Vec<usize>,
    /// How people call them.
    pub(super) label: String,
    /// Every validator is meant, by the word `all`.
    pub(super) all: bool,
    /// Whoever leads when the fault begins is meant too.
    pub(super) leader: bool,
}

impl Validators {
    /// The validators of block 0.
    pub(super) fn of(genesis: &Genesis) -> Result<Self> {
        let set = genesis.validator_set(Epoch(0), genesis.header().timestamp)?;
        let member = |(index, validator): (assent_consensus::ValidatorIndex, &assent_consensus::Validator)| {
            let spec = genesis.validator(index);
            Member {
                name: spec.map_or_else(|| index.to_string(), |spec| spec.name.clone()),
                weight: validator.weight.0,
                region: spec.and_then(|spec| spec.region.clone()),
                org: spec.and_then(|spec| spec.org.clone()),
            }
        };
        let members = set.iter().map(member).collect();
        Ok(Self { members, set })
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn total(&self) -> u128 {
        u128::from(self.set.total().0)
    }

    /// The least weight that is a quorum.
    pub(super) fn needed(&self) -> u128 {
        least_quorum(self.total())
    }

    pub(super) fn is_quorum(&self, weight: u128) -> bool {
        self.set.is_quorum(weight)
    }

    pub(super) fn weigh(&self, members: &[usize]) -> u128 {
        members.iter().map(|member| u128::from(self.members[*member].weight)).sum()
    }

    /// Who leads a view.
    pub(super) fn leader(&self, view: u64) -> usize {
        self.set.leader(View(view)).position()
    }

    pub(super) fn names(&self, members: &[usize]) -> Vec<String> {
        members.iter().map(|member| self.members[*member].name.clone()).collect()
    }

    /// `alice, bob and carol`.
    pub(super) fn list(&self, members: &[usize]) -> String {
        let names = self.names(members);
        match names.as_slice() {
            [] => "nobody".to_string(),
            [one] => one.clone(),
            [first @ .., last] => format!("{} and {last}", first.join(", ")),
        }
    }

    /// All but these.
    pub(super) fn others(&self, members: &[usize]) -> Vec<usize> {
        (0..self.len()).filter(|member| !members.contains(member)).collect()
    }

    /// As many as a quorum can miss: the heaviest first, while the others remain a quorum.
    fn third(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len()).filter(|member| self.members[*member].weight > 0).collect();
        order.sort_by_key(|member| Reverse(self.members[*member].weight));
        let mut left = self.total();
        order.retain(|member| {
            let rest = left - u128::from(self.members[*member].weight);
            let can = is_quorum(rest, self.total());
            if can {
                left = rest;
            }
            can
        });
        order.sort_unstable();
        order
    }

    /// Reads who is meant: names, `region=NAME`, `org=NAME`, `third`, `leader` or `all`, with commas.
    pub(super) fn group(&self, text: &str) -> Result<Group, String> {
        // A label may have a comma in it.
        if let Ok(group) = self.item(text) {
            return Ok(group);
        }
        let (mut members, mut labels) = (BTreeSet::new(), Vec::<String>::new());
        let mut union = Group::default();
        for part in text.split(',') {
            let group = self.item(part)?;
            members.extend(group.members);
            (union.all, union.leader) = (union.all || group.all, union.leader || group.leader);
            if !group.label.is_empty() && !labels.contains(&group.label) {
                labels.push(group.label);
            }
        }
        union.members = members.into_iter().collect();
        union.label = labels.join(", ");
        if union.all {
            union.label = ALL.to_string();
        }
        Ok(union)
    }

    fn item(&self, text: &str) -> Result<Group, String> {
        let text = text.trim();
        if let Some(member) = self.members.iter().position(|member| member.name == text) {
            return Ok(Group { members: vec![member], label: text.to_string(), ..Group::default() });
        }
        if let Some(name) = text.strip_prefix("region=") {
            return self.labelled("region", name, |member| member.region.as_deref());
        }
        if let Some(name) = text.strip_prefix("org=") {
            return self.labelled("org", name, |member| member.org.as_deref());
        }
        match text {
            "all" => {
                let members = (0..self.len()).collect();
                Ok(Group { members, label: ALL.to_string(), all: true, leader: false })
            }
            "leader" => Ok(Group { leader: true, ..Group::default() }),
            "third" => {
                let members = self.third();
                if members.is_empty() {
                    return Err("a quorum can miss no validator of this genesis: name some yourself".to_string());
                }
                let label = format!("{} (all that a quorum can miss)", self.list(&members));
                Ok(Group { members, label, ..Group::default() })
            }
            _ => Err(self.unknown(text)),
        }
    }

    fn labelled(&self, what: &str, name: &str, label: impl Fn(&Member) -> Option<&str>) -> Result<Group, String> {
        let name = name.trim();
        let members: Vec<usize> =
            (0..self.len()).filter(|member| label(&self.members[*member]) == Some(name)).collect();
        if members.is_empty() {
            let known: BTreeSet<&str> = self.members.iter().filter_map(&label).collect();
            return Err(if known.is_empty() {
                format!("no validator of this genesis has a {what}: name validators, or write \"{what}\" into the file")
            } else {
                let known: Vec<&str> = known.into_iter().collect();
                format!("no validator has the {what} \"{name}\"; known are {}", known.join(", "))
            });
        }
        let label = format!("{what} {name} ({})", self.list(&members));
        Ok(Group { members, label, ..Group::default() })
    }

    fn unknown(&self, text: &str) -> String {
        let names = self.names(&(0..self.len()).collect::<Vec<_>>()).join(", ");
        let what =
            if text.is_empty() { "names nobody".to_string() } else { format!("there is no validator \"{text}\"") };
        format!("{what}: expected one of {names}, or region=NAME, org=NAME, third, leader or all")
    }
}

/// What people call every validator.
const ALL: &str = "all validators";

#[cfg(test)]
pub(super) mod tests {
    use assent_consensus::sim::ideal_validators;

    use super::*;

    /// `alice` with 40 and `bob` with 30 in the region eu, `carol` with 20 and `dave` with 10 in asia. A bank runs the
    /// first.
    pub(in crate::cli::simulate) fn four() -> Validators {
        let member = |(name, weight, region): (&str, u64, &str)| Member {
            name: name.to_string(),
            weight,
            region: Some(region.to_string()),
            org: (name == "alice").then(|| "Bank, Ltd".to_string()),
        };
        let all = [("alice", 40, "eu"), ("bob", 30, "eu"), ("carol", 20, "asia"), ("dave", 10, "asia")];
        with(all.map(member).to_vec())
    }

    fn with(members: Vec<Member>) -> Validators {
        let weights: Vec<u64> = members.iter().map(|member| member.weight).collect();
        Validators { set: ideal_validators(&weights, 0).0, members }
    }

    #[test]
    fn groups_are_names_labels_and_words() {
        let validators = four();
        for (text, members, label) in [
            ("alice", vec![0], "alice"),
            ("dave, bob", vec![1, 3], "dave, bob"),
            ("bob,bob", vec![1], "bob"),
            ("region=asia", vec![2, 3], "region asia (carol and dave)"),
            ("region=eu,dave", vec![0, 1, 3], "region eu (alice and bob), dave"),
            ("org=Bank, Ltd", vec![0], "org Bank, Ltd (alice)"),
            ("third", vec![1], "bob (all that a quorum can miss)"),
            ("all", vec![0, 1, 2, 3], "all validators"),
            ("carol,all", vec![0, 1, 2, 3], "all validators"),
        ] {
            let group = validators.group(text).unwrap();
            assert_eq!((group.members, group.label.as_str()), (members, label), "{text}");
        }
        let leader = validators.group("leader,carol").unwrap();
        assert!(leader.leader && leader.members == [2] && leader.label == "carol");
    }

    #[test]
    fn whoever_is_not_there_is_named_with_those_who_are() {
        let validators = four();
        for (text, why) in [
            ("eve", "no validator \"eve\": expected one of alice, bob, carol, dave, or region=NAME"),
            ("alice,", "names nobody: expected one of alice"),
            ("Alice", "no validator \"Alice\""),
            ("region=us", "no validator has the region \"us\"; known are asia, eu"),
            ("org=Bank", "no validator has the org \"Bank\"; known are Bank, Ltd"),
        ] {
            let error = validators.group(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        let mut plain = four();
        plain.members.iter_mut().for_each(|member| member.region = None);
        assert!(plain.group("region=eu").unwrap_err().contains("no validator of this genesis has a region"));
    }

    #[test]
    fn a_third_leaves_a_quorum() {
        for (weights, third) in [
            (vec![1, 1, 1, 1], vec![0]),
            (vec![1; 7], vec![0, 1]),
            (vec![40, 30, 20, 10], vec![1]),
            (vec![50, 10, 10, 10, 10, 10], vec![1, 2, 3]),
        ] {
            let member = |weight: &u64| Member { name: "x".into(), weight: *weight, region: None, org: None };
            let validators = with(weights.iter().map(member).collect());
            assert_eq!(validators.third(), third, "{weights:?}");
            assert!(validators.is_quorum(validators.total() - validators.weigh(&third)));
        }
        let one = with(vec![Member { name: "x".into(), weight: 1, region: None, org: None }]);
        assert!(one.group("third").unwrap_err().contains("can miss no validator"));
    }
}
