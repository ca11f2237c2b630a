//! `assent simulate`: how the validators of a genesis behave when some of them die or are cut off.
//!
//! It plays the real protocol with the simulator of the consensus crate, in virtual time, with the weights and times of
//! the genesis. Here stand the arguments; [`syntax`] reads faults, [`faults`] finds out who is meant, [`activity`] and
//! [`presence`] tell who was there, [`verdict`] judges, [`digest`] and [`print`] show it.

mod activity;
mod digest;
mod faults;
mod presence;
mod print;
mod syntax;
mod validators;
mod verdict;

use std::{fmt, path::PathBuf, process::ExitCode, str::FromStr, time::Duration};

use anyhow::Result;
use assent_consensus::sim::{self, Faults, Goal, Links, Load, Scenario, Stakes};
use assent_genesis::{ConsensusParams, Genesis};
use clap::Args;

use self::{
    activity::Activity,
    faults::Fault,
    syntax::{millis, time},
    validators::Validators,
    verdict::{Outcome, Pace},
};
use super::UsageError;
use crate::{driver::timing, home::Home};

/// The simulator keeps sets of nodes in 64 bits.
const MOST_VALIDATORS: usize = 60;

/// The longest run, the shortest time between transactions, the longest usual delay of a message.
const LONGEST_RUN_MS: u64 = 1_800_000;
const BUSIEST_LOAD_MS: u64 = 10;
const LONGEST_DELAY_MS: u64 = 10_000;

/// Intervals of a genesis are not counted beyond this.
const LONGEST_INTERVAL_MS: u64 = 1_000_000_000;

#[derive(Debug, Args)]
#[command(
    about = "Simulate how the validators of a genesis behave when some of them fail",
    after_help = "\
Examples:
  assent simulate --genesis genesis.json --faults 'kill:alice@10s+20s'
  assent simulate --genesis genesis.json --faults 'kill:third' --for 2m --seed 7
  assent simulate --genesis genesis.json --faults 'cut:region=eu@10s+20s; slow=1s:region=asia'
  assent simulate --home node0 --faults 'cut:leader@10s+5s' --faults 'restart:all@20s' --timeline
  assent simulate --genesis genesis.json --faults 'kill:all@10s+5s' --json | jq .verdict

A fault is KIND:WHO, KIND:WHO@START or KIND:WHO@START+LENGTH. Unless said it begins at 5s and lasts
to the end.

WHO is names of validators with commas, region=NAME or org=NAME (as in the genesis), third (as many
as a quorum can miss, the heaviest first), leader (who leads when the fault begins), or all.

KIND is one of
  kill          they lose power, and start again when the fault ends
  wipe          they lose power and disk, and start again with their keys alone
  restart[=2s]  one after another is down for that long (no LENGTH)
  pause         their processes stand still
  cut           they and the rest do not hear each other (cut:all: nobody hears anybody)
  deaf, mute    each of them hears nobody; nobody hears any of them
  slow=200ms    messages between them and the rest take that much longer (all: between any two)
  lossy=30%     so many of those messages are lost
  flap[=1s]     they are cut off for that long, back for that long, and so on
  clock=+30s    their clocks are ahead (or behind: clock=-30s)
  disk=500ms    each of their disk syncs takes that long

What is simulated is the protocol with the weights and times of the genesis, and the log and the
signer's mark of each validator; not the execution of transactions, and not your machines. The same
seed plays the same run.

The exit code is 0 when the network went on, or halted and went on by itself; 1 when it was halted
at the end; 2 when the command is not understood."
)]
pub(super) struct SimulateArgs {
    /// The genesis file [default: that of --home]
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// A node's home, for its genesis
    #[arg(long, value_name = "DIR", env = "ASSENT_HOME")]
    home: Option<PathBuf>,
    /// What goes wrong, with ; between faults; can be given several times
    #[arg(long, value_name = "FAULTS")]
    faults: Vec<String>,
    /// Chooses delays and whatever else is left to chance
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u64,
    /// How long the network runs, in virtual time
    #[arg(long = "for", value_name = "TIME", default_value = "1m", value_parser = parse_run)]
    run_ms: u64,
    /// A transaction after each such time, or none
    #[arg(long, value_name = "TIME|none", default_value = "100ms")]
    load: Transactions,
    /// How long messages take
    #[arg(long, value_name = "TIME..TIME", default_value = "5ms..40ms")]
    delay: Delay,
    /// Show every step of every validator
    #[arg(long)]
    timeline: bool,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

/// The least and the greatest usual delay of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Delay {
    least_ms: u64,
    most_ms: u64,
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (time(self.least_ms), time(self.most_ms));
        if least == most { f.write_str(&least) } else { write!(f, "{least} to {most}") }
    }
}

impl FromStr for Delay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        let (least_ms, most_ms) = (millis(least)?, millis(most)?);
        if least_ms < 1 || most_ms < least_ms || most_ms > LONGEST_DELAY_MS {
            let limit = time(LONGEST_DELAY_MS);
            return Err(format!(
                "expected a time or two, the shorter one first, from 1ms to {limit}, such as 20ms or 5ms..40ms"
            ));
        }
        Ok(Self { least_ms, most_ms })
    }
}

/// The time between transactions; none: there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Transactions(Option<u64>);

impl FromStr for Transactions {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        let ms = millis(text)?;
        if ms < BUSIEST_LOAD_MS {
            return Err(format!("expected {} or longer between transactions, or none", time(BUSIEST_LOAD_MS)));
        }
        Ok(Self(Some(ms)))
    }
}

fn parse_run(text: &str) -> Result<u64, String> {
    let ms = millis(text)?;
    if (1_000..=LONGEST_RUN_MS).contains(&ms) {
        Ok(ms)
    } else {
        Err(format!("expected a time from 1s to {}", time(LONGEST_RUN_MS)))
    }
}

/// What is simulated but for the faults.
#[derive(Debug)]
struct Settings {
    chain_id: u64,
    params: ConsensusParams,
    seed: u64,
    run_ms: u64,
    load_ms: Option<u64>,
    delay: Delay,
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(LONGEST_INTERVAL_MS)
}

impl Settings {
    /// The scenario with these faults, played up to a time.
    fn scenario(&self, validators: &Validators, faults: &[Fault], until_ms: u64) -> Scenario {
        let everybody: Vec<usize> = (0..validators.len()).collect();
        Scenario {
            name: "simulate",
            names: validators.names(&everybody),
            stakes: Stakes::Given(validators.members.iter().map(|member| member.weight).collect()),
            timing: timing(&self.params),
            min_block_interval_ms: ms(self.params.min_block_interval),
            empty_block_interval_ms: ms(self.params.empty_block_interval),
            max_clock_skew_ms: ms(self.params.max_clock_skew),
            load: self.load_ms.map_or(Load::Idle, Load::Every),
            links: Links { delay_min_ms: self.delay.least_ms, delay_max_ms: self.delay.most_ms, ..Links::GOOD },
            // All faults end by themselves; what the simulator ends it ends after the run.
            faults: Faults {
                for_ms: self.run_ms + 1,
                planned: faults::planned(faults, self.run_ms),
                ..Faults::default()
            },
            goal: Goal::Time(until_ms),
            whole_timeline: true,
            ..Scenario::calm()
        }
    }

    /// A block is due after a transaction, or after the interval of empty ones; it takes four messages at most.
    fn pace(&self) -> Pace {
        let due_ms = self.load_ms.unwrap_or_else(|| ms(self.params.empty_block_interval));
        let usual_ms = due_ms.max(ms(self.params.min_block_interval)) + 4 * self.delay.most_ms;
        Pace {
            run_us: self.run_ms * 1000,
            usual_us: usual_ms * 1000,
            view_us: ms(self.params.view_timeout) * 1000,
            view_max_us: ms(self.params.view_timeout_max) * 1000,
        }
    }
}

fn load(args: &SimulateArgs) -> Result<Genesis> {
    let file = match (&args.genesis, &args.home) {
        (Some(file), _) => file.clone(),
        (None, Some(home)) => Home::new(home).genesis(),
        (None, None) => {
            let text = "which validators? Name a file with --genesis FILE, or a node's home with --home DIR";
            return Err(UsageError(text.to_string()).into());
        }
    };
    Ok(Genesis::load(&file)?.0)
}

pub(super) fn run(args: &SimulateArgs) -> Result<ExitCode> {
    let genesis = load(args)?;
    let validators = Validators::of(&genesis)?;
    let settings = Settings {
        chain_id: genesis.chain_id(),
        params: genesis.assent.consensus.clone(),
        seed: args.seed,
        run_ms: args.run_ms,
        load_ms: args.load.0,
        delay: args.delay,
    };
    check(&settings, &validators)?;
    let (faults, report) = play(&settings, &validators, &args.faults)?;
    let pace = settings.pace();
    let activity = Activity::of(&report, validators.len(), pace.run_us);
    let verdict = verdict::judge(&report, &activity, &faults, &validators, pace);
    let events = if args.timeline {
        digest::whole(&report, &faults, pace.run_us)
    } else {
        digest::digest(&verdict, &activity, &faults, &validators, pace)
    };
    let run = print::Run {
        settings: &settings,
        validators: &validators,
        faults: &faults,
        report: &report,
        activity: &activity,
        verdict: &verdict,
        events: &events,
    };
    super::print(&if args.json { run.json()? } else { run.text() })?;
    Ok(match verdict.outcome {
        Outcome::WentOn | Outcome::Recovered => ExitCode::SUCCESS,
        Outcome::Halted | Outcome::Broken => ExitCode::FAILURE,
    })
}

fn check(settings: &Settings, validators: &Validators) -> Result<(), UsageError> {
    if validators.len() > MOST_VALIDATORS {
        return Err(UsageError(format!(
            "the genesis has {} validators, and the simulator plays {MOST_VALIDATORS} at most: take out some of the \
             lightest ones for the simulation",
            validators.len()
        )));
    }
    if settings.load_ms.is_none() && settings.params.empty_block_interval.is_zero() {
        return Err(UsageError(
            "without transactions this genesis makes no blocks (emptyBlockInterval is 0): give a --load such as 100ms"
                .to_string(),
        ));
    }
    Ok(())
}

/// Reads the faults and plays the run.
fn play(
    settings: &Settings,
    validators: &Validators,
    texts: &[String],
) -> Result<(Vec<Fault>, sim::Report), UsageError> {
    let mut specs = Vec::new();
    for text in texts {
        specs.extend(syntax::parse(text, settings.run_ms).map_err(UsageError)?);
    }
    // A fault changes nothing before it begins: the run with the faults before it tells who leads then.
    let mut leader_at = |before: &[Fault], at_ms: u64| {
        let report = sim::run(&settings.scenario(validators, before, at_ms), settings.seed);
        validators.leader(Activity::view_before(&report, at_ms * 1000))
    };
    let faults = faults::resolve(specs, validators, settings.run_ms, &mut leader_at).map_err(UsageError)?;
    let report = sim::run(&settings.scenario(validators, &faults, settings.run_ms), settings.seed);
    Ok((faults, report))
}

#[cfg(test)]
mod tests {
    use super::validators::tests::four;
    use super::*;

    fn settings() -> Settings {
        Settings {
            chain_id: 1,
            params: ConsensusParams::default(),
            seed: 1,
            run_ms: 20_000,
            load_ms: Some(100),
            delay: Delay { least_ms: 5, most_ms: 40 },
        }
    }

    #[test]
    fn arguments_are_times() {
        assert_eq!("5ms..40ms".parse::<Delay>(), Ok(Delay { least_ms: 5, most_ms: 40 }));
        assert_eq!("20ms".parse::<Delay>(), Ok(Delay { least_ms: 20, most_ms: 20 }));
        for text in ["40ms..5ms", "0ms", "1ms..1h"] {
            assert!(text.parse::<Delay>().unwrap_err().contains("the shorter one first"), "{text}");
        }
        assert!("5..40".parse::<Delay>().unwrap_err().contains("such as 10s"));
        assert_eq!("none".parse::<Transactions>(), Ok(Transactions(None)));
        assert_eq!("1s".parse::<Transactions>(), Ok(Transactions(Some(1_000))));
        assert!("1ms".parse::<Transactions>().unwrap_err().contains("10ms or longer"));
        assert_eq!(parse_run("1m"), Ok(60_000));
        assert!(parse_run("10ms").is_err() && parse_run("31m").is_err());
    }

    #[test]
    fn the_leader_of_a_fault_leads_when_it_begins() {
        let (settings, validators) = (settings(), four());
        let texts = ["cut:leader@7s+1s".to_string()];
        let (faults, report) = play(&settings, &validators, &texts).unwrap();
        assert_eq!(report.failure, None);
        let view = Activity::view_before(&report, 7_000_000);
        assert_eq!(faults[0].members, [validators.leader(view)]);
        assert!(faults[0].state.ends_with("(the leader) cut off"));
    }

    #[test]
    fn a_chain_without_load_and_empty_blocks_is_refused() {
        let mut idle = Settings { load_ms: None, ..settings() };
        assert!(check(&idle, &four()).is_ok());
        idle.params.empty_block_interval = Duration::ZERO;
        assert!(check(&idle, &four()).unwrap_err().to_string().contains("give a --load"));
    }

    #[test]
    fn a_genesis_gives_weights_and_names() {
        let mut plan = assent_genesis::NetworkPlan::new(7, vec![40, 30, 20, 10]);
        plan.timestamp = 1_700_000_000;
        let (mut genesis, _) = plan.build().unwrap();
        genesis.assent.validators[2].region = Some("eu".to_string());
        let validators = Validators::of(&genesis).unwrap();
        let weights: Vec<u64> = validators.members.iter().map(|member| member.weight).collect();
        assert_eq!((weights.as_slice(), validators.total(), validators.needed()), (&[40, 30, 20, 10][..], 100, 67));
        assert_eq!(validators.group("node0,region=eu").unwrap().members, [0, 2]);
    }
}
