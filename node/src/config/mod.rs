//! The configuration of a node: flag, then `ASSENT_*` environment, then `config.toml`, then default.
//!
//! [`NodeConfig::load`] reads and checks everything and is the only way in. What every validator
//! must agree on stands in `genesis.json` and not here.

mod settings;
mod template;
mod value;

use std::{fs, path::PathBuf};

use assent_chain::ChainOptions;
use assent_rpc::RpcConfig;
use figment::{
    Figment, Metadata, Profile, Provider,
    error::Kind,
    providers::{Format, Toml},
    util::nest,
    value::{Dict, Map, Value},
};
use thiserror::Error;

pub use self::{
    settings::{
        ExplorerSettings, HistorySettings, IndexSettings, LogFormat, LogSettings, MempoolSettings, MetricsSettings,
        P2pSettings, RpcSettings, Settings,
    },
    template::{Overrides, render},
    value::{ExtraPeer, parse_multiaddr, tcp_multiaddr},
};
use crate::home::Home;

/// Everything that a running node needs to know beyond its genesis file and keys.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeConfig {
    /// The node's folder.
    pub home: Home,
    /// The node's name; `None`: its name in the genesis file.
    pub name: Option<String>,
    /// Network between nodes.
    pub p2p: P2pSettings,
    /// JSON-RPC server; [`RpcSettings::server`] gives the server crate's own configuration.
    pub rpc: RpcSettings,
    /// Monitoring server.
    pub metrics: MetricsSettings,
    /// Pages about the chain.
    pub explorer: ExplorerSettings,
    /// Log.
    pub log: LogSettings,
    /// Limits of the mempool.
    pub mempool: MempoolSettings,
    /// How much of the past is kept.
    pub history: HistorySettings,
    /// What is indexed.
    pub index: IndexSettings,
    /// Whether the home holds a validator key. A node without one is a follower.
    pub validator: bool,
    /// Whether the operator accepts what voting without the signer's memory risks (DESIGN section
    /// 2, "Lost memory"). A flag only, so that it never stays behind in a file.
    pub accept_lost_memory_risk: bool,
}

/// Settings given on the command line: key with dots and value, later ones win.
#[derive(Debug, Clone, Default)]
pub struct Flags(Vec<(String, Value)>);

impl Flags {
    /// Sets `key` ("rpc.listen") when `value` is given.
    pub fn set(&mut self, key: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.0.push((key.to_string(), Value::from(value.to_string())));
        }
    }

    /// Sets from `KEY=VALUE`, where the value is read as in the environment: `true`, `7`,
    /// `[a, b]`, or a string.
    pub fn set_text(&mut self, assignment: &str) -> Result<(), ConfigError> {
        match assignment.split_once('=') {
            Some((key, text)) if !key.trim().is_empty() => {
                self.0.push((key.trim().to_string(), read_value(text)));
                Ok(())
            }
            _ => Err(ConfigError::Assignment(assignment.to_string())),
        }
    }
}

/// Why a configuration was refused.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// `config.toml` is there but cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A `--set` without `=`.
    #[error("expected KEY=VALUE such as rpc.max_batch=500, got \"{0}\"")]
    Assignment(String),
    /// One or more settings are unknown or have a wrong value. One line each.
    #[error("{0}")]
    Settings(String),
}

impl NodeConfig {
    /// Reads the configuration of `home` from the four layers. `environment` is
    /// [`std::env::vars`], or what a test likes it to be.
    pub fn load(
        home: Home,
        flags: &Flags,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let path = home.config();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(ConfigError::Read { path, source }),
        };
        let file = format!("{}", path.display());
        let figment = Figment::new()
            .merge(Layer::file(&file, &text)?)
            .merge(Layer::environment(environment))
            .merge(Layer::flags(flags));
        let mut settings: Settings =
            figment.extract().map_err(|error| ConfigError::Settings(describe(&figment, error)))?;
        check(&settings)?;
        // An empty text is as good as no setting.
        settings.name.take_if(|name| name.is_empty());
        settings.log.file.take_if(|file| file.as_os_str().is_empty());
        settings.explorer.rpc_url.take_if(|url| url.is_empty());
        Ok(Self {
            name: settings.name,
            p2p: settings.p2p,
            rpc: settings.rpc,
            metrics: settings.metrics,
            explorer: settings.explorer,
            log: settings.log,
            mempool: settings.mempool,
            history: settings.history,
            index: settings.index,
            validator: home.validator_key().exists(),
            accept_lost_memory_risk: false,
            home,
        })
    }
}

impl NodeConfig {
    /// What the chain is opened with.
    pub fn chain_options(&self) -> ChainOptions {
        ChainOptions {
            mempool: self.mempool.limits(),
            mempool_journal: Some(self.home.data().join("mempool.journal")),
            history: self.history.retention,
            without_address_index: !self.index.addresses,
        }
    }
}

/// Names of `ASSENT_*` variables that are no setting, for a warning. (A wrong name within a table,
/// such as `ASSENT_RPC_LISTN`, is an error instead.)
pub fn unknown_variables(environment: impl IntoIterator<Item = (String, String)>, known: &[&str]) -> Vec<String> {
    let names = environment.into_iter().map(|(name, _)| name);
    let mut unknown: Vec<String> = names
        .filter(|name| name.starts_with(PREFIX) && !known.contains(&name.as_str()))
        .filter(|name| setting_of(name).is_none())
        .collect();
    unknown.sort();
    unknown
}

const PREFIX: &str = "ASSENT_";
const TABLES: [&str; 8] = ["p2p", "rpc", "metrics", "explorer", "log", "history", "index", "mempool"];

/// The setting that a variable stands for: `ASSENT_RPC_MAX_BODY` is `rpc.max_body`.
fn setting_of(variable: &str) -> Option<String> {
    let name = variable.strip_prefix(PREFIX)?.to_ascii_lowercase();
    if name == "name" {
        return Some(name);
    }
    let (table, key) = name.split_once('_')?;
    (TABLES.contains(&table) && !key.is_empty()).then(|| format!("{table}.{key}"))
}

/// The variable that stands for a setting.
fn variable_of(setting: &str) -> String {
    format!("{PREFIX}{}", setting.replace('.', "_").to_ascii_uppercase())
}

fn read_value(text: &str) -> Value {
    match text.parse() {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// Values from one source, with the name that errors give it.
struct Layer {
    source: String,
    values: Dict,
}

const ENVIRONMENT: &str = "environment";
const COMMAND_LINE: &str = "command line";

impl Layer {
    fn file(path: &str, text: &str) -> Result<Self, ConfigError> {
        let values = Toml::from_str(text).map_err(|error| ConfigError::Settings(format!("{path}: {error}")))?;
        Ok(Self { source: path.to_string(), values })
    }

    fn environment(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let settings = variables.into_iter().filter_map(|(name, text)| Some((setting_of(&name)?, read_value(&text))));
        Self::nested(ENVIRONMENT, settings)
    }

    fn flags(flags: &Flags) -> Self {
        Self::nested(COMMAND_LINE, flags.0.iter().cloned())
    }

    fn nested(source: &str, settings: impl Iterator<Item = (String, Value)>) -> Self {
        let mut values = Dict::new();
        for (key, value) in settings {
            if let Value::Dict(_, nested) = nest(&key, value) {
                merge(&mut values, nested);
            }
        }
        Self { source: source.to_string(), values }
    }
}

fn merge(into: &mut Dict, from: Dict) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Dict(_, old)), Value::Dict(_, new)) => merge(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// One line per error: the setting, what is wrong with it, where it stands.
fn describe(figment: &Figment, errors: figment::Error) -> String {
    let lines: Vec<String> = errors
        .into_iter()
        .map(|error| {
            let what = match &error.kind {
                Kind::UnknownField(_, known) => format!("unknown setting; known here: {}", known.join(", ")),
                Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
                    format!("expected {expected}, got {actual}")
                }
                Kind::UnknownVariant(variant, known) => {
                    format!("expected one of {}, got \"{variant}\"", known.join(", "))
                }
                kind => kind.to_string(),
            };
            let key = error.path.join(".");
            let source = figment.find_metadata(&key).or(error.metadata.as_ref());
            let place = match source.map(|metadata| metadata.name.as_ref()) {
                Some(ENVIRONMENT) => format!(" (environment variable {})", variable_of(&key)),
                Some(COMMAND_LINE) => " (on the command line)".to_string(),
                Some(file) => format!(" (in {file})"),
                None => String::new(),
            };
            format!("{key}: {what}{place}")
        })
        .collect();
    lines.join("\n")
}

/// What types alone cannot refuse.
fn check(settings: &Settings) -> Result<(), ConfigError> {
    let refuse = |text: String| Err(ConfigError::Settings(text));
    if settings.p2p.listen.is_empty() {
        return refuse("p2p.listen: expected at least one address such as /ip4/0.0.0.0/tcp/30303, got none".into());
    }
    let known = RpcConfig::ALL_NAMESPACES;
    if let Some(name) = settings.rpc.namespaces.iter().find(|name| !known.contains(&name.as_str())) {
        return refuse(format!("rpc.namespaces: expected some of {}, got \"{name}\"", known.join(", ")));
    }
    for (key, size) in [("rpc.max_body", settings.rpc.max_body), ("rpc.max_response", settings.rpc.max_response)] {
        if size.as_u64() == 0 || size.as_u64() > u64::from(u32::MAX) {
            return refuse(format!("{key}: expected between 1 B and 4 GiB - 1 B, got {size}"));
        }
    }
    let limits = [
        ("rpc.max_batch", u64::from(settings.rpc.max_batch)),
        ("rpc.max_connections", u64::from(settings.rpc.max_connections)),
        ("mempool.max_transactions", settings.mempool.max_transactions as u64),
        ("mempool.max_executable_per_sender", settings.mempool.max_executable_per_sender as u64),
        ("mempool.max_bytes", settings.mempool.max_bytes.as_u64()),
    ];
    for (key, limit) in limits {
        if limit == 0 {
            return refuse(format!("{key}: expected at least 1, got 0"));
        }
    }
    if let Some(url) = settings.explorer.rpc_url.as_deref().filter(|url| !url.is_empty())
        && !is_http(url)
    {
        return refuse(format!("explorer.rpc_url: expected an address such as http://127.0.0.1:8545, got \"{url}\""));
    }
    Ok(())
}

/// Whether a text is where an HTTP server is, and no more than that: browsers are told of it.
fn is_http(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]/_~".contains(&byte);
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(allowed))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use assent_chain::History;

    fn load(file: &str, environment: &[(&str, &str)], flags: &Flags) -> Result<NodeConfig, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.toml"), file).unwrap();
        let environment = environment.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        NodeConfig::load(Home::new(folder.path()), flags, environment).map_err(|error| error.to_string())
    }

    fn refusal(file: &str, environment: &[(&str, &str)], flags: &Flags) -> String {
        load(file, environment, flags).unwrap_err()
    }

    #[test]
    fn flag_before_environment_before_file_before_default() {
        let file = "[rpc]\nmax_batch = 1\nmax_connections = 1\nheavy_calls = 1\n";
        let environment = [("ASSENT_RPC_MAX_BATCH", "2"), ("ASSENT_RPC_MAX_CONNECTIONS", "2")];
        let mut flags = Flags::default();
        flags.set_text("rpc.max_batch=3").unwrap();
        let rpc = load(file, &environment, &flags).unwrap().rpc;
        assert_eq!((rpc.max_batch, rpc.max_connections, rpc.heavy_calls), (3, 2, 1));
        assert_eq!(rpc.gas_cap, RpcSettings::default().gas_cap);
    }

    #[test]
    fn an_empty_file_is_all_defaults() {
        let config = load("", &[], &Flags::default()).unwrap();
        assert_eq!(config.rpc, RpcSettings::default());
        assert_eq!(config.rpc.server(), assent_rpc::RpcConfig::default());
        assert_eq!(config.p2p, P2pSettings::default());
        assert_eq!(config.chain_options().mempool, assent_chain::mempool::MempoolLimits::default());
        assert!(!config.validator);
    }

    #[test]
    fn values_have_units_and_lists_may_be_one_string() {
        let file = "[rpc]\nmax_body = \"3MiB\"\nevm_timeout = \"1500ms\"\n";
        let environment = [
            ("ASSENT_RPC_NAMESPACES", "eth, net"),
            ("ASSENT_P2P_LISTEN", "[\"/ip4/1.2.3.4/tcp/5\", \"/ip6/::1/tcp/6\"]"),
            ("ASSENT_NAME", "bank-a"),
        ];
        let config = load(file, &environment, &Flags::default()).unwrap();
        assert_eq!(config.rpc.server().max_body, 3 << 20);
        assert_eq!(config.rpc.evm_timeout.as_millis(), 1_500);
        assert_eq!(config.rpc.namespaces, ["eth", "net"]);
        assert_eq!(config.p2p.listen.len(), 2);
        assert_eq!(config.name.as_deref(), Some("bank-a"));
    }

    #[test]
    fn unknown_settings_are_named_with_their_place() {
        let none = Flags::default();
        let text = refusal("[rpc]\nlistn = \"127.0.0.1:1\"\n", &[], &none);
        assert!(text.starts_with("rpc.listn: unknown setting"), "{text}");
        assert!(text.contains("config.toml"), "{text}");
        let text = refusal("[rpc]\nmax_batch = 5\n", &[("ASSENT_RPC_LISTN", "x")], &none);
        assert!(text.starts_with("rpc.listn: unknown setting"), "{text}");
        assert!(text.contains("environment variable ASSENT_RPC_LISTN"), "{text}");
        let mut flags = Flags::default();
        flags.set_text("rcp.listen=127.0.0.1:1").unwrap();
        let text = refusal("", &[], &flags);
        assert!(text.starts_with("rcp: unknown setting"), "{text}");
        assert!(text.contains("command line"), "{text}");
    }

    #[test]
    fn the_past_is_kept_whole_or_for_a_number_of_blocks() {
        let none = Flags::default();
        let retention = |file: &str| load(file, &[], &none).unwrap().history.retention;
        assert_eq!(retention(""), History::Archive);
        assert_eq!(retention("[history]\nretention = \"archive\"\n"), History::Archive);
        assert_eq!(retention("[history]\nretention = 10000\n"), History::Blocks(10_000));
        let environment = [("ASSENT_HISTORY_RETENTION", "128")];
        assert_eq!(load("", &environment, &none).unwrap().history.retention, History::Blocks(128));
    }

    #[test]
    fn the_explorer_is_off_and_knows_where_rpc_is() {
        let server = |file: &str| {
            let config = load(file, &[], &Flags::default()).unwrap();
            (config.explorer.enabled, config.explorer.server(&config.rpc, PathBuf::from("d")).rpc_url)
        };
        assert_eq!(server(""), (false, Some("http://127.0.0.1:8545".into())));
        let (on, url) = server("[explorer]\nenabled = true\n[rpc]\nlisten = \"0.0.0.0:7\"\n");
        assert_eq!((on, url.as_deref()), (true, Some("http://127.0.0.1:7")));
        assert_eq!(server("[rpc]\nenabled = false\n").1, None);
        let url = server("[explorer]\nrpc_url = \"https://rpc.example/v1\"\n").1;
        assert_eq!(url.as_deref(), Some("https://rpc.example/v1"));
        assert_eq!(server("[explorer]\nrpc_url = \"\"\n").1.as_deref(), Some("http://127.0.0.1:8545"));
    }

    #[test]
    fn the_index_of_accounts_is_there_unless_it_is_left_out() {
        let none = Flags::default();
        let left_out = |file: &str| load(file, &[], &none).unwrap().chain_options().without_address_index;
        assert!(!left_out(""));
        assert!(left_out("[index]\naddresses = false\n"));
        let environment = [("ASSENT_INDEX_ADDRESSES", "false")];
        assert!(load("", &environment, &none).unwrap().chain_options().without_address_index);
        let text = refusal("[index]\naddresses = \"some\"\n", &[], &none);
        assert!(text.starts_with("index.addresses: expected"), "{text}");
    }

    #[test]
    fn spaces_in_a_log_filter_mean_nothing() {
        let file = "[log]\nfilter = \" info , assent::network=debug \"\n";
        assert_eq!(load(file, &[], &Flags::default()).unwrap().log.filter, "info,assent::network=debug");
    }

    #[test]
    fn wrong_values_say_what_was_expected() {
        let none = Flags::default();
        for (file, beginning) in [
            ("[rpc]\nlisten = \"8545\"\n", "rpc.listen: "),
            ("[rpc]\nmax_batch = \"many\"\n", "rpc.max_batch: expected"),
            ("[rpc]\nmax_batch = 0\n", "rpc.max_batch: expected"),
            ("[rpc]\nnamespaces = [\"eth\", \"ether\"]\n", "rpc.namespaces: expected some of eth, net, web3, assent"),
            ("[rpc]\nmax_body = \"5GiB\"\n", "rpc.max_body: expected"),
            ("[log]\nfilter = \"info,=,x=y=z\"\n", "log.filter: expected levels"),
            ("[log]\nfilter = \" éé=info\"\n", "log.filter: expected levels"),
            ("[history]\nretention = \"all\"\n", "history.retention: expected \"archive\" or a number of blocks"),
            (
                "[history]\nretention = 127\n",
                "history.retention: expected \"archive\" or a number of blocks, at least 128",
            ),
            ("[log]\nformat = \"xml\"\n", "log.format: expected one of text, json, got \"xml\""),
            ("[explorer]\nlisten = \"8080\"\n", "explorer.listen: "),
            ("[explorer]\nrpc_url = \"localhost:8545\"\n", "explorer.rpc_url: expected an address such as http://"),
            ("[explorer]\nrpc_url = \"http://a; script-src *\"\n", "explorer.rpc_url: expected an address"),
            ("[p2p]\nlisten = []\n", "p2p.listen: expected at least one"),
            ("[p2p]\nlisten = [\"0.0.0.0:30303\"]\n", "p2p.listen: expected a multiaddr"),
            ("[p2p]\npeers = [\"bank-b\"]\n", "p2p.peers: expected KEY@ADDRESS"),
        ] {
            let text = refusal(file, &[], &none);
            assert!(text.starts_with(beginning), "{file}: {text}");
        }
        let text = refusal("[rpc\n", &[], &none);
        assert!(text.contains("config.toml"), "{text}");
        assert!(Flags::default().set_text("rpc.max_batch").is_err());
    }

    #[test]
    fn a_peer_is_a_key_and_an_address() {
        let text = format!("0x{}@/ip4/10.0.0.7/tcp/30303", "ab".repeat(32));
        let peer: ExtraPeer = text.parse().unwrap();
        assert_eq!(peer.key, assent_consensus::PublicKey([0xab; 32]));
        assert_eq!(peer.to_string(), text);
    }

    #[test]
    fn variables_that_are_no_setting_are_found() {
        let variables = ["ASSENT_HOME", "ASSENT_RPC_LISTEN", "ASSENT_RCP_LISTEN", "HOME"]
            .map(|name| (name.to_string(), String::new()));
        assert_eq!(unknown_variables(variables, &["ASSENT_HOME"]), ["ASSENT_RCP_LISTEN"]);
    }
}
