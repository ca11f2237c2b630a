//! Where the time of a transfer goes: one node builds blocks, another one validates them, both
//! make them final.
//!
//! `cargo run -p assent-chain --example transfers -- [SENDERS] [PER_BLOCK] [BLOCKS]`
//!
//! Printed are microseconds per transfer on one core. Signing is not part of it.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, Bytes, TxKind, U256, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use assent_chain::mempool::Origin;
use assent_chain::{BuildRequest, Chain, ChainOptions, Seal, SealExpectation};
use assent_genesis::{Genesis, NetworkPlan};

const CHAIN_ID: u64 = 31337;
const START: u64 = 1_700_000_000;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Time per stage, summed up.
#[derive(Default)]
struct Stages(BTreeMap<&'static str, Duration>);

impl Stages {
    fn time<T>(&mut self, stage: &'static str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.add(stage, start.elapsed());
        result
    }

    fn add(&mut self, stage: &'static str, time: Duration) {
        *self.0.entry(stage).or_default() += time;
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let senders = arguments.next().transpose()?.unwrap_or(1000);
    let per_block = arguments.next().transpose()?.unwrap_or(100);
    let blocks = arguments.next().transpose()?.unwrap_or(100);

    let signers = (0..senders as u64)
        .map(|i| PrivateKeySigner::from_bytes(&keccak256(i.to_be_bytes())))
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let genesis = genesis(&signers)?;
    let directory = tempfile::tempdir()?;
    let leader = Chain::open(&directory.path().join("leader"), &genesis, &ChainOptions::default())?;
    let follower = Chain::open(&directory.path().join("follower"), &genesis, &ChainOptions::default())?;

    let mut stages = Stages::default();
    let mut sent = 0;
    for _ in 0..blocks {
        let batch = (0..per_block).map(|_| sign_next(&signers, &mut sent)).collect::<Result<Vec<_>>>()?;
        for chain in [&leader, &follower] {
            let start = Instant::now();
            for raw in &batch {
                chain.pool().add_raw(raw.clone(), Origin::Local)?;
            }
            stages.add("1 admission (decode, recover, pool)", start.elapsed() / 2);
        }
        one_block(&leader, &follower, per_block, &mut stages)?;
    }
    assert_eq!(leader.head(), follower.head());
    stages.time("8 sync (whole run)", || leader.sync())?;

    let count = (blocks * per_block) as u32;
    println!("{count} transfers of {senders} senders, {per_block} per block; microseconds each:");
    for (stage, time) in &stages.0 {
        println!("{:8.2}  {stage}", time.as_secs_f64() * 1e6 / f64::from(count));
    }
    Ok(())
}

fn one_block(leader: &Chain, follower: &Chain, expected: usize, stages: &mut Stages) -> Result<()> {
    let head = leader.head();
    let seal = Seal { view: head.number + 1, time_ms: head.time_ms + 50, ..Seal::default() };
    let expect = SealExpectation::of(&seal);
    let request = BuildRequest {
        parent: head.hash,
        seal,
        fee_recipient: Address::repeat_byte(0xfe),
        empty: false,
        time_budget: Duration::from_secs(10),
    };
    let built = stages.time("2 build", || leader.build(request))?;
    assert_eq!(built.block().transactions().len(), expected);
    let timings = built.timings();
    stages.add("2a of which execution", timings.execution);
    stages.add("2b of which roots of transactions and receipts", timings.roots);
    stages.add("2c of which state trie", timings.trie);
    let encoded = stages.time("3 encode", || built.encoded().clone());
    let block = stages.time("4 decode", || follower.decode_block(&encoded))?;
    let now = head.time_ms + 100;
    let validated = stages.time("5 validate", || follower.validate(block, &expect, now, Duration::ZERO))?;
    let timings = validated.timings();
    stages.add("5a of which recovery", timings.recovery);
    stages.add("5b of which execution", timings.execution);
    stages.add("5c of which root of receipts", timings.roots);
    stages.add("5d of which state trie", timings.trie);
    let hash = built.hash();
    stages.time("6 finalize (leader)", || leader.finalize(hash, &[(hash, vec![0; 200])]))?;
    stages.time("7 finalize (follower)", || follower.finalize(hash, &[(hash, vec![0; 200])]))?;
    Ok(())
}

fn genesis(signers: &[PrivateKeySigner]) -> Result<Genesis> {
    let mut plan = NetworkPlan::new(CHAIN_ID, vec![40, 30, 20, 10]);
    plan.timestamp = START;
    let rich = GenesisAccount::default().with_balance(U256::from(10).pow(U256::from(24)));
    plan.alloc = signers.iter().map(|signer| (signer.address(), rich.clone())).collect();
    Ok(plan.build()?.0)
}

/// The next transfer: senders take turns, each to another of them.
fn sign_next(signers: &[PrivateKeySigner], sent: &mut usize) -> Result<Bytes> {
    let (turn, nonce) = (*sent % signers.len(), *sent / signers.len());
    let to = (turn * 7919 + nonce * 104_729 + 1) % signers.len();
    *sent += 1;
    let tx = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce: nonce as u64,
        gas_limit: 21_000,
        to: TxKind::Call(signers[to].address()),
        value: U256::from(1),
        ..TxEip1559::default()
    };
    let signature = signers[turn].sign_hash_sync(&tx.signature_hash())?;
    Ok(TxEnvelope::from(tx.into_signed(signature)).encoded_2718().into())
}
