//! Choices that are drawn from a seed, so that a failing run can be repeated.

use std::{
    env,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};

/// Draws the same numbers from the same seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice with this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is taken for 1 when it is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.draw() % (limit.max(1) as u64)).unwrap_or(0)
    }
}

/// How long a long test goes on, and with which seed.
#[derive(Clone, Copy, Debug)]
pub struct Soak {
    /// For so long faults are made: `ASSENT_SOAK_SECONDS`, 60 unless set.
    pub time: Duration,
    /// What is drawn from: `ASSENT_SOAK_SEED`, the clock unless set.
    pub seed: u64,
}

impl Soak {
    /// Reads the environment, and prints what a repetition needs.
    pub fn from_environment() -> Result<Self> {
        let seconds = setting("ASSENT_SOAK_SECONDS")?.unwrap_or(60);
        let seed = match setting("ASSENT_SOAK_SEED")? {
            Some(seed) => seed,
            None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
        };
        println!("{seconds} s of faults, ASSENT_SOAK_SEED={seed}");
        Ok(Self { time: Duration::from_secs(seconds), seed })
    }
}

/// A number from the environment.
fn setting(name: &str) -> Result<Option<u64>> {
    match env::var(name) {
        Ok(text) => Ok(Some(text.parse().with_context(|| format!("{name}={text} is no number"))?)),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence_within_the_limit() {
        let throw = |seed| {
            let mut dice = Dice::new(seed);
            (0..100).map(|_| dice.below(6)).collect::<Vec<_>>()
        };
        assert_eq!(throw(7), throw(7));
        assert_ne!(throw(7), throw(8));
        assert!(throw(7).iter().all(|face| *face < 6));
        assert_eq!(Dice::new(1).below(0), 0);
    }
}
