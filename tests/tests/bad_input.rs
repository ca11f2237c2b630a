//! Bad input is refused with the code and the text that Ethereum's tools expect, and does no harm.

use std::time::Duration;

use alloy::sol_types::SolCall;
use alloy::{
    consensus::{TxEip1559, TxEip4844, TxLegacy},
    primitives::{Address, B256, Bytes, TxKind, U256, hex},
};
use anyhow::{Context, Result, ensure};
use assent_tests::{
    accounts::{Account, CHAIN_ID, TRANSFER_GAS, funds},
    cluster::{Cluster, Plan},
    contracts::{Counter, counter_creation},
    rpc::Rpc,
    wait,
};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);
/// An account in a test plan that is not funded.
const POOR: usize = 900;
const SOMEBODY: Address = Address::repeat_byte(0x77);

/// A transfer by `account` with nonce `nonce`, to be changed by a case.
fn transfer(nonce: u64) -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: TRANSFER_GAS,
        to: TxKind::Call(SOMEBODY),
        value: U256::from(1),
        ..TxEip1559::default()
    }
}

/// Checks that a call is refused with this code and a text that begins so.
async fn refused(node: &Rpc, method: &str, params: Value, code: i64, text: &str) -> Result<()> {
    let shown: String = params.to_string().chars().take(200).collect();
    let error = match node.call(method, params).await {
        Err(error) => error,
        Ok(result) => anyhow::bail!("{method} {shown} was answered with {result}"),
    };
    let refusal = error.refusal().with_context(|| format!("{method} {shown}: {error}"))?;
    ensure!(
        refusal.code == code && refusal.message.starts_with(text),
        "{method} {shown}: expected {code} {text}, got {refusal}"
    );
    Ok(())
}

async fn raw_refused(node: &Rpc, raw: &Bytes, text: &str) -> Result<()> {
    refused(node, "eth_sendRawTransaction", json!([raw]), -32000, text).await
}

async fn gas_limit(node: &Rpc) -> Result<u64> {
    let block = node.block(node.block_number().await?).await?;
    let limit: U256 = serde_json::from_value(block["gasLimit"].clone())?;
    Ok(limit.to())
}

/// Transactions that are wrong in themselves, with the text of the refusal.
fn wrong_transactions(account: &Account, gas_limit: u64) -> Result<Vec<(Bytes, &'static str)>> {
    let poor = Account::test(POOR)?;
    let eip1559 = |change: &dyn Fn(&mut TxEip1559)| {
        let mut transaction = transfer(1);
        change(&mut transaction);
        account.sign(transaction)
    };
    let cases = [
        (eip1559(&|tx| tx.chain_id = 1)?, "invalid sender: invalid chain id for signer"),
        (
            account.sign(TxLegacy {
                chain_id: None,
                nonce: 1,
                gas_limit: TRANSFER_GAS,
                to: TxKind::Call(SOMEBODY),
                ..TxLegacy::default()
            })?,
            "only replay-protected (EIP-155) transactions allowed over RPC",
        ),
        (eip1559(&|tx| tx.nonce = 0)?, "nonce too low"),
        (eip1559(&|tx| tx.value = funds() * U256::from(2))?, "insufficient funds for gas * price + value"),
        (poor.sign(transfer(0))?, "insufficient funds for gas * price + value"),
        (eip1559(&|tx| tx.gas_limit = gas_limit + 1)?, "exceeds block gas limit"),
        (eip1559(&|tx| tx.gas_limit = TRANSFER_GAS - 1)?, "intrinsic gas too low"),
        (
            eip1559(&|tx| {
                tx.gas_limit = 4_000_000;
                tx.input = vec![0; 200_000].into();
            })?,
            "oversized data",
        ),
        (
            eip1559(&|tx| {
                tx.to = TxKind::Create;
                tx.gas_limit = 4_000_000;
                tx.input = vec![0; 49_153].into();
            })?,
            "max initcode size exceeded",
        ),
        (eip1559(&|tx| tx.max_priority_fee_per_gas = 1)?, "max priority fee per gas higher than max fee per gas"),
        (
            account.sign(TxEip4844 {
                chain_id: CHAIN_ID,
                nonce: 1,
                gas_limit: TRANSFER_GAS,
                to: SOMEBODY,
                max_fee_per_blob_gas: 1,
                blob_versioned_hashes: vec![B256::with_last_byte(1)],
                ..TxEip4844::default()
            })?,
            "transaction type not supported",
        ),
    ];
    Ok(cases.into_iter().map(|(signed, text)| (signed.raw, text)).collect())
}

/// The same transaction with the other, malleable form of its signature.
fn with_high_s(raw: &Bytes) -> Result<Bytes> {
    use alloy::{
        consensus::{Signed, TxEnvelope},
        eips::eip2718::{Decodable2718, Encodable2718},
        primitives::Signature,
    };
    let order = U256::from_be_bytes(hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"));
    let TxEnvelope::Eip1559(signed) = TxEnvelope::decode_2718(&mut raw.as_ref())? else {
        anyhow::bail!("no EIP-1559 transaction");
    };
    let (transaction, signature, hash) = signed.into_parts();
    let high = Signature::new(signature.r(), order - signature.s(), !signature.v());
    let mutated = Signed::new_unchecked(transaction, high, hash);
    Ok(TxEnvelope::from(mutated).encoded_2718().into())
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_transactions_are_refused_by_name() -> Result<()> {
    let cluster = Cluster::launch(Plan::validators(&[1])).await?;
    let node = cluster.rpc(0);
    let mut account = Account::test(0)?;
    let first = account.transfer(SOMEBODY, U256::from(5))?;
    first.submit(node).await?;
    wait::until_true("the first transfer is final", LIMIT, async || {
        Ok::<_, anyhow::Error>(node.receipt(first.hash).await?.is_some())
    })
    .await?;

    for (raw, text) in wrong_transactions(&account, gas_limit(node).await?)? {
        raw_refused(node, &raw, text).await?;
    }
    raw_refused(node, &first.raw, "nonce too low").await?;
    let good = account.sign(transfer(1))?;
    raw_refused(node, &with_high_s(&good.raw)?, "invalid sender").await?;
    raw_refused(node, &hex!("7ec0").into(), "transaction type not supported").await?;

    // A transaction that waits for its predecessor: not twice, and not replaced by a cheaper one.
    let mut waiting = transfer(3);
    waiting.max_fee_per_gas = 2_000_000_000;
    waiting.max_priority_fee_per_gas = 2_000_000_000;
    let queued = account.sign(waiting.clone())?;
    queued.submit(node).await?;
    raw_refused(node, &queued.raw, "already known").await?;
    waiting.max_fee_per_gas = 1_000_000_000;
    waiting.max_priority_fee_per_gas = 1_000_000_000;
    let cheaper = account.sign(waiting)?;
    raw_refused(node, &cheaper.raw, "replacement transaction underpriced").await?;

    // Nothing of this did harm: the next transactions are final.
    good.submit(node).await?;
    account.sign(transfer(2))?.submit(node).await?;
    wait::until_true("the transaction that waited is final", LIMIT, async || {
        Ok::<_, anyhow::Error>(node.receipt(queued.hash).await?.is_some())
    })
    .await?;
    ensure!(node.balance(SOMEBODY).await? == U256::from(8));
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_refused_by_code() -> Result<()> {
    let cluster = Cluster::launch(Plan::validators(&[1])).await?;
    let node = cluster.rpc(0);

    // Not even JSON-RPC.
    for (body, code) in [
        ("{", -32700),
        ("this is no JSON", -32700),
        ("", -32700),
        ("[]", -32600),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":7,"params":[]}"#, -32600),
    ] {
        let (status, answer) = node.post(body).await?;
        ensure!(status == 200, "{body:?} was answered with HTTP {status}");
        ensure!(answer["error"]["code"] == code, "{body:?}: expected {code}, got {answer}");
    }

    for method in ["eth_foo", "foo", "admin_peers", "personal_sign", ""] {
        let text = format!("the method {method} does not exist/is not available");
        refused(node, method, json!([]), -32601, &text).await?;
    }

    let somebody = json!(SOMEBODY);
    for (method, params) in [
        ("eth_getBalance", json!([])),
        ("eth_getBalance", json!([5, "latest"])),
        ("eth_getBalance", json!(["0x12", "latest"])),
        ("eth_getBalance", json!([somebody, "newest"])),
        ("eth_getBalance", json!([somebody, {"blockHash": "0x12"}])),
        ("eth_getTransactionCount", json!(["nobody", "latest"])),
        ("eth_getTransactionReceipt", json!(["0x1234"])),
        ("eth_getTransactionByHash", json!([[]])),
        ("eth_getBlockByNumber", json!(["one", false])),
        ("eth_getBlockByNumber", json!(["0x1", "yes"])),
        ("eth_getBlockByHash", json!(["0x1", false])),
        ("eth_getStorageAt", json!([somebody, "slot", "latest"])),
        ("eth_sendRawTransaction", json!([])),
        ("eth_sendRawTransaction", json!(["zz"])),
        ("eth_sendRawTransaction", json!([7])),
        ("eth_call", json!([])),
        ("eth_call", json!([{"to": "0x12"}, "latest"])),
        ("eth_getLogs", json!([{"fromBlock": "0x2", "toBlock": "0x1"}])),
        ("eth_getLogs", json!([{"fromBlock": "0x0", "toBlock": "0xffffff"}])),
        ("eth_getLogs", json!([{"blockHash": B256::ZERO, "fromBlock": "0x0"}])),
    ] {
        refused(node, method, params, -32602, "").await?;
    }

    // Things that are not there.
    for (method, params) in [
        ("eth_getBlockByNumber", json!(["0xffffff", false])),
        ("eth_getBlockByHash", json!([B256::repeat_byte(9), false])),
        ("eth_getTransactionByHash", json!([B256::repeat_byte(9)])),
        ("eth_getTransactionReceipt", json!([B256::repeat_byte(9)])),
    ] {
        let found = node.call(method, params.clone()).await?;
        ensure!(found.is_null(), "{method} {params} found {found}");
    }
    for (method, mut params) in [
        ("eth_getBalance", json!([somebody])),
        ("eth_getTransactionCount", json!([somebody])),
        ("eth_getCode", json!([somebody])),
        ("eth_getStorageAt", json!([somebody, "0x0"])),
        ("eth_call", json!([{"to": somebody}])),
    ] {
        if let Some(params) = params.as_array_mut() {
            params.push(json!("0xffffff"));
        }
        refused(node, method, params, -32000, "header not found").await?;
    }
    too_much(node).await?;

    // A request that is right is answered as ever.
    node.block_number().await?;
    cluster.finish().await
}

/// Requests past the limits: refused, and the server goes on.
async fn too_much(node: &Rpc) -> Result<()> {
    let call = ("eth_blockNumber", json!([]));
    let long = vec![call; 2_000];
    let answer = node.batch(&long).await;
    let served = answer.is_ok_and(|results| results.iter().any(Result::is_ok));
    ensure!(!served, "a batch of {} calls was served", long.len());

    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "web3_sha3", "params": ["0".repeat(6 << 20)]});
    match node.post(body.to_string()).await {
        Ok((_, answer)) => ensure!(answer["error"]["code"].is_i64(), "{answer}"),
        // The server may hang up on a request of that size before it is read.
        Err(error) => println!("a request of 6 MiB: {error}"),
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn reverts_carry_their_reason() -> Result<()> {
    let cluster = Cluster::launch(Plan::validators(&[1])).await?;
    let node = cluster.rpc(0);
    let mut account = Account::test(0)?;
    let creation = account.next(TxKind::Create, U256::ZERO, counter_creation(), 1_000_000);
    let creation = account.sign(creation)?;
    creation.submit(node).await?;
    let receipt = wait::until("the contract is there", LIMIT, async || node.receipt(creation.hash).await).await?;
    ensure!(receipt["status"] == "0x1", "{receipt:#}");
    let contract = account.address().create(0);
    ensure!(receipt["contractAddress"] == json!(contract), "{receipt:#}");

    // Without sending: code 3, the reason in the text and the bytes in the data.
    let zero = Counter::addCall { amount: U256::ZERO }.abi_encode();
    for method in ["eth_call", "eth_estimateGas"] {
        let request = json!([{"to": contract, "input": Bytes::from(zero.clone())}, "latest"]);
        refused(node, method, request.clone(), 3, "execution reverted: zero").await?;
        let error = node.call(method, request).await.err();
        let data = error.as_ref().and_then(|error| error.refusal()?.data.as_ref());
        let data = data.and_then(Value::as_str).context("no data")?;
        ensure!(data.starts_with("0x08c379a0"), "{data}");
        refused(node, method, json!([{"to": contract}]), 3, "execution reverted").await?;
    }

    // Sent: in a block, with status 0, and nothing changed.
    let failing = account.next(TxKind::Call(contract), U256::ZERO, zero.into(), 100_000);
    let failing = account.sign(failing)?;
    failing.submit(node).await?;
    let receipt = wait::until("the failing call is final", LIMIT, async || node.receipt(failing.hash).await).await?;
    ensure!(receipt["status"] == "0x0", "{receipt:#}");
    ensure!(receipt["logs"] == json!([]), "{receipt:#}");
    let slot: B256 = node.get("eth_getStorageAt", json!([contract, "0x0", "latest"])).await?;
    ensure!(slot == B256::ZERO);
    cluster.finish().await
}
