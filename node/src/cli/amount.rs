//! Amounts of ether as people write and read them: `1.5ether`, `20gwei`, `1000wei`.
//!
//! A number without a unit is refused (but for 0): a mistake by a factor of 10^18 costs money.

use std::str::FromStr;

use alloy_primitives::{U256, utils::format_ether};

/// The units and the number of their decimals.
const UNITS: [(&str, usize); 3] = [("ether", 18), ("gwei", 9), ("wei", 0)];

/// An amount in wei, from a number with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Amount(pub(super) U256);

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| {
            format!("expected an amount with its unit such as 1ether, 0.5ether, 20gwei or 1000wei, got \"{text}\"{why}")
        };
        if text == "0" {
            return Ok(Self(U256::ZERO));
        }
        let unit = UNITS.iter().find_map(|(unit, decimals)| Some((text.strip_suffix(unit)?.trim_end(), *decimals)));
        let Some((number, decimals)) = unit else {
            return Err(refuse(if text.parse::<f64>().is_ok() { ", which names no unit" } else { "" }));
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || (number.contains('.') && !digits(fraction)) {
            return Err(refuse(""));
        }
        if fraction.len() > decimals {
            return Err(refuse(", which is less than a whole wei"));
        }
        let wei = format!("{whole}{fraction:0<decimals$}");
        U256::from_str_radix(&wei, 10).map(Self).map_err(|_| refuse(", which is more than 256 bits hold"))
    }
}

/// An amount in ether and in wei.
pub(super) fn ether(wei: U256) -> String {
    if wei.is_zero() {
        return "0".to_string();
    }
    let text = format_ether(wei);
    let short = text.trim_end_matches('0').trim_end_matches('.');
    format!("{short} ether ({wei} wei)")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn wei(text: &str) -> Result<U256, String> {
        text.parse::<Amount>().map(|amount| amount.0)
    }

    #[test]
    fn amounts_have_a_unit() {
        let ether = U256::from(10).pow(U256::from(18));
        for (text, expected) in [
            ("1ether", ether),
            ("1 ether", ether),
            ("0.5ether", ether / U256::from(2)),
            ("0.000000000000000001ether", U256::from(1)),
            ("20gwei", U256::from(20_000_000_000_u64)),
            ("1.5gwei", U256::from(1_500_000_000)),
            ("7wei", U256::from(7)),
            ("0wei", U256::ZERO),
            ("0", U256::ZERO),
            ("007wei", U256::from(7)),
        ] {
            assert_eq!(wei(text).unwrap(), expected, "{text}");
        }
        for (text, why) in [
            ("1", "names no unit"),
            ("1.5", "names no unit"),
            ("", "expected an amount"),
            ("ether", "expected an amount"),
            ("-1ether", "expected an amount"),
            ("+1ether", "expected an amount"),
            (".5ether", "expected an amount"),
            ("1.ether", "expected an amount"),
            ("1e3wei", "expected an amount"),
            ("1.5wei", "less than a whole wei"),
            ("0.0000000000000000001ether", "less than a whole wei"),
            (&format!("1{}ether", "0".repeat(60)), "more than 256 bits"),
            (&format!("{}wei", "9".repeat(200)), "more than 256 bits"),
        ] {
            let error = wei(text).unwrap_err();
            assert!(error.contains(why) && error.contains(&format!("\"{text}\"")), "{error}");
        }
    }

    #[test]
    fn amounts_are_read_in_ether_and_wei() {
        let ether_text = |text: &str| ether(wei(text).unwrap());
        assert_eq!(ether_text("0"), "0");
        assert_eq!(ether_text("1ether"), "1 ether (1000000000000000000 wei)");
        assert_eq!(ether_text("10000ether"), "10000 ether (10000000000000000000000 wei)");
        assert_eq!(ether_text("1.5ether"), "1.5 ether (1500000000000000000 wei)");
        assert_eq!(ether_text("7wei"), "0.000000000000000007 ether (7 wei)");
        assert!(ether(U256::MAX).ends_with("wei)"));
    }
}
