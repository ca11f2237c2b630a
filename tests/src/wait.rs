//! Waiting for conditions, never for times.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(40);

/// Looks at a condition until it holds (`Ok(Some(_))`) and returns what it gave. A failing look counts
/// as "not yet", because nodes that are being restarted do not answer; the error after `limit` tells the
/// last one.
pub async fn until<T, E: Display>(
    what: impl Display,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>, E>,
) -> Result<T> {
    let start = Instant::now();
    let mut tick = tokio::time::interval(POLL);
    loop {
        tick.tick().await;
        let last = match look().await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => "it did not hold when looked at last".to_string(),
            Err(error) => format!("{error:#}"),
        };
        if start.elapsed() > limit {
            bail!("waited {limit:?} in vain: {what}; {last}");
        }
    }
}

/// Like [`until`], for a condition that is true or false.
pub async fn until_true<E: Display>(
    what: impl Display,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<bool, E>,
) -> Result<()> {
    until(what, limit, async || Ok::<_, E>(look().await?.then_some(()))).await
}

/// Looks at a condition for the whole of `time`; it must hold at every look.
pub async fn holds(what: impl Display, time: Duration, mut look: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    let mut tick = tokio::time::interval(POLL);
    while start.elapsed() < time {
        tick.tick().await;
        if !look().await? {
            bail!("held for {:?} only, expected {time:?}: {what}", start.elapsed());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_condition_that_holds_later_is_met() {
        let mut looks = 0;
        let value = until("third look", Duration::from_secs(1), async || {
            looks += 1;
            Ok::<_, Infallible>((looks == 3).then_some(looks))
        })
        .await;
        assert_eq!(value.unwrap(), 3);
    }

    #[tokio::test]
    async fn the_error_tells_what_was_awaited_and_the_last_failure() {
        let error = until("the moon", Duration::ZERO, async || Err::<Option<()>, _>("no answer"))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("the moon") && error.contains("no answer"), "{error}");
    }
}
