//! Every finding: what triggers it, its level, its field, its text.

use std::time::Duration;

use alloy_genesis::{ChainConfig, GenesisAccount};
use alloy_primitives::{Address, B256, U256, address};
use assent_consensus::PublicKey;
use assent_genesis::{
    ConsensusParams, Fraction, Genesis, Level, MAX_CHAIN_ID, NetworkPlan, NodeSpec, VoteEscrow, WeightRule,
    dev_accounts,
};

use crate::fixtures::{fixed, four, key};

/// A change to the valid genesis of four, and the only finding that it must cause.
type Case<'a> = (&'a dyn Fn(&mut Genesis), &'a str, &'a str);

fn check(level: Level, cases: &[Case<'_>]) {
    for (change, field, message) in cases {
        let mut genesis = four();
        change(&mut genesis);
        expect(&genesis, &[(level, field, message)]);
    }
}

fn expect(genesis: &Genesis, expected: &[(Level, &str, &str)]) {
    let findings = genesis.validate();
    let texts: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(findings.len(), expected.len(), "expected {expected:?}, got {texts:#?}");
    for (finding, (level, field, message)) in findings.iter().zip(expected) {
        assert_eq!((finding.level, finding.field.as_str()), (*level, *field), "{texts:#?}");
        assert!(finding.message.contains(message), "expected {message:?}, got {texts:#?}");
    }
}

fn config(genesis: &mut Genesis) -> &mut ChainConfig {
    &mut genesis.ethereum.config
}

fn consensus(genesis: &mut Genesis) -> &mut ConsensusParams {
    &mut genesis.assent.consensus
}

fn fund(genesis: &mut Genesis, address: Address, account: GenesisAccount) {
    genesis.ethereum.alloc.insert(address, account);
}

fn balance(balance: u64) -> GenesisAccount {
    GenesisAccount::default().with_balance(U256::from(balance))
}

const A1: Address = address!("00000000000000000000000000000000000000a1");
const A2: Address = address!("00000000000000000000000000000000000000a2");

#[test]
fn four_equal_validators_are_fine() {
    expect(&four(), &[]);
    assert!(four().validate().is_empty());
}

#[test]
fn findings_are_printed_with_level_and_field() {
    let mut genesis = four();
    config(&mut genesis).chain_id = 0;
    let text = genesis.validate()[0].to_string();
    assert_eq!(text, "error: config.chainId: must not be 0: transactions could be replayed on other chains");
}

#[test]
fn errors_of_chain_id_and_forks() {
    check(
        Level::Error,
        &[
            (&|it| config(it).chain_id = 0, "config.chainId", "must not be 0"),
            (&|it| config(it).chain_id = MAX_CHAIN_ID + 1, "config.chainId", "must be at most 9223372036854775771"),
            (&|it| config(it).london_block = None, "config.londonBlock", "missing; must be 0"),
            (&|it| config(it).homestead_block = Some(1), "config.homesteadBlock", "must be 0, got 1"),
            (&|it| config(it).dao_fork_block = Some(1), "config.daoForkBlock", "must be 0, got 1"),
            (&|it| config(it).gray_glacier_block = Some(7), "config.grayGlacierBlock", "must be 0, got 7"),
            (
                &|it| config(it).terminal_total_difficulty = None,
                "config.terminalTotalDifficulty",
                "must be 0, got nothing",
            ),
            (
                &|it| config(it).terminal_total_difficulty = Some(U256::from(9)),
                "config.terminalTotalDifficulty",
                "must be 0, got 9",
            ),
            (&|it| config(it).cancun_time = Some(1), "config.pragueTime", "not be before config.cancunTime (1), got 0"),
            (&|it| config(it).shanghai_time = None, "config.shanghaiTime", "missing, but config.cancunTime is 0"),
            (&|it| config(it).prague_time = None, "config.pragueTime", "missing, but config.osakaTime is 0"),
            (&|it| config(it).amsterdam_time = Some(9), "config.amsterdamTime", "does not know the fork"),
            (&|it| config(it).bogota_time = Some(9), "config.bogotaTime", "does not know the fork"),
            (&|it| config(it).bpo1_time = Some(9), "config.bpo1Time", "does not know the fork"),
            (
                &|it| config(it).ethash = Some(alloy_genesis::EthashConfig {}),
                "config.ethash",
                "belongs to another consensus",
            ),
            (
                &|it| config(it).clique = Some(alloy_genesis::CliqueConfig { period: None, epoch: None }),
                "config.clique",
                "belongs to another consensus",
            ),
        ],
    );
}

#[test]
fn forks_may_come_later_or_not_at_all() {
    let mut genesis = four();
    config(&mut genesis).osaka_time = None;
    config(&mut genesis).prague_time = Some(u64::MAX);
    expect(&genesis, &[]);
    config(&mut genesis).shanghai_time = None;
    config(&mut genesis).cancun_time = None;
    config(&mut genesis).prague_time = None;
    config(&mut genesis).merge_netsplit_block = None;
    expect(&genesis, &[]);
}

#[test]
fn errors_of_header_and_allocations() {
    check(
        Level::Error,
        &[
            (&|it| it.ethereum.gas_limit = 4_999_999, "gasLimit", "from 5000000 to 9223372036854775807, got 4999999"),
            (&|it| it.ethereum.gas_limit = 1 << 63, "gasLimit", "got 9223372036854775808"),
            (&|it| it.ethereum.nonce = 1, "nonce", "must be 0 in block 0"),
            (&|it| it.ethereum.difficulty = U256::from(1), "difficulty", "must be 0 in block 0"),
            (&|it| it.ethereum.number = Some(1), "number", "must be 0 in block 0"),
            (&|it| it.ethereum.parent_hash = Some(B256::repeat_byte(1)), "parentHash", "must be 0 in block 0"),
            (&|it| it.ethereum.blob_gas_used = Some(1), "blobGasUsed", "must be 0 in block 0"),
            (&|it| it.ethereum.excess_blob_gas = Some(1), "excessBlobGas", "must be 0 in block 0"),
            (&|it| it.ethereum.slot_number = Some(0), "slotNumber", "no slot"),
            (&|it| it.ethereum.base_fee_per_gas = Some(1), "baseFeePerGas", "assent.fees.baseFee (0), got 1"),
            (
                &|it| fund(it, A1, balance(0)),
                "alloc.0x00000000000000000000000000000000000000A1",
                "is empty: Ethereum keeps no account",
            ),
            (
                &|it| fund(it, A1, balance(1).with_nonce(Some(u64::MAX))),
                "alloc.0x00000000000000000000000000000000000000A1.nonce",
                "EIP-2681",
            ),
            (
                &|it| {
                    fund(it, A1, GenesisAccount::default().with_balance(U256::MAX));
                    fund(it, A2, balance(1));
                },
                "alloc",
                "add up to 2^256 or more",
            ),
        ],
    );
}

#[test]
fn bounds_of_the_header_are_inclusive() {
    for gas_limit in [5_000_000, i64::MAX as u64] {
        let mut genesis = four();
        genesis.ethereum.gas_limit = gas_limit;
        expect(&genesis, &[]);
    }
    let mut genesis = four();
    fund(&mut genesis, A1, GenesisAccount::default().with_balance(U256::MAX));
    genesis.assent.fees.base_fee = 7;
    genesis.ethereum.base_fee_per_gas = Some(7);
    expect(&genesis, &[]);
}

#[test]
fn errors_of_validators_and_nodes() {
    let identity = PublicKey(std::array::from_fn(|position| u8::from(position == 0)));
    check(
        Level::Error,
        &[
            (&|it| it.assent.validators.clear(), "assent.validators", "at least one validator"),
            (
                &|it| it.assent.validators[2].name = "node0".to_owned(),
                "assent.validators[2].name",
                "node0 is already assent.validators[0].name",
            ),
            (
                &|it| it.assent.validators[2].name = "a b".to_owned(),
                "assent.validators[2].name",
                "letters, digits, '-', '_' or '.', not starting with '-' or '.', got \"a b\"",
            ),
            (&|it| it.assent.validators[2].name.clear(), "assent.validators[2].name", "got \"\""),
            (&|it| it.assent.validators[2].name = "..".to_owned(), "assent.validators[2].name", "got \"..\""),
            (&|it| it.assent.validators[2].org = Some("o".repeat(65)), "assent.validators[2].org", "64 characters"),
            (&|it| it.assent.nodes[3].name = "n".repeat(65), "assent.nodes[3].name", "must be 1 to 64 letters"),
            (
                &|it| it.assent.nodes[3].name = "node1".to_owned(),
                "assent.nodes[3].name",
                "node1 is already assent.nodes[1].name",
            ),
            (
                &|it| it.assent.nodes[3].addresses = vec!["/ip4/10.0.0.1/tcp/1".to_owned(); 9],
                "assent.nodes[3].addresses",
                "holds 9, at most 8",
            ),
            (
                &|it| drop(it.assent.nodes.remove(1)),
                "assent.validators[1].nodeKey",
                "is not in assent.nodes: add the node there",
            ),
            (
                &|it| {
                    let key = it.assent.validators[1].key;
                    it.assent.nodes.push(NodeSpec { name: "x".to_owned(), key, addresses: vec![] });
                },
                "assent.nodes[4].key",
                "is also assent.validators[1].key",
            ),
            (
                &|it| it.assent.nodes.push(NodeSpec { name: "x".to_owned(), key: identity, addresses: vec![] }),
                "assent.nodes[4].key",
                "is not an ed25519 public key",
            ),
            (&|it| it.assent.validators[0].key = identity, "assent.validators[0].key", "0x01000000"),
        ],
    );
}

#[test]
fn duplicate_keys_are_named_with_both_places() {
    let mut genesis = four();
    genesis.assent.validators[3].key = genesis.assent.validators[0].key;
    let key = genesis.assent.validators[0].key.to_string();
    let message = format!("{key} is already assent.validators[0].key");
    expect(&genesis, &[(Level::Error, "assent.validators[3].key", &message)]);

    let mut genesis = four();
    genesis.assent.validators[3].node_key = genesis.assent.validators[0].node_key;
    let message = "is already assent.validators[0].nodeKey";
    expect(&genesis, &[(Level::Error, "assent.validators[3].nodeKey", message)]);

    let mut genesis = four();
    let repeated = genesis.assent.nodes[2].clone();
    genesis.assent.nodes.push(NodeSpec { name: "x".to_owned(), ..repeated });
    expect(&genesis, &[(Level::Error, "assent.nodes[4].key", "is already assent.nodes[2].key")]);
}

#[test]
fn numbers_of_validators_and_nodes_are_bounded() {
    let genesis = fixed_many(256);
    expect(&genesis, &[]);
    let mut genesis = fixed_many(256);
    let mut one_more = genesis.assent.validators[0].clone();
    (one_more.name, one_more.key, one_more.node_key) = ("x".to_owned(), key(1).public(), key(2).public());
    let node = NodeSpec { name: "x".to_owned(), key: key(2).public(), addresses: vec![] };
    genesis.assent.validators.push(one_more);
    genesis.assent.nodes.push(node);
    expect(&genesis, &[(Level::Error, "assent.validators", "holds 257, at most 256")]);

    let mut plan = NetworkPlan::new(7, vec![1; 4]);
    plan.followers = 1020;
    let (mut genesis, _) = plan.build().unwrap();
    expect(&genesis, &[]);
    genesis.assent.nodes.push(NodeSpec { name: "x".to_owned(), key: key(2).public(), addresses: vec![] });
    expect(&genesis, &[(Level::Error, "assent.nodes", "holds 1025, at most 1024")]);
}

fn fixed_many(count: usize) -> Genesis {
    NetworkPlan::new(7, vec![1; count]).build().unwrap().0
}

#[test]
fn addresses_are_checked() {
    let with = |text: &str| {
        let mut genesis = four();
        genesis.assent.nodes[0].addresses = vec![text.to_owned()];
        genesis
    };
    for text in [
        "/ip4/10.0.0.1/tcp/30303",
        "/ip6/::1/tcp/1",
        "/dns/node-1.example.org/tcp/65535",
        "/dns4/a/tcp/1",
        "/dns6/a_b.c./tcp/1",
    ] {
        expect(&with(text), &[]);
    }
    for (text, expected) in [
        ("10.0.0.1:30303", "expected an address such as \"/ip4/10.0.0.1/tcp/30303\""),
        ("/ip4/10.0.0.1/udp/30303", "expected an address such as"),
        ("/ip4/10.0.0.1/tcp/30303/p2p/12", "expected an address such as"),
        ("", "expected an address such as"),
        ("/ip5/1/tcp/1", "expected ip4, ip6, dns, dns4 or dns6, got \"ip5\""),
        ("/ip4/300.0.0.1/tcp/1", "\"300.0.0.1\" is not a host for ip4"),
        ("/ip6/10.0.0.1/tcp/1", "is not a host for ip6"),
        ("/dns/a b/tcp/1", "\"a b\" is not a host for dns"),
        ("/dns//tcp/1", "\"\" is not a host for dns"),
        ("/ip4/10.0.0.1/tcp/0", "expected a port from 1 to 65535, got \"0\""),
        ("/ip4/10.0.0.1/tcp/65536", "expected a port from 1 to 65535"),
    ] {
        expect(&with(text), &[(Level::Error, "assent.nodes[0].addresses[0]", expected)]);
    }
}

#[test]
fn errors_of_consensus_parameters() {
    let ms = Duration::from_millis;
    let over = Duration::from_secs(86_400) + ms(1);
    check(
        Level::Error,
        &[
            (
                &|it| consensus(it).view_timeout = ms(49),
                "assent.consensus.viewTimeout",
                "must be at least assent.consensus.minBlockInterval (50ms), got 49ms",
            ),
            (
                &|it| consensus(it).view_timeout_max = ms(999),
                "assent.consensus.viewTimeoutMax",
                "must be at least assent.consensus.viewTimeout (1s), got 999ms",
            ),
            (&|it| consensus(it).view_timeout_max = over, "assent.consensus.viewTimeoutMax", "must be at most 1d"),
            (&|it| consensus(it).min_block_interval = ms(0), "assent.consensus.minBlockInterval", "at least 1ms"),
            (
                &|it| consensus(it).min_block_interval = Duration::from_micros(1_500),
                "assent.consensus.minBlockInterval",
                "must be whole milliseconds, got 1500us",
            ),
            (
                &|it| consensus(it).empty_block_interval = ms(49),
                "assent.consensus.emptyBlockInterval",
                "must be at least assent.consensus.minBlockInterval (50ms), got 49ms",
            ),
            (&|it| consensus(it).empty_block_interval = over, "assent.consensus.emptyBlockInterval", "at most 1d"),
            (&|it| consensus(it).retransmit_interval = ms(9), "assent.consensus.retransmitInterval", "at least 10ms"),
            (
                &|it| consensus(it).retransmit_interval = ms(10_001),
                "assent.consensus.retransmitInterval",
                "must be at most assent.consensus.viewTimeoutMax (10s), got 10001ms",
            ),
            (&|it| consensus(it).max_clock_skew = ms(9), "assent.consensus.maxClockSkew", "at least 10ms"),
            (&|it| consensus(it).max_clock_skew = over, "assent.consensus.maxClockSkew", "at most 1d"),
            (
                &|it| consensus(it).max_block_bytes = 262_143,
                "assent.consensus.maxBlockBytes",
                "from 262144 to 8388608, got 262143",
            ),
            (&|it| consensus(it).max_block_bytes = 8_388_609, "assent.consensus.maxBlockBytes", "got 8388609"),
            (
                &|it| consensus(it).max_block_transactions = 0,
                "assent.consensus.maxBlockTransactions",
                "from 1 to 100000, got 0",
            ),
            (
                &|it| consensus(it).max_block_transactions = 100_001,
                "assent.consensus.maxBlockTransactions",
                "got 100001",
            ),
        ],
    );
}

#[test]
fn bounds_of_consensus_parameters_are_inclusive() {
    let mut genesis = four();
    let ms = Duration::from_millis;
    *consensus(&mut genesis) = ConsensusParams {
        min_block_interval: ms(1),
        empty_block_interval: ms(1),
        view_timeout: ms(10),
        view_timeout_max: ms(10),
        retransmit_interval: ms(10),
        max_clock_skew: ms(10),
        max_block_bytes: 262_144,
        max_block_transactions: 1,
        epoch_length: 0,
    };
    expect(&genesis, &[]);
    let day = Duration::from_secs(86_400);
    *consensus(&mut genesis) = ConsensusParams {
        min_block_interval: day,
        empty_block_interval: day,
        view_timeout: day,
        view_timeout_max: day,
        retransmit_interval: day,
        max_clock_skew: day,
        max_block_bytes: 8_388_608,
        max_block_transactions: 100_000,
        epoch_length: 0,
    };
    expect(&genesis, &[]);
    consensus(&mut genesis).empty_block_interval = Duration::ZERO;
    expect(&genesis, &[]);
}

#[test]
fn epochs_that_end_are_refused() {
    let mut genesis = four();
    consensus(&mut genesis).epoch_length = 1;
    let findings = genesis.validate();
    let field = "assent.consensus.epochLength";
    assert!(findings.iter().any(|finding| finding.field == field && finding.level == Level::Error), "{findings:?}");
}

fn escrow(numerator: u32, denominator: u32, longest_lock: Duration) -> WeightRule {
    WeightRule::VoteEscrow(VoteEscrow { coefficient: Fraction { numerator, denominator }, longest_lock })
}

#[test]
fn errors_of_weights() {
    let half = (i64::MAX as u64).div_ceil(2);
    let second = Duration::from_secs(1);
    check(
        Level::Error,
        &[
            (
                &|it| it.assent.validators.iter_mut().for_each(|validator| validator.stake = 0),
                "assent.validators",
                "the total weight is 0: give validators a stake",
            ),
            (
                &|it| it.assent.validators.iter_mut().for_each(|validator| validator.stake = half),
                "assent.validators[1].stake",
                "takes the total weight to 9223372036854775808, at most 9223372036854775807",
            ),
            (
                &|it| it.assent.validators[2].stake = u64::MAX,
                "assent.validators[2].stake",
                "the weight of validator node2 is above 9223372036854775807",
            ),
            (&|it| it.assent.weight = escrow(1, 0, second), "assent.weight.coefficient.denominator", "must not be 0"),
            (&|it| it.assent.weight = escrow(0, 1, second), "assent.weight.coefficient.numerator", "must not be 0"),
            (
                &|it| it.assent.weight = escrow(1, 1, Duration::ZERO),
                "assent.weight.longestLock",
                "must be a whole number of seconds, at least 1, got 0s",
            ),
            (
                &|it| it.assent.weight = escrow(1, 1, Duration::from_millis(1_500)),
                "assent.weight.longestLock",
                "got 1500ms",
            ),
        ],
    );
    // The cap itself is possible.
    let mut genesis = four();
    let quarter = i64::MAX as u64 / 4;
    let stakes = [quarter + 3, quarter, quarter, quarter];
    genesis.assent.validators.iter_mut().zip(stakes).for_each(|(validator, stake)| validator.stake = stake);
    expect(&genesis, &[]);
}

#[test]
fn findings_of_locks() {
    let lock = |until: [Option<u64>; 4]| {
        let mut genesis = four();
        genesis.ethereum.timestamp = 1_000;
        genesis.assent.weight = escrow(1, 1, Duration::from_secs(100));
        let validators = genesis.assent.validators.iter_mut().zip(until);
        validators.for_each(|(validator, until)| validator.locked_until = until);
        genesis
    };
    expect(&lock([Some(1_100); 4]), &[]);
    let until = [Some(1_100), Some(1_101), Some(1_100), Some(1_100)];
    let later = "is later than the longest lock ends (1100) and counts like that";
    expect(&lock(until), &[(Level::Warning, "assent.validators[1].lockedUntil", later)]);
    let ended = "the total weight is 0";
    expect(&lock([Some(1_000); 4]), &[(Level::Error, "assent.validators", ended)]);
    let mut findings = lock([Some(1_100), Some(1_100), Some(1_100), None]).validate();
    findings.retain(|finding| finding.level == Level::Error);
    assert_eq!(findings[0].field, "assent.validators[3].lockedUntil");
    assert_eq!(findings[0].message, "missing; the weight rule voteEscrow needs it");
    let mut by_stake = four();
    by_stake.assent.validators[1].locked_until = Some(1);
    let unused = "has no effect with the weight rule stake";
    expect(&by_stake, &[(Level::Warning, "assent.validators[1].lockedUntil", unused)]);
}

#[test]
fn warnings_of_fault_tolerance() {
    let stakes = |stakes: &[u64]| fixed(&NetworkPlan::new(7, stakes.to_vec()));
    const W: Level = Level::Warning;
    let halts = "one third or more: it can halt the chain alone";
    expect(
        &stakes(&[40, 30, 20, 10]),
        &[(W, "assent.validators[0].stake", "node0 has 40.0% of the weight, one third or more")],
    );
    expect(&stakes(&[33, 33, 33, 1]), &[]);
    // Exactly one third, and one less.
    expect(
        &stakes(&[100, 100, 50, 50]),
        &[(W, "assent.validators[0].stake", halts), (W, "assent.validators[1].stake", "node1 has 33.3% of the weight")],
    );
    expect(&stakes(&[100, 100, 51, 50]), &[]);
    // Exactly two thirds, and one more.
    expect(&stakes(&[200, 50, 25, 25]), &[(W, "assent.validators[0].stake", halts)]);
    let decides = "node0 has 66.7% of the weight, more than two thirds: it decides alone";
    expect(&stakes(&[201, 50, 25, 25]), &[(W, "assent.validators[0].stake", decides)]);
    let few = "3 validators with weight tolerate no fault: 4 of similar weight are the fewest";
    expect(
        &stakes(&[1, 1, 1]),
        &[
            (W, "assent.validators[0].stake", halts),
            (W, "assent.validators[1].stake", halts),
            (W, "assent.validators[2].stake", halts),
            (W, "assent.validators", few),
        ],
    );
    expect(&stakes(&[1, 0, 1, 1, 1]), &[(W, "assent.validators[1].stake", "node1 weighs nothing")]);
    expect(
        &stakes(&[1]),
        &[
            (W, "assent.validators[0].stake", "node0 has 100.0% of the weight, more than two thirds"),
            (W, "assent.validators", "1 validators with weight tolerate no fault"),
        ],
    );
}

#[test]
fn warnings_say_what_would_help() {
    const W: Level = Level::Warning;
    let survive = "for the chain to survive the loss of node0";
    let remedy = format!("node3 needs at least 11 (it has 10), or node0 may have at most 29 (it has 30) {survive}");
    expect(
        &fixed(&NetworkPlan::new(7, vec![30, 30, 20, 10])),
        &[
            (W, "assent.validators[0].stake", remedy.as_str()),
            (W, "assent.validators[1].stake", "node3 needs at least 11"),
        ],
    );
    let idle = "node4 has 2.4% of the weight, and its vote never makes the difference between a quorum and none";
    expect(&fixed(&NetworkPlan::new(7, vec![10, 10, 10, 10, 1])), &[(W, "assent.validators[4].stake", idle)]);
}

#[test]
fn warnings_of_what_is_lost_together() {
    let mut genesis = four();
    let label = |genesis: &mut Genesis, index: usize, org: &str, region: &str| {
        let validator = &mut genesis.assent.validators[index];
        (validator.org, validator.region) = (Some(org.to_owned()), Some(region.to_owned()));
    };
    for (index, org) in ["a", "b", "c", "a"].into_iter().enumerate() {
        label(&mut genesis, index, org, "north");
    }
    let all = "all validators with weight are in the region \"north\": its loss halts the chain";
    let one = "the org \"a\" has 50.0% of the weight: its loss halts the chain; all others together need at least 101 \
               (they have 50) for the chain to survive it, or it at most 24";
    expect(&genesis, &[(Level::Warning, "assent.validators", one), (Level::Warning, "assent.validators", all)]);
    for (index, place) in ["a", "b", "c", "d"].into_iter().enumerate() {
        label(&mut genesis, index, place, place);
    }
    expect(&genesis, &[]);
}

#[test]
fn other_warnings() {
    check(
        Level::Warning,
        &[
            (&|it| config(it).chain_id = 1, "config.chainId", "1 is Ethereum's own"),
            (&|it| config(it).chain_id = MAX_CHAIN_ID, "config.chainId", "wallets take chain ids up to"),
            (
                &|it| config(it).blob_schedule.extend([("x".to_owned(), alloy_eips::eip7840::BlobParams::cancun())]),
                "config.blobSchedule",
                "has no effect here: blob transactions are refused",
            ),
            (
                &|it| config(it).deposit_contract_address = Some(A1),
                "config.depositContractAddress",
                "has no effect here: there are no deposits",
            ),
            (&|it| it.ethereum.extra_data = vec![1].into(), "extraData", "does not appear in block 0"),
            (
                &|it| fund(it, A1, GenesisAccount { private_key: Some(B256::repeat_byte(1)), ..balance(1) }),
                "alloc.0x00000000000000000000000000000000000000A1.secretKey",
                "is a private key in a file that every node has",
            ),
            (
                &|it| (it.assent.fees.base_fee, it.assent.fees.min_gas_price) = (9, 8),
                "assent.fees.minGasPrice",
                "has no effect below assent.fees.baseFee (9)",
            ),
        ],
    );
}

#[test]
fn development_accounts_belong_on_the_development_chain() {
    let mut plan = NetworkPlan::new(31337, vec![1; 4]);
    plan.fund_dev_accounts = true;
    expect(&fixed(&plan), &[]);
    plan.chain_id = 7;
    let findings = fixed(&plan).validate();
    assert_eq!(findings.len(), 10);
    let first = &findings[0];
    assert_eq!((first.level, &first.field), (Level::Warning, &format!("alloc.{}", dev_accounts()[0].address)));
    assert!(first.message.contains("whose private key everybody knows; fund it on chain id 31337 only"));
}
