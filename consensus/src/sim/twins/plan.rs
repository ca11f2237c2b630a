//! What happens in a run: who reaches whom in each round, and what comes after. A plan with its set-up is one line of
//! text, from which it is played again.

use std::collections::{BTreeMap, BTreeSet};

use super::setup::Setup;
use crate::{ValidatorIndex, View};

/// Most validators, rounds and weight that a line of text may ask for.
const MAX_VALIDATORS: usize = 16;
const MAX_ROUNDS: usize = 64;
const MAX_NUMBER: u64 = 1_000_000;

/// Who reaches whom in one round.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Round {
    /// The group of each instance. Instances of one group reach each other.
    pub(super) groups: Vec<u8>,
    /// Groups that reach another one, which does not reach them.
    pub(super) one_way: Vec<(u8, u8)>,
}

impl Round {
    pub(super) fn of(groups: &[u8]) -> Self {
        Self { groups: groups.to_vec(), one_way: Vec::new() }
    }

    pub(super) fn reaches(&self, from: usize, to: usize) -> bool {
        match (self.groups.get(from), self.groups.get(to)) {
            (Some(from), Some(to)) => from == to || self.one_way.contains(&(*from, *to)),
            _ => false,
        }
    }
}

/// What becomes of the twins once everybody reaches everybody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum After {
    /// Both instances go on.
    Both,
    /// The second one falls silent.
    One,
    /// Both fall silent.
    Neither,
}

impl After {
    pub(super) const ALL: [Self; 3] = [Self::Both, Self::One, Self::Neither];

    const fn text(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::One => "one",
            Self::Neither => "neither",
        }
    }
}

/// One run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Plan {
    pub(super) rounds: Vec<Round>,
    pub(super) after: After,
    /// What was cut off arrives after the last round, instead of never.
    pub(super) late: bool,
    /// Everybody says everything again in each round, not only who is behind.
    pub(super) talkative: bool,
}

fn join<T: ToString>(items: impl Iterator<Item = T>, between: &str) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(between)
}

const fn yes_or_no(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}

fn round_text(round: &Round) -> String {
    let groups = join(round.groups.iter(), "");
    let ways = join(round.one_way.iter().map(|(from, to)| format!("{from}>{to}")), "+");
    if ways.is_empty() { groups } else { format!("{groups}:{ways}") }
}

/// The line that [`parse`] reads.
pub(super) fn script(setup: &Setup, plan: &Plan) -> String {
    format!(
        "weights={} twins={} first={} rounds={} after={} late={} talkative={}",
        join(setup.weights.iter(), ","),
        join(setup.twins.iter(), ","),
        setup.first,
        join(plan.rounds.iter().map(round_text), ","),
        plan.after.text(),
        yes_or_no(plan.late),
        yes_or_no(plan.talkative),
    )
}

/// A failure, told so that a person can follow it and play it again.
pub(super) fn tell(setup: &Setup, plan: &Plan, failure: &str) -> String {
    let mut text = format!("{failure}\n");
    let weights = join(setup.weights.iter(), ", ");
    text.push_str(&format!("  validators of weights {weights}; twice: {}\n", join(setup.twins.iter(), ", ")));
    for (round, view) in plan.rounds.iter().zip(setup.first.next().0..) {
        text.push_str(&format!("  view {view}, led by {}:{}\n", setup.set.leader(View(view)), heard(setup, round)));
    }
    let late = if plan.late { "what was cut off arrives, and " } else { "" };
    text.push_str(&format!("  then {late}everybody reaches everybody; of each twin go on: {}\n", plan.after.text()));
    let test = "cargo test -p assent-consensus --lib twins::tests::replay_of_a_line -- --nocapture";
    text.push_str(&format!("  again: ASSENT_TWINS_PLAN='{}' {test}", script(setup, plan)));
    text
}

/// The groups of a round, with the names of their instances.
fn heard(setup: &Setup, round: &Round) -> String {
    let members = |group: u8| {
        let of_group = round.groups.iter().enumerate().filter(|(_, other)| **other == group);
        join(of_group.map(|(instance, _)| setup.name(instance)), " ")
    };
    let groups: BTreeSet<u8> = round.groups.iter().copied().collect();
    let mut text: String = groups.iter().map(|group| format!(" {{{}}}", members(*group))).collect();
    for (from, to) in &round.one_way {
        text.push_str(&format!(", {{{}}} reaches {{{}}}", members(*from), members(*to)));
    }
    text
}

fn number(text: &str) -> Result<u64, String> {
    let number: u64 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    if number <= MAX_NUMBER { Ok(number) } else { Err(format!("{number}: at most {MAX_NUMBER} expected")) }
}

fn numbers(text: &str) -> Result<Vec<u64>, String> {
    if text.is_empty() { Ok(Vec::new()) } else { text.split(',').map(number).collect() }
}

fn flag(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        other => Err(format!("{other:?}: yes or no expected")),
    }
}

fn parse_group(text: &str) -> Result<u8, String> {
    text.parse().map_err(|_| format!("{text:?} is no group"))
}

fn parse_way(text: &str) -> Result<(u8, u8), String> {
    let (from, to) = text.split_once('>').ok_or_else(|| format!("{text:?}: group>group expected"))?;
    Ok((parse_group(from)?, parse_group(to)?))
}

fn parse_round(text: &str, instances: usize) -> Result<Round, String> {
    let (groups, ways) = text.split_once(':').unwrap_or((text, ""));
    let digit = |digit: char| digit.to_digit(10).and_then(|digit| u8::try_from(digit).ok());
    let groups: Option<Vec<u8>> = groups.chars().map(digit).collect();
    let groups = groups
        .filter(|groups| groups.len() == instances)
        .ok_or_else(|| format!("{text:?}: {instances} digits expected, the group of each instance"))?;
    let one_way = ways.split('+').filter(|way| !way.is_empty()).map(parse_way).collect::<Result<Vec<_>, String>>()?;
    Ok(Round { groups, one_way })
}

fn parse_setup(weights: &str, twins: &str, first: &str) -> Result<Setup, String> {
    let weights = numbers(weights)?;
    if weights.len() > MAX_VALIDATORS || weights.iter().sum::<u64>() == 0 {
        return Err(format!("weights of 1 to {MAX_VALIDATORS} validators expected, not all of them 0"));
    }
    let positions: BTreeSet<u64> = numbers(twins)?.into_iter().collect();
    let index = |position: &u64| match u16::try_from(*position) {
        Ok(index) if usize::from(index) < weights.len() => Ok(ValidatorIndex(index)),
        _ => Err(format!("there is no validator {position}")),
    };
    let twins = positions.iter().map(index).collect::<Result<Vec<_>, String>>()?;
    Ok(Setup::new(&weights, &twins, View(number(first)?)))
}

/// Reads what [`script`] writes.
pub(super) fn parse(text: &str) -> Result<(Setup, Plan), String> {
    let mut words: BTreeMap<&str, &str> = BTreeMap::new();
    for word in text.split_whitespace() {
        let (key, value) = word.split_once('=').ok_or_else(|| format!("{word:?}: key=value expected"))?;
        words.insert(key, value);
    }
    let word = |key: &str| words.get(key).copied().ok_or_else(|| format!("{key}= is missing"));
    let setup = parse_setup(word("weights")?, word("twins")?, word("first")?)?;
    let rounds = word("rounds")?
        .split(',')
        .filter(|round| !round.is_empty())
        .map(|round| parse_round(round, setup.instances.len()))
        .collect::<Result<Vec<_>, String>>()?;
    if rounds.len() > MAX_ROUNDS {
        return Err(format!("{} rounds: at most {MAX_ROUNDS} expected", rounds.len()));
    }
    let after = word("after")?;
    let after = After::ALL
        .into_iter()
        .find(|known| known.text() == after)
        .ok_or_else(|| format!("{after:?}: both, one or neither expected"))?;
    let (late, talkative) = (flag(word("late")?)?, flag(word("talkative")?)?);
    Ok((setup, Plan { rounds, after, late, talkative }))
}
