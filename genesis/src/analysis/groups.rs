//! What is lost together: the validators of an organisation or of a region, as the labels of the
//! genesis file say.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::Serialize;

use super::{
    Member,
    availability::{Availability, availability},
    coalitions::breaks,
    sums::MAX_SUMS,
    weights::Weights,
};

/// The fewest sums that a half keeps for a group, however many groups there are.
const FEWEST_SUMS: usize = 1 << 8;

/// The label that says who is lost together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupBy {
    /// The organisation that runs it.
    Org,
    /// Where it runs.
    Region,
}

impl GroupBy {
    /// All labels.
    pub const ALL: [Self; 2] = [Self::Org, Self::Region];

    /// What a validator has there.
    pub(crate) fn label(self, member: &Member) -> Option<&str> {
        match self {
            Self::Org => member.org.as_deref(),
            Self::Region => member.region.as_deref(),
        }
    }
}

impl fmt::Display for GroupBy {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Org => "org",
            Self::Region => "region",
        })
    }
}

impl FromStr for GroupBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|label| label.to_string() == text);
        known.ok_or_else(|| format!("expected org or region, got {text:?}"))
    }
}

/// The groups by one label, and what the loss of each would mean.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Grouping {
    /// The label.
    pub by: GroupBy,
    /// So many validators have no such label, and are in no group.
    pub unlabelled: usize,
    /// So many groups may be lost, whichever they are, and the others are still a quorum.
    pub worst_case: usize,
    /// The groups, the heaviest first.
    pub groups: Vec<Group>,
}

/// Validators with the same label.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// What the label says.
    pub name: String,
    /// The validators, in the file's order.
    pub members: Vec<String>,
    /// What they weigh together.
    pub weight: u128,
    /// What that is of the total, from 0 to 1.
    pub share: f64,
    /// Whether blocks go on without them.
    pub survives: bool,
    /// What the others lack for a quorum.
    pub missing: u128,
    /// Whether they can make two different blocks final when they work together against the others;
    /// null when that cannot be found out.
    pub breaks_safety: Option<bool>,
    /// How likely a quorum is up while they are lost; null when there can be none.
    pub while_lost: Option<Availability>,
}

/// The indices of those with the same label, the heaviest group first.
pub(crate) fn grouped<'a>(members: &'a [Member], weights: &Weights, by: GroupBy) -> Vec<(&'a str, Vec<usize>)> {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, member) in members.iter().enumerate() {
        if let Some(label) = by.label(member) {
            groups.entry(label).or_default().push(index);
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, members)| std::cmp::Reverse(weights.weigh(members)));
    groups
}

/// The groups by a label; `up` has how likely each validator is up.
pub(super) fn grouping(members: &[Member], weights: &Weights, up: &[f64], by: GroupBy) -> Grouping {
    let groups = grouped(members, weights, by);
    let labelled: usize = groups.iter().map(|(_, members)| members.len()).sum();
    let mut lost = 0;
    let worst_case = groups.iter().take_while(|(_, members)| {
        lost += weights.weigh(members);
        weights.survives(lost)
    });
    let worst_case = worst_case.count();
    // All groups together cost what the whole set does.
    let limit = (MAX_SUMS / groups.len().max(1)).max(FEWEST_SUMS);
    let groups = groups.iter().map(|(name, indices)| group(members, weights, up, name, indices, limit)).collect();
    Grouping { by, unlabelled: members.len() - labelled, worst_case, groups }
}

fn group(members: &[Member], weights: &Weights, up: &[f64], name: &str, indices: &[usize], limit: usize) -> Group {
    let weight = weights.weigh(indices);
    let survives = weights.survives(weight);
    let rest: Vec<(u64, f64)> = members
        .iter()
        .zip(up)
        .enumerate()
        .filter(|(index, _)| !indices.contains(index))
        .map(|(_, (member, up))| (member.weight, *up))
        .collect();
    let enough = |sum| weights.is_quorum(sum);
    Group {
        name: name.to_owned(),
        members: indices.iter().map(|index| members[*index].name.clone()).collect(),
        weight,
        share: weights.share(weight),
        survives,
        missing: weights.needed().saturating_sub(weights.total() - weight),
        breaks_safety: breaks(weights, indices, limit),
        while_lost: survives.then(|| availability(&rest, limit, &enough)),
    }
}
