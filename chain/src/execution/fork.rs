//! Which rules hold at which time, from the genesis' fork times.

use alloy_genesis::ChainConfig;
use revm::primitives::hardfork::SpecId;

/// The fork times of a chain. Everything up to the merge holds from block 0 on: this chain never
/// had proof of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forks {
    /// Shanghai's time, if it is planned.
    pub shanghai: Option<u64>,
    /// Cancun's.
    pub cancun: Option<u64>,
    /// Prague's.
    pub prague: Option<u64>,
    /// Osaka's.
    pub osaka: Option<u64>,
}

/// The genesis asks for forks that this version cannot serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForkError {
    /// A fork of the time before the merge is not active from the beginning.
    #[error("config.{field}: expected 0, got {}; rules older than London are not supported", Shown(.got))]
    NotFromTheBeginning {
        /// The field of `config`.
        field: &'static str,
        /// Its value.
        got: Option<u64>,
    },
    /// A fork that is too new.
    #[error("config.{field}: expected none, got {got}; this version does not know this fork, remove it")]
    TooNew {
        /// The field of `config`.
        field: &'static str,
        /// Its value.
        got: u64,
    },
    /// A fork without those before it, or before them.
    #[error("config.{later}: {} comes without or before config.{earlier}: {}", Shown(.later_time), Shown(.earlier_time))]
    Order {
        /// The earlier fork.
        earlier: &'static str,
        /// Its time.
        earlier_time: Option<u64>,
        /// The later fork.
        later: &'static str,
        /// Its time.
        later_time: Option<u64>,
    },
}

struct Shown<'a>(&'a Option<u64>);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(value) => write!(f, "{value}"),
            None => f.write_str("none"),
        }
    }
}

impl Forks {
    /// Reads the fork times of a genesis' `config`.
    pub fn from_config(config: &ChainConfig) -> Result<Self, ForkError> {
        if config.london_block != Some(0) {
            return Err(ForkError::NotFromTheBeginning { field: "londonBlock", got: config.london_block });
        }
        for (field, time) in [("amsterdamTime", config.amsterdam_time), ("bogotaTime", config.bogota_time)] {
            if let Some(got) = time {
                return Err(ForkError::TooNew { field, got });
            }
        }
        let times = [
            ("shanghaiTime", config.shanghai_time),
            ("cancunTime", config.cancun_time),
            ("pragueTime", config.prague_time),
            ("osakaTime", config.osaka_time),
        ];
        for [(earlier, earlier_time), (later, later_time)] in times.array_windows() {
            let fits = later_time.is_none_or(|later| earlier_time.is_some_and(|earlier| earlier <= later));
            if !fits {
                let (earlier_time, later_time) = (*earlier_time, *later_time);
                return Err(ForkError::Order { earlier, earlier_time, later, later_time });
            }
        }
        let [shanghai, cancun, prague, osaka] = times.map(|(_, time)| time);
        Ok(Self { shanghai, cancun, prague, osaka })
    }

    /// When rules begin that are not those before: the times in order, each once.
    pub fn times(&self) -> Vec<u64> {
        let mut times: Vec<_> = [self.shanghai, self.cancun, self.prague, self.osaka].into_iter().flatten().collect();
        times.dedup();
        times
    }

    /// The rules of a block with this timestamp.
    pub fn at(&self, timestamp: u64) -> SpecId {
        let active = |time: Option<u64>| time.is_some_and(|time| time <= timestamp);
        if active(self.osaka) {
            SpecId::OSAKA
        } else if active(self.prague) {
            SpecId::PRAGUE
        } else if active(self.cancun) {
            SpecId::CANCUN
        } else if active(self.shanghai) {
            SpecId::SHANGHAI
        } else {
            SpecId::MERGE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(times: [Option<u64>; 4]) -> ChainConfig {
        let [shanghai_time, cancun_time, prague_time, osaka_time] = times;
        ChainConfig { london_block: Some(0), shanghai_time, cancun_time, prague_time, osaka_time, ..Default::default() }
    }

    #[test]
    fn by_time() {
        let forks = Forks::from_config(&config([Some(0), Some(10), Some(10), Some(20)]));
        let at = |time| forks.as_ref().map(|forks| forks.at(time));
        assert_eq!(at(9), Ok(SpecId::SHANGHAI));
        assert_eq!(at(10), Ok(SpecId::PRAGUE));
        assert_eq!(at(20), Ok(SpecId::OSAKA));
        assert_eq!(Forks::default().at(u64::MAX), SpecId::MERGE);
        assert_eq!(forks.map(|forks| forks.times()), Ok(vec![0, 10, 20]));
    }

    #[test]
    fn refuses_what_it_cannot_serve() {
        let mut late = config([None; 4]);
        late.london_block = Some(5);
        assert_eq!(
            Forks::from_config(&late).map_err(|error| error.to_string()),
            Err("config.londonBlock: expected 0, got 5; rules older than London are not supported".into())
        );
        let mut new = config([Some(0); 4]);
        new.amsterdam_time = Some(3);
        assert!(matches!(Forks::from_config(&new), Err(ForkError::TooNew { field: "amsterdamTime", got: 3 })));
        for times in [[None, Some(1), None, None], [Some(5), Some(4), None, None]] {
            assert!(matches!(Forks::from_config(&config(times)), Err(ForkError::Order { .. })));
        }
    }
}
