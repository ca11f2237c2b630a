//! `assent genesis analyze`: what the validators of a genesis file withstand.

use std::{path::PathBuf, str::FromStr};

use anyhow::Result;
use assent_genesis::{
    Genesis,
    analysis::{self, GroupBy, Member, Options},
};
use clap::Args;

use super::report;
use crate::cli::{UsageError, print};

#[derive(Debug, Args)]
pub(super) struct AnalyzeArgs {
    /// The genesis file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How much of the time each validator is up, from 0 to 1
    #[arg(long, value_name = "P", default_value = "0.99", value_parser = probability)]
    up_probability: f64,
    /// The same for one validator; may be repeated
    #[arg(long, value_name = "NAME=P")]
    up: Vec<Up>,
    /// The label by which validators are lost together: org or region [default: both, where there are any]
    #[arg(long, value_name = "LABEL")]
    group: Option<GroupBy>,
    /// Print JSON for scripts
    #[arg(long)]
    json: bool,
}

/// `NAME=P`.
#[derive(Debug, Clone, PartialEq)]
struct Up {
    name: String,
    probability: f64,
}

impl FromStr for Up {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((name, up)) = text.split_once('=') else {
            return Err(format!("expected a validator's name and a probability such as node0=0.95, got \"{text}\""));
        };
        Ok(Self { name: name.to_owned(), probability: probability(up)? })
    }
}

fn probability(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| analysis::is_probability(*number));
    number.ok_or_else(|| format!("expected a probability from 0 to 1 such as 0.99, got \"{text}\""))
}

pub(super) fn run(args: &AnalyzeArgs) -> Result<()> {
    let (genesis, _) = Genesis::load(&args.file)?;
    let mut members = genesis.members()?;
    take_up(&mut members, &args.up)?;
    let options = Options { up_probability: args.up_probability, group: args.group };
    let analysis = analysis::analyze(&members, &options);
    if args.json {
        return print(&format!("{}\n", serde_json::to_string_pretty(&analysis)?));
    }
    print(&report::report(&analysis, genesis.chain_id()))
}

/// Gives validators the probabilities that were named.
fn take_up(members: &mut [Member], given: &[Up]) -> Result<(), UsageError> {
    for up in given {
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        let known = names.join(", ");
        let Some(member) = members.iter_mut().find(|member| member.name == up.name) else {
            return Err(UsageError(format!("--up names {:?}, expected one of the validators: {known}", up.name)));
        };
        if member.up_probability.is_some() {
            return Err(UsageError(format!("--up names {} twice: give one probability", up.name)));
        }
        member.up_probability = Some(up.probability);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn probabilities_are_from_0_to_1_and_anything_else_is_quoted() {
        assert_eq!("node0=0.95".parse::<Up>().unwrap(), Up { name: "node0".to_owned(), probability: 0.95 });
        assert_eq!(probability("1"), Ok(1.0));
        for text in ["1.5", "-0.1", "NaN", "", "99%"] {
            assert!(probability(text).unwrap_err().contains(&format!("got \"{text}\"")), "{text}");
        }
        assert!("node0".parse::<Up>().unwrap_err().contains("node0=0.95"));
        assert!("node0=x".parse::<Up>().unwrap_err().contains("got \"x\""));
    }

    #[test]
    fn only_known_validators_get_a_probability_and_only_one() {
        let mut members = vec![Member::new("a", 1), Member::new("b", 1)];
        let up = |name: &str| Up { name: name.to_owned(), probability: 0.5 };
        take_up(&mut members, &[up("b")]).unwrap();
        assert_eq!((members[0].up_probability, members[1].up_probability), (None, Some(0.5)));
        let unknown = take_up(&mut members, &[up("c")]).unwrap_err().to_string();
        assert_eq!(unknown, "--up names \"c\", expected one of the validators: a, b");
        assert!(take_up(&mut members, &[up("b")]).unwrap_err().to_string().contains("twice"));
    }
}
