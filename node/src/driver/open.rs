//! Opening a validator: its signer, its log, and the state machine that stands where they end.

use std::path::PathBuf;
use std::sync::Arc;

use assent_consensus::core::{Config, Core, Input, Memory0, Timing};
use assent_consensus::recovery::{Recovered, RecoveryError, recover};
use assent_consensus::{BlockInfo, Certificate, Record};
use assent_genesis::SecretKey;
use tokio::sync::{mpsc, watch};

use super::blocks::{self, BlockCache, Construction};
use super::durable::Durable;
use super::evidence::EvidencePool;
use super::failures::FailedViews;
use super::phases::Phases;
use super::timers::Timers;
use super::{ConsensusStatus, Directory, Driver, RESULTS, Surroundings};
use crate::signer::{Signer, SignerError};
use crate::wal::{Replay, Wal, WalError};

/// What a validator is opened with.
#[derive(Debug)]
pub struct OpenOptions {
    /// The data folder.
    pub data: PathBuf,
    /// The key that signs votes.
    pub key: SecretKey,
    /// The operator accepts to vote without knowing what was signed before.
    pub accept_lost_memory: bool,
}

/// Why a validator does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The signer.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The log.
    #[error(transparent)]
    Wal(#[from] WalError),
    /// Log and mark do not belong together.
    #[error("{folder}: {source}")]
    Recovery {
        /// The folder of the log.
        folder: PathBuf,
        /// What does not fit.
        source: RecoveryError,
    },
    /// A record that cannot be read although its checksum is right.
    #[error(
        "a record of the consensus log cannot be read: {0}. Another version of the program wrote it: start that one"
    )]
    Record(#[from] assent_consensus::DecodeError),
    /// The validator set of genesis cannot be made.
    #[error("the validators of genesis.json: {0}")]
    Validators(String),
    /// The key is not one of the set's.
    #[error(
        "the key {0} in keys/validator.json is not a validator of genesis.json. Use the right key; or remove the file to run a follower"
    )]
    NotAValidator(assent_consensus::PublicKey),
    /// The database.
    #[error("the database cannot be read: {0}")]
    Chain(String),
}

impl Driver {
    /// Opens signer and log, checks that they belong together, and replays the log.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(around: Surroundings, options: OpenOptions) -> Result<Self, OpenError> {
        let genesis = around.genesis_hash;
        let set = around
            .genesis
            .validator_set(assent_consensus::Epoch(0), around.genesis.header().timestamp)
            .map_err(|error| OpenError::Validators(error.to_string()))?;
        let public = options.key.public();
        let me = set.index_of(&public).ok_or(OpenError::NotAValidator(public))?;
        let mut signer = Signer::open(&options.data, options.key, genesis)?;
        let cache = BlockCache::default();
        let log = options.data.join("wal");
        let accept = |replay: &Replay| -> Result<(Vec<Record>, Recovered), OpenError> {
            let records = read_records(&around, &cache, replay, set.len())?;
            let recovered = recover(signer.found(), replay, &records, me, &set)
                .map_err(|source| OpenError::Recovery { folder: log.clone(), source })?;
            Ok((records, recovered))
        };
        let (wal, replay, (records, recovered)) = Wal::open(&log, genesis, accept)?;
        signer.raise(recovered.mark);
        let memory = match recovered.memory {
            Memory0::Lost if options.accept_lost_memory => Memory0::LostButAccepted,
            memory => memory,
        };
        let (root, root_certificate) = root(&around, set.len())?;
        let params = around.genesis.assent.consensus.clone();
        let timing = timing(&params);
        let config = Config { genesis, set: set.clone(), me, timing, root, root_certificate, memory };
        let mut core = Core::new(config);
        for record in records.into_iter().chain(recovered.votes) {
            core.step(Input::Restore(record));
        }
        tracing::info!(target: "assent::consensus", records = replay.records.len(), torn_bytes = replay.torn_bytes,
            view = core.view().0, height = root.height.0, ?memory, "consensus log replayed");
        let alone = set.is_quorum(u128::from(set.weight(me).0));
        let (results, events) = mpsc::channel(RESULTS);
        let status = ConsensusStatus {
            view: core.view(),
            standing: core.standing(),
            working: false,
            gave_up: Vec::new(),
            silent: Vec::new(),
            failed: Arc::default(),
        };
        Ok(Self {
            core,
            set: Arc::new(set),
            me,
            params,
            directory: Directory::new(&around.genesis),
            durable: Durable::new(wal, signer, alone),
            around,
            timers: Timers::default(),
            construction: Construction::default(),
            cache,
            evidence: EvidencePool::default(),
            held: Vec::new(),
            failed: FailedViews::default(),
            phases: Phases::default(),
            events,
            results,
            status: watch::channel(status).0,
        })
    }
}

/// The durations of the protocol that a genesis names.
pub(crate) fn timing(params: &assent_genesis::ConsensusParams) -> Timing {
    let ms = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Timing {
        view_timeout_ms: ms(params.view_timeout),
        view_timeout_max_ms: ms(params.view_timeout_max),
        retransmit_ms: ms(params.retransmit_interval),
    }
}

fn read_records(
    around: &Surroundings,
    cache: &BlockCache,
    replay: &Replay,
    validators: usize,
) -> Result<Vec<Record>, OpenError> {
    let read = |payload: &[u8]| cache.read(&around.chain, payload);
    let records = replay.records.iter().map(|bytes| Record::decode(bytes, validators, &read));
    Ok(records.collect::<Result<_, _>>()?)
}

/// The last final block and its certificate.
fn root(around: &Surroundings, validators: usize) -> Result<(BlockInfo, Option<Certificate>), OpenError> {
    let failed = |error: &dyn std::fmt::Display| OpenError::Chain(error.to_string());
    let number = around.chain.head().number;
    let block = around.chain.block_by_number(number).map_err(|error| failed(&error))?;
    let block = block.ok_or_else(|| failed(&format!("block {number} is missing")))?;
    let info = blocks::info(block.hash(), block.header(), block.seal());
    let bytes = around.chain.certificate(number).map_err(|error| failed(&error))?;
    let certificate = bytes.map(|bytes| Certificate::decode(&bytes, validators)).transpose()?;
    Ok((info, certificate))
}
