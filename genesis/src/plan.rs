//! A new network: genesis and keys for n nodes.
//!
//! What `assent init`, `testnet` and `devnet` have in common. A plan is data; building it draws
//! keys from the operating system and writes nothing to disk. With given keys the same plan gives
//! the same genesis.

use std::{collections::BTreeMap, net::IpAddr};

use alloy_genesis::{ChainConfig, GenesisAccount};
use alloy_primitives::{Address, U256};
use assent_consensus::{MAX_VALIDATORS, PublicKey};

use crate::{
    AssentSpec, ConsensusParams, DEV_BALANCE_ETHER, EntropyError, FeeParams, Finding, Genesis, GenesisError, Level,
    MAX_NODES, NodeSpec, SecretKey, ValidatorSpec, WeightRule, dev_accounts,
};

/// The gas of a block unless a plan says otherwise.
///
/// 60 million is what contracts and tools meet on Ethereum itself, and suits blocks every 50 ms:
/// room for 2,857 transfers, some 57,000 per second, so that gas is never what limits throughput
/// and a backlog drains quickly; while a block full of the dearest instructions (some 100 million
/// gas per second) still executes within the view timeout of one second.
pub const DEFAULT_GAS_LIMIT: u64 = 60_000_000;

/// The port that the first node listens on for other nodes; the next ones follow.
pub const DEFAULT_P2P_PORT: u16 = 30303;

/// Wei per ether.
const WEI_PER_ETHER: u64 = 1_000_000_000_000_000_000;

/// What a network should look like. Start from [`NetworkPlan::new`] and change fields.
#[derive(Clone, Debug)]
pub struct NetworkPlan {
    /// The chain id.
    pub chain_id: u64,
    /// The time of block 0, in Unix seconds; the caller knows what time it is.
    pub timestamp: u64,
    /// The gas of a block.
    pub gas_limit: u64,
    /// The stakes of the validators, one each.
    pub stakes: Vec<u64>,
    /// How many nodes without a validator the node list admits beside them.
    pub followers: usize,
    /// The names of the nodes, validators first. Empty: `node0`, `node1`, ...
    pub names: Vec<String>,
    /// The hosts of the nodes: addresses or DNS names. One is for all; empty: `127.0.0.1`.
    pub hosts: Vec<String>,
    /// The ports of the nodes. Empty: 30303, 30304, ... on one host, else 30303 on each.
    pub p2p_ports: Vec<u16>,
    /// When each validator's lock ends; empty unless the weight rule needs it.
    pub locked_until: Vec<u64>,
    /// Who gets the fees of each validator's blocks. One is for all; empty: the zero address.
    pub fee_recipients: Vec<Address>,
    /// Whether the development accounts are given 10,000 ether each.
    pub fund_dev_accounts: bool,
    /// The accounts of block 0. They win over the development accounts.
    pub alloc: BTreeMap<Address, GenesisAccount>,
    /// How stakes become weights.
    pub weight: WeightRule,
    /// Intervals and limits of consensus.
    pub consensus: ConsensusParams,
    /// What gas costs at least.
    pub fees: FeeParams,
}

/// The keys of one node of a plan.
#[derive(Clone, Debug)]
pub struct NodeKeys {
    /// Its name.
    pub name: String,
    /// Its key for votes; none for a follower.
    pub validator: Option<SecretKey>,
    /// Its key on the network.
    pub node: SecretKey,
}

/// Why a plan cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The plan names no validator, or too many nodes.
    #[error(
        "a network has 1 to {MAX_VALIDATORS} validators and at most {MAX_NODES} nodes, got \
         {validators} validators and {followers} followers"
    )]
    Size {
        /// The validators.
        validators: usize,
        /// The other nodes.
        followers: usize,
    },
    /// A list of the plan does not fit the number of its nodes.
    #[error("{list}: expected {expected}, got {got}")]
    Count {
        /// The list.
        list: &'static str,
        /// How many entries it should have.
        expected: usize,
        /// How many it has.
        got: usize,
    },
    /// No keys without entropy.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The plan gives a genesis that is not acceptable.
    #[error(transparent)]
    Invalid(#[from] GenesisError),
}

/// The chain configuration of a new chain: every fork that this version knows, through Osaka,
/// active from block 0.
pub fn default_chain_config(chain_id: u64) -> ChainConfig {
    ChainConfig {
        chain_id,
        homestead_block: Some(0),
        eip150_block: Some(0),
        eip155_block: Some(0),
        eip158_block: Some(0),
        byzantium_block: Some(0),
        constantinople_block: Some(0),
        petersburg_block: Some(0),
        istanbul_block: Some(0),
        muir_glacier_block: Some(0),
        berlin_block: Some(0),
        london_block: Some(0),
        arrow_glacier_block: Some(0),
        gray_glacier_block: Some(0),
        terminal_total_difficulty: Some(U256::ZERO),
        terminal_total_difficulty_passed: true,
        shanghai_time: Some(0),
        cancun_time: Some(0),
        prague_time: Some(0),
        osaka_time: Some(0),
        ..ChainConfig::default()
    }
}

impl NetworkPlan {
    /// A plan for validators with the given stakes on this machine, everything else at its
    /// default.
    pub fn new(chain_id: u64, stakes: Vec<u64>) -> Self {
        Self {
            chain_id,
            timestamp: 0,
            gas_limit: DEFAULT_GAS_LIMIT,
            stakes,
            followers: 0,
            names: Vec::new(),
            hosts: Vec::new(),
            p2p_ports: Vec::new(),
            locked_until: Vec::new(),
            fee_recipients: Vec::new(),
            fund_dev_accounts: false,
            alloc: BTreeMap::new(),
            weight: WeightRule::Stake,
            consensus: ConsensusParams::default(),
            fees: FeeParams::default(),
        }
    }

    /// How many nodes the network has, followers included.
    pub fn nodes(&self) -> usize {
        self.stakes.len().saturating_add(self.followers)
    }

    /// Draws keys for all nodes and builds the genesis, which is valid: what
    /// [`Genesis::validate`] says about it are warnings.
    pub fn build(&self) -> Result<(Genesis, Vec<NodeKeys>), PlanError> {
        let names = self.check_names()?;
        let draw = |(index, name)| {
            let validating = index < self.stakes.len();
            let validator = validating.then(SecretKey::generate).transpose()?;
            Ok(NodeKeys { name, validator, node: SecretKey::generate()? })
        };
        let keys: Result<Vec<NodeKeys>, EntropyError> = names.into_iter().enumerate().map(draw).collect();
        let keys = keys?;
        let public = keys.iter().map(|it| (it.validator.as_ref().map(SecretKey::public), it.node.public()));
        Ok((self.build_with(&public.collect::<Vec<_>>())?, keys))
    }

    /// Builds the genesis for given public keys, (validator key, node key) of each node: the keys
    /// may come from machines of their own.
    pub fn build_with(&self, keys: &[(Option<PublicKey>, PublicKey)]) -> Result<Genesis, PlanError> {
        let names = self.check_names()?;
        let addresses = self.addresses()?;
        expect_count("keys", names.len(), keys.len())?;
        let recipients = self.fee_recipients()?;
        if !self.locked_until.is_empty() {
            expect_count("locked until", self.stakes.len(), self.locked_until.len())?;
        }
        let voting = keys.iter().filter_map(|(validator, _)| *validator).count();
        expect_count("validator keys", self.stakes.len(), voting)?;
        let stakes = self.stakes.iter().enumerate();
        let validators = keys.iter().zip(&names).zip(stakes).filter_map(|((keys, name), stake)| {
            Some(ValidatorSpec {
                name: name.clone(),
                key: keys.0?,
                node_key: keys.1,
                stake: *stake.1,
                fee_recipient: recipients[stake.0],
                locked_until: self.locked_until.get(stake.0).copied(),
                org: None,
                region: None,
            })
        });
        let nodes = keys.iter().zip(&names).zip(addresses).map(|((keys, name), address)| NodeSpec {
            name: name.clone(),
            key: keys.1,
            addresses: vec![address],
        });
        let genesis = self.genesis(validators.collect(), nodes.collect());
        let findings = genesis.validate();
        if findings.iter().any(|finding: &Finding| finding.level == Level::Error) {
            return Err(GenesisError::Invalid { findings }.into());
        }
        Ok(genesis)
    }

    fn genesis(&self, validators: Vec<ValidatorSpec>, nodes: Vec<NodeSpec>) -> Genesis {
        let mut alloc = BTreeMap::new();
        if self.fund_dev_accounts {
            let balance = U256::from(DEV_BALANCE_ETHER) * U256::from(WEI_PER_ETHER);
            let account = GenesisAccount::default().with_balance(balance);
            alloc.extend(dev_accounts().into_iter().map(|it| (it.address, account.clone())));
        }
        alloc.extend(self.alloc.clone());
        Genesis {
            ethereum: alloy_genesis::Genesis {
                config: default_chain_config(self.chain_id),
                timestamp: self.timestamp,
                gas_limit: self.gas_limit,
                alloc,
                ..Default::default()
            },
            assent: AssentSpec {
                validators,
                nodes,
                weight: self.weight.clone(),
                consensus: self.consensus.clone(),
                fees: self.fees.clone(),
            },
        }
    }

    /// The names of all nodes, after a check of how many there are.
    fn check_names(&self) -> Result<Vec<String>, PlanError> {
        let (validators, followers, nodes) = (self.stakes.len(), self.followers, self.nodes());
        if validators == 0 || validators > MAX_VALIDATORS || nodes > MAX_NODES {
            return Err(PlanError::Size { validators, followers });
        }
        if self.names.is_empty() {
            return Ok((0..nodes).map(|index| format!("node{index}")).collect());
        }
        expect_count("names", nodes, self.names.len())?;
        Ok(self.names.clone())
    }

    fn addresses(&self) -> Result<Vec<String>, PlanError> {
        let nodes = self.nodes();
        let hosts = match &self.hosts[..] {
            [] => vec!["127.0.0.1"; nodes],
            [host] => vec![host.as_str(); nodes],
            hosts => hosts.iter().map(String::as_str).collect(),
        };
        expect_count("hosts", nodes, hosts.len())?;
        let ports: Vec<u16> = if !self.p2p_ports.is_empty() {
            self.p2p_ports.clone()
        } else if self.hosts.len() > 1 {
            vec![DEFAULT_P2P_PORT; nodes]
        } else {
            (DEFAULT_P2P_PORT..=u16::MAX).take(nodes).collect()
        };
        expect_count("p2p ports", nodes, ports.len())?;
        Ok(hosts.into_iter().zip(ports).map(|(host, port)| address(host, port)).collect())
    }

    fn fee_recipients(&self) -> Result<Vec<Address>, PlanError> {
        let validators = self.stakes.len();
        let recipients = match self.fee_recipients[..] {
            [] => vec![Address::ZERO; validators],
            [one] => vec![one; validators],
            _ => self.fee_recipients.clone(),
        };
        expect_count("fee recipients", validators, recipients.len())?;
        Ok(recipients)
    }
}

fn expect_count(list: &'static str, expected: usize, got: usize) -> Result<(), PlanError> {
    if expected == got { Ok(()) } else { Err(PlanError::Count { list, expected, got }) }
}

fn address(host: &str, port: u16) -> String {
    match host.parse() {
        Ok(IpAddr::V4(ip)) => format!("/ip4/{ip}/tcp/{port}"),
        Ok(IpAddr::V6(ip)) => format!("/ip6/{ip}/tcp/{port}"),
        Err(_) => format!("/dns/{host}/tcp/{port}"),
    }
}
