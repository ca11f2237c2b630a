//! A folder with the homes of a whole network, as `testnet` and `devnet` write it:
//! `genesis.json` (for copying) and `node0`, `node1`, ...
//!
//! `genesis.json` is written last, so that a folder that has one is complete.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use assent_consensus::Hash;
use assent_genesis::{Genesis, NetworkPlan, NodeKeys, SecretKey};
use assent_rpc::RpcConfig;

use crate::{
    config::{self, Overrides},
    home::Home,
    signer::create_mark,
};

/// A network's folder on disk.
#[derive(Debug)]
pub(crate) struct NetworkFolder {
    pub(crate) path: PathBuf,
    pub(crate) genesis: Genesis,
    pub(crate) homes: Vec<Home>,
}

/// Where one node listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ports {
    pub(crate) p2p: u16,
    pub(crate) rpc: u16,
    pub(crate) metrics: u16,
    /// Port of the explorer's pages; `None`: the node serves none.
    pub(crate) explorer: Option<u16>,
    /// Whether the node is reached from this machine only.
    pub(crate) loopback: bool,
    /// Whether all of JSON-RPC is offered, as developers want it.
    pub(crate) all_namespaces: bool,
}

impl Ports {
    /// The settings of `config.toml` that say so.
    fn overrides(&self) -> Overrides {
        let host = if self.loopback { "127.0.0.1" } else { "0.0.0.0" };
        let mut overrides = Overrides::default();
        overrides.list("p2p.listen", [format!("/ip4/{host}/tcp/{}", self.p2p)]);
        overrides.text("rpc.listen", &format!("127.0.0.1:{}", self.rpc));
        if self.all_namespaces {
            overrides.list("rpc.namespaces", RpcConfig::ALL_NAMESPACES.map(String::from));
        }
        overrides.text("metrics.listen", &format!("127.0.0.1:{}", self.metrics));
        if let Some(port) = self.explorer {
            overrides.flag("explorer.enabled", true);
            overrides.text("explorer.listen", &format!("127.0.0.1:{port}"));
        }
        overrides
    }
}

impl NetworkFolder {
    /// Draws keys, builds the genesis and writes everything into `path`, which must be empty or
    /// not exist.
    pub(crate) fn create(path: &Path, plan: &NetworkPlan, ports: &[Ports]) -> Result<Self> {
        if !is_empty(path)? {
            bail!("{} is not empty: choose a new folder", path.display());
        }
        let (genesis, keys) = plan.build()?;
        let text = genesis.to_json_pretty();
        create_private(path)?;
        let mut homes = Vec::new();
        for (index, (keys, ports)) in keys.iter().zip(ports).enumerate() {
            let home = Home::new(path.join(format!("node{index}")));
            let mut overrides = ports.overrides();
            overrides.text("name", &keys.name);
            create_home(&home, keys, &overrides)?;
            adopt_genesis(&home, &genesis)?;
            homes.push(home);
        }
        write(&path.join("genesis.json"), &text)?;
        Ok(Self { path: path.to_path_buf(), genesis, homes })
    }

    /// Opens a folder that [`Self::create`] has completed; `None` when there is no network in it.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>> {
        let file = path.join("genesis.json");
        if !file.exists() {
            return Ok(None);
        }
        let (genesis, _) = Genesis::load(&file)?;
        let homes: Vec<Home> =
            (0..genesis.assent.nodes.len()).map(|index| Home::new(path.join(format!("node{index}")))).collect();
        if let Some(missing) = homes.iter().find(|home| !home.genesis().exists()) {
            bail!(
                "{} names {} nodes, but {} is missing: restore it, or start over in a new folder",
                file.display(),
                homes.len(),
                missing.genesis().display()
            );
        }
        Ok(Some(Self { path: path.to_path_buf(), genesis, homes }))
    }
}

/// Whether a folder has nothing in it, or does not exist.
pub(crate) fn is_empty(path: &Path) -> Result<bool> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Says that the validator key of a home is new: nothing has been signed with it. Removed when the
/// home gets its genesis and with it the signer's first mark, or with everything else in `data/`.
const NEW_KEY: &str = "new-validator-key";

/// Writes a new home without a genesis: keys and configuration.
pub(super) fn create_home(home: &Home, keys: &NodeKeys, overrides: &Overrides) -> Result<()> {
    for folder in [home.path(), &home.keys(), &home.data()] {
        create_private(folder)?;
    }
    save(&keys.node, &home.node_key())?;
    if let Some(validator) = &keys.validator {
        save(validator, &home.validator_key())?;
        write(&home.data().join(NEW_KEY), "")?;
    }
    write(&home.config(), &config::render(overrides))
}

/// Whether a home waits for its genesis: made by `init` without one and not used since.
pub(super) fn waits_for_genesis(home: &Home) -> bool {
    home.node_key().exists() && !home.genesis().exists()
}

/// Puts the genesis into a home. A validator whose key is known to be new gets the signer's first
/// mark, and may vote at once; one with an older key gets none, because nobody knows what it signed.
pub(super) fn adopt_genesis(home: &Home, genesis: &Genesis) -> Result<()> {
    let new_key = home.data().join(NEW_KEY);
    if new_key.exists() {
        create_signer_mark(home, genesis)?;
        fs::remove_file(&new_key).with_context(|| format!("cannot remove {}", new_key.display()))?;
    }
    write(&home.genesis(), &genesis.to_json_pretty())
}

/// The signer's first mark: nothing has been signed on this chain.
fn create_signer_mark(home: &Home, genesis: &Genesis) -> Result<()> {
    Ok(create_mark(&home.data(), Hash(genesis.hash().0))?)
}

fn save(key: &SecretKey, path: &Path) -> Result<()> {
    Ok(key.save(path)?)
}

/// Creates a folder, and those above it, that only its owner can look into.
fn create_private(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot create the folder {}", path.display()))
}

/// Writes a new file; never replaces one.
pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    let written = fs::File::create_new(path).and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// The time now, in whole seconds since 1970.
pub(crate) fn unix_now() -> Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Ok(now.context("the system's clock stands before 1970: set it")?.as_secs())
}
