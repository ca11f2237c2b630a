//! What must hold after each event, over all nodes and all their incarnations.

use std::collections::{BTreeMap, BTreeSet};

use super::application::FinalBlock;
use crate::{Ballot, Evidence, Hash, Message, ValidatorIndex, ValidatorSet, View, is_quorum};

/// The observer of a run.
#[derive(Debug, Default)]
pub(super) struct Checks {
    /// The final block of each height, from 1 on.
    finals: Vec<Hash>,
    /// What each validator let others see, by view and step.
    ballots: BTreeMap<(ValidatorIndex, View, u8), Ballot>,
    byzantine: BTreeSet<ValidatorIndex>,
    /// Whose disk was put back, and up to which view nobody may be left who could warn it.
    pardoned: BTreeMap<ValidatorIndex, View>,
    /// Who was accused.
    pub(super) accused: BTreeSet<ValidatorIndex>,
    /// Views for which a view-change certificate exists.
    pub(super) skipped: BTreeSet<View>,
    /// The first thing that did not hold.
    pub(super) failure: Option<String>,
}

impl Checks {
    pub(super) fn new(byzantine: BTreeSet<ValidatorIndex>) -> Self {
        Self { byzantine, ..Self::default() }
    }

    pub(super) fn fail(&mut self, text: String) {
        self.failure.get_or_insert(text);
    }

    /// The highest final height.
    pub(super) fn height(&self) -> u64 {
        self.finals.len() as u64
    }

    pub(super) fn is_byzantine(&self, who: ValidatorIndex) -> bool {
        self.byzantine.contains(&who)
    }

    /// A disk was put back while other faults may silence whoever saw what its validator signed (SPEC rule M3): up to this
    /// view it counts among the faulty, which are less than a third all the same.
    pub(super) fn pardon(&mut self, who: ValidatorIndex, up_to: View) {
        self.pardoned.insert(who, up_to);
    }

    fn is_pardoned(&self, who: ValidatorIndex, view: View) -> bool {
        self.is_byzantine(who) || self.pardoned.get(&who).is_some_and(|up_to| view <= *up_to)
    }

    /// One ballot for each validator, view and step: what leaves a node contradicts nothing that left it before.
    pub(super) fn sent(&mut self, by: ValidatorIndex, message: &Message, set: &ValidatorSet) {
        let ballot = match message {
            Message::Vote(vote) if vote.voter == by => vote.ballot,
            Message::Propose(proposal) if set.leader(proposal.block.view) == by => proposal.ballot(),
            _ => return,
        };
        let (view, step) = ballot.mark();
        let first = *self.ballots.entry((by, view, step)).or_insert(ballot);
        if first != ballot && !self.is_pardoned(by, view) {
            self.fail(format!("validator {by} sent {first:?} and then {ballot:?}"));
        }
    }

    /// Agreement: one block for each height; and its certificate verifies.
    pub(super) fn finalised(&mut self, block: &FinalBlock, set: &ValidatorSet, genesis: &Hash) {
        let (info, certificate) = (block.info, &block.certificate);
        if certificate.block != info.hash || certificate.view != info.view {
            self.fail(format!("block {} is kept with the certificate of {}", info.hash, certificate.block));
        }
        if let Err(error) = certificate.verify(set, genesis) {
            self.fail(format!("the certificate of final block {}: {error}", info.hash));
        }
        let weight: u128 = certificate.signers().map(|signer| u128::from(set.weight(signer).0)).sum();
        if !is_quorum(weight, u128::from(set.total().0)) {
            self.fail(format!("{weight} of {} made block {} final", set.total(), info.hash));
        }
        let position = usize::try_from(info.height.0.saturating_sub(1)).unwrap_or(usize::MAX);
        match self.finals.get(position) {
            Some(known) if *known != info.hash => {
                self.fail(format!("at height {} both {known} and {} are final", info.height, info.hash));
            }
            Some(_) => {}
            None if position == self.finals.len() => self.finals.push(info.hash),
            None => self.fail(format!("height {} is final before the one below it", info.height)),
        }
    }

    /// No honest validator is accused.
    pub(super) fn evidence(&mut self, evidence: &Evidence) {
        self.accused.insert(evidence.validator());
        if !self.is_pardoned(evidence.validator(), evidence.view()) {
            self.fail(format!("honest validator {} is accused: {evidence:?}", evidence.validator()));
        }
    }
}
