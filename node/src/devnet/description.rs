//! `devnet.json`, which describes a running devnet to scripts, and the text that greets people.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, B256};
use anyhow::{Context, Result};
use assent_genesis::{Genesis, dev_accounts};
use serde::{Deserialize, Serialize};

use crate::cli::Ports;

/// The file's name in the devnet's folder.
pub const FILE_NAME: &str = "devnet.json";

/// A running devnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// The chain's id.
    pub chain_id: u64,
    /// The nodes, in the order of the genesis file.
    pub nodes: Vec<NodeDescription>,
    /// The development accounts that are funded.
    pub accounts: Vec<AccountDescription>,
}

/// One node of a running devnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeDescription {
    /// Its name.
    pub name: String,
    /// Its process.
    pub pid: u32,
    /// Its home.
    pub home: PathBuf,
    /// Its stake.
    pub stake: u64,
    /// JSON-RPC over HTTP.
    pub rpc: String,
    /// JSON-RPC over WebSocket.
    pub ws: String,
    /// Prometheus metrics; `/liveness` and `/readiness` are beside it.
    pub metrics: String,
    /// The explorer's pages; null where the node serves none.
    pub explorer: Option<String>,
}

/// A funded account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountDescription {
    /// Its address.
    pub address: Address,
    /// Its key, which everybody knows.
    pub private_key: B256,
}

impl Description {
    /// Describes nodes with these homes, processes and ports.
    pub(super) fn new(genesis: &Genesis, nodes: &[(PathBuf, u32, Ports)]) -> Self {
        let described = nodes.iter().zip(&genesis.assent.nodes);
        let nodes = described.map(|((home, pid, ports), listed)| {
            let validators = &genesis.assent.validators;
            let validator = validators.iter().find(|it| it.node_key == listed.key);
            NodeDescription {
                name: listed.name.clone(),
                pid: *pid,
                home: home.clone(),
                stake: validator.map_or(0, |validator| validator.stake),
                rpc: format!("http://127.0.0.1:{}", ports.rpc),
                ws: format!("ws://127.0.0.1:{}", ports.rpc),
                metrics: format!("http://127.0.0.1:{}/metrics", ports.metrics),
                explorer: ports.explorer.map(|port| format!("http://127.0.0.1:{port}")),
            }
        });
        let funded = |address: &Address| {
            let account = genesis.ethereum.alloc.get(address);
            account.is_some_and(|account| !account.balance.is_zero())
        };
        let accounts = dev_accounts()
            .into_iter()
            .filter(|account| funded(&account.address))
            .map(|account| AccountDescription { address: account.address, private_key: account.private_key });
        Self { chain_id: genesis.chain_id(), nodes: nodes.collect(), accounts: accounts.collect() }
    }

    /// Writes the file so that nobody ever reads half of it.
    pub(super) fn save(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE_NAME);
        let unfinished = folder.join(format!(".{FILE_NAME}.new"));
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        let written = File::create(&unfinished)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&unfinished, &path));
        written.with_context(|| format!("cannot write {}", path.display()))
    }

    /// Removes the file: the devnet that it describes does not run.
    pub(super) fn remove(folder: &Path) -> Result<()> {
        let path = folder.join(FILE_NAME);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// What a person wants to see first.
    pub(super) fn greeting(&self, folder: &Path, temporary: bool, block: u64) -> String {
        let mut text = String::new();
        let count = self.nodes.len();
        let _ = writeln!(
            text,
            "\nAssent devnet is ready: {count} validator{}, chain id {}, block {block}.\n",
            if count == 1 { "" } else { "s" },
            self.chain_id
        );
        let _ = writeln!(text, "  {:8} {:>6}  {:29} Metrics", "Node", "Stake", "JSON-RPC, HTTP and WebSocket");
        for node in &self.nodes {
            let _ = writeln!(text, "  {:8} {:>6}  {:29} {}", node.name, node.stake, node.rpc, node.metrics);
        }
        for explorer in self.nodes.iter().filter_map(|node| node.explorer.as_ref()) {
            let _ = writeln!(text, "\n  Explorer: {explorer}   blocks, transactions, validators, in a browser");
        }
        text.push_str(&self.accounts_text());
        text.push_str(&self.try_text());
        let end = if temporary {
            "Ctrl-C stops the network and removes the folder (keep one with --dir DIR)."
        } else {
            "Ctrl-C stops the network; the same --dir resumes it."
        };
        let _ =
            writeln!(text, "\nFolder: {} ({FILE_NAME} for scripts, logs in nodeN/node.log)\n{end}\n", folder.display());
        text
    }

    fn accounts_text(&self) -> String {
        let mut text = String::new();
        if self.accounts.is_empty() {
            return text;
        }
        text.push_str(
            "\nDevelopment accounts. WARNING: everybody knows these keys. Whatever they hold on any other\n\
             network will be stolen.\n\n",
        );
        for account in &self.accounts {
            let _ = writeln!(text, "  {}  {}", account.address, account.private_key);
        }
        text
    }

    fn try_text(&self) -> String {
        let Some(node) = self.nodes.first() else {
            return String::new();
        };
        let rpc = &node.rpc;
        let mut text = "\nTry:\n".to_string();
        if let [from, to, ..] = self.accounts.as_slice() {
            let _ = writeln!(
                text,
                "  cast send --rpc-url {rpc} --private-key {} {} --value 1ether",
                from.private_key, to.address
            );
        }
        let _ = writeln!(
            text,
            "  curl {rpc} -H 'content-type: application/json' \\\n    \
             -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_blockNumber\",\"params\":[]}}'\n  \
             assent status --rpc {rpc}\n  \
             assent bench --rpc {rpc} --rate 100 --duration 30s"
        );
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use assent_genesis::NetworkPlan;
    use serde_json::Value;

    use super::*;
    use crate::devnet::ports;

    fn description() -> Description {
        let mut plan = NetworkPlan::new(31337, vec![40, 30]);
        plan.fund_dev_accounts = true;
        let (genesis, _) = plan.build().unwrap();
        let ports = ports::assign(2, 100).unwrap();
        let nodes: Vec<_> = (0_u32..)
            .zip(ports)
            .map(|(index, ports)| (PathBuf::from(format!("/d/node{index}")), 7 + index, ports))
            .collect();
        Description::new(&genesis, &nodes)
    }

    #[test]
    fn the_file_has_the_promised_shape() {
        let folder = tempfile::tempdir().unwrap();
        description().save(folder.path()).unwrap();
        let path = folder.path().join(FILE_NAME);
        let json: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(json["chainId"], 31337);
        assert_eq!(json["nodes"][0]["explorer"], "http://127.0.0.1:8180");
        assert_eq!(
            json["nodes"][1],
            serde_json::json!({
                "name": "node1", "pid": 8, "home": "/d/node1", "stake": 30,
                "rpc": "http://127.0.0.1:8646", "ws": "ws://127.0.0.1:8646",
                "metrics": "http://127.0.0.1:9646/metrics", "explorer": null,
            })
        );
        assert_eq!(json["accounts"].as_array().unwrap().len(), 10);
        assert_eq!(
            json["accounts"][0]["privateKey"],
            "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
        );
        let address = json["accounts"][0]["address"].as_str().unwrap();
        assert!(address.eq_ignore_ascii_case("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
        let files = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 1, "nothing unfinished is left");
        Description::remove(folder.path()).unwrap();
        Description::remove(folder.path()).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn the_greeting_warns_and_shows_what_to_try() {
        let text = description().greeting(Path::new("/d"), true, 3);
        for words in [
            "2 validators, chain id 31337, block 3",
            "Explorer: http://127.0.0.1:8180 ",
            "WARNING: everybody knows these keys",
            "cast send --rpc-url http://127.0.0.1:8645 --private-key 0xac09",
            "eth_blockNumber",
            "removes the folder",
        ] {
            assert!(text.contains(words), "{words} is missing in\n{text}");
        }
    }
}
