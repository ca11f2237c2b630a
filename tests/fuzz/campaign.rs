//! Runs fuzz targets: a fixed number of seeded scripts in the quick tests, and for a given time in `make soak`.
//!
//! A target takes a script (see `assent_consensus::mutation`), makes bytes of it and hands them to a decoder; it panics
//! when the decoder breaks a promise. The quick run plays the same scripts every time. The long run draws a seed from
//! the clock, prints it, and takes another one from `ASSENT_FUZZ_SEED`. A script that fails is printed, and
//! `ASSENT_FUZZ_SCRIPT` plays it alone.
//!
//! Each crate with decoders of its own includes this file in its tests, because the private ones can be reached from
//! nowhere else.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the clock and the environment of a test")]

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// All targets of the workspace: in a soak each gets its share of `ASSENT_SOAK_SECONDS`.
const TARGETS_IN_ALL: u32 = 23;

/// The time of a soak unless `ASSENT_SOAK_SECONDS` says otherwise.
const SOAK_SECONDS: u64 = 60;

/// The seed of the quick run.
const SEED: u64 = 1;

/// What a target does with a script.
pub(crate) type Check = Box<dyn FnMut(&[u8])>;

/// A decoder and what must hold for it.
pub(crate) struct Target {
    /// Its name in reports.
    pub(crate) name: &'static str,
    /// Scripts in a quick run.
    pub(crate) quick: u64,
    /// The longest script, in bytes.
    pub(crate) script: u64,
    /// Prepares its corpus.
    pub(crate) check: fn() -> Check,
}

/// Seeded numbers (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Short scripts, which change little, are as frequent as long ones.
    fn script(&mut self, longest: u64) -> Vec<u8> {
        let most = (longest >> (self.next() % 4)).max(1);
        let length = self.next() % most + 1;
        (0..length).map(|_| self.next().to_be_bytes()[0]).collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| (byte << 4) | digit)).collect()
}

/// Plays one script and says how to play it again when it fails.
fn play(target: &Target, check: &mut Check, script: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(script))) {
        eprintln!("fuzz target {:?} failed; again: ASSENT_FUZZ_SCRIPT={} and this test", target.name, hex(script));
        resume_unwind(panic);
    }
}

/// The quick run of a target: the same scripts every time.
pub(crate) fn quick(target: &Target) {
    let mut check = (target.check)();
    if let Ok(script) = env::var("ASSENT_FUZZ_SCRIPT") {
        return play(target, &mut check, &from_hex(&script));
    }
    let mut dice = Dice(SEED);
    for _ in 0..target.quick {
        let script = dice.script(target.script);
        play(target, &mut check, &script);
    }
}

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// The long run of targets, one after the other, each for its share of the soak.
pub(crate) fn long(targets: &[&Target]) {
    let seconds = setting("ASSENT_SOAK_SECONDS").unwrap_or(SOAK_SECONDS);
    let share = Duration::from_secs(seconds) / TARGETS_IN_ALL;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(SEED, |now| now.as_secs());
    let seed = setting("ASSENT_FUZZ_SEED").unwrap_or(now);
    for target in targets {
        let (mut check, mut dice, mut played) = ((target.check)(), Dice(seed), 0u64);
        let start = Instant::now();
        while start.elapsed() < share {
            let script = dice.script(target.script);
            play(target, &mut check, &script);
            played += 1;
        }
        println!("fuzz {}: {played} executions in {} s, ASSENT_FUZZ_SEED={seed}", target.name, share.as_secs());
    }
}
