//! Asking for pages, each time for another one of its kind.

use std::time::Duration;

use alloy::{
    primitives::Address,
    transports::http::reqwest::{Client, redirect},
};
use anyhow::{Context, Result, ensure};
use assent_tests::{dice::Dice, prefill::Past};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// An answer must come within this time.
const LIMIT: Duration = Duration::from_secs(10);
/// The next page is asked for so long after the last one, or as soon as that has come.
const PACE: Duration = Duration::from_millis(5);

/// How long one kind of page took, each time.
#[derive(Debug)]
pub(crate) struct Times {
    /// The page.
    pub(crate) name: &'static str,
    /// From the request to the end of the answer, the shortest first.
    pub(crate) times: Vec<Duration>,
    /// Bytes of the largest answer.
    pub(crate) largest: usize,
}

impl Times {
    /// The time that this share of the answers did not exceed, in milliseconds.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let last = self.times.len().saturating_sub(1);
        let position = (self.times.len() as f64 * share).ceil() as usize;
        let time = self.times.get(position.saturating_sub(1).min(last)).copied().unwrap_or_default();
        time.as_secs_f64() * 1e3
    }
}

/// Asks for one page of each kind in turn, until the time is over.
pub(crate) async fn ask_all(explorer: &str, past: &Past, time: Duration) -> Result<Vec<Times>> {
    let client = Client::builder()
        .no_proxy()
        .timeout(LIMIT)
        .pool_max_idle_per_host(1)
        .redirect(redirect::Policy::none())
        .build()
        .context("HTTP client")?;
    let mut dice = Dice::new(7);
    let mut all: Vec<Times> = Vec::new();
    let mut tick = interval(PACE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = Instant::now() + time;
    while Instant::now() < end {
        for (number, (name, path)) in paths(past, &mut dice).into_iter().enumerate() {
            tick.tick().await;
            let start = Instant::now();
            let answer = client.get(format!("{explorer}{path}")).send().await.with_context(|| path.clone())?;
            let status = answer.status();
            let body = answer.bytes().await.with_context(|| path.clone())?;
            let took = start.elapsed();
            ensure!(status.is_success() || status.is_redirection(), "{path} is answered with {status}");
            if all.len() <= number {
                all.push(Times { name, times: Vec::new(), largest: 0 });
            }
            all[number].times.push(took);
            all[number].largest = all[number].largest.max(body.len());
        }
    }
    for kind in &mut all {
        kind.times.sort_unstable();
    }
    Ok(all)
}

/// A page of each kind; which one of its kind is drawn.
fn paths(past: &Past, dice: &mut Dice) -> Vec<(&'static str, String)> {
    let mut block = || 1 + dice.below(usize::try_from(past.blocks).unwrap_or(usize::MAX));
    let (shown, before) = (block(), block());
    let mut pick = |from: &[Address]| from.get(dice.below(from.len())).copied().unwrap_or_default();
    let (recipient, sender) = (pick(&past.recipients), pick(&past.senders));
    let mut hash = || past.sample.get(dice.below(past.sample.len())).copied().unwrap_or_default();
    let (transaction, searched) = (hash(), hash());
    let token = past.token;
    vec![
        ("overview", "/".into()),
        ("latest blocks", "/blocks".into()),
        ("older blocks", format!("/blocks?before={before}")),
        ("a block of 250 transactions", format!("/block/{shown}")),
        ("latest transactions", "/txs".into()),
        ("a transaction", format!("/tx/{transaction}")),
        ("an account that sent 1,000", format!("/address/{sender}")),
        ("an account that was paid 14,000 times", format!("/address/{recipient}")),
        ("its tokens", format!("/address/{recipient}/tokens")),
        ("a token, moved 100,000 times", format!("/token/{token}")),
        ("the token's account", format!("/address/{token}")),
        ("the token's contract", format!("/address/{token}/contract")),
        ("validators", "/validators".into()),
        ("a validator", "/validator/0".into()),
        ("network", "/network".into()),
        ("mempool", "/mempool".into()),
        ("search by hash", format!("/search?q={searched}")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_times_that_were_measured() {
        let times = (1..=200).map(Duration::from_millis).collect();
        let page = Times { name: "a page", times, largest: 0 };
        assert_eq!([page.quantile(0.5), page.quantile(0.99), page.quantile(1.0)], [100.0, 198.0, 200.0]);
        let none = Times { name: "never asked for", times: Vec::new(), largest: 0 };
        assert_eq!(none.quantile(0.99), 0.0);
    }
}
