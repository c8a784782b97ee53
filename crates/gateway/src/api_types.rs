//! The JSON of `/api/v1`: what the command line and the console send and get.
//!
//! Times are RFC 3339 in UTC, digests are lower-case hexadecimal, and a list comes in an object
//! with one member, so that more can be said beside it later. Responses leave out what is absent.

mod audit;
mod convert;
mod export;

use serde::{Deserialize, Serialize};

pub use audit::{AuditQuery, Entries, Entry, ExportFormat, Verification};
pub use convert::{hex, read_time, time_text};

/// How many rows one answer lists at most; an export has no such bound.
pub const MAX_ROWS: usize = 10_000;

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ApiError,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// One word that programs can compare: `not_found`, `invalid`, `conflict`, `unauthorized` …
    pub code: String,
    /// One sentence for people.
    pub message: String,
    /// What to do about it; may be empty.
    #[serde(default)]
    pub help: String,
    /// The problems of a document that was refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<DocumentProblem>,
}

/// One problem of a policy or configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentProblem {
    /// `error` or `warning`.
    pub severity: ProblemSeverity,
    /// The file, where the document is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The JSON pointer of the element.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl From<&policy::Problem> for DocumentProblem {
    fn from(problem: &policy::Problem) -> Self {
        Self {
            severity: match problem.severity {
                policy::Severity::Error => ProblemSeverity::Error,
                policy::Severity::Warning => ProblemSeverity::Warning,
            },
            file: None,
            line: problem.line,
            column: problem.column,
            pointer: problem.pointer.clone(),
            message: problem.message.clone(),
            help: problem.help.clone(),
        }
    }
}

/// Whether a document with this problem can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProblemSeverity {
    /// It cannot.
    Error,
    /// It can, but look at it.
    Warning,
}

/// Where something was made; what the file made is read-only for the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// In the configuration file.
    File,
    /// Through the API, the console or the command line.
    Api,
}

/// One server that a grant opens, and the policy it is judged by there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// The server's configured name.
    pub server: String,
    /// The policy's name.
    pub policy: String,
}

/// Whether a grant opens anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GrantState {
    /// Its token is accepted.
    Active,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

/// One grant. The token is never part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its lasting id.
    pub id: String,
    /// What it is called.
    pub label: String,
    /// Whether it opens anything now.
    pub state: GrantState,
    /// Where it was made.
    pub origin: Origin,
    /// What it opens.
    pub access: Vec<Access>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// When it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<String>,
}

/// `GET /api/v1/grants`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// Every grant, also those that ended.
    pub grants: Vec<Grant>,
}

/// `POST /api/v1/grants`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateGrant {
    /// What it shall be called; no living grant may have the label.
    pub label: String,
    /// What it shall open; at least one server, none twice.
    pub access: Vec<Access>,
    /// When it shall end by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// The answer to `POST /api/v1/grants` and `POST /api/v1/grants/{id}/rotate`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantWithToken {
    /// The grant.
    pub grant: Grant,
    /// Its token, which is shown this one time.
    pub token: String,
}

impl std::fmt::Debug for GrantWithToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("GrantWithToken").field("grant", &self.grant).finish_non_exhaustive()
    }
}

/// The state of an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalState {
    /// Nobody has decided yet.
    Pending,
    /// The call passes once when it is made again.
    Approved,
    /// The call has passed.
    Spent,
    /// Somebody said no.
    Denied,
    /// Nobody decided in time, or the call did not come again in time.
    Expired,
}

/// One call that a person decides about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Its id, `apr_…`.
    pub id: String,
    /// Where it stands.
    pub state: ApprovalState,
    /// The grant's label.
    pub grant: String,
    /// The server's configured name.
    pub server: String,
    /// The tool's name, or the URI or prompt.
    pub tool: String,
    /// The policy's name.
    pub policy: String,
    /// The policy's version.
    pub policy_version: String,
    /// The rule that asks, as a JSON pointer.
    pub rule: String,
    /// What the call would do, for the person who decides.
    pub summary: String,
    /// When it was asked for.
    pub asked_at: String,
    /// When it ends by itself.
    pub expires_at: String,
    /// When somebody decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<String>,
    /// Who decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// Why, in the decider's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `GET /api/v1/approvals?state=&limit=`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approvals {
    /// The approvals, newest first.
    pub approvals: Vec<Approval>,
}

/// The query of `GET /api/v1/approvals`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalsQuery {
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ApprovalState>,
    /// At most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// What a person says to an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// The call may pass once.
    Approve,
    /// The call may not pass.
    Deny,
}

/// `POST /api/v1/approvals/{id}`; the answer is the [`Approval`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecideApproval {
    /// Yes or no.
    pub decision: Decision,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who decides, where the caller knows; otherwise `admin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// One policy that the gateway knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySummary {
    /// Its name.
    pub name: String,
    /// Its version: the beginning of its digest.
    pub version: String,
    /// Where it was made.
    pub origin: Origin,
    /// `json` or `yaml`.
    pub format: PolicyFormat,
}

/// How a policy is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyFormat {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// `GET /api/v1/policies`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policies {
    /// Every policy, by name.
    pub policies: Vec<PolicySummary>,
}

/// `GET /api/v1/policies/{name}`, and the answer to a `PUT`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyDocument {
    /// What the list says about it.
    #[serde(flatten)]
    pub summary: PolicySummary,
    /// The document.
    pub text: String,
    /// What is doubtful about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<DocumentProblem>,
}

/// `PUT /api/v1/policies/{name}` and `POST /api/v1/policies/check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyText {
    /// The document.
    pub text: String,
    /// How it is written.
    pub format: PolicyFormat,
}

/// The answer to `POST /api/v1/policies/check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyCheck {
    /// Whether the policy can be used.
    pub valid: bool,
    /// Errors and warnings.
    pub problems: Vec<DocumentProblem>,
}

/// `GET /api/v1/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The gateway's version.
    pub version: String,
    /// When it started.
    pub started_at: String,
    /// The process.
    pub pid: u32,
    /// The address it listens on.
    pub address: String,
    /// Its data directory.
    pub data_dir: String,
    /// Its servers.
    pub servers: Vec<ServerStatus>,
    /// Open sessions.
    pub sessions: usize,
    /// Running child processes.
    pub children: usize,
}

/// One upstream server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Its configured name.
    pub name: String,
    /// `child` or `http`.
    pub kind: String,
}

/// `DIR/gateway.json`, by which the command line finds a running gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// The address it listens on.
    pub address: String,
    /// The process.
    pub pid: u32,
}
