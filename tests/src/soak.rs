//! What the long tests have in common: how long they go on, and their dice.

use std::{
    env,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};

/// How long a long test goes on: `ASSENT_SOAK_SECONDS` (60 unless set). And its dice, with the seed that
/// `ASSENT_SOAK_SEED` says, or else with one of the clock's; it is printed.
pub fn settings() -> Result<(Duration, Dice)> {
    let seconds = setting("ASSENT_SOAK_SECONDS")?.unwrap_or(60);
    let seed = match setting("ASSENT_SOAK_SEED")? {
        Some(seed) => seed,
        None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    println!("{seconds} s of faults, ASSENT_SOAK_SEED={seed}");
    Ok((Duration::from_secs(seconds), Dice::new(seed)))
}

/// A number from the environment.
fn setting(name: &str) -> Result<Option<u64>> {
    match env::var(name) {
        Ok(text) => Ok(Some(text.parse().with_context(|| format!("{name}={text} is no number"))?)),
        Err(_) => Ok(None),
    }
}

/// Draws the same numbers from the same seed (splitmix64).
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice with a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below the limit.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % (limit as u64)).unwrap_or(0)
    }
}
