//! Times as they are written on a command line.

use std::time::Duration;

use gateway::Clock;
use gateway::api_types::{read_time, time_text};
use policy::Timestamp;

/// Reads a time (`2026-07-28T10:00:00Z`) or how long ago it was (`90s`, `15m`, `6h`, `7d`).
pub(crate) fn past(text: &str) -> Result<String, String> {
    let now = Clock::System.now();
    match duration(text) {
        Some(ago) => {
            let ago = i64::try_from(ago.as_micros()).unwrap_or(i64::MAX);
            Ok(time_text(Timestamp::from_micros(now.as_micros().saturating_sub(ago))))
        }
        None => moment(text),
    }
}

/// Reads a time (`2027-01-01T00:00:00Z`) or how far ahead it is (`12h`, `30d`).
pub(crate) fn future(text: &str) -> Result<String, String> {
    let now = Clock::System.now();
    if let Some(ahead) = duration(text) {
        return Ok(time_text(now.saturating_add(ahead)));
    }
    let written = moment(text)?;
    if read_time(&written).is_ok_and(|time| time <= now) {
        return Err("that is over already: give a time to come".to_owned());
    }
    Ok(written)
}

fn moment(text: &str) -> Result<String, String> {
    read_time(text)
        .map(time_text)
        .map_err(|_| "write a time as `2027-01-01T00:00:00Z`, or a duration as `90s`, `15m`, `6h`, `7d`".to_owned())
}

fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
    count.checked_mul(seconds).filter(|total| *total <= MOST_SECONDS).map(Duration::from_secs)
}

/// A hundred years: more is a slip.
const MOST_SECONDS: u64 = 100 * 366 * 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        assert_eq!(duration("7d"), Some(Duration::from_secs(604_800)));
        for wrong in ["", "7", "d", "7w", "1h30m", "-1d", "99999999999999999999d", "é"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_shall_end_has_not_ended_yet() {
        assert!(future("2000-01-01T00:00:00Z").is_err());
        assert_eq!(future("2999-01-01T00:00:00Z").as_deref(), Ok("2999-01-01T00:00:00Z"));
        assert!(future("30d").is_ok());
    }

    #[test]
    fn a_time_is_normalised_to_utc() {
        assert_eq!(past("2026-07-28T12:00:00+02:00").as_deref(), Ok("2026-07-28T10:00:00Z"));
        assert!(past("yesterday").is_err());
    }
}
