//! How durations, amounts and public keys are written in JSON.
//!
//! Each value has one written form, which the genesis hash relies on; reading is more generous.

use std::{fmt, time::Duration};

use alloy_primitives::hex;
use assent_consensus::PublicKey;
use serde::{Deserialize as _, Deserializer, Serializer, de};

/// Durations with their unit: the largest one that leaves a whole number, so `"90d"`, `"90s"`,
/// `"50ms"`. Read as [`humantime::parse_duration`] does.
pub(crate) mod duration {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&Written(*value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        from.deserialize_str(DurationVisitor)
    }

    /// The same for a value that may be absent.
    pub(crate) mod opt {
        use super::*;

        pub(crate) fn serialize<S: Serializer>(value: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
            match value {
                Some(value) => super::serialize(value, to),
                None => to.serialize_none(),
            }
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
            super::deserialize(from).map(Some)
        }
    }

    struct DurationVisitor;

    impl de::Visitor<'_> for DurationVisitor {
        type Value = Duration;

        fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
            to.write_str("a duration with its unit such as \"50ms\", \"10s\" or \"90d\"")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
            humantime::parse_duration(text).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }
}

/// A duration as people and genesis files write it.
pub(crate) struct Written(pub(crate) Duration);

impl fmt::Display for Written {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u128, &str); 7] = [
            (86_400_000_000_000, "d"),
            (3_600_000_000_000, "h"),
            (60_000_000_000, "m"),
            (1_000_000_000, "s"),
            (1_000_000, "ms"),
            (1_000, "us"),
            (1, "ns"),
        ];
        let nanoseconds = self.0.as_nanos();
        if nanoseconds == 0 {
            return to.write_str("0s");
        }
        match UNITS.iter().find(|(size, _)| nanoseconds.is_multiple_of(*size)) {
            Some((size, unit)) => write!(to, "{}{unit}", nanoseconds / size),
            None => write!(to, "{nanoseconds}ns"),
        }
    }
}

/// Whole numbers that may be large: written as a number while every JSON reader keeps it exactly
/// (up to 2^53 - 1), as a decimal string above. Read in both forms.
pub(crate) mod amount {
    use super::*;

    /// The largest whole number that a reader with 64-bit floats keeps exactly.
    const MAX_EXACT: u64 = (1 << 53) - 1;

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(crate) fn serialize<S: Serializer>(value: &u64, to: S) -> Result<S::Ok, S::Error> {
        if *value <= MAX_EXACT { to.serialize_u64(*value) } else { to.collect_str(value) }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        from.deserialize_any(AmountVisitor)
    }

    struct AmountVisitor;

    impl de::Visitor<'_> for AmountVisitor {
        type Value = u64;

        fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
            to.write_str("a whole number from 0 to 18446744073709551615, or a string of its digits")
        }

        fn visit_u64<E: de::Error>(self, value: u64) -> Result<u64, E> {
            Ok(value)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            match text.parse() {
                Ok(value) if digits => Ok(value),
                _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
            }
        }
    }
}

/// ed25519 public keys: `0x` and 64 hexadecimal digits.
pub(crate) mod public_key {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(key: &PublicKey, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode_prefixed(key.0))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PublicKey, D::Error> {
        let text = String::deserialize(from)?;
        parse_public_key(&text).ok_or_else(|| {
            de::Error::invalid_value(de::Unexpected::Str(&text), &"an ed25519 public key, 0x and 64 hexadecimal digits")
        })
    }
}

/// Reads `0x` and 64 hexadecimal digits.
pub(crate) fn parse_public_key(text: &str) -> Option<PublicKey> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.strip_prefix("0x")?, &mut bytes).ok()?;
    Some(PublicKey(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Values {
        #[serde(with = "duration")]
        duration: Duration,
        #[serde(with = "amount")]
        amount: u64,
        #[serde(with = "public_key")]
        key: PublicKey,
    }

    #[test]
    fn durations_are_written_in_their_largest_whole_unit() {
        for (duration, written) in [
            (Duration::ZERO, "0s"),
            (Duration::from_millis(50), "50ms"),
            (Duration::from_millis(1_500), "1500ms"),
            (Duration::from_secs(90), "90s"),
            (Duration::from_secs(120), "2m"),
            (Duration::from_secs(90 * 86_400), "90d"),
            (Duration::from_nanos(1), "1ns"),
            (Duration::from_micros(3), "3us"),
        ] {
            assert_eq!(Written(duration).to_string(), written);
            assert_eq!(humantime::parse_duration(written).unwrap(), duration);
        }
    }

    #[test]
    fn amounts_are_read_as_numbers_and_strings_and_written_in_one_form() {
        let key = format!("0x{}", "ab".repeat(32));
        for (json, value, written) in [
            ("40", 40, "40"),
            ("\"40\"", 40, "40"),
            ("9007199254740991", (1 << 53) - 1, "9007199254740991"),
            ("\"9007199254740992\"", 1 << 53, "\"9007199254740992\""),
            ("18446744073709551615", u64::MAX, "\"18446744073709551615\""),
        ] {
            let text = format!(r#"{{"duration":"1s","amount":{json},"key":"{key}"}}"#);
            let values: Values = serde_json::from_str(&text).unwrap();
            assert_eq!(values.amount, value);
            let again = serde_json::to_string(&values).unwrap();
            assert_eq!(again, format!(r#"{{"duration":"1s","amount":{written},"key":"{key}"}}"#));
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_with_what_was_expected() {
        let key = format!("0x{}", "ab".repeat(32));
        let good = |field: &str, json: &str| {
            let mut parts =
                vec![("duration", "\"1s\"".to_owned()), ("amount", "1".to_owned()), ("key", format!("\"{key}\""))];
            for part in &mut parts {
                if part.0 == field {
                    json.clone_into(&mut part.1);
                }
            }
            let fields: Vec<_> = parts.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
            serde_json::from_str::<Values>(&format!("{{{}}}", fields.join(",")))
        };
        assert!(good("none", "").is_ok());
        for (field, json, expected) in [
            ("duration", "50", "a duration with its unit"),
            ("duration", "\"50\"", "a duration with its unit"),
            ("duration", "\"-1s\"", "a duration with its unit"),
            ("amount", "-1", "a whole number from 0"),
            ("amount", "1.5", "a whole number from 0"),
            ("amount", "\"\"", "a whole number from 0"),
            ("amount", "\"+1\"", "a whole number from 0"),
            ("amount", "\"18446744073709551616\"", "a whole number from 0"),
            ("amount", "null", "a whole number from 0"),
            ("key", "\"ab\"", "0x and 64 hexadecimal digits"),
            ("key", "\"0xabcd\"", "0x and 64 hexadecimal digits"),
            ("key", "7", "a string"),
        ] {
            let error = good(field, json).map(drop).unwrap_err().to_string();
            assert!(error.contains(expected), "{field} {json}: {error}");
        }
    }
}
