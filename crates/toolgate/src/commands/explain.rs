//! `toolgate explain`: which rule decides a call, and why.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::{ArgGroup, Args};
use policy::{Call, Charge, Explanation, Target, Verdict};
use serde::Serialize;

use super::run::read_policy;
use crate::exit::{Ended, Usage};
use crate::output::{Output, shown};

/// Show which rule of a policy decides a call, and why
///
/// Nothing is sent and nothing is counted: limits are named, not checked. Exits with 1 if the call would be denied or hidden.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("target").required(true).args(["tool", "resource", "prompt"]))]
pub(crate) struct Explain {
    /// Policy that judges the call
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,

    /// Judge a call of this tool
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,

    /// Judge a read of this resource
    #[arg(long, value_name = "URI")]
    resource: Option<String>,

    /// Judge a use of this prompt
    #[arg(long, value_name = "NAME")]
    prompt: Option<String>,

    /// Arguments of the call, a JSON object; `@FILE` reads them from a file
    #[arg(long, value_name = "JSON", conflicts_with = "resource")]
    args: Option<String>,

    /// Label of the grant that the call comes with
    #[arg(long, value_name = "LABEL", default_value = "local")]
    grant: String,

    /// What the client calls itself
    #[arg(long, value_name = "NAME")]
    client: Option<String>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A verdict with its steps, in words.
#[derive(Debug, Serialize)]
struct Explained {
    outcome: &'static str,
    rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_seconds: Option<u64>,
    policy: String,
    policy_version: String,
    limits: Vec<ExplainedLimit>,
    steps: Vec<ExplainedStep>,
}

#[derive(Debug, Serialize)]
struct ExplainedLimit {
    rule: String,
    counter: String,
    scope: &'static str,
    max: String,
    cost: String,
}

#[derive(Debug, Serialize)]
struct ExplainedStep {
    rule: String,
    looked_at: String,
    result: String,
}

impl Explain {
    pub(crate) fn execute(self) -> anyhow::Result<Ended> {
        let Some(policy) = read_policy(&self.policy)? else { return Ok(Ended::Found) };
        let arguments = self.args.as_deref().map(read_arguments).transpose()?;
        let call = Call {
            target: self.target()?,
            arguments: arguments.as_deref(),
            grant_label: &self.grant,
            client_name: self.client.as_deref(),
        };
        let policy_file = self.policy.display().to_string();
        let explained = explained(policy.explain(&call), policy_file, policy.version());
        let mut out = Output::new();
        if self.json {
            out.json(&explained)?;
        } else {
            self.print(&mut out, &explained)?;
        }
        out.finish()?;
        let refused = ["deny", "hide"].contains(&explained.outcome);
        Ok(if refused { Ended::Found } else { Ended::Fine })
    }

    fn target(&self) -> anyhow::Result<Target<'_>> {
        match (&self.tool, &self.resource, &self.prompt) {
            (Some(tool), _, _) => Ok(Target::Tool(tool)),
            (_, Some(resource), _) => Ok(Target::Resource(resource)),
            (_, _, Some(prompt)) => Ok(Target::Prompt(prompt)),
            (None, None, None) => Err(Usage("name a call with `--tool`, `--resource` or `--prompt`".to_owned()).into()),
        }
    }

    fn print(&self, out: &mut Output, explained: &Explained) -> anyhow::Result<()> {
        let target = self.tool.as_deref().or(self.resource.as_deref()).or(self.prompt.as_deref());
        out.line(&format!("{}: {}", shown(target.unwrap_or_default()), explained.outcome))?;
        out.line(&format!("  rule    {}", named(&explained.rule)))?;
        if let Some(reason) = &explained.reason {
            out.line(&format!("  reason  {}", shown(reason)))?;
        }
        if let Some(timeout) = explained.timeout_seconds {
            let hold = explained.hold_seconds.unwrap_or_default();
            out.line(&format!("  waits   for a person, {timeout} s at most; the answer is held for {hold} s"))?;
        }
        out.line(&format!("  policy  {}, version {}", explained.policy, explained.policy_version))?;
        for limit in &explained.limits {
            out.line(&format!(
                "  limit   {}: takes {} of {} from `{}` ({})",
                limit.rule,
                limit.cost,
                limit.max,
                shown(&limit.counter),
                limit.scope
            ))?;
        }
        out.line("")?;
        let steps =
            explained.steps.iter().map(|step| vec![named(&step.rule), shown(&step.looked_at), shown(&step.result)]);
        out.table(&["STEP", "LOOKED AT", "RESULT"], &steps.collect::<Vec<_>>())?;
        Ok(())
    }
}

fn named(rule: &str) -> String {
    if rule.is_empty() { "(no rule)".to_owned() } else { shown(rule) }
}

fn explained(explanation: Explanation<'_>, policy: String, version: &str) -> Explained {
    let steps = explanation.steps.into_iter().map(|step| ExplainedStep {
        rule: step.rule,
        looked_at: step.looked_at,
        result: step.result,
    });
    let mut explained = Explained {
        outcome: "allow",
        rule: String::new(),
        reason: None,
        timeout_seconds: None,
        hold_seconds: None,
        policy,
        policy_version: version.to_owned(),
        limits: Vec::new(),
        steps: steps.collect(),
    };
    match explanation.verdict {
        Verdict::Allow { rule, charges } => {
            explained.rule = rule.to_owned();
            explained.limits = limits(&charges);
        }
        Verdict::Deny { rule, reason } => {
            explained.outcome = "deny";
            explained.rule = rule.to_owned();
            explained.reason = Some(reason.into_owned());
        }
        Verdict::Hide { rule } => {
            explained.outcome = "hide";
            explained.rule = rule.to_owned();
        }
        Verdict::Approve { rule, reason, timeout, hold, charges } => {
            explained.outcome = "approve";
            explained.rule = rule.to_owned();
            explained.reason = reason.map(str::to_owned);
            explained.timeout_seconds = Some(timeout.as_secs());
            explained.hold_seconds = Some(hold.as_secs());
            explained.limits = limits(&charges);
        }
    }
    explained
}

fn limits(charges: &[Charge<'_>]) -> Vec<ExplainedLimit> {
    let limit = |charge: &Charge<'_>| ExplainedLimit {
        rule: charge.limit.rule.clone(),
        counter: charge.counter.to_string(),
        scope: charge.limit.scope.as_str(),
        max: charge.limit.max.to_string(),
        cost: charge.cost.to_string(),
    };
    charges.iter().map(limit).collect()
}

/// Reads the arguments as strictly as the gate reads a call.
fn read_arguments(given: &str) -> anyhow::Result<String> {
    let text = match given.strip_prefix('@') {
        Some(file) => fs::read_to_string(file).with_context(|| format!("could not read the arguments `{file}`"))?,
        None => given.to_owned(),
    };
    let request =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"tool","arguments":{text}}}}}"#);
    // An object that closes `params` early would be read as part of the request.
    let is_object = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
    if !is_object || !text.trim_start().starts_with('{') {
        return Err(Usage("`--args` is not a JSON object: write `--args '{\"key\": \"value\"}'`".to_owned()).into());
    }
    match mcp::envelope::read_request(request.as_bytes(), &mcp::envelope::Bounds::default()) {
        Ok(_) => Ok(text),
        Err(rejected) => {
            Err(Usage(format!("the gate would reject a call with these arguments: {}", rejected.message)).into())
        }
    }
}
