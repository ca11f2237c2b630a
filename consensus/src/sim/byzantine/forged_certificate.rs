//! Certificates with signatures by nobody beside true ones of the Byzantine validators: alone, in a status, and as the
//! certificate of a parent, to which the header then commits. Rules: C1, P1, K2.

use super::{Behaviour, Puppet};
use crate::{Ballot, Certificate, Hash, Message, Phase, ValidatorIndex, View, Vote};

/// Forges certificates.
#[derive(Debug, Default)]
pub(super) struct ForgedCertificate;

/// A certificate of everybody, in which only colluders signed.
fn forged(puppet: &mut Puppet<'_>, ballot: Ballot) -> Certificate {
    let everybody: Vec<ValidatorIndex> = puppet.set.iter().map(|(who, _)| who).collect();
    let mut votes = Vec::with_capacity(everybody.len());
    for voter in everybody {
        let nobodys = puppet.random_signature();
        let signature = puppet.sign(voter, &ballot).unwrap_or(nobodys);
        votes.push(Vote { ballot, voter, signature, named: None });
    }
    Certificate::form(puppet.set, ballot, votes.iter())
}

impl Behaviour for ForgedCertificate {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        let Some(own) = puppet.own_proposal(to, &message) else { return puppet.pass(to, message) };
        let Some(parent) = &own.parent else { return puppet.pass(to, message) };
        // The parent is right, its certificate is not; or there is no such parent.
        let block = if own.block.view.0.is_multiple_of(2) { parent.block } else { puppet.random_hash() };
        let ballot = puppet.ballot(Phase::Prepare, parent.view, block);
        let certificate = forged(puppet, ballot);
        let Some(proposal) = puppet.with_parent_certificate(own, certificate) else { return puppet.pass(to, message) };
        puppet.did();
        puppet.broadcast(&Message::Propose(proposal));
    }

    fn ticks(&mut self, puppet: &mut Puppet<'_>) {
        let (phase, block) = match puppet.rng.below(3) {
            0 => (Phase::Prepare, puppet.random_hash()),
            1 => (Phase::Commit, puppet.random_hash()),
            _ => (Phase::ViewChange, Hash::ZERO),
        };
        let view = match puppet.rng.below(3) {
            0 => puppet.view,
            1 => puppet.view.plus(5),
            _ => View(u64::MAX),
        };
        let ballot = puppet.ballot(phase, view, block);
        let certificate = forged(puppet, ballot);
        puppet.did();
        puppet.spread(certificate);
    }
}
