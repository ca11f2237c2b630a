//! Genesis files for the tests.

use assent_genesis::{Genesis, NetworkPlan, SecretKey};
use serde_json::{Value, json};

/// A valid genesis of four validators with fixed keys and equal stakes.
pub(crate) fn four() -> Genesis {
    fixed(&NetworkPlan::new(7, vec![25; 4]))
}

/// Builds a plan with fixed keys.
pub(crate) fn fixed(plan: &NetworkPlan) -> Genesis {
    let keys: Vec<_> = (0..plan.nodes())
        .map(|index| {
            let validator = (index < plan.stakes.len()).then(|| key(index as u8 + 1).public());
            (validator, key(index as u8 + 101).public())
        })
        .collect();
    plan.build_with(&keys).unwrap()
}

/// A fixed key.
pub(crate) fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

/// A genesis that uses every field it can.
pub(crate) fn rich() -> Value {
    json!({
        "config": config(),
        "nonce": "0x0",
        "timestamp": "0x65000000",
        "extraData": "0x01",
        "gasLimit": "0x3938700",
        "difficulty": "0x0",
        "mixHash": "0x0000000000000000000000000000000000000000000000000000000000000001",
        "coinbase": "0x00000000000000000000000000000000000000c0",
        "baseFeePerGas": "0x7",
        "excessBlobGas": "0x0",
        "blobGasUsed": "0x0",
        "number": "0x0",
        "parentHash": "0x0000000000000000000000000000000000000000000000000000000000000000",
        "alloc": {
            "0x00000000000000000000000000000000000000a1": {"balance": "0xde0b6b3a7640000"},
            "0x00000000000000000000000000000000000000a2": {
                "balance": "0x1",
                "nonce": "0x1",
                "code": "0x600035",
                "storage": {
                    "0x0000000000000000000000000000000000000000000000000000000000000001":
                        "0x0000000000000000000000000000000000000000000000000000000000000022"
                },
                "secretKey": "0x0000000000000000000000000000000000000000000000000000000000000005"
            }
        },
        "assent": assent()
    })
}

fn config() -> Value {
    json!({
        "chainId": 7, "homesteadBlock": 0, "daoForkBlock": 0, "daoForkSupport": true,
        "eip150Block": 0, "eip155Block": 0, "eip158Block": 0, "byzantiumBlock": 0,
        "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0, "muirGlacierBlock": 0,
        "berlinBlock": 0, "londonBlock": 0, "arrowGlacierBlock": 0, "grayGlacierBlock": 0,
        "mergeNetsplitBlock": 0, "terminalTotalDifficulty": 0,
        "terminalTotalDifficultyPassed": true, "shanghaiTime": 0, "cancunTime": 1,
        "pragueTime": 2, "osakaTime": 3,
        "depositContractAddress": "0x00000000000000000000000000000000000000dd",
        "blobSchedule": {"cancun": {"target": 3, "max": 6, "baseFeeUpdateFraction": 3338477}}
    })
}

fn assent() -> Value {
    let validator = |number: u8| {
        json!({
            "name": format!("v{number}"),
            "key": key(number).public().to_string(),
            "nodeKey": key(100 + number).public().to_string(),
            "stake": 100,
            "feeRecipient": format!("0x00000000000000000000000000000000000000f{number}"),
            "lockedUntil": 1_700_000_000_u64,
            "org": "Bank",
            "region": "north"
        })
    };
    let node = |number: u8| {
        json!({
            "name": format!("n{number}"),
            "key": key(100 + number).public().to_string(),
            "addresses": ["/ip4/10.0.0.1/tcp/30303", "/dns/node.example.org/tcp/30303"]
        })
    };
    json!({
        "validators": [validator(1), validator(2), validator(3), validator(4)],
        "nodes": [node(1), node(2), node(3), node(4), node(5)],
        "weight": {
            "kind": "voteEscrow",
            "coefficient": {"numerator": 3, "denominator": 2},
            "longestLock": "90d"
        },
        "consensus": {
            "minBlockInterval": "50ms",
            "emptyBlockInterval": "10s",
            "viewTimeout": "1s",
            "viewTimeoutMax": "11s",
            "retransmitInterval": "400ms",
            "maxClockSkew": "2s",
            "maxBlockBytes": 2_097_152,
            "maxBlockTransactions": 10_000,
            "epochLength": 100
        },
        "fees": {"baseFee": 7, "minGasPrice": 8}
    })
}
