//! Who takes part: the validators, which of them are two, and the final block on which all stand when it begins.

use std::sync::Arc;

use crate::codec::Writer;
use crate::sim::{Signers, ideal_validators};
use crate::{
    Ballot, BlockInfo, Certificate, Epoch, Hash, Height, Phase, ValidatorIndex, ValidatorSet, View, Vote, sha256,
};

/// The seed of all keys. Which keys they are does not matter.
const KEYS: u64 = 0x7477_696e;

/// One set-up.
pub(crate) struct Setup {
    pub(super) weights: Vec<u64>,
    /// The validators that run twice.
    pub(super) twins: Vec<ValidatorIndex>,
    /// The view of the final block on which all begin: it chooses who leads the views of the rounds.
    pub(super) first: View,
    pub(super) set: ValidatorSet,
    pub(super) signers: Signers,
    pub(super) genesis: Hash,
    pub(super) root: BlockInfo,
    pub(super) root_certificate: Option<Certificate>,
    /// Whose instance each one is: one of each validator in their order, then the second ones of the twins.
    pub(super) instances: Vec<ValidatorIndex>,
}

impl Setup {
    pub(super) fn new(weights: &[u64], twins: &[ValidatorIndex], first: View) -> Self {
        let (set, signers) = ideal_validators(weights, KEYS);
        let genesis = sha256(b"assent twins");
        let (root, root_certificate) = beginning(&set, &signers, genesis, first);
        let instances = set.iter().map(|(index, _)| index).chain(twins.iter().copied()).collect();
        let (weights, twins) = (weights.to_vec(), twins.to_vec());
        Self { weights, twins, first, set, signers, genesis, root, root_certificate, instances }
    }

    pub(super) fn is_twin(&self, who: ValidatorIndex) -> bool {
        self.twins.contains(&who)
    }

    /// Whether an instance is of a validator that runs once.
    pub(super) fn is_honest(&self, instance: usize) -> bool {
        self.instances.get(instance).is_some_and(|who| !self.is_twin(*who))
    }

    /// Whether the twins weigh less than a third, so that progress is promised.
    pub(super) fn tolerates_twins(&self) -> bool {
        3 * self.set.weigh(self.twins.iter().copied()) < u128::from(self.set.total().0)
    }

    /// How people call an instance: its validator, with a prime for the second one.
    pub(super) fn name(&self, instance: usize) -> String {
        let who = self.instances.get(instance).copied().unwrap_or_default();
        format!("{who}{}", if instance < self.set.len() { "" } else { "'" })
    }
}

/// Genesis for a beginning in view 1, or else a block of view `first` that everybody committed.
fn beginning(set: &ValidatorSet, signers: &Signers, genesis: Hash, first: View) -> (BlockInfo, Option<Certificate>) {
    if first == View(0) {
        let (parent, parent_certificate) = (Hash::ZERO, Hash::ZERO);
        let (height, epoch) = (Height(0), Epoch(0));
        return (BlockInfo { hash: genesis, parent, height, epoch, view: first, parent_certificate }, None);
    }
    let (root, _) = make_block(genesis, Height(1), first, Hash::ZERO, 0);
    let ballot = Ballot { epoch: Epoch(0), view: first, phase: Phase::Commit, block: root.hash };
    let message = ballot.sign_bytes(&genesis);
    let votes: Vec<Vote> = set
        .iter()
        .map(|(voter, _)| Vote { ballot, voter, signature: signers.sign(voter, &message), named: None })
        .collect();
    (root, Some(Certificate::form(set, ballot, votes.iter())))
}

/// A block: its bytes are what it says of itself, and a salt that tells the blocks of two instances apart.
pub(super) fn make_block(
    parent: Hash,
    height: Height,
    view: View,
    parent_certificate: Hash,
    salt: u64,
) -> (BlockInfo, Arc<[u8]>) {
    let mut writer = Writer::default();
    writer.raw(&parent.0).u64(height.0).u64(view.0).raw(&parent_certificate.0).u64(salt);
    let hash = sha256(&writer.0);
    (BlockInfo { hash, parent, height, epoch: Epoch(0), view, parent_certificate }, writer.0.into())
}
