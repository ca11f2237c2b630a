//! Rules for the section `assent`: validators, nodes, weights, consensus and fees.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use assent_consensus::{Epoch, MAX_TOTAL_WEIGHT, MAX_VALIDATORS, PublicKey};

use super::{
    Findings, MAX_ADDRESSES_PER_NODE, MAX_BLOCK_BYTES, MAX_BLOCK_TRANSACTIONS, MAX_INTERVAL, MAX_NAME_LENGTH,
    MAX_NODES, MIN_BLOCK_BYTES,
};
use crate::{
    ConsensusParams, Genesis, NodeSpec, ValidatorSpec, WeightError, WeightRule,
    analysis::{self, GroupBy, Member, Weights},
    format::Written,
    keys,
};

/// Checks the section `assent`.
pub(super) fn check(genesis: &Genesis, findings: &mut Findings) {
    let spec = &genesis.assent;
    validators(&spec.validators, findings);
    nodes(&spec.nodes, findings);
    keys_across(&spec.validators, &spec.nodes, findings);
    consensus(&spec.consensus, findings);
    if spec.fees.min_gas_price != 0 && spec.fees.min_gas_price < spec.fees.base_fee {
        findings.warning(
            "assent.fees.minGasPrice",
            format!("has no effect below assent.fees.baseFee ({})", spec.fees.base_fee),
        );
    }
    weights(genesis, findings);
}

fn validator_field(index: usize, field: &str) -> String {
    format!("assent.validators[{index}].{field}")
}

fn node_field(index: usize, field: &str) -> String {
    format!("assent.nodes[{index}].{field}")
}

fn validators(validators: &[ValidatorSpec], findings: &mut Findings) {
    let field = "assent.validators";
    match validators.len() {
        0 => findings.error(field, "is empty: a chain needs at least one validator"),
        count if count > MAX_VALIDATORS => {
            findings.error(field, format!("holds {count}, at most {MAX_VALIDATORS} are possible"));
        }
        _ => {}
    }
    let (mut names, mut keys, mut node_keys) = (Seen::new(), Seen::new(), Seen::new());
    for (index, validator) in validators.iter().enumerate() {
        let at = |field: &str| validator_field(index, field);
        name(at("name"), &validator.name, findings);
        key(at("key"), &validator.key, findings);
        key(at("nodeKey"), &validator.node_key, findings);
        once(&mut names, &validator.name, at("name"), findings);
        once(&mut keys, &validator.key, at("key"), findings);
        once(&mut node_keys, &validator.node_key, at("nodeKey"), findings);
        for (label, text) in [("org", &validator.org), ("region", &validator.region)] {
            if text.as_ref().is_some_and(|text| text.chars().count() > MAX_NAME_LENGTH) {
                findings.error(at(label), format!("is longer than {MAX_NAME_LENGTH} characters"));
            }
        }
    }
}

fn nodes(nodes: &[NodeSpec], findings: &mut Findings) {
    if nodes.len() > MAX_NODES {
        let count = nodes.len();
        findings.error("assent.nodes", format!("holds {count}, at most {MAX_NODES} are possible"));
    }
    let (mut names, mut keys) = (Seen::new(), Seen::new());
    for (index, node) in nodes.iter().enumerate() {
        let at = |field: &str| node_field(index, field);
        name(at("name"), &node.name, findings);
        key(at("key"), &node.key, findings);
        once(&mut names, &node.name, at("name"), findings);
        once(&mut keys, &node.key, at("key"), findings);
        if node.addresses.len() > MAX_ADDRESSES_PER_NODE {
            let count = node.addresses.len();
            let most = MAX_ADDRESSES_PER_NODE;
            findings.error(at("addresses"), format!("holds {count}, at most {most} are possible"));
        }
        for (position, text) in node.addresses.iter().enumerate() {
            if let Err(problem) = address(text) {
                findings.error(at(&format!("addresses[{position}]")), problem);
            }
        }
    }
}

/// A validator votes with one key and talks with another, which the node list must hold.
fn keys_across(validators: &[ValidatorSpec], nodes: &[NodeSpec], findings: &mut Findings) {
    let mut voting = BTreeMap::new();
    for (index, validator) in validators.iter().enumerate() {
        voting.insert(validator.key, index);
        if !nodes.iter().any(|node| node.key == validator.node_key) {
            findings.error(
                validator_field(index, "nodeKey"),
                format!("{} is not in assent.nodes: add the node there", validator.node_key),
            );
        }
    }
    for (index, node) in nodes.iter().enumerate() {
        if let Some(validator) = voting.get(&node.key) {
            findings.error(
                node_field(index, "key"),
                format!(
                    "is also {}: one key must not serve votes and network; make another",
                    validator_field(*validator, "key")
                ),
            );
        }
    }
}

/// Values seen so far, and where.
type Seen<'a, T> = BTreeMap<&'a T, String>;

fn once<'a, T: Ord + std::fmt::Display>(seen: &mut Seen<'a, T>, value: &'a T, field: String, findings: &mut Findings) {
    match seen.get(value) {
        Some(first) => findings.error(field, format!("{value} is already {first}")),
        None => {
            seen.insert(value, field);
        }
    }
}

fn key(field: String, key: &PublicKey, findings: &mut Findings) {
    if !keys::is_valid(key) {
        findings.error(field, format!("{key} is not an ed25519 public key"));
    }
}

/// Names stand in logs, metrics and folder names.
fn name(field: String, name: &str, findings: &mut Findings) {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let fits = (1..=MAX_NAME_LENGTH).contains(&name.len()) && !name.starts_with(['.', '-']);
    if !fits || !name.bytes().all(allowed) {
        findings.error(
            field,
            format!(
                "must be 1 to {MAX_NAME_LENGTH} letters, digits, '-', '_' or '.', not starting with \
                 '-' or '.', got {name:?}"
            ),
        );
    }
}

/// `/ip4/10.0.0.1/tcp/30303`, `/ip6/::1/tcp/30303` or `/dns/node.example.org/tcp/30303`.
fn address(text: &str) -> Result<(), String> {
    let parts: Vec<&str> = text.split('/').collect();
    let ["", kind, host, "tcp", port] = parts[..] else {
        return Err(format!(
            "expected an address such as \"/ip4/10.0.0.1/tcp/30303\" or \
             \"/dns/node.example.org/tcp/30303\", got {text:?}"
        ));
    };
    let host_fits = match kind {
        "ip4" => host.parse::<Ipv4Addr>().is_ok(),
        "ip6" => host.parse::<Ipv6Addr>().is_ok(),
        "dns" | "dns4" | "dns6" => is_host_name(host),
        _ => return Err(format!("expected ip4, ip6, dns, dns4 or dns6, got {kind:?} in {text:?}")),
    };
    if !host_fits {
        return Err(format!("{host:?} is not a host for {kind} in {text:?}"));
    }
    match port.parse::<u16>() {
        Ok(1..) => Ok(()),
        _ => Err(format!("expected a port from 1 to 65535, got {port:?} in {text:?}")),
    }
}

fn is_host_name(host: &str) -> bool {
    let label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        (1..=63).contains(&label.len()) && label.bytes().all(allowed)
    };
    host.len() <= 253 && host.trim_end_matches('.').split('.').all(label)
}

fn consensus(params: &ConsensusParams, findings: &mut Findings) {
    let millisecond = Duration::from_millis(1);
    let day = MAX_INTERVAL;
    // (field, value, least, what that is, most, what that is)
    let intervals = [
        ("minBlockInterval", params.min_block_interval, millisecond, "", day, ""),
        ("viewTimeout", params.view_timeout, params.min_block_interval, "minBlockInterval", day, ""),
        ("viewTimeoutMax", params.view_timeout_max, params.view_timeout, "viewTimeout", day, ""),
        (
            "retransmitInterval",
            params.retransmit_interval,
            Duration::from_millis(10),
            "",
            params.view_timeout_max,
            "viewTimeoutMax",
        ),
        ("maxClockSkew", params.max_clock_skew, Duration::from_millis(10), "", day, ""),
    ];
    for (field, value, least, least_field, most, most_field) in intervals {
        interval(field, value, (least, least_field), (most, most_field), findings);
    }
    if !params.empty_block_interval.is_zero() {
        let least = (params.min_block_interval, "minBlockInterval");
        interval("emptyBlockInterval", params.empty_block_interval, least, (day, ""), findings);
    }
    let bytes = params.max_block_bytes;
    if !(MIN_BLOCK_BYTES..=MAX_BLOCK_BYTES).contains(&bytes) {
        findings.error(
            "assent.consensus.maxBlockBytes",
            format!("must be from {MIN_BLOCK_BYTES} to {MAX_BLOCK_BYTES}, got {bytes}"),
        );
    }
    let transactions = params.max_block_transactions;
    if !(1..=MAX_BLOCK_TRANSACTIONS).contains(&transactions) {
        findings.error(
            "assent.consensus.maxBlockTransactions",
            format!("must be from 1 to {MAX_BLOCK_TRANSACTIONS}, got {transactions}"),
        );
    }
    let length = params.epoch_length;
    if length != 0 {
        findings.error(
            "assent.consensus.epochLength",
            format!("must be 0 (one epoch without end), got {length}: this version does not change validators yet"),
        );
    }
}

/// A duration in whole milliseconds between two bounds, each with the field that it comes from.
fn interval(
    field: &str,
    value: Duration,
    (least, least_field): (Duration, &str),
    (most, most_field): (Duration, &str),
    findings: &mut Findings,
) {
    let field = format!("assent.consensus.{field}");
    let bound = |bound: Duration, from: &str| match from {
        "" => Written(bound).to_string(),
        from => format!("assent.consensus.{from} ({})", Written(bound)),
    };
    let got = Written(value);
    if value < least {
        let least = bound(least, least_field);
        findings.error(field, format!("must be at least {least}, got {got}"));
    } else if value > most {
        let most = bound(most, most_field);
        findings.error(field, format!("must be at most {most}, got {got}"));
    } else if !value.subsec_nanos().is_multiple_of(1_000_000) {
        findings.error(field, format!("must be whole milliseconds, got {got}"));
    }
}

/// What the validators weigh at the start, and what that means.
fn weights(genesis: &Genesis, findings: &mut Findings) {
    let spec = &genesis.assent;
    let at = genesis.ethereum.timestamp;
    if !weight_rule(genesis, findings) {
        return;
    }
    let mut total = 0_u128;
    for (index, validator) in spec.validators.iter().enumerate() {
        let weight = match spec.weight.weight(validator, at) {
            Ok(weight) => weight.0,
            Err(error) => return findings.error(validator_field(index, "stake"), error.to_string()),
        };
        total += u128::from(weight);
        if total > u128::from(MAX_TOTAL_WEIGHT) {
            return findings.error(
                validator_field(index, "stake"),
                format!("takes the total weight to {total}, at most {MAX_TOTAL_WEIGHT} is possible"),
            );
        }
    }
    if total == 0 {
        if !spec.validators.is_empty() {
            let message = "the total weight is 0: give validators a stake (and, with the weight \
                           rule voteEscrow, a lock that lasts beyond the genesis time)";
            findings.error("assent.validators", message);
        }
        return;
    }
    // More than that is an error that was told already.
    if spec.validators.len() <= MAX_VALIDATORS
        && let Ok(members) = genesis.members()
    {
        fault_tolerance(&members, findings);
    }
    if !findings.has_errors()
        && let Err(error) = genesis.validator_set(Epoch(0), at)
    {
        findings.error("assent.validators", error.to_string());
    }
}

/// Checks the weight rule; false when no weight can be computed with it.
fn weight_rule(genesis: &Genesis, findings: &mut Findings) -> bool {
    let validators = &genesis.assent.validators;
    let WeightRule::VoteEscrow(escrow) = &genesis.assent.weight else {
        for (index, _) in validators.iter().enumerate().filter(|(_, it)| it.locked_until.is_some()) {
            let message = "has no effect with the weight rule stake";
            findings.warning(validator_field(index, "lockedUntil"), message);
        }
        return true;
    };
    if escrow.coefficient.denominator == 0 {
        findings.error("assent.weight.coefficient.denominator", "must not be 0");
        return false;
    }
    if escrow.coefficient.numerator == 0 {
        findings.error("assent.weight.coefficient.numerator", "must not be 0: nobody would weigh");
        return false;
    }
    let Ok(longest) = escrow.longest_seconds() else {
        let error = WeightError::LongestLock;
        let got = Written(escrow.longest_lock);
        findings.error("assent.weight.longestLock", format!("{error}, got {got}"));
        return false;
    };
    for (index, validator) in validators.iter().enumerate() {
        let field = validator_field(index, "lockedUntil");
        let latest = genesis.ethereum.timestamp.saturating_add(u64::from(longest));
        match validator.locked_until {
            None => findings.error(field, "missing; the weight rule voteEscrow needs it"),
            Some(until) if until > latest => {
                findings.warning(field, format!("is later than the longest lock ends ({latest}) and counts like that"))
            }
            Some(_) => {}
        }
    }
    true
}

/// What the analysis finds, as far as it does not depend on probabilities.
fn fault_tolerance(members: &[Member], findings: &mut Findings) {
    let weights = Weights::new(members.iter().map(|member| member.weight).collect());
    let idle = analysis::idle(&weights);
    for (index, member) in members.iter().enumerate() {
        let field = validator_field(index, "stake");
        let name = &member.name;
        let share = format!("{name} has {} of the weight", weights.percent(weights.of(index)));
        let remedy = || analysis::remedy(members, &weights, index).map(|text| format!("; {text}")).unwrap_or_default();
        if member.weight == 0 {
            findings.warning(field, format!("{name} weighs nothing: its votes do not count"));
        } else if weights.decides(index) {
            let meaning = "more than two thirds: it decides alone, and nothing works without it";
            findings.warning(field, format!("{share}, {meaning}{}", remedy()));
        } else if weights.can_halt(index) {
            let meaning = "one third or more: it can halt the chain alone";
            findings.warning(field, format!("{share}, {meaning}{}", remedy()));
        } else if idle.contains(&index) {
            findings.warning(field, format!("{share}, and {}", analysis::IDLE));
        }
    }
    let of_groups = GroupBy::ALL.into_iter().flat_map(|by| analysis::loss_of_groups(members, &weights, by));
    for message in analysis::too_few(&weights).into_iter().chain(of_groups) {
        findings.warning("assent.validators", message);
    }
}
