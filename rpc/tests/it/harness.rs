//! A node without network and consensus: blocks are built and made final by hand.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use assent_chain::{BuildRequest, Chain, ChainOptions, ExecutedBlock, Seal, mempool::Origin};
use assent_consensus::{Ballot, Epoch, Hash, Phase, ValidatorIndex, View};
use assent_genesis::{Genesis, NetworkPlan, NodeKeys, dev_accounts};
use assent_rpc::{Backend, NodeStatus, RpcConfig, RpcHandle, Submission, SubmitError, serve};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, watch},
};

pub const CHAIN_ID: u64 = 31337;

/// Emits a log with one topic and 32 zero bytes, stores 42 in slot 0, and leaves one byte of code.
pub fn logging_contract(topic: B256) -> Bytes {
    let mut code = vec![0x7f];
    code.extend_from_slice(topic.as_slice());
    // LOG1(0, 32, topic); SSTORE(0, 42); MSTORE8(0, 0); RETURN(0, 1)
    code.extend_from_slice(&[0x60, 0x20, 0x60, 0x00, 0xa1, 0x60, 0x2a, 0x60, 0x00, 0x55]);
    code.extend_from_slice(&[0x60, 0x00, 0x60, 0x00, 0x53, 0x60, 0x01, 0x60, 0x00, 0xf3]);
    code.into()
}

/// Init code that reverts with this data.
pub fn reverting_code(data: &[u8]) -> Bytes {
    let [high, low] = u16::try_from(data.len()).unwrap().to_be_bytes();
    // CODECOPY(0, 14, length); REVERT(0, length)
    let mut code = vec![0x61, high, low, 0x60, 14, 0x60, 0, 0x39, 0x61, high, low, 0x60, 0, 0xfd];
    code.extend_from_slice(data);
    code.into()
}

/// Init code that never ends.
pub const ENDLESS_CODE: [u8; 4] = [0x5b, 0x60, 0x00, 0x56];

pub struct Node {
    pub chain: Arc<Chain>,
    pub genesis: Arc<Genesis>,
    pub rpc: RpcHandle,
    pub status: watch::Sender<Arc<NodeStatus>>,
    pub accounts: Vec<PrivateKeySigner>,
    /// The nodes' keys, in the order of the genesis.
    pub keys: Vec<NodeKeys>,
    view: AtomicU64,
    _directory: TempDir,
}

impl Node {
    pub async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    pub async fn start_with(edit: impl FnOnce(&mut RpcConfig)) -> Self {
        Self::start_network(|_| (), edit).await
    }

    pub async fn start_network(plan: impl FnOnce(&mut NetworkPlan), edit: impl FnOnce(&mut RpcConfig)) -> Self {
        Self::launch(plan, ChainOptions::default(), edit).await
    }

    pub async fn launch(
        plan: impl FnOnce(&mut NetworkPlan),
        options: ChainOptions,
        edit: impl FnOnce(&mut RpcConfig),
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut network = NetworkPlan::new(CHAIN_ID, vec![40, 30, 20, 10]);
        network.timestamp = 1_700_000_000;
        network.fund_dev_accounts = true;
        plan(&mut network);
        let (genesis, keys) = network.build().unwrap();
        let genesis = Arc::new(genesis);
        let chain = Arc::new(Chain::open(&directory.path().join("chain"), &genesis, &options).unwrap());
        let (status, status_receiver) = watch::channel(Arc::new(NodeStatus {
            chain_id: CHAIN_ID,
            genesis_hash: genesis.hash(),
            node_name: "node0".into(),
            ..NodeStatus::default()
        }));
        let (submit, submissions) = mpsc::channel(16);
        tokio::spawn(admit(chain.clone(), submissions));
        let backend = Backend {
            chain: chain.clone(),
            genesis: genesis.clone(),
            status: status_receiver,
            submit,
            client_version: "assent/test".into(),
        };
        let mut config = RpcConfig { listen: "127.0.0.1:0".parse().unwrap(), ..RpcConfig::default() };
        edit(&mut config);
        let rpc = serve(config, backend).await.unwrap();
        let signer = |account: &assent_genesis::DevAccount| PrivateKeySigner::from_bytes(&account.private_key).unwrap();
        let accounts = dev_accounts().iter().map(signer).collect();
        Self { chain, genesis, rpc, status, accounts, keys, view: AtomicU64::new(1), _directory: directory }
    }

    /// Admits the transactions and makes a block of them final, with a certificate of validators
    /// 0 and 1 whose signatures are made up.
    pub async fn block(&self, transactions: &[Bytes]) -> Arc<ExecutedBlock> {
        for raw in transactions {
            self.chain.pool().add_raw(raw.clone(), Origin::Local).unwrap();
        }
        let view = self.view.fetch_add(1, Ordering::Relaxed);
        let (chain, genesis) = (self.chain.clone(), self.genesis.clone());
        tokio::task::spawn_blocking(move || finalize_next(&chain, &genesis, view)).await.unwrap()
    }

    /// Two blocks that become final together: the first has a certificate of Prepare votes only, the second one of
    /// Commit votes that validators 0 and 1 have really signed.
    pub async fn two_at_once(&self) -> [Arc<ExecutedBlock>; 2] {
        let view = self.view.fetch_add(2, Ordering::Relaxed);
        let (chain, genesis, keys) = (self.chain.clone(), self.genesis.clone(), self.keys.clone());
        let work = move || {
            let head = chain.head();
            let first = build(&chain, &genesis, (head.hash, head.time_ms), view);
            let second = build(&chain, &genesis, (first.hash(), head.time_ms + 500), view + 1);
            let mut prepared = certificate(view, first.hash());
            prepared[0] = Phase::Prepare as u8;
            let committed = signed_certificate(&keys, &genesis, view + 1, second.hash());
            chain.finalize(second.hash(), &[(first.hash(), prepared), (second.hash(), committed)]).unwrap();
            [first, second]
        };
        tokio::task::spawn_blocking(work).await.unwrap()
    }

    /// Some empty blocks.
    pub async fn blocks(&self, count: usize) {
        for _ in 0..count {
            self.block(&[]).await;
        }
    }

    pub fn transfer<T>(&self, from: usize, nonce: u64, to: Address, value: T) -> Bytes
    where
        U256: alloy_primitives::ruint::UintTryFrom<T>,
    {
        self.sign(
            from,
            TxEip1559 { nonce, to: TxKind::Call(to), value: U256::from(value), gas_limit: 21_000, ..eip1559() },
        )
    }

    pub fn create(&self, from: usize, nonce: u64, code: Bytes) -> Bytes {
        self.sign(from, TxEip1559 { nonce, to: TxKind::Create, input: code, gas_limit: 200_000, ..eip1559() })
    }

    pub fn call_contract(&self, from: usize, nonce: u64, to: Address, input: impl Into<Bytes>) -> Bytes {
        let to = TxKind::Call(to);
        self.sign(from, TxEip1559 { nonce, to, input: input.into(), gas_limit: 500_000, ..eip1559() })
    }

    pub fn legacy(&self, from: usize, nonce: u64, gas_price: u128) -> Bytes {
        let to = TxKind::Call(Address::repeat_byte(1));
        self.sign(
            from,
            TxLegacy { chain_id: Some(CHAIN_ID), nonce, gas_price, gas_limit: 21_000, to, ..TxLegacy::default() },
        )
    }

    pub fn sign<T: SignableTransaction<alloy_primitives::Signature>>(&self, from: usize, tx: T) -> Bytes
    where
        alloy_consensus::Signed<T>: Into<TxEnvelope>,
    {
        let signature = self.accounts[from].sign_hash_sync(&tx.signature_hash()).unwrap();
        let envelope: TxEnvelope = tx.into_signed(signature).into();
        envelope.encoded_2718().into()
    }

    pub fn address(&self, index: usize) -> Address {
        self.accounts[index].address()
    }

    /// The whole answer to a call.
    pub async fn call(&self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer = self.post(&body.to_string()).await;
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(1)), "{answer}");
        answer
    }

    pub async fn result(&self, method: &str, params: Value) -> Value {
        let answer = self.call(method, params.clone()).await;
        assert!(answer.get("error").is_none(), "{method} {params}: {answer}");
        answer["result"].clone()
    }

    pub async fn error(&self, method: &str, params: Value) -> Value {
        let answer = self.call(method, params.clone()).await;
        assert!(answer.get("result").is_none(), "{method} {params}: {answer}");
        answer["error"].clone()
    }

    /// An error's code and text.
    pub async fn fails(&self, method: &str, params: Value) -> (i64, String) {
        let error = self.error(method, params).await;
        (error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())
    }

    /// The JSON of the answer to a body, which must come with status 200.
    pub async fn post(&self, body: &str) -> Value {
        let response = self.http("POST", &[("content-type", "application/json")], body).await;
        assert_eq!(response.status, 200, "{response:?}");
        serde_json::from_str(&response.body).unwrap_or_else(|error| panic!("{error}: {response:?}"))
    }

    pub async fn http(&self, method: &str, headers: &[(&str, &str)], body: &str) -> Response {
        http(self.rpc.addr(), method, headers, body).await
    }
}

fn eip1559() -> TxEip1559 {
    TxEip1559 { chain_id: CHAIN_ID, ..TxEip1559::default() }
}

/// Takes transactions as the node does.
async fn admit(chain: Arc<Chain>, mut submissions: mpsc::Receiver<Submission>) {
    while let Some(Submission { raw, reply }) = submissions.recv().await {
        let admitted = chain.pool().add_raw(raw, Origin::Local);
        let _ = reply.send(admitted.map(|outcome| outcome.hash).map_err(SubmitError::from));
    }
}

/// Builds a block upon a parent, of which hash and time are given, half a second later.
fn build(chain: &Chain, genesis: &Genesis, parent: (B256, u64), view: u64) -> Arc<ExecutedBlock> {
    let (parent, time_ms) = (parent.0, parent.1 + 500);
    let set = genesis.validator_set(Epoch(0), genesis.ethereum.timestamp).unwrap();
    let seal = Seal { view, time_ms, validator_set: B256::new(set.hash().0), ..Seal::default() };
    let fee_recipient = genesis.fee_recipient(ValidatorIndex(0)).unwrap();
    let time_budget = Duration::from_secs(60);
    chain.build(BuildRequest { parent, seal, fee_recipient, empty: false, time_budget }).unwrap()
}

fn finalize_next(chain: &Chain, genesis: &Genesis, view: u64) -> Arc<ExecutedBlock> {
    let head = chain.head();
    let block = build(chain, genesis, (head.hash, head.time_ms), view);
    let certificate = certificate(view, block.hash());
    chain.finalize(block.hash(), &[(block.hash(), certificate)]).unwrap();
    block
}

/// The same as [`certificate`] with signatures that hold.
fn signed_certificate(keys: &[NodeKeys], genesis: &Genesis, view: u64, block: B256) -> Vec<u8> {
    let ballot = Ballot { epoch: Epoch(0), view: View(view), phase: Phase::Commit, block: Hash(block.0) };
    let message = ballot.sign_bytes(&Hash(genesis.hash().0));
    let mut bytes = certificate(view, block);
    bytes.truncate(bytes.len() - 2 * 64);
    for keys in &keys[..2] {
        bytes.extend_from_slice(&keys.validator.as_ref().unwrap().sign(&message).0);
    }
    bytes
}

/// The bytes of a commit certificate of validators 0 and 1 of 4.
pub fn certificate(view: u64, block: B256) -> Vec<u8> {
    let mut bytes = vec![2];
    bytes.extend_from_slice(&0u64.to_be_bytes());
    bytes.extend_from_slice(&view.to_be_bytes());
    bytes.extend_from_slice(block.as_slice());
    bytes.extend_from_slice(&4u16.to_be_bytes());
    bytes.push(0b0011);
    bytes.extend_from_slice(&[0xaa; 64]);
    bytes.extend_from_slice(&[0xbb; 64]);
    bytes
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// One request on a connection of its own.
pub async fn http(addr: SocketAddr, method: &str, headers: &[(&str, &str)], body: &str) -> Response {
    let mut request = format!("{method} / HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| *name == "host") {
        request.push_str(&format!("host: {addr}\r\n"));
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    request.push_str(body);
    let mut socket = TcpStream::connect(addr).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    parse(&String::from_utf8(answer).unwrap())
}

fn parse(answer: &str) -> Response {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP: {answer:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_owned(), value.to_owned())
    };
    Response { status, headers: lines.map(header).collect(), body: body.to_owned() }
}
