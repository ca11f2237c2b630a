//! `--validators` and `--stake`: how many validators, and how much each has at stake.

use std::str::FromStr;

use super::UsageError;

/// What four validators have when nothing is said.
const DEFAULT: [u64; 4] = [40, 30, 20, 10];

/// What each validator has when only their number is said.
const EQUAL: u64 = 10;

/// A list of stakes as given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stakes(Vec<u64>);

impl FromStr for Stakes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |part: &str| {
            part.trim()
                .parse()
                .map_err(|_| format!("expected whole numbers with commas such as 40,30,20,10, got \"{}\"", part.trim()))
        };
        text.split(',').map(parse).collect::<Result<_, _>>().map(Self)
    }
}

impl Stakes {
    /// The stakes of all validators from the two flags.
    pub(crate) fn resolve(validators: Option<usize>, stakes: Option<&Self>) -> Result<Vec<u64>, UsageError> {
        match (validators, stakes.map(|stakes| stakes.0.as_slice())) {
            (None, None) => Ok(DEFAULT.to_vec()),
            (Some(n), None) if n == DEFAULT.len() => Ok(DEFAULT.to_vec()),
            (Some(n), None) => Ok(vec![EQUAL; n]),
            (None, Some(stakes)) => Ok(stakes.to_vec()),
            (Some(n), Some([one])) => Ok(vec![*one; n]),
            (Some(n), Some(stakes)) if n == stakes.len() => Ok(stakes.to_vec()),
            (Some(n), Some(stakes)) => Err(UsageError(format!(
                "--validators says {n}, --stake has {} numbers: give one number per validator, or one \
                 for all",
                stakes.len()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn resolve(validators: Option<usize>, stakes: Option<&str>) -> Result<Vec<u64>, String> {
        let stakes: Option<Stakes> = stakes.map(|text| text.parse().unwrap());
        Stakes::resolve(validators, stakes.as_ref()).map_err(|error| error.to_string())
    }

    #[test]
    fn number_and_stakes_fit_together() {
        assert_eq!(resolve(None, None).unwrap(), [40, 30, 20, 10]);
        assert_eq!(resolve(Some(4), None).unwrap(), [40, 30, 20, 10]);
        assert_eq!(resolve(Some(2), None).unwrap(), [10, 10]);
        assert_eq!(resolve(None, Some("1, 2,3")).unwrap(), [1, 2, 3]);
        assert_eq!(resolve(Some(3), Some("7")).unwrap(), [7, 7, 7]);
        assert_eq!(resolve(Some(2), Some("5,6")).unwrap(), [5, 6]);
        let error = resolve(Some(3), Some("5,6")).unwrap_err();
        assert!(error.contains("--validators says 3, --stake has 2"), "{error}");
    }

    #[test]
    fn what_is_no_number_is_quoted() {
        for (text, quoted) in [("40,x", "\"x\""), ("", "\"\""), ("1,,2", "\"\""), ("-1", "\"-1\"")] {
            let error = text.parse::<Stakes>().unwrap_err();
            assert!(error.contains(quoted), "{error}");
        }
    }
}
