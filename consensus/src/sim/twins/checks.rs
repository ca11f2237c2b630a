//! What must hold in every run, over all instances.

use std::collections::{BTreeMap, BTreeSet};

use super::setup::Setup;
use crate::core::{Core, VIEWS_AHEAD, VIEWS_BEHIND};
use crate::{BlockInfo, Certificate, Evidence, Hash, Message, Phase, ValidatorIndex, View};

/// An offence as one instance knows it: (instance, view, offender).
type Offence = (usize, View, ValidatorIndex);

/// The observer of a run.
#[derive(Clone, Default, Debug)]
pub(super) struct Checks {
    /// The final blocks above the root, by height.
    finals: Vec<Hash>,
    /// What each honest instance received of the twins' ballots while it could count them.
    received: BTreeMap<Offence, Vec<(Phase, Hash)>>,
    /// Offences that an instance has to report.
    due: BTreeSet<Offence>,
    /// Offences that an instance reported.
    reported: BTreeSet<Offence>,
    /// The first thing that did not hold.
    failure: Option<String>,
}

/// Two ballots of one view that nobody honest signs both (SPEC rule E1), said once more so that the check does not
/// rest on what it checks.
fn contradict(a: (Phase, Hash), b: (Phase, Hash)) -> bool {
    match (a.0, b.0) {
        (Phase::Commit, Phase::ViewChange) | (Phase::ViewChange, Phase::Commit) => true,
        (Phase::ViewChange, Phase::ViewChange) => false,
        (first, second) => first == second && a.1 != b.1,
    }
}

/// Whether an instance keeps ballots of a view (SPEC rule V2).
fn keeps(core: &Core, view: View) -> bool {
    view > core.root().view && view.plus(VIEWS_BEHIND) >= core.view() && view <= core.view().plus(VIEWS_AHEAD)
}

impl Checks {
    pub(super) fn fail(&mut self, text: String) {
        self.failure.get_or_insert(text);
    }

    pub(super) const fn failure(&self) -> Option<&String> {
        self.failure.as_ref()
    }

    /// Blocks that became final.
    pub(super) fn final_blocks(&self) -> u64 {
        self.finals.len() as u64
    }

    /// How many views of the twins were proven to be offences.
    pub(super) fn offences(&self) -> u64 {
        let offences: BTreeSet<(View, ValidatorIndex)> =
            self.reported.iter().map(|(_, view, who)| (*view, *who)).collect();
        offences.len() as u64
    }

    /// A message comes in. Two ballots of a twin that contradict each other, both received while they count, have to
    /// be reported by this very instance.
    pub(super) fn received(&mut self, setup: &Setup, instance: usize, core: &Core, message: &Message) {
        let (who, ballot) = match message {
            Message::Vote(vote) => (vote.voter, vote.ballot),
            Message::Propose(proposal) => (setup.set.leader(proposal.block.view), proposal.ballot()),
            _ => return,
        };
        if !setup.is_twin(who) || !setup.is_honest(instance) || !keeps(core, ballot.view) {
            return;
        }
        let (offence, signed) = ((instance, ballot.view, who), (ballot.phase, ballot.block));
        let before = self.received.entry(offence).or_default();
        if before.iter().any(|earlier| contradict(*earlier, signed)) {
            self.due.insert(offence);
        }
        if !before.contains(&signed) {
            before.push(signed);
        }
    }

    /// An accusation: true, and of a twin.
    pub(super) fn evidence(&mut self, setup: &Setup, instance: usize, evidence: &Evidence) {
        let who = evidence.validator();
        if !setup.is_twin(who) {
            self.fail(format!("honest validator {who} is accused: {evidence:?}"));
        }
        if !evidence.verify(&setup.set, &setup.genesis) {
            self.fail(format!("evidence against validator {who} does not verify: {evidence:?}"));
        }
        self.reported.insert((instance, evidence.view(), who));
    }

    /// Agreement: one block for each height; and its certificate verifies.
    pub(super) fn made_final(&mut self, setup: &Setup, block: &BlockInfo, certificate: &Certificate) {
        let (hash, height) = (block.hash, block.height);
        if certificate.phase == Phase::ViewChange || certificate.block != hash || certificate.view != block.view {
            self.fail(format!("block {hash} is final with the certificate of {}", certificate.block));
        }
        if let Err(error) = certificate.verify(&setup.set, &setup.genesis) {
            self.fail(format!("the certificate of final block {hash}: {error}"));
        }
        let position = height.0.saturating_sub(setup.root.height.next().0);
        match usize::try_from(position).ok().and_then(|position| self.finals.get(position)) {
            Some(known) if *known != hash => {
                self.fail(format!("disagreement: at height {height} both {known} and {hash} are final"));
            }
            Some(_) => {}
            None => self.finals.push(hash),
        }
    }

    /// The end: all offences that had to be reported were.
    pub(super) fn settle(&mut self, setup: &Setup) {
        let missing = self.due.difference(&self.reported).next().copied();
        if let Some((instance, view, who)) = missing {
            let name = setup.name(instance);
            let text = format!("{name} received contradicting ballots of {who} for view {view} and did not report it");
            self.fail(text);
        }
    }
}
