//! Makes progress for itself alone: its votes, which complete certificates, and the statuses and answers that carry
//! these are withheld; what it shows are its own blocks, which build on blocks of which the others do not know that
//! they are prepared. Who asks for them gets no answer, by consensus or by sync. Rules: A1, A2, K1, P3.

use std::sync::Arc;

use super::{Behaviour, Puppet};
use crate::sim::application::FinalBlock;
use crate::{Message, ValidatorIndex};

/// Hides what is prepared.
#[derive(Debug, Default)]
pub(super) struct HiddenCertificate;

impl Behaviour for HiddenCertificate {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        if matches!(message, Message::Propose(_) | Message::Fetch(_) | Message::Evidence(_)) {
            puppet.pass(to, message);
        } else {
            puppet.did();
        }
    }

    fn hears(&mut self, _puppet: &mut Puppet<'_>, _from: ValidatorIndex, message: &Message) -> bool {
        !matches!(message, Message::Fetch(_))
    }

    fn serves(&mut self, _puppet: &mut Puppet<'_>, _blocks: Vec<Arc<FinalBlock>>) -> Vec<Arc<FinalBlock>> {
        Vec::new()
    }
}
