//! Evidence: two signed ballots of one validator that no honest validator signs both (SPEC rule E).

use crate::codec::{DecodeError, Reader, Writer};
use crate::vote::sha256;
use crate::{Ballot, Epoch, Hash, Phase, Signature, ValidatorIndex, ValidatorSet, View};

/// What one validator signed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Signed {
    /// What it says.
    pub phase: Phase,
    /// The block, or zero.
    pub block: Hash,
    /// The signature.
    pub signature: Signature,
}

/// Two contradicting ballots of one validator for one view, with both signatures.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Evidence {
    epoch: Epoch,
    view: View,
    validator: ValidatorIndex,
    first: Signed,
    second: Signed,
}

/// Whether nobody honest signs both (SPEC rule E).
fn contradict(a: &Signed, b: &Signed) -> bool {
    match (a.phase, b.phase) {
        (Phase::Commit, Phase::ViewChange) | (Phase::ViewChange, Phase::Commit) => true,
        (Phase::ViewChange, Phase::ViewChange) => false,
        (first, second) => first == second && a.block != b.block,
    }
}

impl Evidence {
    /// Pairs two ballots, if they contradict each other. The signatures are the caller's to have verified.
    #[must_use]
    pub fn of(epoch: Epoch, view: View, validator: ValidatorIndex, a: Signed, b: Signed) -> Option<Self> {
        let (first, second) = if (a.phase, a.block) <= (b.phase, b.block) { (a, b) } else { (b, a) };
        contradict(&first, &second).then_some(Self { epoch, view, validator, first, second })
    }

    /// The accused.
    #[must_use]
    pub const fn validator(&self) -> ValidatorIndex {
        self.validator
    }

    /// The epoch in which it happened.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The view in which it happened.
    #[must_use]
    pub const fn view(&self) -> View {
        self.view
    }

    /// The two ballots, in canonical order.
    #[must_use]
    pub const fn ballots(&self) -> [Signed; 2] {
        [self.first, self.second]
    }

    /// Names the offence, not its proof: the same for all pairs of signatures of the same offence.
    #[must_use]
    pub fn id(&self) -> Hash {
        let mut writer = Writer::default();
        writer.u64(self.epoch.0).u64(self.view.0).u16(self.validator.0);
        writer.u8(self.first.phase as u8).u8(self.second.phase as u8);
        sha256(&writer.0)
    }

    /// Whether both signatures are the accused's.
    #[must_use]
    pub fn verify(&self, set: &ValidatorSet, genesis: &Hash) -> bool {
        self.epoch == set.epoch()
            && self.ballots().iter().all(|signed| {
                let ballot = Ballot { epoch: self.epoch, view: self.view, phase: signed.phase, block: signed.block };
                set.verify(self.validator, &ballot.sign_bytes(genesis), &signed.signature)
            })
    }

    /// The wire form (SPEC section 4.5).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        self.write(&mut writer);
        writer.0
    }

    /// Reads the wire form.
    ///
    /// # Errors
    /// When the bytes are no canonical evidence, or the two ballots do not contradict each other.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let evidence = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(evidence)
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.u64(self.epoch.0).u64(self.view.0).u16(self.validator.0);
        for signed in self.ballots() {
            writer.u8(signed.phase as u8).raw(&signed.block.0).raw(&signed.signature.0);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (epoch, view, validator) = (reader.epoch()?, reader.view()?, reader.validator()?);
        let mut signed = || -> Result<Signed, DecodeError> {
            let (phase, block) = (Phase::read(reader)?, reader.hash("block")?);
            Ok(Signed { phase, block, signature: reader.signature()? })
        };
        let (first, second) = (signed()?, signed()?);
        let canonical = (first.phase, first.block) <= (second.phase, second.block);
        match Self::of(epoch, view, validator, first, second) {
            Some(evidence) if canonical => Ok(evidence),
            _ => Err(DecodeError::Invalid { field: "evidence", reason: "no contradiction, or in the wrong order" }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::{GENESIS, Network};

    #[test]
    fn rule_e1_what_contradicts() {
        use Phase::{Commit, Prepare, Propose, ViewChange};
        let net = Network::new(&[1, 1, 1, 1]);
        // (first, its block, second, its block, evidence)
        let table = [
            (Propose, 1, Propose, 2, true),
            (Prepare, 1, Prepare, 2, true),
            (Commit, 1, Commit, 2, true),
            (Commit, 1, ViewChange, 0, true),
            (ViewChange, 1, Commit, 1, true),
            (Prepare, 1, Prepare, 1, false),
            (Prepare, 1, ViewChange, 0, false),
            (Propose, 1, Prepare, 2, false),
            (Prepare, 1, Commit, 2, false),
            (ViewChange, 1, ViewChange, 0, false),
        ];
        for (a, block_a, b, block_b, expected) in table {
            let signed = |phase, block| net.signed(3, phase, 5, block);
            let evidence = Evidence::of(Epoch(0), View(5), ValidatorIndex(3), signed(a, block_a), signed(b, block_b));
            assert_eq!(evidence.is_some(), expected, "{a:?} {block_a}, {b:?} {block_b}");
            if let Some(evidence) = evidence {
                assert!(evidence.verify(&net.set, &GENESIS));
                assert!(!evidence.verify(&net.set, &Hash::ZERO));
                assert_eq!(Evidence::decode(&evidence.encode()).unwrap(), evidence);
            }
        }
    }

    #[test]
    fn rule_e1_forged_evidence_accuses_nobody() {
        let net = Network::new(&[1, 1, 1, 1]);
        let (a, b) = (net.signed(3, Phase::Prepare, 5, 1), net.signed(2, Phase::Prepare, 5, 2));
        let forged = Evidence::of(Epoch(0), View(5), ValidatorIndex(3), a, b).unwrap();
        assert!(!forged.verify(&net.set, &GENESIS));
    }
}
