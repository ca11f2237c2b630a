//! The command line as an operator meets it: the binary, its texts and its exit codes.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

/// Runs `assent` in `folder` with an empty environment, as a new user's shell would.
fn assent(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_assent")).args(args).current_dir(folder).env_clear().output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Standard output of a call that must work.
fn works(folder: &Path, args: &[&str]) -> String {
    let output = assent(folder, args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Standard error of a call that must end with `code`.
fn fails(folder: &Path, args: &[&str], code: i32) -> String {
    let output = assent(folder, args);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    errors
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn testnet(folder: &TempDir, more: &[&str]) -> std::path::PathBuf {
    let mut args = vec!["testnet", "--output", "net"];
    args.extend_from_slice(more);
    works(folder.path(), &args);
    folder.path().join("net")
}

#[test]
fn help_is_there_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let help = works(folder.path(), &["--help"]);
    let commands =
        ["devnet", "testnet", "init", "start", "status", "keys", "genesis", "query", "tx", "db", "simulate", "bench"];
    for command in commands {
        assert!(help.contains(command), "{help}");
        let text = works(folder.path(), &[command, "--help"]);
        assert!(text.contains("Examples:"), "{command}: {text}");
        assert!(!text.contains("die-with-parent"), "{text}");
    }
    let version = works(folder.path(), &["--version"]);
    assert_eq!(version, format!("assent {}\n", env!("CARGO_PKG_VERSION")));
    let usage = fails(folder.path(), &[], 2);
    assert!(usage.contains("Usage:"), "{usage}");
}

#[test]
fn testnet_writes_homes_that_agree() {
    let folder = tempfile::tempdir().unwrap();
    let net = testnet(&folder, &["--validators", "4", "--stake", "40,30,20,10", "--followers", "1"]);
    let genesis = fs::read_to_string(net.join("genesis.json")).unwrap();
    for node in 0..5 {
        let home = net.join(format!("node{node}"));
        assert_eq!(fs::read_to_string(home.join("genesis.json")).unwrap(), genesis);
        assert_eq!(mode(&home.join("keys/node.json")), 0o600);
        assert_eq!(mode(&home.join("keys")), 0o700);
        assert_eq!(home.join("keys/validator.json").exists(), node < 4);
        let config = fs::read_to_string(home.join("config.toml")).unwrap();
        for line in [
            format!("name = \"node{node}\""),
            format!("listen = \"127.0.0.1:{}\"", 8545 + node),
            format!("listen = \"127.0.0.1:{}\"", 9545 + node),
            format!("listen = [\"/ip4/127.0.0.1/tcp/{}\"]", 30303 + node),
            "#max_batch = ".to_string(),
        ] {
            assert!(config.contains(&line), "{line} is missing in\n{config}");
        }
    }
    let genesis: Value = serde_json::from_str(&genesis).unwrap();
    let validators = genesis["assent"]["validators"].as_array().unwrap();
    assert_eq!(validators.len(), 4);
    assert_eq!(genesis["assent"]["nodes"].as_array().unwrap().len(), 5);

    let again = fails(folder.path(), &["testnet", "--output", "net"], 1);
    assert!(again.contains("net is not empty"), "{again}");
}

#[test]
fn testnet_for_several_machines() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = "10.0.0.1,10.0.0.2,10.0.0.2,c.example.org";
    let net = testnet(&folder, &["--hosts", hosts, "--dev-accounts", "--chain-id", "2024"]);
    let genesis = json(&net.join("genesis.json"));
    let nodes = genesis["assent"]["nodes"].as_array().unwrap();
    let addresses: Vec<&str> = nodes.iter().map(|node| node["addresses"][0].as_str().unwrap()).collect();
    assert_eq!(
        addresses,
        [
            "/ip4/10.0.0.1/tcp/30303",
            "/ip4/10.0.0.2/tcp/30303",
            "/ip4/10.0.0.2/tcp/30304",
            "/dns/c.example.org/tcp/30303"
        ]
    );
    let config = fs::read_to_string(net.join("node2/config.toml")).unwrap();
    assert!(config.contains("/ip4/0.0.0.0/tcp/30304"), "{config}");
    assert!(config.contains("127.0.0.1:8546"), "RPC stays on loopback: {config}");
    assert_eq!(genesis["config"]["chainId"], 2024);
}

#[test]
fn wrong_flags_are_explained_with_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    for (args, words) in [
        (&["testnet", "--output", "x", "--stake", "40,x"][..], "got \"x\""),
        (
            &["testnet", "--output", "x", "--validators", "3", "--stake", "1,2"],
            "--validators says 3, --stake has 2 numbers",
        ),
        (&["testnet", "--output", "x", "--hosts", "a,b"], "--hosts names 2 hosts for 4 nodes"),
        (&["testnet", "--output", "x", "--fund", "bob"], "expected an address"),
        (&["devnet", "--port-offset", "40000"], "--port-offset 40000 leaves too few ports"),
        (&["devnet", "--port-offset", "x"], "--port-offset"),
        (&["start", "--home", "nowhere"], "assent init --home nowhere"),
        (&["keys", "show"], "expected a key FILE or --home"),
        (&["bench", "--rate", "0"], "at least 1"),
        (&["bench", "--duration", "30"], "--duration"),
        (&["stat"], "status"),
    ] {
        let errors = fails(folder.path(), args, 2);
        assert!(errors.contains(words), "{args:?}: {errors}");
    }
    assert!(!folder.path().join("x").exists(), "nothing is written on a mistake");
}

#[test]
fn a_genesis_that_cannot_be_is_refused_with_the_field() {
    let folder = tempfile::tempdir().unwrap();
    let errors = fails(folder.path(), &["testnet", "--output", "x", "--validators", "2", "--stake", "0"], 1);
    assert!(errors.contains("stake"), "{errors}");
    assert!(!folder.path().join("x").exists());

    let net = testnet(&folder, &[]);
    let file = net.join("genesis.json");
    let valid = works(folder.path(), &["genesis", "validate", "net/genesis.json"]);
    assert!(valid.contains("4 validators with weight 100"), "{valid}");
    assert!(valid.contains("any 0 of them may fail and blocks go on; not without node0"), "{valid}");
    let hash = works(folder.path(), &["genesis", "hash", "net/genesis.json"]);
    assert!(valid.contains(hash.trim()), "{valid}");

    let mut genesis = json(&file);
    genesis["assent"]["validators"][1]["key"] = genesis["assent"]["validators"][0]["key"].clone();
    fs::write(&file, genesis.to_string()).unwrap();
    let errors = fails(folder.path(), &["genesis", "validate", "net/genesis.json"], 1);
    assert!(errors.contains("assent.validators[1]"), "{errors}");
    let errors = fails(folder.path(), &["genesis", "validate", "nothing.json"], 1);
    assert!(errors.contains("cannot read nothing.json"), "{errors}");
}

#[test]
fn the_validators_of_a_genesis_are_analysed() {
    let folder = tempfile::tempdir().unwrap();
    testnet(&folder, &[]);
    let analyze =
        |flags: &[&str]| works(folder.path(), &[&["genesis", "analyze", "net/genesis.json"][..], flags].concat());
    let text = analyze(&[]);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    for words in
        ["node0          40   40.0%  ########", "Who can halt the chain", "node3 needs at least 31 (it has 10)"]
    {
        assert!(text.contains(words), "{words:?}: {text}");
    }
    assert!(analyze(&["--group", "org"]).contains("No validator has a label \"org\""));
    let json: Value =
        serde_json::from_str(&analyze(&["--json", "--up-probability", "1", "--up", "node0=0.5"])).unwrap();
    assert_eq!((&json["needed"], &json["availability"]["up"]["upper"]), (&Value::from(67), &Value::from(0.5)));
    for (flags, words) in [
        (&["--up-probability", "2"][..], "expected a probability from 0 to 1"),
        (&["--up", "node0"], "expected a validator's name and a probability"),
        (&["--up", "node9=0.5"], "expected one of the validators: node0, node1, node2, node3"),
        (&["--group", "planet"], "expected org or region"),
    ] {
        let errors = fails(folder.path(), &[&["genesis", "analyze", "net/genesis.json"][..], flags].concat(), 2);
        assert!(errors.contains(words), "{flags:?}: {errors}");
    }
    let valid = works(folder.path(), &["genesis", "validate", "net/genesis.json"]);
    assert!(valid.contains("when each is up 99% of the time, expect no blocks for 3.7 days per year"), "{valid}");
    assert!(
        valid.contains("node3 needs at least 31 (it has 10) for the chain to survive the loss of node0"),
        "{valid}"
    );
}

#[test]
fn init_makes_one_home() {
    let folder = tempfile::tempdir().unwrap();
    let net = testnet(&folder, &[]);
    let told = works(folder.path(), &["init", "--home", "alone", "--name", "bank-a"]);
    let keys = works(folder.path(), &["keys", "show", "--home", "alone"]);
    for line in keys.lines() {
        let key = line.split_whitespace().last().unwrap();
        assert!(told.contains(key), "{told}");
    }
    assert_eq!(keys.lines().count(), 2);
    assert!(told.contains("send these public keys"), "{told}");
    let config = fs::read_to_string(folder.path().join("alone/config.toml")).unwrap();
    assert!(config.contains("name = \"bank-a\""));
    assert!(folder.path().join("alone/data/new-validator-key").exists());
    let missing = fails(folder.path(), &["start", "--home", "alone"], 1);
    assert!(missing.contains("alone/genesis.json is missing"), "{missing}");

    let told = works(folder.path(), &["init", "--home", "follower", "--follower", "--genesis", "net/genesis.json"]);
    assert!(told.contains("not on the node list"), "{told}");
    let home = folder.path().join("follower");
    assert!(!home.join("keys/validator.json").exists());
    let hash = |file: &Path| works(folder.path(), &["genesis", "hash", file.to_str().unwrap()]);
    assert_eq!(hash(&home.join("genesis.json")), hash(&net.join("genesis.json")));

    let again = fails(folder.path(), &["init", "--home", "alone"], 1);
    assert!(again.contains("never overwritten"), "{again}");
    let more = ["init", "--home", "alone", "--genesis", "net/genesis.json", "--follower"];
    let mixed = fails(folder.path(), &more, 2);
    assert!(mixed.contains("only waits for its genesis"), "{mixed}");
    let told = works(folder.path(), &more[..5]);
    assert!(told.contains(keys.split_whitespace().last().unwrap()), "{told}");
    assert!(!folder.path().join("alone/data/new-validator-key").exists());
    assert!(folder.path().join("alone/data/signer.mark").exists());
    let again = fails(folder.path(), &more[..5], 1);
    assert!(again.contains("never overwritten"), "{again}");
}

#[test]
fn keys_are_never_overwritten_nor_read_when_others_can() {
    let folder = tempfile::tempdir().unwrap();
    let public = works(folder.path(), &["keys", "generate", "--output", "key.json"]);
    assert_eq!(works(folder.path(), &["keys", "show", "key.json"]), public);
    let again = fails(folder.path(), &["keys", "generate", "--output", "key.json"], 1);
    assert!(again.contains("never overwritten"), "{again}");
    let file = folder.path().join("key.json");
    let secret = json(&file)["secret"].as_str().unwrap().to_string();
    assert!(!public.contains(&secret));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let open = fails(folder.path(), &["keys", "show", "key.json"], 1);
    assert!(open.contains("chmod 600"), "{open}");
    assert!(!open.contains(&secret));
}

#[test]
fn configuration_mistakes_are_named_with_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let net = testnet(&folder, &[]);
    let file = net.join("node0/config.toml");
    let config = fs::read_to_string(&file).unwrap();
    fs::write(&file, config.replace("#max_batch = 1000", "max_bacth = 1000")).unwrap();
    let errors = fails(folder.path(), &["start", "--home", "net/node0"], 2);
    assert!(errors.contains("rpc.max_bacth: unknown setting"), "{errors}");
    assert!(errors.contains("node0/config.toml"), "{errors}");
    let errors = fails(folder.path(), &["start", "--home", "net/node1", "--set", "rpc.gas_cap=lots"], 2);
    assert!(errors.contains("rpc.gas_cap: expected"), "{errors}");
    assert!(errors.contains("command line"), "{errors}");
}

#[test]
fn an_orphan_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    testnet(&folder, &[]);
    // Process 1 is not the parent of this child.
    let args = ["start", "--home", "net/node0", "--die-with-parent", "1"];
    let errors = fails(folder.path(), &args, 1);
    assert!(errors.contains("is gone"), "{errors}");
}

#[test]
fn a_node_that_does_not_answer_is_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody listens on a port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let errors = fails(folder.path(), &["status", "--rpc", &url], 1);
    assert!(errors.contains(&format!("no answer from {url}")), "{errors}");
    assert!(errors.contains("assent start --home DIR"), "{errors}");
    let errors = fails(folder.path(), &["bench", "--rpc", &url], 1);
    assert!(errors.contains("no answer from"), "{errors}");
    let errors = fails(folder.path(), &["status", "--rpc", "localhost:8545"], 1);
    assert!(errors.contains("expected a URL such as"), "{errors}");
}

#[test]
fn devnet_names_a_port_that_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    // Any port below the first node's p2p port can be made a node's port by an offset.
    let (listener, offset) = (0..)
        .find_map(|_| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let offset = port.checked_sub(30303).filter(|offset| *offset < 35_000)?;
            Some((listener, offset))
        })
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let offset = offset.to_string();
    let args = ["devnet", "--dir", "net", "--port-offset", &offset];
    let errors = fails(folder.path(), &args, 1);
    assert!(errors.contains(&format!("port {port} (p2p of node0)")), "{errors}");
    assert!(errors.contains("--port-offset"), "{errors}");
    assert!(!folder.path().join("net").exists(), "nothing is written before");
}
