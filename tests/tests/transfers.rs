//! Four validators with stake 40, 30, 20 and 10: transfers, a contract and its calls through different
//! nodes and different clients are final everywhere with the same result.

use std::time::Duration;

use alloy::{
    network::TransactionBuilder,
    primitives::{Address, B256, U256},
    providers::{Provider, ProviderBuilder},
    rpc::types::TransactionRequest,
};
use anyhow::{Context, Result, ensure};
use assent_tests::{
    accounts::{self, Account, Signed},
    cast::Cast,
    checks,
    cluster::{Cluster, Plan},
    contracts::{Counter, counter_creation},
    rpc::Rpc,
    votes::Electorate,
    wait,
};
use serde_json::json;

const STAKES: [u64; 4] = [40, 30, 20, 10];
const SENDERS: usize = 10;
const TRANSFERS_EACH: usize = 100;
/// Transactions that a sender hands to one node before it goes on to the next one.
const TURN: usize = 25;
const LIMIT: Duration = Duration::from_secs(60);

/// The address that receives from this sender.
fn recipient(sender: usize) -> Address {
    Address::left_padding_from(&(0xbeef_0000 + sender).to_be_bytes())
}

/// Value of a sender's transfer with this number.
fn value(number: usize) -> U256 {
    U256::from(1_000 + number)
}

async fn final_everywhere(nodes: &[&Rpc], hashes: &[B256]) -> Result<()> {
    for node in nodes {
        for hash in hashes {
            let what = format!("{hash} is final at {}", node.url());
            wait::until_true(what, LIMIT, async || Ok::<_, anyhow::Error>(node.receipt(*hash).await?.is_some()))
                .await?;
        }
    }
    Ok(())
}

/// Each sender hands its transfers to one node after the other, in order, both forms mixed.
async fn send_transfers(cluster: &Cluster, senders: &mut [Account]) -> Result<Vec<Signed>> {
    let nodes = cluster.rpcs();
    let mut sent = Vec::new();
    for number in 0..TRANSFERS_EACH {
        for (sender, account) in senders.iter_mut().enumerate() {
            let node = nodes[(sender + number / TURN) % nodes.len()];
            let transfer = if number % 2 == 0 {
                account.transfer(recipient(sender), value(number))?
            } else {
                account.legacy_transfer(recipient(sender), value(number))?
            };
            transfer.submit(node).await.with_context(|| format!("transfer {number} of sender {sender}"))?;
            sent.push(transfer);
        }
    }
    Ok(sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_transfers_are_final_on_all_nodes() -> Result<()> {
    let cluster = Cluster::launch(Plan::validators(&STAKES)).await?;
    let nodes = cluster.rpcs();
    let mut senders = Account::tests(SENDERS)?;

    let sent = send_transfers(&cluster, &mut senders).await?;
    let hashes: Vec<B256> = sent.iter().map(|signed| signed.hash).collect();
    ensure!(hashes.len() == 1_000);
    final_everywhere(&nodes, &hashes).await?;

    let receipts = checks::same_receipts(&nodes, &hashes).await?;
    for receipt in &receipts {
        ensure!(receipt["status"] == "0x1", "a transfer failed: {receipt:#}");
        ensure!(receipt["gasUsed"] == "0x5208", "{receipt:#}");
    }
    let spent: U256 = (0..TRANSFERS_EACH).map(value).sum();
    for node in &nodes {
        for (number, sender) in senders.iter().enumerate() {
            let got = node.balance(recipient(number)).await?;
            ensure!(got == spent, "recipient {number} has {got}, expected {spent}");
            let left = node.balance(sender.address()).await?;
            ensure!(left == accounts::funds() - spent, "sender {number} has {left}");
            ensure!(node.nonce(sender.address()).await? == TRANSFERS_EACH as u64);
        }
    }
    let head = checks::same_chain(&nodes).await?;
    let electorate = Electorate::of(&cluster.home(0).join("genesis.json"))?;
    for number in 0..=head {
        let node = nodes[usize::try_from(number)? % nodes.len()];
        checks::header_is_true(node, number).await?;
        if number > 0 {
            checks::certificate_is_true(node, number, &electorate).await?;
        }
    }
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_is_deployed_and_called_with_alloy() -> Result<()> {
    let cluster = Cluster::launch(Plan::validators(&STAKES)).await?;
    let nodes = cluster.rpcs();
    let owner = Account::test(0)?;

    let wallet = ProviderBuilder::new().wallet(owner.signer()).connect_http(nodes[0].url().clone());
    let creation = TransactionRequest::default().with_deploy_code(counter_creation());
    let deployed = wallet.send_transaction(creation).await?.get_receipt().await?;
    ensure!(deployed.status(), "{deployed:?}");
    let address = deployed.contract_address.context("no contract address")?;
    ensure!(address == owner.address().create(0));

    // Each call goes through another node, by another sender.
    let mut hashes = vec![deployed.transaction_hash];
    let mut total = U256::ZERO;
    for (number, node) in nodes.iter().enumerate() {
        let what = format!("{} knows the contract", node.url());
        wait::until_true(what, LIMIT, async || {
            let code: String = node.get("eth_getCode", json!([address, "latest"])).await?;
            Ok::<_, anyhow::Error>(code.len() > 2)
        })
        .await?;
        let caller = Account::test(number)?;
        let provider = ProviderBuilder::new().wallet(caller.signer()).connect_http(node.url().clone());
        let counter = Counter::new(address, provider);
        let amount = U256::from(number + 7);
        total += amount;
        let receipt = counter.add(amount).send().await?.get_receipt().await?;
        ensure!(receipt.status(), "{receipt:?}");
        let added = receipt.decoded_log::<Counter::Added>().context("the call left no log")?;
        ensure!(added.by == caller.address() && added.total == total, "{} added up to {}", added.by, added.total);
        ensure!(counter.value().call().await? == total);
        hashes.push(receipt.transaction_hash);
    }

    final_everywhere(&nodes, &hashes).await?;
    checks::same_receipts(&nodes, &hashes).await?;
    for node in &nodes {
        let counter = Counter::new(address, node.provider());
        ensure!(counter.value().call().await? == total);
        let filter = json!([{"address": address, "fromBlock": "0x0", "toBlock": "latest"}]);
        let logs: Vec<serde_json::Value> = node.get("eth_getLogs", filter).await?;
        ensure!(logs.len() == nodes.len(), "{logs:?}");
    }
    let head = checks::same_chain(&nodes).await?;
    for number in 0..=head {
        checks::header_is_true(nodes[0], number).await?;
    }
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn cast_sends_deploys_and_calls() -> Result<()> {
    let cluster = Cluster::launch(Plan::validators(&STAKES)).await?;
    let nodes = cluster.rpcs();
    let Some(first) = Cast::at(nodes[0]) else {
        return cluster.finish().await;
    };
    let owner = Account::test(0)?;
    let key = owner.private_key();
    let target = recipient(0).to_string();

    let receipt = first.json(&["send", &target, "--value", "1ether", "--private-key", &key]).await?;
    ensure!(receipt["status"] == "0x1", "{receipt:#}");
    let second = Cast::at(nodes[1]).context("cast is gone")?;
    cluster.reaches(1, nodes[0].block_number().await?, LIMIT).await?;
    let legacy = second.json(&["send", &target, "--value", "1", "--legacy", "--private-key", &key]).await?;
    ensure!(legacy["status"] == "0x1" && legacy["type"] == "0x0", "{legacy:#}");

    let third = Cast::at(nodes[2]).context("cast is gone")?;
    cluster.reaches(2, nodes[1].block_number().await?, LIMIT).await?;
    let code = counter_creation().to_string();
    let created = third.json(&["send", "--private-key", &key, "--create", &code]).await?;
    let address = created["contractAddress"].as_str().context("no address")?;
    let fourth = Cast::at(nodes[3]).context("cast is gone")?;
    cluster.reaches(3, nodes[2].block_number().await?, LIMIT).await?;
    let added = fourth.json(&["send", address, "add(uint256)", "42", "--private-key", &key]).await?;
    ensure!(added["logs"].as_array().is_some_and(|logs| logs.len() == 1), "{added:#}");

    let last = nodes[3].block_number().await?;
    for (number, node) in nodes.iter().enumerate() {
        cluster.reaches(number, last, LIMIT).await?;
        let cast = Cast::at(node).context("cast is gone")?;
        let total = cast.run(&["call", address, "value()(uint256)"]).await?;
        ensure!(total == "42", "cast call printed {total}");
        let balance = cast.run(&["balance", &target]).await?;
        ensure!(balance == "1000000000000000001", "cast balance printed {balance}");
        let refused = cast.run(&["call", address, "add(uint256)", "0"]).await;
        let text = format!("{:#}", refused.err().context("adding zero did not revert")?);
        ensure!(text.contains("zero"), "{text}");
    }
    checks::same_chain(&nodes).await?;
    cluster.finish().await
}
