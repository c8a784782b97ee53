//! Counts and durations for `/metrics`, in the OpenMetrics text format.

use std::sync::Mutex;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// What came of a request, as counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    Allow,
    Deny,
    Hide,
    Limit,
    Approve,
    Reject,
    Passed,
}

impl Counted {
    const ALL: [Self; 7] =
        [Self::Allow, Self::Deny, Self::Hide, Self::Limit, Self::Approve, Self::Reject, Self::Passed];

    fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Hide => "hide",
            Self::Limit => "limit",
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Passed => "passed",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    server: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

/// Everything that is measured.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<RequestLabels, Counter>,
    unauthenticated: Family<ReasonLabels, Counter>,
    reloads: Family<ReasonLabels, Counter>,
    pub(crate) gateway_seconds: Histogram,
    pub(crate) upstream_seconds: Histogram,
    pub(crate) sessions: Gauge,
    pub(crate) children: Gauge,
}

/// The counters of one server, looked up once.
#[derive(Debug, Clone)]
pub(crate) struct ServerMetrics(Vec<Counter>);

impl ServerMetrics {
    pub(crate) fn count(&self, what: Counted) {
        let place = Counted::ALL.iter().position(|one| *one == what);
        if let Some(counter) = place.and_then(|place| self.0.get(place)) {
            counter.inc();
        }
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let fast = [0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.025, 0.1];
        let slow = [0.000_1, 0.000_5, 0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0];
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("toolgate")),
            requests: Family::default(),
            unauthenticated: Family::default(),
            reloads: Family::default(),
            gateway_seconds: Histogram::new(fast),
            upstream_seconds: Histogram::new(slow),
            sessions: Gauge::default(),
            children: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&self) {
        let mut registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        registry.register("requests", "Requests by server and outcome", self.requests.clone());
        registry.register("unauthenticated", "Requests without a valid token, by reason", self.unauthenticated.clone());
        registry.register(
            "config_reloads",
            "Edits of the configuration file, by what came of them",
            self.reloads.clone(),
        );
        registry.register(
            "gateway_seconds",
            "Time a governed request spent in the gate itself",
            self.gateway_seconds.clone(),
        );
        registry.register(
            "upstream_seconds",
            "Time upstreams took to answer governed requests",
            self.upstream_seconds.clone(),
        );
        registry.register("sessions", "Open sessions", self.sessions.clone());
        registry.register("children", "Running child processes", self.children.clone());
    }

    /// The counters of `server`.
    pub(crate) fn server(&self, server: &str) -> ServerMetrics {
        let counters = Counted::ALL.iter().map(|outcome| {
            let labels = RequestLabels { server: server.to_owned(), outcome: outcome.as_str() };
            self.requests.get_or_create(&labels).clone()
        });
        ServerMetrics(counters.collect())
    }

    pub(crate) fn unauthenticated(&self, reason: &'static str) {
        self.unauthenticated.get_or_create(&ReasonLabels { reason }).inc();
    }

    pub(crate) fn reloaded(&self, result: &'static str) {
        self.reloads.get_or_create(&ReasonLabels { reason: result }).inc();
    }

    /// The text that `/metrics` answers.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

/// A duration in the unit of the histograms.
pub(crate) fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
