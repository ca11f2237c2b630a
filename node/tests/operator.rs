//! `assent query`, `tx` and `db` against a real node: a network of one validator.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(60);

/// The first development account; everybody knows its key.
const SENDER: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const RECEIVER: &str = "0x00000000000000000000000000000000DeaDBeef";

/// A network of one validator in a folder of its own.
struct Network {
    folder: TempDir,
}

/// A running node; it is killed when the test ends, however it ends.
struct Running {
    child: Child,
    url: String,
    /// What it logged, once it has ended.
    log: mpsc::Receiver<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Network {
    fn new() -> Self {
        let network = Self { folder: tempfile::tempdir().unwrap() };
        network.works(&["testnet", "--validators", "1", "--dev-accounts", "--output", "net"]);
        let key = network.path().join("key");
        fs::write(&key, KEY).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        network
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn home(&self) -> PathBuf {
        self.path().join("net/node0")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_assent"));
        command.args(args).current_dir(self.path()).env_clear();
        command
    }

    fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        finished(self.command(args).output().unwrap())
    }

    /// Standard output of a call that must work.
    fn works(&self, args: &[&str]) -> String {
        let (code, out, errors) = self.run(args);
        assert_eq!(code, Some(0), "{args:?}: {out}{errors}");
        out
    }

    /// Both outputs of a call that must end with `code`.
    fn fails(&self, args: &[&str], code: i32) -> String {
        let (got, out, errors) = self.run(args);
        assert_eq!(got, Some(code), "{args:?}: {out}{errors}");
        format!("{out}{errors}")
    }

    /// Starts the node on ports that the system chooses and waits until it says which.
    fn start(&self) -> Running {
        let args = [
            "start",
            "--home",
            "net/node0",
            "--rpc-listen",
            "127.0.0.1:0",
            "--metrics-listen",
            "127.0.0.1:0",
            "--p2p-listen",
            "/ip4/127.0.0.1/tcp/0",
            "--log-format",
            "json",
        ];
        let mut child = self.command(&args).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let ((told, address), (all, whole)) = (mpsc::channel(), mpsc::channel());
        let mut running = Running { child, url: String::new(), log: whole };
        // Reads to the end, so that the node never waits for us.
        std::thread::spawn(move || {
            let mut lines = Vec::new();
            for line in log.lines().map_while(Result::ok) {
                let entry: Value = serde_json::from_str(&line).unwrap_or_default();
                if let Some(rpc) = entry["rpc"].as_str() {
                    let _ = told.send(Ok(rpc.to_string()));
                }
                lines.push(line);
            }
            let _ = told.send(Err(lines.join("\n")));
            let _ = all.send(lines.join("\n"));
        });
        let address = address.recv_timeout(DEADLINE).expect("the node starts in time").unwrap();
        running.url = format!("http://{address}");
        running
    }
}

impl Running {
    /// Stops the node in order.
    fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {}", self.log.recv().unwrap());
    }
}

/// The parts of a command line behind each other.
fn joined<'a>(command: &[&'a str], common: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [command, more, common].concat()
}

fn finished(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let errors = text(output.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    (output.status.code(), text(output.stdout), errors)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn contains(text: &str, words: &[&str]) {
    for words in words {
        assert!(text.contains(words), "{words} is missing in\n{text}");
    }
}

#[test]
fn transactions_are_sent_waited_for_and_looked_up() {
    let network = Network::new();
    let node = network.start();
    let rpc = ["--rpc", &node.url];

    let text = network.works(&joined(
        &["tx", "send", "--private-key-file", "key"],
        &rpc,
        &["--to", RECEIVER, "--value", "1.5ether"],
    ));
    contains(
        &text,
        &[
            &format!("From         {SENDER}, nonce 0\n"),
            "Value        1.5 ether (1500000000000000000 wei)\n",
            "Status       final, success\n",
            "Gas          21000 of at most 21000\n",
            "Fee          0\n",
            "Final after  ",
        ],
    );
    let answer = json(&network.works(&joined(
        &["tx", "send", "--private-key-file", "key"],
        &rpc,
        &["--to", RECEIVER, "--value", "7wei", "--legacy", "--json"],
    )));
    assert_eq!(
        (&answer["status"], &answer["nonce"], &answer["gasUsed"]),
        (&"success".into(), &1.into(), &21000.into())
    );
    assert!(answer["finalityMs"].as_u64().is_some(), "{answer}");
    let hash = answer["hash"].as_str().unwrap();
    let number = answer["blockNumber"].as_u64().unwrap().to_string();

    // The environment's key, without waiting; then waiting.
    let mut command = network.command(&[&["tx", "send", "--to", RECEIVER, "--no-wait", "--json"], &rpc[..]].concat());
    let (code, sent, errors) = finished(command.env("ASSENT_PRIVATE_KEY", &KEY[2..]).output().unwrap());
    assert_eq!(code, Some(0), "{errors}");
    let sent = json(&sent);
    assert_eq!((&sent["status"], &sent["blockNumber"]), (&"sent".into(), &Value::Null));
    let waited = network.works(&[&["tx", "wait", sent["hash"].as_str().unwrap()], &rpc[..]].concat());
    contains(&waited, &["Status       final, success\n", "Waited"]);

    contains(
        &network.works(&joined(&["query"], &rpc, &["account", RECEIVER])),
        &["Balance   1.500000000000000007 ether", "Code      none"],
    );
    contains(&network.works(&joined(&["query"], &rpc, &["account", SENDER])), &["Nonce     3\n"]);
    let account = json(&network.works(&joined(&["query"], &rpc, &["account", RECEIVER, "--json"])));
    assert_eq!((&account["balance"], &account["nonce"]), (&"1500000000000000007".into(), &0.into()));

    let text = network.works(&joined(&["query"], &rpc, &["tx", hash]));
    contains(&text, &[&format!("final in block {number}, at position 0"), "Type         legacy", "(7 wei)"]);
    assert_eq!(json(&network.works(&joined(&["query"], &rpc, &["tx", hash, "--json"])))["type"], "0x0");
    let text = network.works(&joined(&["query"], &rpc, &["receipt", hash]));
    contains(&text, &["Status        success\n", "Gas used      21000\n", "Logs          0\n"]);

    let text = network.works(&joined(&["query"], &rpc, &["block", &number]));
    contains(
        &text,
        &[
            &format!("Block         {number}\n"),
            "Proposer      node0, in view ",
            " s ago\n",
            "Votes         weight ",
            "Transactions  1\n",
            hash,
        ],
    );
    let block = json(&network.works(&joined(&["query"], &rpc, &["block", &number, "--json"])));
    let block_hash = block["hash"].as_str().unwrap();
    assert_eq!(json(&network.works(&joined(&["query"], &rpc, &["block", block_hash, "--json"]))), block);
    contains(&network.works(&joined(&["query"], &rpc, &["block"])), &["Block "]);
    contains(&network.works(&joined(&["query"], &rpc, &["block", "0"])), &["Block         0\n", "Transactions  0\n"]);

    contains(
        &network.works(&joined(&["query"], &rpc, &["validators", "--block", &number])),
        &["Validators  1\n", "node0", "100.0 %"],
    );
    contains(
        &network.works(&joined(&["query"], &rpc, &["certificate", &number])),
        &[&format!("Block   {number}\n"), "commit", "node0"],
    );
    contains(&network.works(&joined(&["query"], &rpc, &["certificate", "--json"])), &["\"signers\""]);
    node.stop();
}

#[test]
fn what_cannot_be_is_said() {
    let network = Network::new();
    let node = network.start();
    let rpc = ["--rpc", &node.url];
    let unknown = format!("0x{}", "ab".repeat(32));
    for (args, words) in [
        (&["query", "block", "999999"][..], "has no block 999999: its last block is "),
        (&["query", "block", &unknown], "has no block 0xabab"),
        (&["query", "validators", "--block", "999999"], "has no block 999999"),
        (&["query", "certificate", "999999"], "has no block 999999"),
        (&["query", "certificate", "0"], "the genesis block needs none"),
        (&["query", "tx", &unknown], "knows no transaction 0xabab"),
        (&["query", "receipt", &unknown], "knows no transaction 0xabab"),
        (&["tx", "wait", &unknown, "--timeout", "10ms"], "does not know it"),
        // Reverts: the code is REVERT(0, 0).
        (
            &["tx", "send", "--create", "--data", "0x60006000fd", "--private-key-file", "key"],
            "would fail: execution reverted",
        ),
        (
            &["tx", "send", "--to", RECEIVER, "--nonce", "0", "--gas", "1", "--private-key-file", "key"],
            "did not take the transaction",
        ),
    ] {
        let text = network.fails(&joined(args, &rpc, &[]), 1);
        assert!(text.contains(words), "{args:?}: {text}");
    }
    // Sent all the same, it is final and failed: it has paid.
    let args = ["tx", "send", "--create", "--data", "0x60006000fd", "--gas", "100000", "--private-key-file", "key"];
    contains(&network.fails(&joined(&args, &rpc, &[]), 1), &["Status       final, failed", "Block        "]);
    // Nothing with a lower nonce comes.
    let late = ["tx", "send", "--to", RECEIVER, "--nonce", "5", "--timeout", "10ms", "--private-key-file", "key"];
    let text = network.fails(&joined(&late, &rpc, &[]), 1);
    contains(&text, &["is not final after 10ms: it waits in the mempool", "lower nonce"]);
    let hash = text.split_whitespace().find(|word| word.starts_with("0x")).unwrap().trim_end_matches(',').to_string();
    contains(
        &network.works(&joined(&[], &rpc, &["query", "tx", &hash])),
        &["not final: waits in the mempool", "Nonce          5"],
    );
    contains(
        &network.fails(&joined(&[], &rpc, &["query", "receipt", &hash]), 1),
        &["is not final yet", "assent tx wait"],
    );
    node.stop();
}

#[test]
fn mistakes_cost_nothing() {
    let network = Network::new();
    let to = ["tx", "send", "--to", RECEIVER];
    for (args, words) in [
        (joined(&to, &[], &["--private-key", KEY]), "never taken from the command line"),
        (joined(&to, &[], &["--value", "1", "--private-key-file", "key"]), "names no unit"),
        (joined(&to, &[], &[]), "ASSENT_PRIVATE_KEY"),
        (vec!["tx", "send"], "--to"),
        (vec!["query", "block", "x"], "got \"x\""),
        (vec!["query", "account", "bob"], "40 hex digits"),
        (vec!["db", "check", "--home", "nowhere"], "there is no home in nowhere"),
        (vec!["db", "check", "--home", "net/node0", "--blocks", "5", "--full"], "cannot be used with"),
    ] {
        let text = network.fails(&args, 2);
        assert!(text.contains(words), "{args:?}: {text}");
        assert!(!text.contains(&KEY[2..]), "{text}");
    }
    fs::set_permissions(network.path().join("key"), fs::Permissions::from_mode(0o644)).unwrap();
    let text = network.fails(&joined(&to, &[], &["--private-key-file", "key"]), 1);
    assert!(text.contains("chmod 600 key"), "{text}");
    let text = network.fails(&joined(&to, &[], &["--private-key-file", "net/node0/keys/node.json"]), 1);
    assert!(text.contains("ed25519"), "{text}");
    for command in ["check", "info"] {
        let text = network.fails(&["db", command, "--home", "net/node0"], 1);
        assert!(text.contains("has not been started yet"), "{text}");
    }
    assert!(!network.home().join("data/chain").exists(), "looking creates nothing");
}

#[test]
fn a_database_is_described_and_checked() {
    let network = Network::new();
    let node = network.start();
    let send = ["tx", "send", "--to", RECEIVER, "--value", "1ether", "--private-key-file", "key", "--rpc", &node.url];
    network.works(&send);
    for command in ["check", "info"] {
        let text = network.fails(&["db", command, "--home", "net/node0"], 1);
        contains(&text, &["the node runs", "Stop it first", &format!("process {}", node.child.id())]);
    }
    network.works(&send);
    node.stop();

    let info = network.works(&["db", "info", "--home", "net/node0"]);
    contains(
        &info,
        &[
            "Head               block ",
            "commit certificate of view ",
            ": node0\n",
            "1 segment, ",
            "last signed view ",
            "headers",
        ],
    );
    let sound = network.works(&["db", "check", "--home", "net/node0"]);
    contains(
        &sound,
        &[
            "ok     head: block ",
            "2 transactions with senders",
            "verified",
            "consensus log: 1 segment",
            "signer: last signed",
        ],
    );
    let full = network.works(&["db", "check", "--home", "net/node0", "--full"]);
    contains(&full, &["ok     state: 11 accounts, 0 storage slots, "]);
    let few = network.works(&["db", "check", "--home", "net/node0", "--blocks", "1"]);
    contains(&few, &["--full does"]);

    // A byte of a file changes.
    let chain = network.home().join("data/chain");
    let log = fs::read_dir(&chain).unwrap().map(|entry| entry.unwrap().path());
    let log = log.filter(|path| path.extension().is_some_and(|extension| extension == "log")).max().unwrap();
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&log, &bytes).unwrap();
    let text = network.fails(&["db", "check", "--home", "net/node0", "--full"], 1);
    contains(&text, &["FAULT  expected at least block ", "which was made durable", "move net/node0/data/chain away"]);
    bytes[middle] ^= 1;
    fs::write(&log, &bytes).unwrap();

    // The log of consensus is gone; the signer knows better.
    fs::rename(network.home().join("data/wal"), network.path().join("wal")).unwrap();
    let text = network.fails(&["db", "check", "--home", "net/node0"], 1);
    contains(&text, &["FAULT  the consensus log ends at view 0", "1 fault in net/node0"]);
    fs::rename(network.path().join("wal"), network.home().join("data/wal")).unwrap();
    network.works(&["db", "check", "--home", "net/node0"]);

    // The node starts from what was looked at.
    let node = network.start();
    let account = network.works(&["query", "account", RECEIVER, "--rpc", &node.url]);
    contains(&account, &["Balance   2 ether"]);
    node.stop();
}
