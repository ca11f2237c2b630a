//! True signatures under another block, another phase or another view: alone, in a status, and as the certificate of a
//! parent, to which the header then commits. Rules: C1, P1, V1.

use super::seen::Seen;
use super::{Behaviour, Puppet};
use crate::{Certificate, Message, Phase, ValidatorIndex};

/// Swaps what certificates are of.
#[derive(Debug, Default)]
pub(super) struct SwappedCertificate {
    seen: Seen,
}

impl SwappedCertificate {
    /// The latest certificate, which says something else now.
    fn swapped(&self, puppet: &mut Puppet<'_>) -> Option<Certificate> {
        let mut certificate = self.seen.certificates.back()?.clone();
        match puppet.rng.below(4) {
            0 => {
                let other = self.seen.other_block(certificate.view, certificate.block);
                certificate.block = other.unwrap_or_else(|| puppet.random_hash());
            }
            1 => certificate.view = certificate.view.next(),
            2 => certificate.view = puppet.view.plus(puppet.rng.below(10)),
            _ if certificate.phase == Phase::Prepare => certificate.phase = Phase::Commit,
            _ => certificate.phase = Phase::Prepare,
        }
        Some(certificate)
    }
}

impl Behaviour for SwappedCertificate {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        let Some(own) = puppet.own_proposal(to, &message) else { return puppet.pass(to, message) };
        let Some(mut certificate) = own.parent.clone() else { return puppet.pass(to, message) };
        if own.block.view.0.is_multiple_of(2) {
            certificate.block = puppet.random_hash();
        } else if certificate.phase == Phase::Prepare {
            certificate.phase = Phase::Commit;
        } else {
            certificate.phase = Phase::Prepare;
        }
        let Some(proposal) = puppet.with_parent_certificate(own, certificate) else { return puppet.pass(to, message) };
        puppet.did();
        puppet.broadcast(&Message::Propose(proposal));
    }

    fn hears(&mut self, _puppet: &mut Puppet<'_>, _from: ValidatorIndex, message: &Message) -> bool {
        self.seen.note(message);
        true
    }

    fn ticks(&mut self, puppet: &mut Puppet<'_>) {
        let Some(certificate) = self.swapped(puppet) else { return };
        puppet.did();
        puppet.spread(certificate);
    }
}
