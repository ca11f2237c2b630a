//! `assent query`: what a running node knows of blocks, transactions, accounts, validators and certificates.
//!
//! Here stand the arguments and the questions to the node; how the answers are shown is in [`show`].

mod answer;
mod block_ref;
mod show;

use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, U64, U256, keccak256};
use anyhow::{Context, Result, anyhow};
use clap::{Args, Subcommand};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use self::{
    answer::{Account, Certificate, Seal, Validators},
    block_ref::BlockRef,
};
use super::{
    print,
    status::{METHOD_NOT_FOUND, explain},
    table,
};
use crate::jsonrpc::{CallError, JsonRpc};

pub(super) use self::show::status as status_of;

/// Time in which a node must answer.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
#[command(
    about = "Look up blocks, transactions, accounts, validators and certificates",
    after_help = "\
Examples:
  assent query block                        the last block
  assent query block 12                     by number (also 0xc, or by hash)
  assent query tx 0xec08...21e5             a transaction, final or waiting
  assent query receipt 0xec08...21e5        what came of it
  assent query account 0xf39F...2266        balance, nonce, code
  assent query validators --block 12        who votes, with which weight
  assent query certificate 12               whose votes made block 12 final
  assent query proof 0xf39F...2266          a proof that needs no trust in the node
  assent query block --json | jq .gasUsed   the node's answer as it is

The exit code is 1 when there is no such thing, or the node does not answer."
)]
pub(super) struct QueryArgs {
    #[command(subcommand)]
    what: What,
    /// The node's JSON-RPC
    #[arg(long, value_name = "URL", env = "ETH_RPC_URL", default_value = "http://127.0.0.1:8545", global = true)]
    rpc: String,
    /// Print the node's answer as it is
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A block: time, proposer, votes, gas, transactions
    #[command(
        after_help = "Examples:\n  assent query block\n  assent query block 12\n  assent query block latest --json"
    )]
    Block {
        /// A number, a hash, latest or earliest
        #[arg(value_name = "N|HASH|latest", default_value = "latest")]
        block: BlockRef,
    },
    /// A transaction: who pays whom, final or waiting
    #[command(after_help = "Example:\n  assent query tx 0xec081b23...ffd821e5")]
    Tx {
        /// The transaction's hash
        #[arg(value_name = "HASH", value_parser = parse_hash)]
        hash: B256,
    },
    /// What came of a transaction: success, gas, fee, logs
    #[command(after_help = "Example:\n  assent query receipt 0xec081b23...ffd821e5")]
    Receipt {
        /// The transaction's hash
        #[arg(value_name = "HASH", value_parser = parse_hash)]
        hash: B256,
    },
    /// An account: balance, nonce, code
    #[command(after_help = "Example:\n  assent query account 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")]
    Account {
        /// The account's address
        #[arg(value_name = "ADDRESS", value_parser = parse_address)]
        address: Address,
    },
    /// The validators of a block's epoch and their weights
    #[command(after_help = "Examples:\n  assent query validators\n  assent query validators --block 12")]
    Validators {
        /// A number, a hash, latest or earliest
        #[arg(long, value_name = "N|HASH", default_value = "latest")]
        block: BlockRef,
    },
    /// A proof of an account that `assent verify-proof` checks without a node
    #[command(
        after_help = "Examples:\n  assent query proof 0xf39F...2266 > proof.json\n  assent query proof 0x5FbD...0aa3 0x0 --block 12"
    )]
    Proof {
        /// The account
        #[arg(value_name = "ADDRESS", value_parser = parse_address)]
        address: Address,
        /// Storage slots of it
        #[arg(value_name = "SLOT")]
        slots: Vec<U256>,
        /// A number, a hash, latest or earliest
        #[arg(long, value_name = "N|HASH", default_value = "latest")]
        block: BlockRef,
    },
    /// The votes that made a block final
    #[command(after_help = "Examples:\n  assent query certificate\n  assent query certificate 12")]
    Certificate {
        /// A number, a hash or latest
        #[arg(value_name = "N|HASH|latest", default_value = "latest")]
        block: BlockRef,
    },
}

/// Reads an address; its letters may have any case.
pub(super) fn parse_address(text: &str) -> Result<Address, String> {
    text.parse().map_err(|_| format!("expected an address of 40 hex digits such as 0xf39F...2266, got \"{text}\""))
}

/// Reads a hash.
pub(super) fn parse_hash(text: &str) -> Result<B256, String> {
    text.parse().map_err(|_| format!("expected a hash of 64 hex digits such as 0xec08...21e5, got \"{text}\""))
}

pub(super) async fn run(args: QueryArgs) -> Result<()> {
    let node = Node { rpc: JsonRpc::new(&args.rpc, TIMEOUT)?, json: args.json };
    let text = match args.what {
        What::Block { block } => node.block(&block).await?,
        What::Tx { hash } => node.transaction(hash).await?,
        What::Receipt { hash } => node.receipt(hash).await?,
        What::Account { address } => node.account(address).await?,
        What::Validators { block } => node.validators(&block).await?,
        What::Certificate { block } => node.certificate(&block).await?,
        What::Proof { address, slots, block } => node.proof(address, &slots, &block).await?,
    };
    print(&text)
}

/// Whom to ask, and how to show the answer.
struct Node {
    rpc: JsonRpc,
    json: bool,
}

impl Node {
    async fn ask<T: DeserializeOwned>(&self, method: &str, params: impl Serialize) -> Result<T> {
        self.rpc.call(method, params).await.map_err(|error| explain(&self.rpc, error))
    }

    /// As [`Self::ask`], for what only Assent's nodes know and a page about a block can do without.
    async fn ask_assent<T: DeserializeOwned>(&self, method: &str, params: impl Serialize) -> Result<Option<T>> {
        match self.rpc.call(method, params).await {
            Err(CallError::Refused { error, .. }) if error.code == METHOD_NOT_FOUND => Ok(None),
            answer => answer.map_err(|error| explain(&self.rpc, error)),
        }
    }

    /// Reads an answer in the form that this program knows.
    fn read<T: DeserializeOwned>(&self, answer: Value) -> Result<T> {
        serde_json::from_value(answer).with_context(|| {
            format!("{} answers in another form than this program knows: --json shows it as it is", self.rpc.url())
        })
    }

    async fn block(&self, at: &BlockRef) -> Result<String> {
        let method = if matches!(at, BlockRef::Hash(_)) { "eth_getBlockByHash" } else { "eth_getBlockByNumber" };
        let answer: Value = self.ask(method, (at.param(), !self.json)).await?;
        if answer.is_null() {
            return Err(self.no_block(at).await);
        }
        if self.json {
            return Ok(format!("{answer}\n"));
        }
        let block: show::Block = self.read(answer)?;
        let at = [block.header.hash];
        let seal: Option<Option<Seal>> = self.ask_assent("assent_getSeal", at).await?;
        let certificate: Option<Option<Certificate>> = self.ask_assent("assent_getCertificate", at).await?;
        Ok(show::block(&block, seal.flatten().as_ref(), certificate.flatten().as_ref(), table::now()))
    }

    async fn transaction(&self, hash: B256) -> Result<String> {
        let answer: Value = self.ask("eth_getTransactionByHash", [hash]).await?;
        if answer.is_null() {
            return Err(self.no_transaction(hash));
        }
        if self.json {
            return Ok(format!("{answer}\n"));
        }
        Ok(show::transaction(&self.read(answer)?, table::now()))
    }

    async fn receipt(&self, hash: B256) -> Result<String> {
        let answer: Value = self.ask("eth_getTransactionReceipt", [hash]).await?;
        if answer.is_null() {
            let waits: Option<Value> = self.ask("eth_getTransactionByHash", [hash]).await?;
            return Err(match waits {
                None => self.no_transaction(hash),
                Some(_) => {
                    anyhow!("{hash} is not final yet: it waits in the mempool. assent tx wait {hash} waits until it is")
                }
            });
        }
        if self.json {
            return Ok(format!("{answer}\n"));
        }
        Ok(show::receipt(&self.read(answer)?))
    }

    async fn account(&self, address: Address) -> Result<String> {
        let block: U64 = self.ask("eth_blockNumber", [(); 0]).await?;
        // All of one block, whatever becomes final meanwhile.
        let at = (address, block);
        let (balance, nonce, pending, code) = tokio::try_join!(
            self.ask::<U256>("eth_getBalance", at),
            self.ask::<U64>("eth_getTransactionCount", at),
            self.ask::<U64>("eth_getTransactionCount", (address, "pending")),
            self.ask::<Bytes>("eth_getCode", at),
        )?;
        let account =
            Account { address, block: block.to(), balance, nonce: nonce.to(), pending_nonce: pending.to(), code };
        if self.json {
            let code_hash = (!account.code.is_empty()).then(|| keccak256(&account.code));
            let value = json!({
                "address": address, "block": account.block, "balance": balance.to_string(), "nonce": account.nonce,
                "pendingNonce": account.pending_nonce, "code": account.code, "codeHash": code_hash,
            });
            return Ok(format!("{value}\n"));
        }
        Ok(show::account(&account))
    }

    async fn validators(&self, at: &BlockRef) -> Result<String> {
        let answer: Value = self.ask("assent_validators", [at.param()]).await?;
        if answer.is_null() {
            return Err(self.no_block(at).await);
        }
        if self.json {
            return Ok(format!("{answer}\n"));
        }
        Ok(show::validators(&self.read(answer)?))
    }

    async fn certificate(&self, at: &BlockRef) -> Result<String> {
        let answer: Value = self.ask("assent_getCertificate", [at.param()]).await?;
        if answer.is_null() {
            let set: Option<Value> = self.ask("assent_validators", [at.param()]).await?;
            return Err(match set {
                None => self.no_block(at).await,
                Some(_) => anyhow!("{at} has no certificate: the genesis block needs none"),
            });
        }
        if self.json {
            return Ok(format!("{answer}\n"));
        }
        let certificate: Certificate = self.read(answer)?;
        let set: Option<Validators> = self.ask("assent_validators", [certificate.block]).await?;
        Ok(show::certificate(&certificate, set.as_ref()))
    }

    async fn proof(&self, address: Address, slots: &[U256], at: &BlockRef) -> Result<String> {
        let answer: Value = self.ask("assent_getProofBundle", (address, slots, at.param())).await?;
        Ok(format!("{answer:#}\n"))
    }

    async fn no_block(&self, at: &BlockRef) -> anyhow::Error {
        match self.ask::<U64>("eth_blockNumber", [(); 0]).await {
            Ok(head) => anyhow!("{} has no {at}: its last block is {head}", self.rpc.url()),
            Err(error) => error,
        }
    }

    fn no_transaction(&self, hash: B256) -> anyhow::Error {
        anyhow!(
            "{} knows no transaction {hash}: it was never sent to this network, or it was dropped before it was final",
            self.rpc.url()
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_no_address_or_hash_is_quoted() {
        assert!(parse_address("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266").is_ok());
        assert!(parse_address("0xF39FD6E51AAD88F6F4CE6AB8827279CFFFB92266").is_ok());
        assert!(parse_address("bob").unwrap_err().contains("\"bob\""));
        assert!(parse_hash(&format!("0x{}", "ab".repeat(32))).is_ok());
        assert!(parse_hash("0x12").unwrap_err().contains("64 hex digits"));
    }
}
