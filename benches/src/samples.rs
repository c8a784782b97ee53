//! Many measurements of one thing, and what is said of them.

use std::time::Duration;

/// Latencies.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn extend(&mut self, more: impl IntoIterator<Item = Duration>) {
        self.0.extend(more);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The value that this share of the samples does not exceed, in microseconds.
    pub(crate) fn quantile(&mut self, share: f64) -> f64 {
        self.0.sort_unstable();
        at_share(&self.0, share).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
    }
}

/// One number from each round.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rounds(Vec<f64>);

impl Rounds {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_unstable_by(f64::total_cmp);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn median(&self) -> f64 {
        at_share(&self.0, 0.5).unwrap_or(f64::NAN)
    }

    pub(crate) fn lowest(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn highest(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a position in a list that fits into memory"
)]
fn at_share<T: Copy>(sorted: &[T], share: f64) -> Option<T> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * share).round() as usize).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_among_the_samples() {
        let mut samples = Samples::default();
        samples.extend((1..=101).rev().map(Duration::from_micros));
        assert_eq!(samples.quantile(0.5).round(), 51.0);
        assert_eq!(samples.quantile(0.99).round(), 100.0);
    }

    #[test]
    fn nothing_measured_has_no_median() {
        assert!(Rounds::default().median().is_nan());
    }
}
