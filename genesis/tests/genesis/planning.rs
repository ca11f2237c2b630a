//! New networks.

use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, U256, address};
use assent_consensus::{Epoch, ValidatorIndex, Weight};
use assent_genesis::{
    DEV_CHAIN_ID, Fraction, GenesisError, NetworkPlan, PlanError, VoteEscrow, WeightRule, dev_accounts,
};

use crate::fixtures::{fixed, key};

#[test]
fn a_plan_gives_a_genesis_and_the_keys_that_it_names() {
    let plan = NetworkPlan::new(7, vec![40, 30, 20, 10]);
    let (genesis, keys) = plan.build().unwrap();
    assert_eq!(genesis.chain_id(), 7);
    for (index, (validator, node)) in genesis.assent.validators.iter().zip(&genesis.assent.nodes).enumerate() {
        assert_eq!((&validator.name, &node.name), (&keys[index].name, &keys[index].name));
        assert_eq!(validator.name, format!("node{index}"));
        assert_eq!(validator.key, keys[index].validator.as_ref().unwrap().public());
        assert_eq!(validator.node_key, keys[index].node.public());
        assert_eq!(node.key, keys[index].node.public());
        assert_eq!(node.addresses, [format!("/ip4/127.0.0.1/tcp/{}", 30303 + index)]);
    }
    let set = genesis.validator_set(Epoch(0), 0).unwrap();
    assert_eq!((set.len(), set.total()), (4, Weight(100)));
    assert_eq!(set.get(ValidatorIndex(1)).unwrap().weight, Weight(30));
    assert_eq!(set.get(ValidatorIndex(1)).unwrap().key, genesis.validator(ValidatorIndex(1)).unwrap().key);
    assert_eq!(genesis.validator(ValidatorIndex(4)), None);
    assert_ne!(plan.build().unwrap().0.hash(), genesis.hash());
}

#[test]
fn development_accounts_are_funded_on_request() {
    let mut plan = NetworkPlan::new(DEV_CHAIN_ID, vec![1; 4]);
    assert!(fixed(&plan).ethereum.alloc.is_empty());
    plan.fund_dev_accounts = true;
    let extra = address!("00000000000000000000000000000000000000a1");
    let first = dev_accounts()[0].address;
    plan.alloc.insert(extra, GenesisAccount::default().with_balance(U256::from(5)));
    plan.alloc.insert(first, GenesisAccount::default().with_balance(U256::from(6)));
    let alloc = fixed(&plan).ethereum.alloc;
    assert_eq!(alloc.len(), 11);
    assert_eq!(alloc[&extra].balance, U256::from(5));
    assert_eq!(alloc[&first].balance, U256::from(6));
    assert_eq!(alloc[&dev_accounts()[9].address].balance.to_string(), "10000000000000000000000");
}

#[test]
fn hosts_ports_names_and_followers() {
    let mut plan = NetworkPlan::new(7, vec![1; 4]);
    plan.followers = 1;
    let genesis = fixed(&plan);
    assert_eq!((genesis.assent.validators.len(), genesis.assent.nodes.len()), (4, 5));
    let (_, keys) = plan.build().unwrap();
    assert!(keys[3].validator.is_some() && keys[4].validator.is_none());
    assert_eq!(keys[4].name, "node4");

    plan.names = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
    plan.hosts = ["10.0.0.1", "::1", "n.example.org", "10.0.0.4", "10.0.0.5"].map(str::to_owned).to_vec();
    let written: Vec<_> = fixed(&plan).assent.nodes.into_iter().map(|it| (it.name, it.addresses)).collect();
    assert_eq!(written[0], ("a".to_owned(), vec!["/ip4/10.0.0.1/tcp/30303".to_owned()]));
    assert_eq!(written[1].1, ["/ip6/::1/tcp/30303"]);
    assert_eq!(written[2].1, ["/dns/n.example.org/tcp/30303"]);

    plan.hosts = vec!["10.0.0.9".to_owned()];
    plan.p2p_ports = vec![1, 2, 3, 4, 5];
    let addresses: Vec<_> = fixed(&plan).assent.nodes.into_iter().flat_map(|it| it.addresses).collect();
    assert_eq!(addresses[4], "/ip4/10.0.0.9/tcp/5");
}

#[test]
fn fee_recipients_are_none_one_or_one_each() {
    let mut plan = NetworkPlan::new(7, vec![1; 4]);
    let recipient = |plan: &NetworkPlan, index| fixed(plan).fee_recipient(ValidatorIndex(index));
    assert_eq!(recipient(&plan, 3), Some(Address::ZERO));
    let address = |byte| Address::with_last_byte(byte);
    plan.fee_recipients = vec![address(7)];
    assert_eq!(recipient(&plan, 3), Some(address(7)));
    plan.fee_recipients = (1..=4).map(address).collect();
    assert_eq!(recipient(&plan, 3), Some(address(4)));
    assert_eq!(recipient(&plan, 4), None);
}

#[test]
fn weights_by_vote_escrow() {
    const DAY: u64 = 86_400;
    let mut plan = NetworkPlan::new(7, vec![100; 4]);
    plan.timestamp = 1_700_000_000;
    plan.weight = WeightRule::VoteEscrow(VoteEscrow {
        coefficient: Fraction::ONE,
        longest_lock: std::time::Duration::from_secs(90 * DAY),
    });
    plan.locked_until = [60, 90, 30, 1].map(|days| plan.timestamp + days * DAY).to_vec();
    let genesis = fixed(&plan);
    let weights = |at| {
        let set = genesis.validator_set(Epoch(0), at).unwrap();
        set.iter().map(|(_, validator)| validator.weight.0).collect::<Vec<_>>()
    };
    assert_eq!(weights(plan.timestamp), [66, 100, 33, 1]);
    assert_eq!(weights(plan.timestamp + 30 * DAY), [33, 66, 0, 0]);
    assert!(genesis.validator_set(Epoch(1), plan.timestamp + 90 * DAY).is_err());
}

#[test]
fn impossible_plans_are_refused() {
    let change = |change: &dyn Fn(&mut NetworkPlan)| {
        let mut plan = NetworkPlan::new(7, vec![1; 4]);
        change(&mut plan);
        plan.build().map(drop).unwrap_err()
    };
    let texts = |count: usize| vec!["a".to_owned(); count];
    // (change, what the error says)
    type Case<'a> = (&'a dyn Fn(&mut NetworkPlan), &'a str);
    let cases: [Case<'_>; 10] = [
        (&|plan| plan.stakes.clear(), "got 0 validators and 0 followers"),
        (&|plan| plan.stakes = vec![1; 257], "got 257 validators"),
        (&|plan| plan.followers = 1021, "at most 1024 nodes"),
        (&|plan| plan.followers = usize::MAX, "at most 1024 nodes"),
        (&|plan| plan.names = texts(3), "names: expected 4, got 3"),
        (&|plan| plan.hosts = texts(3), "hosts: expected 4, got 3"),
        (&|plan| plan.p2p_ports = vec![1; 5], "p2p ports: expected 4, got 5"),
        (&|plan| plan.fee_recipients = vec![Address::ZERO; 3], "fee recipients: expected 4, got 3"),
        (&|plan| plan.locked_until = vec![0; 3], "locked until: expected 4, got 3"),
        (&|plan| plan.names = texts(4), "assent.validators[1].name: a is already assent.validators[0].name"),
    ];
    for (by, expected) in cases {
        let error = change(by).to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    let invalid = change(&|plan| plan.stakes = vec![0; 4]);
    assert!(matches!(invalid, PlanError::Invalid(GenesisError::Invalid { .. })), "{invalid}");
}

#[test]
fn given_keys_must_fit_the_plan() {
    let plan = NetworkPlan::new(7, vec![1; 2]);
    let pair = |number: u8| (Some(key(number).public()), key(100 + number).public());
    assert!(plan.build_with(&[pair(1), pair(2)]).is_ok());
    let few = plan.build_with(&[pair(1)]).unwrap_err();
    assert!(matches!(few, PlanError::Count { list: "keys", expected: 2, got: 1 }), "{few}");
    let follower = plan.build_with(&[pair(1), (None, key(102).public())]).unwrap_err();
    assert!(matches!(follower, PlanError::Count { list: "validator keys", .. }), "{follower}");
}
