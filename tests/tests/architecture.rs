//! The rules of ARCHITECTURE.md that a machine can hold: the line of crates, what each of them must never
//! depend on, names and lengths of files.

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
