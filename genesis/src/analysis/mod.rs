//! What a set of validators withstands: who can halt the chain, who can break its safety, what the loss
//! of an organisation or a region means, how likely a quorum is up, and what would help.
//!
//! It is analysis for people. It asks the one quorum predicate of the consensus crate, in integers;
//! floats are probabilities and shares alone, and nothing in consensus rests on any of this.
//!
//! | file | what it is for |
//! |---|---|
//! | `weights.rs` | the weights and the quorum predicate |
//! | `sums.rs` | the sums that subsets have: exact where they are few, bounds where they are many |
//! | `availability.rs` | how likely a quorum is up |
//! | `coalitions.rs` | who can halt the chain, who can break safety |
//! | `groups.rs` | the loss of an organisation or a region |
//! | `advice.rs` | what would help, in words |

mod advice;
mod availability;
mod coalitions;
mod groups;
mod sums;
#[cfg(test)]
mod tests;
mod weights;

use serde::Serialize;

use crate::{Genesis, WeightError};

pub use availability::{Availability, Bounds, at_least, is_probability};
pub use coalitions::{Coalition, Coalitions};
pub use groups::{Group, GroupBy, Grouping};

pub(crate) use advice::{IDLE, idle, loss_of_groups, remedy, too_few};
pub(crate) use weights::Weights;

/// How likely a validator is up when nothing else is said.
pub const DEFAULT_UP_PROBABILITY: f64 = 0.99;

/// A validator as the analysis sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// What people call it.
    pub name: String,
    /// What its vote weighs.
    pub weight: u64,
    /// The organisation that runs it.
    pub org: Option<String>,
    /// Where it runs.
    pub region: Option<String>,
    /// How likely it is up, if that is another probability than the others'.
    pub up_probability: Option<f64>,
}

impl Member {
    /// A validator with a name and a weight and nothing else.
    pub fn new(name: impl Into<String>, weight: u64) -> Self {
        Self { name: name.into(), weight, org: None, region: None, up_probability: None }
    }
}

/// What to look at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// How likely each validator is up that has no probability of its own. What is no probability
    /// ([`is_probability`]) counts as the nearest one.
    pub up_probability: f64,
    /// The label by which validators are lost together. None: each label that a validator has.
    pub group: Option<GroupBy>,
}

impl Default for Options {
    fn default() -> Self {
        Self { up_probability: DEFAULT_UP_PROBABILITY, group: None }
    }
}

/// What is found about a set of validators.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// What all weigh together.
    pub total: u128,
    /// The least weight of a quorum.
    pub needed: u128,
    /// The validators, in the file's order.
    pub validators: Vec<MemberAnalysis>,
    /// How many may fail.
    pub failures: Failures,
    /// Who can halt the chain: without them the others are no quorum.
    pub halting: Coalitions,
    /// Who can break safety: voting twice they can make two different blocks final.
    pub breaking: Coalitions,
    /// The loss of an organisation or a region.
    pub groupings: Vec<Grouping>,
    /// How likely a quorum is up.
    pub availability: Availability,
    /// The same if all that weigh something weighed the same.
    pub equal_weights: Availability,
    /// What would help, in words; empty when nothing stands out.
    pub advice: Vec<String>,
}

/// A validator's part.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberAnalysis {
    /// What people call it.
    pub name: String,
    /// What its vote weighs.
    pub weight: u64,
    /// What that is of the total, from 0 to 1.
    pub share: f64,
    /// The organisation that runs it.
    pub org: Option<String>,
    /// Where it runs.
    pub region: Option<String>,
    /// How likely it is taken to be up.
    pub up_probability: f64,
    /// Whether the others are no quorum without it.
    pub can_halt: bool,
    /// Whether it is a quorum alone.
    pub decides: bool,
    /// Whether every quorum with it is one without it.
    pub idle: bool,
}

/// How many validators may fail while blocks go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failures {
    /// So many, whichever they are.
    pub worst_case: usize,
    /// So many, when they are the lightest.
    pub best_case: usize,
    /// The names of these lightest.
    pub best_case_members: Vec<String>,
}

impl Genesis {
    /// The validators with the weights that they have at the start, for [`analyze`].
    pub fn members(&self) -> Result<Vec<Member>, WeightError> {
        let spec = &self.assent;
        let member = |validator: &crate::ValidatorSpec| {
            Ok(Member {
                name: validator.name.clone(),
                weight: spec.weight.weight(validator, self.ethereum.timestamp)?.0,
                org: validator.org.clone(),
                region: validator.region.clone(),
                up_probability: None,
            })
        };
        spec.validators.iter().map(member).collect()
    }
}

/// Analyses a set of validators, up to the [`assent_consensus::MAX_VALIDATORS`] that there can be. It
/// takes less than a millisecond for a few validators, and up to seconds for hundreds whose weights have
/// nothing to do with each other; then some numbers are bounds, and say so.
pub fn analyze(members: &[Member], options: &Options) -> Analysis {
    let weights = Weights::new(members.iter().map(|member| member.weight).collect());
    let own = |member: &Member| availability::clamped(member.up_probability.unwrap_or(options.up_probability));
    let up: Vec<f64> = members.iter().map(own).collect();
    let weighted: Vec<(u64, f64)> = members.iter().zip(&up).map(|(member, up)| (member.weight, *up)).collect();
    let mut analysis = Analysis {
        total: weights.total(),
        needed: weights.needed(),
        validators: validators(members, &weights, &up),
        failures: failures(members, &weights),
        halting: coalitions::halting(members, &weights),
        breaking: coalitions::breaking(members, &weights),
        groupings: labels(members, options)
            .into_iter()
            .map(|by| groups::grouping(members, &weights, &up, by))
            .collect(),
        availability: availability::availability(&weighted, sums::MAX_SUMS, &|sum| weights.is_quorum(sum)),
        equal_weights: equal_weights(&weighted),
        advice: Vec::new(),
    };
    analysis.advice = advice::advise(members, &weights, &analysis);
    analysis
}

/// The labels to group by.
fn labels(members: &[Member], options: &Options) -> Vec<GroupBy> {
    match options.group {
        Some(by) => vec![by],
        None => {
            let used = |by: &GroupBy| members.iter().any(|member| by.label(member).is_some());
            GroupBy::ALL.into_iter().filter(used).collect()
        }
    }
}

fn validators(members: &[Member], weights: &Weights, up: &[f64]) -> Vec<MemberAnalysis> {
    let without_influence = coalitions::without_influence(weights);
    let validator = |(index, (member, up)): (usize, (&Member, &f64))| MemberAnalysis {
        name: member.name.clone(),
        weight: member.weight,
        share: weights.share(u128::from(member.weight)),
        org: member.org.clone(),
        region: member.region.clone(),
        up_probability: *up,
        can_halt: weights.can_halt(index),
        decides: weights.decides(index),
        idle: member.weight == 0 || without_influence.contains(&index),
    };
    members.iter().zip(up).enumerate().map(validator).collect()
}

fn failures(members: &[Member], weights: &Weights) -> Failures {
    let best = weights.best_case();
    Failures {
        worst_case: weights.worst_case(),
        best_case: best.len(),
        best_case_members: best.iter().map(|index| members[*index].name.clone()).collect(),
    }
}

/// The same validators with a weight of one each.
fn equal_weights(weighted: &[(u64, f64)]) -> Availability {
    let equal: Vec<(u64, f64)> = weighted.iter().filter(|(weight, _)| *weight > 0).map(|(_, up)| (1, *up)).collect();
    let total = equal.len() as u128;
    availability::availability(&equal, sums::MAX_SUMS, &|sum| assent_consensus::is_quorum(sum, total))
}
