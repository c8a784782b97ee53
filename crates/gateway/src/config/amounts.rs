//! Durations and sizes as people write them.

use std::time::Duration;

/// The longest duration that a configuration takes: 366 days.
pub(super) const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

const DURATION_UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZE_UNITS: [(&str, u64); 4] = [("", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Reads `90s`, `15m`, `6h`, `7d` or `250ms`: one whole number and one unit, up to [`LONGEST`].
pub(super) fn duration(text: &str) -> Option<Duration> {
    let milliseconds = amount(text, &DURATION_UNITS)?;
    Some(Duration::from_millis(milliseconds)).filter(|duration| *duration <= LONGEST)
}

/// Reads `4MiB`, `512KiB`, `1GiB` or a plain number of bytes.
pub(super) fn size(text: &str) -> Option<usize> {
    usize::try_from(amount(text, &SIZE_UNITS)?).ok()
}

fn amount(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        assert_eq!(duration("90s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("15m"), Some(Duration::from_secs(900)));
        assert_eq!(duration("366d"), Some(LONGEST));
        for wrong in ["", "s", "90", "1.5h", "-1s", "1h30m", "367d", "99999999999999999999d", "1w"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_size_is_a_number_of_bytes_or_has_a_binary_unit() {
        assert_eq!(size("4MiB"), Some(4 * 1024 * 1024));
        assert_eq!(size("512"), Some(512));
        for wrong in ["", "MiB", "4MB", "4 MiB", "-1", "1e3", "99999999999GiB"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }
}
