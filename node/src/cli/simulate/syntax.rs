//! How faults are written: `KIND[=VALUE]:WHO[@START[+LENGTH]]`.

/// Where a fault begins for which nothing is said.
const DEFAULT_START_MS: u64 = 5_000;

/// How long a validator is down in a rolling restart, and how long a flapping link stays as it is, unless said.
const DEFAULT_RESTART_MS: u64 = 2_000;
const DEFAULT_FLAP_MS: u64 = 1_000;

/// The shortest such time.
const SHORTEST_TURN_MS: u64 = 100;

/// The longest delay of a message or a sync, and the farthest that a clock goes wrong.
const LONGEST_DELAY_MS: u64 = 600_000;
const FARTHEST_CLOCK_MS: u64 = 3_600_000;

/// All kinds, as they are written.
const KINDS: &str =
    "kill, wipe, restart, pause, cut, deaf, mute, slow=TIME, lossy=N%, flap=TIME, clock=+TIME, disk=TIME";

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// They lose power, and start again at the end.
    Kill,
    /// They lose power and their disk, and start again at the end.
    Wipe,
    /// One after the other is down for so many milliseconds.
    Restart(u64),
    /// Their processes stand still.
    Pause,
    /// They and the rest do not reach each other.
    Cut,
    /// They hear nobody.
    Deaf,
    /// Nobody hears them.
    Mute,
    /// Messages between them and the rest take so many milliseconds longer.
    Slow(u64),
    /// So many of a hundred messages between them and the rest are lost.
    Lossy(u32),
    /// They are cut off and come back, each for so many milliseconds.
    Flap(u64),
    /// Their clocks are so many milliseconds ahead.
    Clock(i64),
    /// Their disk syncs take so many milliseconds.
    Disk(u64),
}

/// A fault as it was written; who is meant is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spec {
    /// The words of the user.
    pub(super) text: String,
    pub(super) kind: Kind,
    pub(super) who: String,
    /// In milliseconds of the run.
    pub(super) from_ms: u64,
    /// None: until the end of the run.
    pub(super) to_ms: Option<u64>,
}

/// Says what is wrong with which fault.
pub(super) fn refuse(text: &str, why: &str) -> String {
    format!("the fault \"{text}\": {why}")
}

/// Reads faults with `;` between them, for a run of so many milliseconds.
pub(super) fn parse(text: &str, run_ms: u64) -> Result<Vec<Spec>, String> {
    let one = |part: &str| fault(part, run_ms).map_err(|why| refuse(part, &why));
    text.split(';').map(str::trim).filter(|part| !part.is_empty()).map(one).collect()
}

fn fault(text: &str, run_ms: u64) -> Result<Spec, String> {
    let (what, rest) = text
        .split_once(':')
        .ok_or("expected KIND:WHO, such as kill:NAME@10s+20s or slow=200ms:region=NAME (assent simulate --help)")?;
    let (name, value) = match what.split_once('=') {
        Some((name, value)) => (name.trim(), Some(value.trim())),
        None => (what.trim(), None),
    };
    let kind = kind(name, value)?;
    let (who, when) = match rest.rsplit_once('@') {
        Some((who, when)) => (who.trim(), Some(when)),
        None => (rest.trim(), None),
    };
    let (from_ms, length) = match when {
        None => (DEFAULT_START_MS, None),
        Some(when) => match when.split_once('+') {
            Some((start, length)) => (millis(start)?, Some(millis(length)?)),
            None => (millis(when)?, None),
        },
    };
    if from_ms >= run_ms {
        return Err(format!(
            "it begins at {}, and the run ends at {}: begin earlier (@TIME), or run longer (--for TIME)",
            time(from_ms),
            time(run_ms)
        ));
    }
    match length {
        Some(0) => return Err("it lasts for no time: write a length such as +20s".to_string()),
        Some(_) if matches!(kind, Kind::Restart(_)) => {
            return Err("a rolling restart takes as long as it takes: leave out the length after +".to_string());
        }
        _ => {}
    }
    let to_ms = length.map(|length| from_ms.saturating_add(length)).filter(|to| *to < run_ms);
    Ok(Spec { text: text.to_string(), kind, who: who.to_string(), from_ms, to_ms })
}

fn kind(name: &str, value: Option<&str>) -> Result<Kind, String> {
    let plain = |kind: Kind| match value {
        None => Ok(kind),
        Some(_) => Err(format!("{name} takes no value: write {name}:WHO")),
    };
    let needed = |example: &str| value.ok_or_else(|| format!("{name} needs a value: write {name}={example}:WHO"));
    let turn = |default: u64| match value {
        None => Ok(default),
        Some(value) => within(value, SHORTEST_TURN_MS, LONGEST_DELAY_MS),
    };
    match name {
        "kill" => plain(Kind::Kill),
        "wipe" => plain(Kind::Wipe),
        "pause" => plain(Kind::Pause),
        "cut" => plain(Kind::Cut),
        "deaf" => plain(Kind::Deaf),
        "mute" => plain(Kind::Mute),
        "restart" => turn(DEFAULT_RESTART_MS).map(Kind::Restart),
        "flap" => turn(DEFAULT_FLAP_MS).map(Kind::Flap),
        "slow" => within(needed("200ms")?, 1, LONGEST_DELAY_MS).map(Kind::Slow),
        "disk" => within(needed("500ms")?, 1, LONGEST_DELAY_MS).map(Kind::Disk),
        "lossy" => percent(needed("30%")?).map(Kind::Lossy),
        "clock" => clock(needed("+30s")?).map(Kind::Clock),
        _ => Err(format!("\"{name}\" is no kind of fault; known are {KINDS}")),
    }
}

/// Reads a time of whole milliseconds.
pub(super) fn millis(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let refuse = |why: &str| format!("expected a time such as 10s, 1m30s or 500ms, got \"{text}\"{why}");
    let time = humantime::parse_duration(text).map_err(|_| refuse(""))?;
    if time.subsec_nanos() % 1_000_000 != 0 {
        return Err(refuse(", which is no whole number of milliseconds"));
    }
    u64::try_from(time.as_millis()).map_err(|_| refuse(", which is too long"))
}

fn within(text: &str, least: u64, most: u64) -> Result<u64, String> {
    let ms = millis(text)?;
    if (least..=most).contains(&ms) {
        Ok(ms)
    } else {
        Err(format!("expected a time between {} and {}, got \"{text}\"", time(least), time(most)))
    }
}

fn percent(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<u32>().ok());
    number
        .filter(|number| (1..=100).contains(number))
        .ok_or_else(|| format!("expected a share of the messages from 1% to 100%, got \"{text}\""))
}

fn clock(text: &str) -> Result<i64, String> {
    let (sign, size) = match text.strip_prefix('-') {
        Some(size) => (-1, size),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let ms = within(size, 1, FARTHEST_CLOCK_MS)?;
    Ok(sign * i64::try_from(ms).unwrap_or(i64::MAX))
}

/// A time as it is written.
pub(super) fn time(ms: u64) -> String {
    humantime::format_duration(std::time::Duration::from_millis(ms)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN_MS: u64 = 60_000;

    fn one(text: &str) -> Spec {
        let mut specs = parse(text, RUN_MS).unwrap();
        assert_eq!(specs.len(), 1, "{text}");
        specs.remove(0)
    }

    #[test]
    fn faults_have_a_kind_a_group_and_a_time() {
        for (text, kind, who, from_ms, to_ms) in [
            ("kill:alice", Kind::Kill, "alice", 5_000, None),
            ("kill:alice,bob@10s+20s", Kind::Kill, "alice,bob", 10_000, Some(30_000)),
            ("wipe:third@1500ms", Kind::Wipe, "third", 1_500, None),
            ("restart:all@1s", Kind::Restart(2_000), "all", 1_000, None),
            ("restart=500ms:all", Kind::Restart(500), "all", 5_000, None),
            (" pause : bob @ 0s + 59s ", Kind::Pause, "bob", 0, Some(59_000)),
            ("cut:region=eu@10s+50s", Kind::Cut, "region=eu", 10_000, None),
            ("cut:org=a@b@10s", Kind::Cut, "org=a@b", 10_000, None),
            ("deaf:leader@10s+1m", Kind::Deaf, "leader", 10_000, None),
            ("mute:a", Kind::Mute, "a", 5_000, None),
            ("slow=200ms:region=asia@10s", Kind::Slow(200), "region=asia", 10_000, None),
            ("lossy=30%:bob", Kind::Lossy(30), "bob", 5_000, None),
            ("flap:bob", Kind::Flap(1_000), "bob", 5_000, None),
            ("flap=300ms:bob", Kind::Flap(300), "bob", 5_000, None),
            ("clock=+30s:bob", Kind::Clock(30_000), "bob", 5_000, None),
            ("clock=-1m:bob", Kind::Clock(-60_000), "bob", 5_000, None),
            ("clock=1s:bob", Kind::Clock(1_000), "bob", 5_000, None),
            ("disk=500ms:bob", Kind::Disk(500), "bob", 5_000, None),
        ] {
            let expected = Spec { text: text.trim().to_string(), kind, who: who.to_string(), from_ms, to_ms };
            assert_eq!(one(text), expected);
        }
    }

    #[test]
    fn several_faults_stand_in_one_text() {
        let texts = |text: &str| parse(text, RUN_MS).unwrap().into_iter().map(|spec| spec.who).collect::<Vec<_>>();
        assert_eq!(texts("kill:a; kill:b@10s;"), ["a", "b"]);
        assert_eq!(texts(" ; "), [] as [&str; 0]);
    }

    #[test]
    fn what_is_wrong_is_quoted_with_what_was_expected() {
        for (text, why) in [
            ("kill", "expected KIND:WHO, such as kill:NAME@10s+20s"),
            ("kil:alice", "\"kil\" is no kind of fault; known are kill, wipe"),
            ("kill=3s:alice", "kill takes no value: write kill:WHO"),
            ("slow:alice", "slow needs a value: write slow=200ms:WHO"),
            ("slow=200:alice", "expected a time such as 10s, 1m30s or 500ms, got \"200\""),
            ("slow=0s:alice", "expected a time between 1ms and 10m, got \"0s\""),
            ("disk=1h:alice", "expected a time between 1ms and 10m, got \"1h\""),
            ("flap=1ms:alice", "expected a time between 100ms and 10m, got \"1ms\""),
            ("lossy=30:alice", "from 1% to 100%, got \"30\""),
            ("lossy=0%:alice", "from 1% to 100%, got \"0%\""),
            ("lossy=101%:alice", "from 1% to 100%, got \"101%\""),
            ("clock=+2h:alice", "expected a time between 1ms and 1h, got \"2h\""),
            ("kill:alice@soon", "expected a time such as 10s, 1m30s or 500ms, got \"soon\""),
            ("kill:alice@10s+", "expected a time such as 10s, 1m30s or 500ms, got \"\""),
            ("kill:alice@10s+0s", "it lasts for no time"),
            ("kill:alice@500us", "no whole number of milliseconds"),
            ("kill:alice@60s", "it begins at 1m, and the run ends at 1m"),
            ("restart:all@1s+5s", "leave out the length"),
            ("kill:a; kill", "the fault \"kill\": expected KIND:WHO"),
        ] {
            let error = parse(text, RUN_MS).unwrap_err();
            assert!(error.starts_with("the fault \"") && error.contains(why), "{text}: {error}");
        }
    }
}
