//! The text of a new `config.toml`: every setting with a sentence and its default, commented out,
//! so that a file says only what its operator decided.

use std::{collections::BTreeMap, fmt::Write};

/// Settings that a new file sets, by key with dots; the values as TOML text.
#[derive(Debug, Clone, Default)]
pub struct Overrides(BTreeMap<&'static str, String>);

impl Overrides {
    /// Sets `key` to a string.
    pub fn text(&mut self, key: &'static str, value: &str) {
        self.0.insert(key, toml::Value::from(value.to_string()).to_string());
    }

    /// Sets `key` to true or false.
    pub fn flag(&mut self, key: &'static str, value: bool) {
        self.0.insert(key, value.to_string());
    }

    /// Sets `key` to a list of strings.
    pub fn list(&mut self, key: &'static str, values: impl IntoIterator<Item = String>) {
        let values: Vec<toml::Value> = values.into_iter().map(toml::Value::from).collect();
        self.0.insert(key, toml::Value::from(values).to_string());
    }
}

/// The text of a `config.toml` that sets `overrides` and leaves the rest to the defaults.
pub fn render(overrides: &Overrides) -> String {
    let mut text = HEADER.to_string();
    for (table, about, entries) in TABLES {
        if !table.is_empty() {
            let _ = write!(text, "\n# {about}\n[{table}]\n");
        }
        for (key, default, about) in *entries {
            for line in about.lines() {
                let _ = writeln!(text, "# {line}");
            }
            let path = if table.is_empty() { (*key).to_string() } else { format!("{table}.{key}") };
            let _ = match overrides.0.get(path.as_str()) {
                Some(value) => writeln!(text, "{key} = {value}"),
                None => writeln!(text, "#{key} = {default}"),
            };
        }
    }
    text
}

const HEADER: &str = "\
# Configuration of one Assent node. What all nodes must agree on stands in genesis.json.
#
# Order: flag, then environment, then this file, then the default (shown after the #).
# The environment's name of a setting is ASSENT_TABLE_KEY: ASSENT_RPC_LISTEN for [rpc] listen.
# Sizes and times carry units: \"64MiB\", \"500ms\", \"10s\". Unknown settings are errors.

";

type Entry = (&'static str, &'static str, &'static str);
type Table = (&'static str, &'static str, &'static [Entry]);

/// Table, sentence, and entries: key, default as TOML, sentence.
const TABLES: &[Table] = &[
    ("", "", &[("name", "\"\"", "The node's name in logs and towards peers. Not set: its name in genesis.json.")]),
    (
        "p2p",
        "The network between nodes. Only keys on the node list of genesis.json get in.",
        &[
            ("listen", "[\"/ip4/0.0.0.0/tcp/30303\"]", "Addresses to listen on, as multiaddrs."),
            (
                "peers",
                "[]",
                "Addresses of peers beyond those in genesis.json, when one has moved:\n\
                 KEY@ADDRESS, as in \"0x3b6a...@/ip4/10.0.0.7/tcp/30303\" (the key of its keys/node.json).",
            ),
        ],
    ),
    (
        "rpc",
        "JSON-RPC over HTTP and WebSocket, on one port.",
        &[
            ("enabled", "true", "Whether to serve JSON-RPC."),
            (
                "listen",
                "\"127.0.0.1:8545\"",
                "Address and port. Loopback unless a proxy or firewall decides who may call.",
            ),
            (
                "namespaces",
                "[\"eth\", \"net\", \"web3\", \"assent\", \"rpc\", \"ots\", \"erigon\"]",
                "Groups of methods that are offered. Further ones, for those who ask for them: txpool (shows what\n\
                 others are about to do), debug and trace (executions that take long).",
            ),
            (
                "hosts",
                "[]",
                "Host names that requests may name, against DNS rebinding; \"*\" allows any.\n\
                 Empty: localhost and any IP address.",
            ),
            (
                "cors",
                "[]",
                "Origins whose web pages may call, besides pages of this machine (localhost); \"*\" allows any.",
            ),
            ("max_body", "\"5MiB\"", "Size of a request."),
            ("max_response", "\"100MiB\"", "Size of an answer."),
            ("max_batch", "1000", "Calls in a batch."),
            ("max_connections", "1000", "Connections at a time."),
            ("max_subscriptions", "64", "Subscriptions of one WebSocket connection."),
            (
                "rate_limit",
                "1000",
                "Calls per second of one IP address, calls in a batch counted; 0 is no limit.\n\
                 Not set: no limit on loopback, 1000 elsewhere.",
            ),
            ("request_timeout", "\"30s\"", "Time that one call may take."),
            (
                "heavy_calls",
                "0",
                "Executions (eth_call, eth_estimateGas, traces) at a time; 0 is one per processor. Half as many\n\
                 searches (eth_getLogs and the like) run beside them.",
            ),
            ("gas_cap", "50000000", "Gas of one execution."),
            ("evm_timeout", "\"5s\"", "Time of one execution or search."),
            ("max_log_blocks", "10000", "Blocks that one eth_getLogs may span that names neither address nor topic."),
            ("max_log_results", "10000", "Logs that one eth_getLogs may return."),
        ],
    ),
    (
        "metrics",
        "HTTP for monitoring: /metrics (Prometheus), /liveness and /readiness.",
        &[("enabled", "true", "Whether to serve it."), ("listen", "\"127.0.0.1:9545\"", "Address and port.")],
    ),
    (
        "explorer",
        "Pages about the chain for people: blocks, transactions, accounts, validators.",
        &[
            ("enabled", "false", "Whether to serve them."),
            (
                "listen",
                "\"127.0.0.1:8080\"",
                "Address and port. Loopback unless everybody who reaches it may see the whole chain.",
            ),
            (
                "rpc_url",
                "\"http://127.0.0.1:8545\"",
                "Where browsers reach this node's JSON-RPC, for forms that write to contracts with a wallet.\n\
                 Not set: where [rpc] listens.",
            ),
        ],
    ),
    (
        "log",
        "What the node writes to its log. Keys and other secrets are never in it.",
        &[
            (
                "filter",
                "\"info\"",
                "Levels (error, warn, info, debug, trace), also by target:\n\
                 \"info,assent::network=debug\".",
            ),
            ("format", "\"text\"", "\"text\" for people, \"json\" for machines."),
            ("file", "\"\"", "File that lines are appended to. Not set: standard error."),
        ],
    ),
    (
        "history",
        "The past. Blocks, transactions, receipts and logs are always kept.",
        &[(
            "retention",
            "\"archive\"",
            "Of how many blocks below the head the state can be read (eth_call, eth_getBalance, eth_getProof and\n\
             traces of old blocks): \"archive\" for all, or a number, at least 128.",
        )],
    ),
    (
        "index",
        "Look-ups beyond blocks, transactions and logs, which are always there.",
        &[(
            "addresses",
            "true",
            "Which accounts each transaction touched: the explorer's pages of accounts, ots_searchTransactions*.\n\
             Where it was false for a time, assent db index builds the rest; until then there is no such list.",
        )],
    ),
    (
        "mempool",
        "Transactions that wait for a block.",
        &[
            ("max_transactions", "50000", "Transactions in all."),
            ("max_bytes", "\"96MiB\"", "Memory of all transactions, estimated."),
            ("max_executable_per_sender", "8192", "Executable transactions of one sender."),
            (
                "max_queued_per_sender",
                "1024",
                "Transactions of one sender that wait for one with a lower nonce; 0 keeps none.",
            ),
        ],
    ),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::Settings;

    /// Settings whose default is "not set": the value behind the # only shows the form.
    const NOT_SET: [&str; 4] = ["name", "rate_limit", "rpc_url", "file"];

    fn uncommented(text: &str) -> String {
        let lines = text.lines().filter_map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(' ') || rest.is_empty() => None,
            Some(rest) => {
                let key = rest.split(' ').next().unwrap();
                (!NOT_SET.contains(&key)).then(|| rest.to_string())
            }
            None => Some(line.to_string()),
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_defaults_in_the_text_are_the_defaults() {
        let text = uncommented(&render(&Overrides::default()));
        let settings: Settings = toml::from_str(&text).unwrap();
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn every_setting_is_in_the_text() {
        // Serde names every known key in its refusal of an unknown one.
        for (table, _, entries) in TABLES {
            let text = if table.is_empty() { "unknown = 1".to_string() } else { format!("[{table}]\nunknown = 1") };
            let refusal = toml::from_str::<Settings>(&text).unwrap_err().to_string();
            let known = refusal.matches('`').count() / 2 - 1;
            let tables = TABLES.len() - 1;
            let listed = entries.len() + if table.is_empty() { tables } else { 0 };
            assert_eq!(known, listed, "{table}: {refusal}");
        }
    }

    #[test]
    fn overrides_stand_in_their_table() {
        let mut overrides = Overrides::default();
        overrides.text("name", "bank \"a\"");
        overrides.text("rpc.listen", "127.0.0.1:1");
        overrides.list("p2p.listen", ["/ip4/127.0.0.1/tcp/2".to_string()]);
        overrides.flag("explorer.enabled", true);
        let settings: Settings = toml::from_str(&render(&overrides)).unwrap();
        assert_eq!(settings.name.as_deref(), Some("bank \"a\""));
        assert_eq!(settings.rpc.listen.port(), 1);
        assert_eq!(settings.p2p.listen[0].to_string(), "/ip4/127.0.0.1/tcp/2");
        assert!(settings.explorer.enabled);
    }
}
