//! `toolgate grant`: what each agent may use.

use clap::{Args, Subcommand};
use gateway::Clock;
use gateway::api_types::{self, Access, CreateGrant, GrantState, GrantWithToken, Grants, Origin, read_time};
use gateway::config::is_policy_name;

use crate::api_client::percent_encoded;
use crate::data_dir::LedgerPlace;
use crate::exit::Ended;
use crate::ledger_access::{IfAbsent, LedgerAccess, block_on};
use crate::output::{self, Output, say, shown};
use crate::times;

/// Make, list, revoke and rotate grants
///
/// A grant is what one agent may use: a label, a token, and a policy for each server. Works through the running gateway, or directly on the ledger where none runs. Grants of the configuration file are changed there.
#[derive(Debug, Args)]
pub(crate) struct Grant {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a grant and print its token, this one time
    Create(Create),
    /// List grants
    List(List),
    /// Take a grant back; its token is worthless at once
    Revoke(Name),
    /// Replace a grant's token and print the new one; the old one is worthless at once
    Rotate(Name),
}

#[derive(Debug, Args)]
struct Create {
    /// What the grant shall be called
    #[arg(value_parser = super::label)]
    label: String,

    /// A server that the grant opens, and the policy that it is judged by there; may be repeated
    #[arg(long, value_name = "SERVER=POLICY", required = true, value_parser = access)]
    access: Vec<Access>,

    /// When the grant ends by itself: a time as `2027-01-01T00:00:00Z`, or a duration as `30d`
    #[arg(long, value_name = "WHEN", value_parser = times::future)]
    expires: Option<String>,

    /// Print a JSON object with the grant and its token
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: LedgerPlace,
}

#[derive(Debug, Args)]
struct List {
    /// List revoked and expired grants too
    #[arg(long)]
    all: bool,

    /// List at most this many
    #[arg(long, value_name = "N", value_parser = output::rows)]
    limit: Option<usize>,

    /// Print JSON objects, one a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: LedgerPlace,
}

#[derive(Debug, Args)]
struct Name {
    /// Label or id of the grant
    grant: String,

    /// Print a JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: LedgerPlace,
}

impl Grant {
    pub(crate) fn execute(self) -> anyhow::Result<Ended> {
        block_on(async {
            match self.action {
                Action::Create(create) => create.execute().await,
                Action::List(list) => list.execute().await,
                Action::Revoke(name) => name.revoke().await,
                Action::Rotate(name) => name.rotate().await,
            }
        })?;
        Ok(Ended::Fine)
    }
}

impl Create {
    async fn execute(self) -> anyhow::Result<()> {
        let ledger = LedgerAccess::open(&self.place.resolve()?, IfAbsent::Create)?;
        let request = CreateGrant { label: self.label, access: self.access, expires_at: self.expires };
        let made = match &ledger {
            LedgerAccess::Gateway(client) => client.post("/grants", &request).await?,
            LedgerAccess::Direct(ledger) => {
                say("note: no gateway is running, so the names of servers and policies are not checked");
                create_directly(ledger, request).await?
            }
        };
        if let LedgerAccess::Gateway(client) = &ledger {
            for access in &made.grant.access {
                say(&format!("endpoint: {}", client.endpoint(&access.server)));
            }
        }
        ledger.close().await?;
        print_token(&made, self.json)
    }
}

async fn create_directly(ledger: &ledger::Ledger, request: CreateGrant) -> anyhow::Result<GrantWithToken> {
    let expires = request.expires_at.as_deref().map(read_time).transpose();
    let new = ledger::NewGrant {
        label: request.label,
        access: request.access.iter().map(ledger::Access::from).collect(),
        expires: expires.map_err(anyhow::Error::msg)?,
    };
    let now = Clock::System.now();
    let (grant, token) = ledger.create_grant(new, now).await?;
    Ok(with_token(&grant, &token))
}

fn with_token(grant: &ledger::Grant, token: &ledger::Token) -> GrantWithToken {
    let grant = api_types::Grant::of(grant, Clock::System.now());
    GrantWithToken { grant, token: token.as_str().to_owned() }
}

fn print_token(made: &GrantWithToken, json: bool) -> anyhow::Result<()> {
    let mut out = Output::new();
    if json {
        out.json(made)?;
    } else {
        say(&format!("token of grant `{}`; it is not shown again:", shown(&made.grant.label)));
        out.line(&made.token)?;
    }
    out.finish()
}

impl List {
    async fn execute(self) -> anyhow::Result<()> {
        let ledger = LedgerAccess::open(&self.place.resolve()?, IfAbsent::Complain)?;
        let mut grants = match &ledger {
            LedgerAccess::Gateway(client) => client.get::<Grants>("/grants", &()).await?.grants,
            LedgerAccess::Direct(ledger) => {
                let now = Clock::System.now();
                let grants = ledger.grants(true).await?;
                grants.iter().map(|grant| api_types::Grant::of(grant, now)).collect()
            }
        };
        ledger.close().await?;
        grants.retain(|grant| self.all || grant.state == GrantState::Active);
        grants.truncate(self.limit.unwrap_or(usize::MAX));
        let mut out = Output::new();
        if self.json {
            for grant in &grants {
                out.json(grant)?;
            }
        } else if grants.is_empty() {
            say("no grants");
        } else {
            out.table(
                &["ID", "LABEL", "STATE", "ORIGIN", "EXPIRES", "ACCESS"],
                &grants.iter().map(row).collect::<Vec<_>>(),
            )?;
        }
        out.finish()
    }
}

fn row(grant: &api_types::Grant) -> Vec<String> {
    let state = match grant.state {
        GrantState::Active => "active",
        GrantState::Expired => "expired",
        GrantState::Revoked => "revoked",
    };
    let origin = match grant.origin {
        Origin::File => "file",
        Origin::Api => "api",
    };
    let access = grant.access.iter().map(|one| format!("{}={}", one.server, one.policy));
    vec![
        grant.id.clone(),
        shown(&grant.label),
        state.to_owned(),
        origin.to_owned(),
        grant.expires_at.clone().unwrap_or_else(|| "never".to_owned()),
        shown(&access.collect::<Vec<_>>().join(" ")),
    ]
}

impl Name {
    async fn revoke(self) -> anyhow::Result<()> {
        let ledger = LedgerAccess::open(&self.place.resolve()?, IfAbsent::Complain)?;
        let grant: api_types::Grant = match &ledger {
            LedgerAccess::Gateway(client) => client.post(&self.path("revoke"), &()).await?,
            LedgerAccess::Direct(ledger) => {
                let now = Clock::System.now();
                api_types::Grant::of(&*ledger.revoke_grant(&self.grant, now).await?, now)
            }
        };
        ledger.close().await?;
        let mut out = Output::new();
        if self.json {
            out.json(&grant)?;
        } else {
            say(&format!("revoked grant `{}`", shown(&grant.label)));
        }
        out.finish()
    }

    async fn rotate(self) -> anyhow::Result<()> {
        let ledger = LedgerAccess::open(&self.place.resolve()?, IfAbsent::Complain)?;
        let made = match &ledger {
            LedgerAccess::Gateway(client) => client.post(&self.path("rotate"), &()).await?,
            LedgerAccess::Direct(ledger) => {
                let (grant, token) = ledger.rotate_grant(&self.grant).await?;
                with_token(&grant, &token)
            }
        };
        ledger.close().await?;
        print_token(&made, self.json)
    }

    fn path(&self, action: &str) -> String {
        format!("/grants/{}/{action}", percent_encoded(&self.grant))
    }
}

fn access(text: &str) -> Result<Access, String> {
    let wrong = || "write `SERVER=POLICY`".to_owned();
    let (server, policy) = text.split_once('=').ok_or_else(wrong)?;
    if server.is_empty() || !is_policy_name(policy) {
        return Err(wrong());
    }
    Ok(Access { server: server.to_owned(), policy: policy.to_owned() })
}
