//! A proof of an account, checked without any node, and with a part of it changed.

use std::{fs, process::Command, time::Duration};

use alloy::primitives::{Address, Bytes, U256};
use anyhow::{Context, Result, ensure};
use assent_genesis::Genesis;
use assent_rpc::{BundleError, ProofBundle};
use assent_tests::{
    accounts::Account,
    binary,
    cluster::{Cluster, Plan},
    wait,
};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(30);
const SOMEBODY: Address = Address::repeat_byte(0x66);

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_checked_without_a_node_and_spoiled_by_any_change() -> Result<()> {
    let cluster = Cluster::launch(Plan::validators(&[40, 30, 20, 10])).await?;
    let node = cluster.rpcs()[0];
    let mut owner = Account::test(0)?;
    for value in 1..=3u64 {
        let transfer = owner.transfer(SOMEBODY, U256::from(value))?;
        transfer.submit(node).await?;
        wait::until_true("the transfer is final", LIMIT, async || {
            Ok::<_, anyhow::Error>(node.receipt(transfer.hash).await?.is_some())
        })
        .await?;
    }
    let file = cluster.home(0).join("genesis.json");
    let (genesis, _) = Genesis::load(&file)?;
    let head = node.block_number().await?;
    let mut balances = Vec::new();
    for number in 0..=head {
        let bundle = node.call("assent_getProofBundle", json!([SOMEBODY, ["0x0"], number])).await?;
        let bundle: ProofBundle = serde_json::from_value(bundle)?;
        let header = bundle.verify(&genesis)?;
        ensure!(header.number == number, "{number}: {header:?}");
        balances.push(bundle.balance);
    }
    ensure!(balances.first() == Some(&U256::ZERO) && balances.last() == Some(&U256::from(6)), "{balances:?}");

    let last = node.call("assent_getProofBundle", json!([SOMEBODY, ["0x0"], "latest"])).await?;
    let bundle: ProofBundle = serde_json::from_value(last.clone())?;
    type Spoil = fn(&mut ProofBundle);
    let spoils: [(&str, Spoil); 8] = [
        ("another chain", |b| b.genesis.0[0] ^= 1),
        ("more money", |b| b.balance += U256::from(1)),
        ("another nonce", |b| b.nonce += 1),
        ("another account", |b| b.address = Address::repeat_byte(0x67)),
        ("a slot that holds something", |b| b.storage_proof[0].value = U256::from(1)),
        ("no header", |b| b.headers.clear()),
        ("another header", |b| b.headers[0] = flipped(&b.headers[0], 100)),
        ("another vote", |b| b.certificate = flipped(&b.certificate, b.certificate.len() - 1)),
    ];
    for (what, spoil) in spoils {
        let mut spoiled = bundle.clone();
        spoil(&mut spoiled);
        ensure!(spoiled.verify(&genesis).is_err(), "{what} is taken");
    }
    let mut other = bundle.clone();
    other.genesis.0[0] ^= 1;
    ensure!(matches!(other.verify(&genesis), Err(BundleError::OtherChain { .. })));

    let proof = cluster.home(0).join("proof.json");
    fs::write(&proof, last.to_string())?;
    let told = verify(&proof, &file)?;
    ensure!(told.status.success(), "{told:?}");
    let text = String::from_utf8(told.stdout)?;
    ensure!(text.contains("balance   6 wei") && text.contains(&SOMEBODY.to_string()), "{text}");
    let set = node.call("assent_validators", json!(["latest"])).await?;
    let hash = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let (genesis_hash, validators) = (hash(&last["genesis"]), hash(&set["hash"]));
    let trusting = |validators: &str| {
        let trust = ["--genesis-hash", &genesis_hash, "--validators-hash", validators];
        let mut command = Command::new(binary::assent()?);
        command.arg("verify-proof").arg(&proof).args(trust).output().context("cannot run verify-proof")
    };
    let told = trusting(&validators)?;
    ensure!(told.status.success(), "{told:?}");
    let told = trusting(&genesis_hash)?;
    ensure!(told.status.code() == Some(1), "{told:?}");
    fs::write(&proof, last.to_string().replacen("\"0x6\"", "\"0x7\"", 1))?;
    let told = verify(&proof, &file)?;
    ensure!(told.status.code() == Some(1), "{told:?}");
    let text = String::from_utf8(told.stderr)?;
    ensure!(text.contains("proves nothing") && text.contains("is not what the state root"), "{text}");
    cluster.finish().await
}

fn flipped(bytes: &Bytes, at: usize) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes.into()
}

fn verify(proof: &std::path::Path, genesis: &std::path::Path) -> Result<std::process::Output> {
    let mut command = Command::new(binary::assent()?);
    command.arg("verify-proof").arg(proof).arg("--genesis").arg(genesis);
    command.output().context("cannot run verify-proof")
}
