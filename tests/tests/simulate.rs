//! `assent simulate` shows an operator what becomes of a network of theirs, with the real binary and a real genesis.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use anyhow::{Context, Result, ensure};
use assent_tests::{
    binary,
    cluster::{read_json, run_assent},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A genesis of `node0` to `node3` with stake 40, 30, 20 and 10. The first and the last are in the region eu and belong
/// to a bank each, the others are in asia.
struct Network {
    folder: TempDir,
}

impl Network {
    fn create() -> Result<Self> {
        let network = Self { folder: tempfile::tempdir()? };
        let output = network.path("net").to_string_lossy().into_owned();
        run_assent(&["testnet", "--stake", "40,30,20,10", "--output", &output])?;
        let mut genesis = read_json(&network.path("net/genesis.json"))?;
        let validators = genesis["assent"]["validators"].as_array_mut().context("no validators")?;
        for (validator, (region, org)) in validators.iter_mut().zip([
            ("eu", "First Bank"),
            ("asia", "Trade"),
            ("asia", "Trade"),
            ("eu", "Second Bank"),
        ]) {
            (validator["region"], validator["org"]) = (json!(region), json!(org));
        }
        fs::write(network.path("genesis.json"), genesis.to_string())?;
        Ok(network)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn simulate(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(binary::assent()?);
        command.args(["simulate", "--genesis", "genesis.json"]).args(arguments).current_dir(self.folder.path());
        command.env_remove("ASSENT_HOME");
        Ok(command.output()?)
    }

    /// What a run prints that ends with this code.
    fn prints(&self, arguments: &[&str], code: i32) -> Result<String> {
        let output = self.simulate(arguments)?;
        let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
        ensure!(output.status.code() == Some(code), "{arguments:?} ended with {}:\n{out}{err}", output.status);
        Ok(out)
    }

    fn json(&self, faults: &str, code: i32) -> Result<Value> {
        Ok(serde_json::from_str(&self.prints(&["--faults", faults, "--json"], code)?)?)
    }
}

fn number(value: &Value) -> Result<u64> {
    value.as_u64().with_context(|| format!("{value} is no number"))
}

/// The texts of a timeline, with the validator before them.
fn timeline(run: &Value) -> Result<Vec<String>> {
    let events = run["timeline"].as_array().context("no timeline")?;
    let text = |event: &Value| {
        let (who, what) = (event["validator"].as_str().unwrap_or_default(), event["text"].as_str().unwrap_or_default());
        format!("{who} {what}").trim().to_string()
    };
    Ok(events.iter().map(text).collect())
}

#[test]
fn without_the_heaviest_the_network_halts_and_it_is_said_why_and_then_goes_on() -> Result<()> {
    let network = Network::create()?;
    let run = network.json("kill:node0@10s+20s", 0)?;
    ensure!(run["verdict"]["outcome"] == "recovered", "{}", run["verdict"]);
    let phases = run["phases"].as_array().context("no phases")?;
    ensure!(phases.len() == 3, "{phases:#?}");
    ensure!(number(&phases[0]["blocks"])? > 30 && phases[0]["faults"] == json!([]), "{}", phases[0]);
    let lack = &phases[1]["lack"];
    ensure!(phases[1]["faults"] == json!(["node0 down"]), "{}", phases[1]);
    ensure!(number(&phases[1]["haltedUs"])? > 19_000_000, "{}", phases[1]);
    ensure!((&lack["weight"], &lack["needed"], &lack["missing"]) == (&json!(60), &json!(67), &json!(7)), "{lack}");
    ensure!(lack["heard"] == json!(["node1", "node2", "node3"]), "{lack}");
    ensure!(number(&phases[2]["blocks"])? > 30 && number(&phases[2]["againAfterUs"])? > 0, "{}", phases[2]);
    ensure!(run["validators"][0]["downUs"] == 20_000_000, "{}", run["validators"]);
    ensure!(run["validators"][1]["downUs"] == 0, "{}", run["validators"]);

    let text = network.prints(&["--faults", "kill:node0@10s+20s"], 0)?;
    for words in [
        "4, weighing 100; a quorum has at least 67",
        "10.000 s         fault begins: node0 down",
        "10.000 s  node0  crashes",
        "30.000 s  node0  starts",
        "0.0 s to 10.0 s, no fault",
        "10.0 s to 30.0 s with node0 down",
        "the validators that were up (node1, node2, node3) weigh 60 of 100, 67 are needed: 7 missing",
        "node0      40      40.0 %",
    ] {
        ensure!(text.contains(words), "{words:?} is missing in\n{text}");
    }
    let verdict = text.lines().last().unwrap_or_default();
    ensure!(verdict.starts_with("The network halted for 2") && verdict.contains("went on by itself"), "{verdict}");
    Ok(())
}

#[test]
fn without_those_that_a_quorum_can_miss_the_network_goes_on() -> Result<()> {
    let network = Network::create()?;
    for (faults, state) in [
        ("kill:node2,node3@10s+20s", "node2, node3 down"),
        ("kill:third@10s+20s", "node1 (all that a quorum can miss) down"),
        ("wipe:node3@10s+2s", "node3 down, the disk lost"),
        ("cut:org=Second Bank@10s+20s", "org Second Bank (node3) cut off"),
    ] {
        let run = network.json(faults, 0)?;
        ensure!(run["verdict"]["outcome"] == "wentOn", "{faults}: {}", run["verdict"]);
        ensure!(run["phases"][1]["faults"] == json!([state]), "{faults}: {}", run["phases"]);
        ensure!(number(&run["phases"][1]["blocks"])? > 1, "{faults}: {}", run["phases"]);
        let heights = run["validators"].as_array().context("no validators")?;
        let heights: Vec<u64> = heights.iter().map(|row| number(&row["height"])).collect::<Result<_>>()?;
        let (least, most) = (heights.iter().min(), heights.iter().max());
        let gap = most.zip(least).map_or(0, |(most, least)| most - least);
        ensure!(gap < 20, "{faults}: somebody stayed behind: {heights:?}");
    }
    Ok(())
}

#[test]
fn a_validator_without_its_disk_comes_back() -> Result<()> {
    let network = Network::create()?;
    let timeline = timeline(&network.json("wipe:node3@10s+2s", 0)?)?;
    let place = |text: &str| {
        timeline.iter().position(|line| line.starts_with(text)).with_context(|| format!("{text}: {timeline:#?}"))
    };
    let order = [
        place("fault begins: node3 down, the disk lost")?,
        place("node3 crashes")?,
        place("node3 starts with a wiped disk")?,
        place("node3 votes again")?,
    ];
    ensure!(order.is_sorted(), "{timeline:#?}");
    place("node3 has caught up")?;
    Ok(())
}

#[test]
fn regions_that_do_not_reach_each_other_halt_when_neither_is_a_quorum() -> Result<()> {
    let network = Network::create()?;
    let run = network.json("cut:region=eu@10s+20s", 0)?;
    ensure!(run["verdict"]["outcome"] == "recovered", "{}", run["verdict"]);
    let lack = &run["phases"][1]["lack"];
    ensure!(lack["apart"] == true && lack["weight"] == 50 && lack["missing"] == 17, "{lack}");
    ensure!(run["faults"][0]["validators"] == json!(["node0", "node3"]), "{}", run["faults"]);
    Ok(())
}

#[test]
fn a_network_that_stays_halted_is_a_failure() -> Result<()> {
    let network = Network::create()?;
    let text = network.prints(&["--faults", "kill:node0@10s; kill:node2@20s", "--for", "30s"], 1)?;
    let verdict = text.lines().last().unwrap_or_default();
    ensure!(verdict.starts_with("The network was halted at the end: no block for the last "), "{verdict}");
    ensure!(
        verdict.contains("with node0 down and node2 down: the validators that were up (node1, node3) weigh 40"),
        "{verdict}"
    );
    Ok(())
}

#[test]
fn the_same_seed_plays_the_same_run() -> Result<()> {
    let network = Network::create()?;
    let faults = "cut:leader@5s+5s; lossy=30%:node1; slow=100ms:all@12s+3s; clock=+3s:node3; flap:node2@12s+3s; \
                  disk=50ms:node1; pause:node3@16s+2s; restart=500ms:all@20s";
    for more in [&["--timeline"][..], &["--json"], &[]] {
        let print = |seed: &str| {
            let arguments = [&["--faults", faults, "--for", "30s", "--seed", seed][..], more].concat();
            network.prints(&arguments, 0)
        };
        let (one, two, other) = (print("7")?, print("7")?, print("8")?);
        ensure!(one == two, "{more:?}: the same seed played two runs");
        ensure!(one != other, "{more:?}: two seeds played one run");
    }
    Ok(())
}

#[test]
fn every_step_is_shown_when_asked_for() -> Result<()> {
    let network = Network::create()?;
    let digest = network.prints(&["--for", "3s"], 0)?;
    let whole = network.prints(&["--for", "3s", "--timeline"], 0)?;
    ensure!(whole.contains("node0  signs") && whole.contains("node3  has final height"), "{whole}");
    ensure!(!digest.contains("signs") && digest.contains("The network made blocks all the time."), "{digest}");
    Ok(())
}

#[test]
fn a_home_has_a_genesis_too() -> Result<()> {
    let network = Network::create()?;
    let home = network.path("net/node0");
    let output = Command::new(binary::assent()?)
        .args(["simulate", "--for", "1s"])
        .env("ASSENT_HOME", &home)
        .current_dir(network.folder.path())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn what_is_written_wrongly_is_refused_with_what_was_expected() -> Result<()> {
    let network = Network::create()?;
    for (arguments, text) in [
        (
            &["--faults", "kill:alice"][..],
            "there is no validator \"alice\": expected one of node0, node1, node2, node3",
        ),
        (&["--faults", "cut:region=us"], "no validator has the region \"us\"; known are asia, eu"),
        (&["--faults", "explode:node0"], "\"explode\" is no kind of fault; known are kill, wipe"),
        (&["--faults", "kill:node0@2m"], "it begins at 2m, and the run ends at 1m"),
        (&["--faults", "kill:node0;kill:all@9s"], "node0 would be down twice at a time"),
        (&["--for", "1ms"], "expected a time from 1s to 30m"),
        (&["--load", "much"], "expected a time such as 10s"),
        (&["--delay", "9ms..1ms"], "the shorter one first"),
        (&["--seed", "x"], "invalid value 'x' for '--seed <N>'"),
    ] {
        let output = network.simulate(arguments)?;
        let err = String::from_utf8(output.stderr)?;
        ensure!(output.status.code() == Some(2), "{arguments:?} ended with {}: {err}", output.status);
        ensure!(err.contains(text), "{arguments:?}: {text:?} is missing in {err}");
        ensure!(output.stdout.is_empty(), "{arguments:?} printed something");
    }
    let nowhere = Command::new(binary::assent()?).arg("simulate").env_remove("ASSENT_HOME").output()?;
    let err = String::from_utf8(nowhere.stderr)?;
    ensure!(nowhere.status.code() == Some(2) && err.contains("--genesis FILE"), "{err}");
    Ok(())
}
