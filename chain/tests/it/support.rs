//! Nodes without network and consensus.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alloy_consensus::{SignableTransaction, Signed, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, hex, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use assent_chain::mempool::Origin;
use assent_chain::{
    Block, BlockError, BuildRequest, Chain, ChainOptions, ExecutedBlock, History, Seal, SealExpectation,
};
use assent_genesis::{Genesis, NetworkPlan};
use tempfile::TempDir;

pub const CHAIN_ID: u64 = 31337;
pub const START: u64 = 1_700_000_000;
pub const FEES: Address = Address::repeat_byte(0xfe);
pub const RICH: u64 = 1_000_000_000_000_000_000;
pub const SKEW: Duration = Duration::from_secs(2);

/// A genesis with ten rich accounts, changed by `edit`.
pub fn genesis_with(edit: impl FnOnce(&mut NetworkPlan)) -> Genesis {
    let mut plan = NetworkPlan::new(CHAIN_ID, vec![40, 30, 20, 10]);
    plan.timestamp = START;
    let rich = GenesisAccount::default().with_balance(U256::from(RICH));
    plan.alloc = (0..10).map(|index| (address(index), rich.clone())).collect();
    edit(&mut plan);
    plan.build().unwrap().0
}

pub fn genesis() -> Genesis {
    genesis_with(|_| ())
}

pub fn signer(index: usize) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&keccak256(index.to_be_bytes())).unwrap()
}

pub fn address(index: usize) -> Address {
    signer(index).address()
}

pub fn sign<T: SignableTransaction<Signature>>(from: usize, tx: T) -> Bytes
where
    Signed<T>: Into<TxEnvelope>,
{
    let signature = signer(from).sign_hash_sync(&tx.signature_hash()).unwrap();
    let envelope: TxEnvelope = tx.into_signed(signature).into();
    envelope.encoded_2718().into()
}

pub fn eip1559(nonce: u64) -> TxEip1559 {
    TxEip1559 { chain_id: CHAIN_ID, nonce, gas_limit: 21_000, ..TxEip1559::default() }
}

pub fn transfer(from: usize, nonce: u64, to: Address, value: u64) -> Bytes {
    sign(from, TxEip1559 { to: TxKind::Call(to), value: U256::from(value), ..eip1559(nonce) })
}

pub fn create(from: usize, nonce: u64, code: Bytes) -> Bytes {
    sign(from, TxEip1559 { to: TxKind::Create, input: code, gas_limit: 1_000_000, ..eip1559(nonce) })
}

pub fn call(from: usize, nonce: u64, to: Address, input: impl Into<Bytes>) -> Bytes {
    sign(from, TxEip1559 { to: TxKind::Call(to), input: input.into(), gas_limit: 500_000, ..eip1559(nonce) })
}

/// Init code that leaves this code behind.
pub fn deploying(code: &[u8]) -> Bytes {
    let length = u8::try_from(code.len()).unwrap();
    // CODECOPY(0, 11, length); RETURN(0, length)
    let mut init = vec![0x60, length, 0x80, 0x60, 11, 0x60, 0, 0x39, 0x60, 0, 0xf3];
    init.extend_from_slice(code);
    init.into()
}

/// With two words of input it stores the second in the slot that the first names, and logs it.
/// With one word it returns that slot. With anything else it reverts with its input.
pub const STORE: [u8; 55] = hex!(
    "36604014601857 366020 14602a57 3660006000373660 00fd"
    "5b602035806000355560005260206000a000"
    "5b6000355460005260206000f3"
);

pub fn words(words: &[u64]) -> Bytes {
    words.iter().flat_map(|word| U256::from(*word).to_be_bytes::<32>()).collect::<Vec<_>>().into()
}

/// A chain in a directory of its own.
pub struct Node {
    pub chain: Chain,
    pub directory: Arc<TempDir>,
}

impl Node {
    pub fn new(genesis: &Genesis) -> Self {
        Self::open(Arc::new(tempfile::tempdir().unwrap()), genesis, History::Archive)
    }

    pub fn open(directory: Arc<TempDir>, genesis: &Genesis, history: History) -> Self {
        let options = ChainOptions { history, ..ChainOptions::default() };
        let chain = Chain::open(&directory.path().join("chain"), genesis, &options).unwrap();
        Self { chain, directory }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("chain")
    }

    /// Closes the chain and leaves the directory.
    pub fn close(self) -> Arc<TempDir> {
        self.directory
    }

    pub fn add(&self, raw: &Bytes) {
        self.chain.pool().add_raw(raw.clone(), Origin::Local).unwrap();
    }

    pub fn request(&self, parent: B256, view: u64, time_ms: u64) -> BuildRequest {
        let seal = Seal { view, time_ms, parent_certificate: keccak256(parent), ..Seal::default() };
        BuildRequest { parent, seal, fee_recipient: FEES, empty: false, time_budget: Duration::from_secs(60) }
    }

    /// A block upon `parent`, 100 ms later, from what the pool holds.
    pub fn build_upon(&self, parent: B256) -> Arc<ExecutedBlock> {
        let head = self.chain.head();
        let (number, time) = match self.chain.get_unfinal(parent) {
            Some(block) => (block.number(), block.time_ms()),
            None => (head.number, head.time_ms),
        };
        self.chain.build(self.request(parent, number + 1, time + 100)).unwrap()
    }

    /// The same with these transactions, which then must be all there are.
    pub fn build_with(&self, parent: B256, transactions: &[Bytes]) -> Arc<ExecutedBlock> {
        for raw in transactions {
            self.add(raw);
        }
        let block = self.build_upon(parent);
        assert_eq!(block.block().transactions().len(), transactions.len());
        block
    }

    /// A final block upon the head.
    pub fn next(&self, transactions: &[Bytes]) -> Arc<ExecutedBlock> {
        let block = self.build_with(self.chain.head().hash, transactions);
        self.finalize(&block);
        block
    }

    pub fn finalize(&self, block: &ExecutedBlock) {
        self.chain.finalize(block.hash(), &[(block.hash(), certificate(block.hash()))]).unwrap();
    }

    pub fn decode(&self, block: &ExecutedBlock) -> Block {
        self.chain.decode_block(block.encoded()).unwrap()
    }

    /// Judges another node's block, at the time that it names.
    pub fn validate(&self, block: &ExecutedBlock) -> Result<Arc<ExecutedBlock>, BlockError> {
        let decoded = self.decode(block);
        let expect = SealExpectation::of(&decoded.seal);
        self.chain.validate(decoded, &expect, block.time_ms(), SKEW)
    }

    pub fn balance(&self, address: Address) -> U256 {
        self.chain.latest_state().balance(&address).unwrap()
    }
}

pub fn certificate(hash: B256) -> Vec<u8> {
    [b"certificate of ", hash.as_slice()].concat()
}
