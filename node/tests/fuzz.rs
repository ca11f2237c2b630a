//! Fuzz targets of a node's files: the log, the signer's mark, `config.toml`.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use assent::config::{Flags, NodeConfig};
use assent::home::Home;
use assent::signer::{Mark, Signer, create_mark, load_mark};
use assent::wal::{Replay, Wal, WalError};
use assent_consensus::mutation::mutate;
use assent_consensus::{Ballot, Epoch, Hash, Phase, View};
use assent_genesis::SecretKey;

#[path = "../../tests/fuzz/campaign.rs"]
mod campaign;

use campaign::{Check, Target, long, quick};

const GENESIS: Hash = Hash([7; 32]);

const LOG: Target = Target { name: "write-ahead log", quick: 500, script: 48, check: log };
const MARK: Target = Target { name: "signer's mark", quick: 3_000, script: 32, check: mark };
const CONFIG: Target = Target { name: "config.toml", quick: 1_000, script: 40, check: config };

#[test]
fn a_damaged_log_is_refused_or_read_up_to_its_tail() {
    quick(&LOG);
}

#[test]
fn a_damaged_mark_of_the_signer_is_refused_or_one_that_was_written() {
    quick(&MARK);
}

#[test]
fn a_damaged_configuration_is_refused_or_can_be_used() {
    quick(&CONFIG);
}

#[test]
#[ignore = "long: make soak"]
fn soak_of_all_targets() {
    long(&[&LOG, &MARK, &CONFIG]);
}

/// The only file in a folder.
fn only_file(folder: &Path) -> PathBuf {
    let mut files = fs::read_dir(folder).unwrap();
    let file = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none());
    file
}

/// A log that was written by the node: where its file is, its bytes, and its records.
struct Written {
    file: PathBuf,
    bytes: Vec<u8>,
    records: Vec<Vec<u8>>,
}

fn open(folder: &Path) -> Result<(Wal, Replay), WalError> {
    let (wal, replay, ()) = Wal::open(folder, GENESIS, |_| Ok::<(), WalError>(()))?;
    Ok((wal, replay))
}

/// A log with these records; a rotated one begins with the first of them.
fn written(folder: &Path, rotated: bool) -> Written {
    let records = vec![b"first".to_vec(), vec![0xa5; 200], b"\xa5REC\0\0\0\x05again".to_vec(), b"last".to_vec()];
    let (mut wal, _) = open(folder).unwrap();
    let later = if rotated {
        wal.rotate((View(9), 2), &records[..1]).unwrap();
        &records[1..]
    } else {
        &records[..]
    };
    for record in later {
        wal.append(record).unwrap();
    }
    wal.sync().unwrap();
    drop(wal);
    let file = only_file(folder);
    let bytes = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    Written { file, bytes, records }
}

/// Looking and opening agree; what is read was written, from the beginning; and once opened a log is whole.
fn log() -> Check {
    let folder = tempfile::tempdir().unwrap();
    let logs = [written(folder.path(), false), written(folder.path(), true)];
    let corpus: Vec<Vec<u8>> = logs.iter().map(|log| log.bytes.clone()).collect();
    Box::new(move |script| {
        let log = &logs[script.len() % 2];
        fs::write(&log.file, mutate(&corpus, script)).unwrap();
        let looked = Wal::read(folder.path(), GENESIS);
        let opened = open(folder.path()).map(|(_, replay)| replay);
        match (looked, opened) {
            (Ok(Some(looked)), Ok(opened)) => {
                assert_eq!(looked.replay.records, opened.records);
                assert!(log.records.starts_with(&opened.records), "{:?}", opened.records);
                let (_, again) = open(folder.path()).unwrap();
                assert_eq!((again.records, again.torn_bytes), (opened.records, 0));
            }
            (Err(looked), Err(opened)) => assert_eq!(looked.to_string(), opened.to_string()),
            (looked, opened) => panic!("looked at: {looked:?}, opened: {opened:?}"),
        }
        fs::remove_file(&log.file).unwrap();
    })
}

fn mark() -> Check {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signer.mark");
    create_mark(folder.path(), GENESIS).unwrap();
    let mut corpus = vec![fs::read(&path).unwrap()];
    let mut known: Vec<Mark> = vec![(View(0), 0)];
    let mut signer = Signer::open(folder.path(), SecretKey::from_seed(&[7; 32]), GENESIS).unwrap();
    for (view, phase) in [(5, Phase::Prepare), (5, Phase::Commit), (6, Phase::ViewChange)] {
        let ballot = Ballot { epoch: Epoch(0), view: View(view), phase, block: Hash([1; 32]) };
        signer.sign(&ballot).unwrap();
        signer.log_is_durable();
        signer.write().unwrap();
        known.push(signer.mark());
        corpus.push(fs::read(&path).unwrap());
    }
    drop(signer);
    Box::new(move |script| {
        // The folder lives as long as the target.
        fs::write(folder.path().join("signer.mark"), mutate(&corpus, script)).unwrap();
        match load_mark(folder.path(), GENESIS) {
            Ok(found) => assert!(known.contains(&found.unwrap().mark)),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    })
}

const SETTINGS: &str = r#"
name = "bank-a"
[p2p]
listen = ["/ip4/0.0.0.0/tcp/30303", "/ip6/::/tcp/30303"]
peers = "0xabababababababababababababababababababababababababababababababab@/dns/node.example.org/tcp/30303"
[rpc]
enabled = true
listen = "127.0.0.1:8545"
namespaces = ["eth", "net"]
hosts = "localhost, example.org"
cors = ["*"]
max_body = "5 MiB"
max_response = "100MB"
max_batch = 1000
max_connections = 10
rate_limit = 7
request_timeout = "30s"
heavy_calls = 2
gas_cap = 50000000
evm_timeout = "1h 5s 3ms"
max_log_blocks = 10000
[metrics]
listen = "[::1]:9545"
[log]
filter = "info,assent::network=debug,[span{field=\"x.*\"}]=trace"
format = "json"
file = "/var/log/assent.log"
[mempool]
max_transactions = 100000
max_bytes = "256 MiB"
max_queued_per_sender = 64
"#;

const LESS: &str = "rpc.listen = \"0.0.0.0:1\"\nmempool = { max_bytes = 1e3, max_transactions = 0x10 }\n";

/// Text of `config.toml`, of a variable of the environment and of an assignment on the command line.
fn config() -> Check {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path());
    let values =
        ["\"1 TiB\"", "[a, \"b\", 3]", "{x = 1}", "99999999999999999999s", "18446744073709551615 EiB", "1e400"];
    let mut corpus: Vec<Vec<u8>> = [SETTINGS, LESS].iter().map(|text| text.as_bytes().to_vec()).collect();
    corpus.extend(values.iter().map(|value| format!("rpc.max_body={value}").into_bytes()));
    Box::new(move |script| {
        let text = String::from_utf8_lossy(&mutate(&corpus, script)).into_owned();
        fs::write(folder.path().join("config.toml"), &text).unwrap();
        judge(&home, &Flags::default(), None);
        fs::write(folder.path().join("config.toml"), "").unwrap();
        let mut flags = Flags::default();
        match flags.set_text(&text) {
            Ok(()) => judge(&home, &flags, None),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        for variable in ["ASSENT_RPC_REQUEST_TIMEOUT", "ASSENT_RPC_MAX_BODY", "ASSENT_P2P_PEERS", "ASSENT_LOG_FILTER"] {
            let value = text.split_once('=').map_or(text.as_str(), |(_, value)| value);
            judge(&home, &Flags::default(), Some((variable.to_owned(), value.to_owned())));
        }
    })
}

/// Loads a configuration; what is accepted can be handed to the parts of the node.
fn judge(home: &Home, flags: &Flags, variable: Option<(String, String)>) {
    match NodeConfig::load(home.clone(), flags, variable) {
        Ok(config) => {
            assert!(!config.p2p.listen.is_empty());
            assert!(config.rpc.server().max_body > 0);
            assert!(config.chain_options().mempool.transactions > 0);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
