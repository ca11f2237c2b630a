//! What a behaviour can do: look at its surroundings, sign for the Byzantine validators, send.

use crate::core::Timing;
use crate::sim::application::{Application, Tamper, tamper};
use crate::sim::rng::Rng;
use crate::{
    Ballot, Certificate, Hash, Height, Message, Phase, Proposal, Signature, Status, ValidatorIndex, ValidatorSet, View,
    Vote,
};

/// Tells the second block of a leader from its first.
const SECOND: u64 = 1 << 40;

/// The hands of one Byzantine validator, for one call of its behaviour.
pub(in crate::sim) struct Puppet<'a> {
    /// Itself.
    pub(in crate::sim) me: ValidatorIndex,
    /// Everybody.
    pub(in crate::sim) set: &'a ValidatorSet,
    /// The chain.
    pub(in crate::sim) genesis: Hash,
    /// Durations of the protocol.
    pub(in crate::sim) timing: Timing,
    /// Virtual time.
    pub(in crate::sim) now_ms: u64,
    /// The view of the honest core inside.
    pub(in crate::sim) view: View,
    /// All Byzantine validators of the run, itself included.
    pub(in crate::sim) colluders: &'a [ValidatorIndex],
    /// Its application, which reads blocks.
    pub(in crate::sim) application: &'a dyn Application,
    /// Signs for anybody; [`Self::sign`] lets it do so for colluders alone.
    pub(in crate::sim) signer: &'a dyn Fn(ValidatorIndex, &[u8]) -> Signature,
    /// Chance.
    pub(in crate::sim) rng: &'a mut Rng,
    /// What leaves, and to whom; `None` is to all.
    pub(in crate::sim) outbox: Vec<(Option<ValidatorIndex>, Message)>,
    /// How often it did what its behaviour is named for.
    pub(in crate::sim) acts: u64,
}

/// A block that was changed, with the signature of the one that it was.
pub(super) fn altered(proposal: &Proposal, how: Vec<Tamper>) -> Option<Proposal> {
    let (mut block, mut payload) = (proposal.block, proposal.payload.clone());
    for change in how {
        (block, payload) = tamper(&payload, change)?;
    }
    Some(Proposal { block, header: payload.clone(), payload, ..proposal.clone() })
}

impl Puppet<'_> {
    /// Counts one act of the behaviour.
    pub(super) fn did(&mut self) {
        self.acts += 1;
    }

    /// Lets a message of the honest core go out as it is.
    pub(super) fn pass(&mut self, to: Option<ValidatorIndex>, message: Message) {
        self.outbox.push((to, message));
    }

    /// Sends a message to some; what cannot be read from its bytes reaches nobody.
    pub(super) fn send(&mut self, to: &[ValidatorIndex], message: &Message) {
        if let Some(read) = self.read(&message.encode()) {
            self.outbox.extend(to.iter().map(|who| (Some(*who), read.clone())));
        }
    }

    /// As [`Self::send`], to all.
    pub(super) fn broadcast(&mut self, message: &Message) {
        self.bytes(&message.encode());
    }

    /// Sends a certificate to all, by itself or in a status.
    pub(super) fn spread(&mut self, certificate: Certificate) {
        if self.rng.per_mille(500) {
            return self.broadcast(&Message::Certificate(certificate));
        }
        let (epoch, entry) = (self.set.epoch(), Some(certificate));
        self.broadcast(&Message::Status(Status { epoch, height: Height(1), entry, yours: None, reply: false }));
    }

    /// Sends bytes to all.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if let Some(read) = self.read(bytes) {
            self.outbox.push((None, read));
        }
    }

    /// What the others make of bytes.
    fn read(&self, bytes: &[u8]) -> Option<Message> {
        Message::decode(bytes, self.set.len(), &|payload| self.application.read(payload)).ok()
    }

    /// Whether a validator is Byzantine.
    pub(super) fn colludes(&self, who: ValidatorIndex) -> bool {
        self.colluders.contains(&who)
    }

    /// The honest validators.
    pub(super) fn honest(&self) -> Vec<ValidatorIndex> {
        self.set.iter().map(|(who, _)| who).filter(|who| !self.colludes(*who)).collect()
    }

    /// One of the honest validators.
    pub(super) fn victim(&mut self) -> Option<ValidatorIndex> {
        let honest = self.honest();
        let at = self.rng.index(honest.len());
        honest.get(at).copied()
    }

    /// The honest validators in two parts of random size. Now and then one of them is in both: that is how an
    /// equivocation can be seen.
    pub(super) fn halves(&mut self) -> [Vec<ValidatorIndex>; 2] {
        let mut first = self.honest();
        self.rng.shuffle(&mut first);
        let at = (1 + self.rng.index(first.len().saturating_sub(1))).min(first.len());
        let second = first.split_off(at);
        if self.rng.per_mille(250)
            && let Some(both) = second.first()
        {
            first.push(*both);
        }
        [first, second]
    }

    /// A hash of nothing.
    pub(super) fn random_hash(&mut self) -> Hash {
        let mut bytes = [0; 32];
        self.fill(&mut bytes);
        Hash(bytes)
    }

    /// A signature by nobody.
    pub(super) fn random_signature(&mut self) -> Signature {
        let mut bytes = [0; 64];
        self.fill(&mut bytes);
        Signature(bytes)
    }

    /// Random bytes.
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.rng.next().to_be_bytes());
        }
    }

    /// A ballot of this epoch.
    pub(super) fn ballot(&self, phase: Phase, view: View, block: Hash) -> Ballot {
        Ballot { epoch: self.set.epoch(), view, phase, block }
    }

    /// The signature of a Byzantine validator; of nobody else's.
    pub(super) fn sign(&self, who: ValidatorIndex, ballot: &Ballot) -> Option<Signature> {
        self.sign_for(who, ballot, &self.genesis)
    }

    /// As [`Self::sign`], for the chain with another genesis.
    pub(super) fn sign_for(&self, who: ValidatorIndex, ballot: &Ballot, genesis: &Hash) -> Option<Signature> {
        self.colludes(who).then(|| (self.signer)(who, &ballot.sign_bytes(genesis)))
    }

    /// A rightly signed vote of a Byzantine validator, that names no proposal.
    pub(super) fn vote(&self, who: ValidatorIndex, phase: Phase, view: View, block: Hash) -> Option<Vote> {
        let ballot = self.ballot(phase, view, block);
        Some(Vote { ballot, voter: who, signature: self.sign(who, &ballot)?, named: None })
    }

    /// A vote of its own to some.
    pub(super) fn send_vote(&mut self, to: &[ValidatorIndex], phase: Phase, view: View, block: Hash) {
        if let Some(vote) = self.vote(self.me, phase, view, block) {
            self.send(to, &Message::Vote(vote));
        }
    }

    /// A vote of its own to all.
    pub(super) fn broadcast_vote(&mut self, phase: Phase, view: View, block: Hash) {
        if let Some(vote) = self.vote(self.me, phase, view, block) {
            self.broadcast(&Message::Vote(vote));
        }
    }

    /// Whether the message is a block of its own for everybody.
    pub(super) fn own_proposal<'m>(&self, to: Option<ValidatorIndex>, message: &'m Message) -> Option<&'m Proposal> {
        match message {
            Message::Propose(proposal) if to.is_none() && self.leads(proposal.block.view) => Some(proposal),
            _ => None,
        }
    }

    /// Whether it leads a view.
    pub(super) fn leads(&self, view: View) -> bool {
        self.set.leader(view) == self.me
    }

    /// As [`altered`], but signed by the leader of its view if that one colludes.
    pub(super) fn tampered(&self, proposal: &Proposal, how: Vec<Tamper>) -> Option<Proposal> {
        self.signed(altered(proposal, how)?)
    }

    /// A proposal with the signature of the leader of its view, if that one colludes.
    pub(super) fn signed(&self, proposal: Proposal) -> Option<Proposal> {
        let signature = self.sign(self.set.leader(proposal.block.view), &proposal.ballot())?;
        Some(Proposal { signature, ..proposal })
    }

    /// Another valid block of the same view on the same parent: always the same one.
    pub(super) fn second(&self, proposal: &Proposal) -> Option<Proposal> {
        self.tampered(proposal, vec![Tamper::Salt(SECOND)])
    }

    /// A block for `view`, which a colluder must lead, that is as valid as an old one and has its parent. It carries no
    /// view-change certificates.
    pub(super) fn sibling(&self, old: &Proposal, view: View) -> Option<Proposal> {
        let ahead = view.0.wrapping_sub(old.block.view.0).cast_signed();
        let how = vec![Tamper::View(ahead), Tamper::Proposer(self.set.leader(view)), Tamper::Salt(SECOND)];
        let old = Proposal { skipped: Vec::new(), ..old.clone() };
        self.tampered(&old, how)
    }

    /// The same block with another certificate of its parent, which the header commits to as to any.
    pub(super) fn with_parent_certificate(&self, proposal: &Proposal, certificate: Certificate) -> Option<Proposal> {
        let how = vec![Tamper::Parent(certificate.block), Tamper::Certificate(certificate.hash())];
        let proposal = Proposal { parent: Some(certificate), ..proposal.clone() };
        self.tampered(&proposal, how)
    }

    /// What the given validators and all Byzantine ones weigh together.
    pub(super) fn weight_with(&self, others: &[ValidatorIndex]) -> u128 {
        self.set.weigh(self.colluders.iter().chain(others).copied())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ed25519_dalek::Signer;

    use super::*;
    use crate::sim::application::Ledger;
    use crate::testing::{GENESIS, Network, TIMING, block_hash, key_pair};

    /// Gives a puppet that is validator 1 and colludes with validator 3, of 7.
    fn with_puppet<T>(act: impl FnOnce(&mut Puppet<'_>) -> T) -> T {
        let net = Network::new(&[1; 7]);
        let signer = |who: ValidatorIndex, message: &[u8]| {
            let (key, _) = key_pair(u8::try_from(who.0).unwrap());
            Signature(key.sign(message).to_bytes())
        };
        act(&mut Puppet {
            me: ValidatorIndex(1),
            set: &net.set,
            genesis: GENESIS,
            timing: TIMING,
            now_ms: 0,
            view: View(1),
            colluders: &[ValidatorIndex(1), ValidatorIndex(3)],
            application: &Ledger::new(),
            signer: &signer,
            rng: &mut Rng::new(7),
            outbox: Vec::new(),
            acts: 0,
        })
    }

    #[test]
    fn it_signs_for_colluders_and_for_nobody_else() {
        with_puppet(|puppet| {
            for who in (0..7).map(ValidatorIndex) {
                let vote = puppet.vote(who, Phase::Commit, View(3), block_hash(7));
                assert_eq!(vote.is_some(), [1, 3].contains(&who.0));
                assert!(vote.is_none_or(|vote| vote.verify(puppet.set, &GENESIS)));
            }
            let ballot = puppet.ballot(Phase::Commit, View(3), block_hash(7));
            let foreign = puppet.sign_for(ValidatorIndex(1), &ballot, &Hash::ZERO).unwrap();
            assert_ne!(puppet.sign(ValidatorIndex(1), &ballot), Some(foreign));
        });
    }

    #[test]
    fn only_what_can_be_read_leaves() {
        with_puppet(|puppet| {
            let vote = puppet.vote(puppet.me, Phase::ViewChange, View(3), Hash::ZERO).unwrap();
            puppet.broadcast(&Message::Vote(vote.clone()));
            assert!(matches!(&puppet.outbox[..], [(None, Message::Vote(sent))] if *sent == vote));
            // A ViewChange that names a block must carry its header.
            let ballot = Ballot { block: block_hash(7), ..vote.ballot };
            puppet.broadcast(&Message::Vote(Vote { ballot, ..vote }));
            puppet.bytes(b"no message");
            assert_eq!(puppet.outbox.len(), 1);
        });
    }

    #[test]
    fn the_halves_are_all_honest_validators() {
        with_puppet(|puppet| {
            let mut shared = 0;
            for _ in 0..100 {
                let [first, second] = puppet.halves();
                shared += first.len() + second.len() - 5;
                let mut all = [first, second].concat();
                all.sort_unstable();
                all.dedup();
                assert_eq!(all, puppet.honest());
            }
            assert!((1..100).contains(&shared));
        });
    }
}
