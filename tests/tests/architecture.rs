//! The rules of ARCHITECTURE.md that a machine can hold: the line of crates, what each of them must never
//! depend on, names and lengths of files. And of the rules that other systems paid for ("reliability"): that each has
//! a test, that one function alone decides what a quorum is, and that no dependency falls below its floor.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Folder and crate, in the order of dependency: each may use those before it.
const LINE: [(&str, &str); 6] = [
    ("consensus", "assent-consensus"),
    ("genesis", "assent-genesis"),
    ("chain", "assent-chain"),
    ("rpc", "assent-rpc"),
    ("node", "assent"),
    ("tests", "assent-tests"),
];

/// What a crate must never depend on, directly or through others, and why. A name that ends with `*`
/// stands for all names that begin so.
const FORBIDDEN: [(&str, &[&str], &str); 4] = [
    (
        "assent-consensus",
        &[
            "tokio",
            "async-std",
            "smol",
            "futures*",
            "libp2p*",
            "rocksdb",
            "librocksdb-sys",
            "revm*",
            "rand",
            "getrandom",
            "fastrand",
            "chrono",
            "time",
            "rayon",
        ],
        "the protocol is a pure state machine: no IO, no clock, no entropy, no threads",
    ),
    (
        "assent-genesis",
        &["tokio", "libp2p*", "rocksdb", "librocksdb-sys"],
        "a chain specification is read and checked without a network or a database",
    ),
    ("assent-chain", &["libp2p*", "jsonrpsee*"], "blocks and state know nothing of peers or of RPC"),
    ("assent-rpc", &["libp2p*"], "RPC hands transactions to the node and knows nothing of peers"),
];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "common", "helpers", "helper", "misc", "shared"];

/// Files should stay below this many lines.
const LINES_WANTED: usize = 600;
/// Files must stay below this many lines.
const LINES_ALLOWED: usize = 700;

fn root() -> Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).context("the tests are not in the workspace")
}

fn cargo(arguments: &[&str]) -> Result<String> {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .args(arguments)
        .args(["--offline", "--locked"])
        .current_dir(root()?)
        .output()
        .context("cargo cannot be run")?;
    if !output.status.success() {
        let err = String::from_utf8_lossy(&output.stderr);
        bail!("cargo {arguments:?} failed:\n{err}");
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Name of each workspace crate, and of the workspace crates on which it depends in any way.
fn workspace_dependencies() -> Result<BTreeMap<String, BTreeSet<String>>> {
    let metadata: Value = serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"])?)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let name_of = |value: &Value| value["name"].as_str().map(String::from);
    let names: BTreeSet<String> = packages.iter().filter_map(name_of).collect();
    let mut found = BTreeMap::new();
    for package in packages {
        let name = name_of(package).context("a package without a name")?;
        let dependencies = package["dependencies"].as_array().context("dependencies")?;
        let ours = dependencies.iter().filter_map(name_of);
        found.insert(name, ours.filter(|name| names.contains(name)).collect());
    }
    Ok(found)
}

#[test]
fn crates_stand_in_one_line() -> Result<()> {
    let found = workspace_dependencies()?;
    let expected: BTreeSet<String> = LINE.iter().map(|(_, name)| (*name).into()).collect();
    ensure!(
        found.keys().cloned().collect::<BTreeSet<_>>() == expected,
        "the workspace holds {:?}, expected {expected:?}",
        found.keys()
    );
    for (position, (folder, name)) in LINE.iter().enumerate() {
        ensure!(root()?.join(folder).join("Cargo.toml").is_file(), "{name} is not in the folder {folder}");
        let before: BTreeSet<String> = LINE[..position].iter().map(|(_, n)| (*n).into()).collect();
        let wrong: Vec<_> = found[*name].difference(&before).collect();
        ensure!(wrong.is_empty(), "{name} depends on {wrong:?}, which does not come before it in the line");
    }
    Ok(())
}

#[test]
fn crates_keep_away_from_what_they_must_not_know() -> Result<()> {
    let mut wrong = Vec::new();
    for (name, forbidden, reason) in FORBIDDEN {
        let edges = "normal,no-proc-macro";
        let tree = cargo(&["tree", "-p", name, "-e", edges, "--prefix", "none"])?;
        let names = tree.lines().filter_map(|line| line.split(' ').next());
        for dependency in names.collect::<BTreeSet<_>>() {
            if forbidden.iter().any(|pattern| matches(pattern, dependency)) {
                wrong.push(format!(
                    "{name} depends on {dependency} ({reason}); see cargo tree -p {name} -e normal -i {dependency}"
                ));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

/// All Rust files of the workspace.
fn sources() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = Vec::new();
    for (folder, _) in LINE {
        folders.push(root()?.join(folder));
    }
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() && !path.ends_with("target") && !path.ends_with("node_modules") {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[test]
fn names_say_what_is_inside() -> Result<()> {
    let root = root()?;
    for path in sources()? {
        let inside = path.strip_prefix(&root)?.with_extension("");
        for part in inside.iter().map(|part| part.to_string_lossy()) {
            ensure!(
                !EMPTY_NAMES.contains(&part.as_ref()),
                "{}: \"{part}\" says nothing about what is inside",
                path.display()
            );
        }
    }
    Ok(())
}

#[test]
fn files_stay_short() -> Result<()> {
    let mut too_long = Vec::new();
    for path in sources()? {
        let lines = fs::read_to_string(&path)?.lines().count();
        if lines > LINES_WANTED {
            println!("{lines} lines: {}", path.display());
        }
        if lines > LINES_ALLOWED {
            too_long.push(format!("{} has {lines} lines", path.display()));
        }
    }
    ensure!(
        too_long.is_empty(),
        "split these, a file stays below {LINES_WANTED} lines ({LINES_ALLOWED} at most):\n{}",
        too_long.join("\n")
    );
    Ok(())
}

/// Rules that cost other systems dearly and that touch consensus, log, signer, sync or network. Each has a test whose
/// name begins with `reliability_` and its number.
const RELIABILITY: [(u32, &str); 14] = [
    (1, "one quorum predicate, strict, in 128 bits"),
    (2, "timeouts capped and monotone up to the largest view"),
    (3, "no locks"),
    (4, "a certificate with any bad, duplicate or foreign signature is refused whole"),
    (5, "nothing in a header derives from unverified votes"),
    (6, "lengths are checked against each other before use; no panic from a peer's bytes"),
    (7, "the log mends a torn tail, refuses damage, and refuses to end below the signer's mark"),
    (8, "own votes of all kinds are recovered; two processes never sign with one key"),
    (9, "wiped, lagging and restarted validators come back by themselves"),
    (10, "empty blocks cost no memory and little disk"),
    (12, "allow lists bind keys, and act before the multiplexer"),
    (13, "queues, maps keyed by what a peer sends, and views far ahead are bounded"),
    (16, "a halt explains itself"),
    (17, "floors of dependencies"),
];

#[test]
fn every_reliability_rule_has_a_test_that_is_named_after_it() -> Result<()> {
    let mut texts = Vec::new();
    for path in sources()? {
        texts.push(fs::read_to_string(path)?);
    }
    let tested = |number: u32| {
        let name = format!("fn reliability_{number}_");
        texts.iter().any(|text| text.contains(&name))
    };
    let untested: Vec<_> = RELIABILITY.iter().filter(|(number, _)| !tested(*number)).collect();
    ensure!(untested.is_empty(), "no test is named after {untested:?}");
    Ok(())
}

/// A comparison of weights with two thirds or a third, as it would be written.
const THRESHOLDS: [&str; 6] = ["2 * total", "total * 2", "2 * self.total", "/ 3 * 2", "* 2 / 3", "total / 3"];

#[test]
fn reliability_1_one_function_alone_decides_what_a_quorum_is() -> Result<()> {
    let root = root()?;
    let mut found = Vec::new();
    for path in sources()? {
        let inside = path.strip_prefix(&root)?;
        // The place itself, and the tests, which may check it by other means.
        if inside == Path::new("consensus/src/quorum.rs") || inside.iter().any(|part| part == "tests") {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        for (number, line) in (1..).zip(code.lines()) {
            if THRESHOLDS.iter().any(|threshold| line.contains(threshold)) {
                found.push(format!("{}:{number}: {}", inside.display(), line.trim()));
            }
        }
    }
    ensure!(
        found.is_empty(),
        "only consensus/src/quorum.rs compares a weight with a share of the total; call is_quorum:\n{}",
        found.join("\n")
    );
    Ok(())
}

/// Versions below these have a fault that let a peer stop a node. What is not used is no matter.
const FLOORS: [(&str, [u64; 3]); 4] =
    [("libp2p-gossipsub", [0, 50, 0]), ("yamux", [0, 14, 0]), ("quinn-proto", [0, 11, 18]), ("h2", [0, 4, 16])];

/// The first three numbers of a version; what follows a `-` or `+` is left out.
fn version(text: &str) -> Result<[u64; 3]> {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<u64> = core.split('.').map(str::parse).collect::<Result<_, _>>()?;
    numbers.try_into().map_err(|_| anyhow::anyhow!("{text} is no version"))
}

/// Name and version of each package in `Cargo.lock`.
fn locked() -> Result<Vec<(String, [u64; 3])>> {
    let text = fs::read_to_string(root()?.join("Cargo.lock"))?;
    let value = |line: &str, name: &str| {
        let value = line.strip_prefix(name)?.strip_prefix(" = \"")?.strip_suffix('"')?;
        Some(value.to_string())
    };
    let mut packages = Vec::new();
    for package in text.split("[[package]]").skip(1) {
        let find = |name| package.lines().find_map(|line| value(line, name));
        let name = find("name").context("a package without a name")?;
        packages.push((name, version(&find("version").context("a package without a version")?)?));
    }
    Ok(packages)
}

#[test]
fn reliability_17_no_dependency_is_below_its_floor() -> Result<()> {
    let packages = locked()?;
    ensure!(packages.iter().any(|(name, _)| name == "yamux"), "Cargo.lock was not read");
    for (name, floor) in FLOORS {
        for (_, version) in packages.iter().filter(|(package, _)| package == name) {
            ensure!(*version >= floor, "{name} {version:?} is locked, {floor:?} at least");
        }
    }
    ensure!(version("0.11.18-rc.1+build")? == [0, 11, 18] && version("0.4").is_err());
    Ok(())
}
