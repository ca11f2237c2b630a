//! From stakes to a validator set.
//!
//! The weight rules, in checked 128-bit integers: nothing rounds but the one division at the end,
//! downwards.

use assent_consensus::{Epoch, MAX_TOTAL_WEIGHT, Validator, ValidatorSet, ValidatorSetError, Weight};

use crate::{Genesis, ValidatorSpec, VoteEscrow, WeightRule};

/// Why the stakes of a genesis give no validator set.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WeightError {
    /// One validator weighs more than all may together.
    #[error(
        "the weight of validator {name} is above {MAX_TOTAL_WEIGHT}, the most that all validators \
         may weigh together: lower its stake or the coefficient"
    )]
    TooHeavy {
        /// The validator.
        name: String,
    },
    /// The coefficient divides by zero.
    #[error("the coefficient of the weight rule has the denominator 0: use at least 1")]
    Denominator,
    /// The longest lock is no whole number of seconds from 1 to 2^32 - 1.
    #[error("the longest lock of the weight rule must be a whole number of seconds, at least 1")]
    LongestLock,
    /// The weights are no validator set.
    #[error(transparent)]
    Set(#[from] ValidatorSetError),
}

impl Genesis {
    /// The validators with the weights that they have at a time, in the file's order.
    pub fn validator_set(&self, epoch: Epoch, at_unix_seconds: u64) -> Result<ValidatorSet, WeightError> {
        let mut validators = Vec::with_capacity(self.assent.validators.len());
        for validator in &self.assent.validators {
            let weight = self.assent.weight.weight(validator, at_unix_seconds)?;
            validators.push(Validator { key: validator.key, weight });
        }
        Ok(ValidatorSet::new(epoch, validators)?)
    }
}

impl WeightRule {
    /// The weight of a validator at a time.
    pub fn weight(&self, validator: &ValidatorSpec, at_unix_seconds: u64) -> Result<Weight, WeightError> {
        let weight = match self {
            Self::Stake => u128::from(validator.stake),
            Self::VoteEscrow(escrow) => {
                let locked_until = validator.locked_until.unwrap_or(0);
                escrow.weight(validator.stake, locked_until.saturating_sub(at_unix_seconds))?
            }
        };
        match u64::try_from(weight) {
            Ok(weight) if weight <= MAX_TOTAL_WEIGHT => Ok(Weight(weight)),
            _ => Err(WeightError::TooHeavy { name: validator.name.clone() }),
        }
    }
}

impl VoteEscrow {
    /// The longest lock in seconds, if it is a whole number of them that fits.
    pub(crate) fn longest_seconds(&self) -> Result<u32, WeightError> {
        let whole = self.longest_lock.subsec_nanos() == 0;
        match u32::try_from(self.longest_lock.as_secs()) {
            Ok(seconds) if whole && seconds > 0 => Ok(seconds),
            _ => Err(WeightError::LongestLock),
        }
    }

    /// `floor(stake * coefficient * remaining / longest)`, which is the rule with `elapsed =
    /// longest - remaining`; more than the longest lock counts as the longest. The product has at
    /// most 64 + 32 + 32 bits.
    fn weight(&self, stake: u64, remaining_seconds: u64) -> Result<u128, WeightError> {
        let longest = u128::from(self.longest_seconds()?);
        let remaining = u128::from(remaining_seconds).min(longest);
        let product = u128::from(stake) * u128::from(self.coefficient.numerator) * remaining;
        product.checked_div(u128::from(self.coefficient.denominator) * longest).ok_or(WeightError::Denominator)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use assent_consensus::PublicKey;
    use proptest::prelude::*;

    use super::*;
    use crate::Fraction;

    const DAY: u64 = 86_400;

    fn validator(stake: u64, locked_until: Option<u64>) -> ValidatorSpec {
        ValidatorSpec {
            name: "a".to_owned(),
            key: PublicKey([1; 32]),
            node_key: PublicKey([2; 32]),
            stake,
            fee_recipient: Default::default(),
            locked_until,
            org: None,
            region: None,
        }
    }

    fn escrow(numerator: u32, denominator: u32, longest_seconds: u64) -> WeightRule {
        WeightRule::VoteEscrow(VoteEscrow {
            coefficient: Fraction { numerator, denominator },
            longest_lock: Duration::from_secs(longest_seconds),
        })
    }

    #[test]
    fn by_stake_the_weight_is_the_stake() {
        for stake in [0, 1, MAX_TOTAL_WEIGHT] {
            let weight = WeightRule::Stake.weight(&validator(stake, Some(7)), 9);
            assert_eq!(weight, Ok(Weight(stake)));
        }
        let error = WeightRule::Stake.weight(&validator(MAX_TOTAL_WEIGHT + 1, None), 0);
        assert_eq!(error, Err(WeightError::TooHeavy { name: "a".to_owned() }));
    }

    #[test]
    fn hundred_tokens_with_60_of_90_days_left_weigh_66() {
        let at = 1_000_000;
        let weight = escrow(1, 1, 90 * DAY).weight(&validator(100, Some(at + 60 * DAY)), at);
        assert_eq!(weight, Ok(Weight(66)));
    }

    #[test]
    fn edges_of_the_lock() {
        let at = 1_000_000;
        // (lock ends, weight of 100)
        for (locked_until, expected) in [
            (None, 0),
            (Some(0), 0),
            (Some(at), 0),
            (Some(at + 1), 0),
            (Some(at + 90 * DAY / 100), 1),
            (Some(at + 90 * DAY - 1), 99),
            (Some(at + 90 * DAY), 100),
            (Some(at + 90 * DAY + 1), 100),
            (Some(u64::MAX), 100),
        ] {
            let weight = escrow(1, 1, 90 * DAY).weight(&validator(100, locked_until), at);
            assert_eq!(weight, Ok(Weight(expected)), "{locked_until:?}");
        }
    }

    #[test]
    fn the_coefficient_is_exact() {
        let at = 0;
        // (numerator, denominator, stake, remaining of 3 seconds, weight)
        for (numerator, denominator, stake, remaining, expected) in [
            (1, 3, 9, 3, 3),
            (1, 3, 9, 1, 1),
            (1, 3, 8, 3, 2),
            (5, 2, 10, 3, 25),
            (0, 1, 10, 3, 0),
            (u32::MAX, u32::MAX, MAX_TOTAL_WEIGHT, 3, MAX_TOTAL_WEIGHT),
        ] {
            let rule = escrow(numerator, denominator, 3);
            let weight = rule.weight(&validator(stake, Some(remaining)), at);
            assert_eq!(weight, Ok(Weight(expected)));
        }
    }

    #[test]
    fn impossible_rules_are_errors() {
        let validator = validator(u64::MAX, Some(u64::MAX));
        assert_eq!(escrow(1, 0, 9).weight(&validator, 0), Err(WeightError::Denominator));
        assert_eq!(escrow(1, 1, 0).weight(&validator, 0), Err(WeightError::LongestLock));
        assert_eq!(escrow(1, 1, 1 << 32).weight(&validator, 0), Err(WeightError::LongestLock));
        let largest = escrow(u32::MAX, 1, u64::from(u32::MAX)).weight(&validator, 0);
        assert_eq!(largest, Err(WeightError::TooHeavy { name: "a".to_owned() }));
    }

    proptest! {
        #[test]
        fn weight_never_grows_with_time_nor_exceeds_the_stake(
            stake in 0..=MAX_TOTAL_WEIGHT, longest in 1..=u32::MAX,
            locked_until in any::<u64>(), at in any::<u64>(), later in any::<u64>(),
        ) {
            let rule = escrow(1, 1, u64::from(longest));
            let validator = validator(stake, Some(locked_until));
            let now = rule.weight(&validator, at).unwrap();
            let then = rule.weight(&validator, at.saturating_add(later)).unwrap();
            prop_assert!(then <= now);
            prop_assert!(now.0 <= stake);
        }
    }
}
