//! Configurations written by tests.

use std::fmt::Write as _;

/// A configuration to be.
#[derive(Default, Clone)]
pub(crate) struct Configuration {
    servers: Vec<String>,
    policies: Vec<String>,
    grants: Vec<(String, Vec<String>)>,
}

impl Configuration {
    pub(crate) fn server(mut self, name: &str, url: &str) -> Self {
        self.servers.push(format!(r#""{name}":{{"url":"{url}"}}"#));
        self
    }

    /// A server that has so long to answer a call.
    pub(crate) fn impatient_server(mut self, name: &str, url: &str, timeout: &str) -> Self {
        self.servers.push(format!(r#""{name}":{{"url":"{url}","timeout":"{timeout}"}}"#));
        self
    }

    /// A policy as raw JSON.
    pub(crate) fn policy(mut self, name: &str, document: &str) -> Self {
        self.policies.push(format!(r#""{name}":{document}"#));
        self
    }

    /// Lets a grant use one more server.
    pub(crate) fn grant(mut self, label: &str, server: &str, policy: &str) -> Self {
        let access = format!(r#"{{"server":"{server}","policy":"{policy}"}}"#);
        match self.grants.iter_mut().find(|(known, _)| known == label) {
            Some((_, all)) => all.push(access),
            None => self.grants.push((label.to_owned(), vec![access])),
        }
        self
    }

    pub(crate) fn text(&self) -> String {
        let mut grants = String::new();
        for (label, access) in &self.grants {
            let separator = if grants.is_empty() { "" } else { "," };
            let (token, access) = (token(label), access.join(","));
            write!(grants, r#"{separator}{{"label":"{label}","token":"{token}","access":[{access}]}}"#).unwrap();
        }
        format!(
            r#"{{"listen":"127.0.0.1:0","data_dir":"data","timeouts":{{"session_idle":"366d"}},"servers":{{{}}},"policies":{{{}}},"grants":[{grants}]}}"#,
            self.servers.join(","),
            self.policies.join(","),
        )
    }
}

/// The token of a grant that a configuration makes.
pub(crate) fn token(label: &str) -> String {
    format!("{label:-<40}")
}
