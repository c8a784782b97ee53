//! From a request of the API to an operation of the service, and back.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use policy::Policy;
use policy::document::Format;

use super::ApiFailure;
use crate::api_types::{
    Approval, Approvals, ApprovalsQuery, AuditQuery, CreateGrant, DecideApproval, DocumentProblem, Entries, Entry,
    ExportFormat, Grant, GrantWithToken, Grants, Policies, PolicyCheck, PolicyDocument, PolicyText, ServerStatus,
    Status, Verification, time_text,
};
use crate::service::Service;

type Answer<T> = Result<Json<T>, ApiFailure>;
type Sent<T> = Result<Json<T>, JsonRejection>;
type Asked<T> = Result<Query<T>, QueryRejection>;

/// How many lines of an export travel together.
const EXPORT_LINES: usize = 256;

fn sent<T>(body: Sent<T>) -> Result<T, ApiFailure> {
    body.map(|Json(value)| value).map_err(|rejection| {
        ApiFailure::new(
            rejection.status(),
            "invalid",
            rejection.body_text(),
            "send a JSON object as the API reference says",
        )
    })
}

fn asked<T>(query: Asked<T>) -> Result<T, ApiFailure> {
    query.map(|Query(value)| value).map_err(|rejection| {
        ApiFailure::new(
            rejection.status(),
            "invalid",
            rejection.body_text(),
            "see the API reference for the query's fields",
        )
    })
}

pub(super) async fn status(State(service): State<Service>) -> Json<Status> {
    let gate = &service.gate;
    let snapshot = gate.snapshot.load();
    let servers = snapshot.config.servers.iter().map(|server| ServerStatus {
        name: server.name.clone(),
        kind: match server.kind {
            crate::config::ServerKind::Child(_) => "child".to_owned(),
            crate::config::ServerKind::Http(_) => "http".to_owned(),
        },
    });
    Json(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: time_text(gate.started_at),
        pid: std::process::id(),
        address: gate.address.to_string(),
        data_dir: snapshot.config.data_dir.display().to_string(),
        servers: servers.collect(),
        sessions: gate.sessions.len(),
        children: usize::try_from(gate.metrics.children.get()).unwrap_or(0),
    })
}

pub(super) async fn grants(State(service): State<Service>) -> Answer<Grants> {
    Ok(Json(Grants { grants: service.grants().await? }))
}

pub(super) async fn create_grant(State(service): State<Service>, body: Sent<CreateGrant>) -> Answer<GrantWithToken> {
    let (grant, token) = service.create_grant(sent(body)?).await?;
    Ok(Json(GrantWithToken { grant, token }))
}

pub(super) async fn rotate_grant(State(service): State<Service>, Path(id): Path<String>) -> Answer<GrantWithToken> {
    let (grant, token) = service.rotate_grant(&id).await?;
    Ok(Json(GrantWithToken { grant, token }))
}

pub(super) async fn revoke_grant(State(service): State<Service>, Path(id): Path<String>) -> Answer<Grant> {
    Ok(Json(service.revoke_grant(&id).await?))
}

pub(super) async fn approvals(State(service): State<Service>, query: Asked<ApprovalsQuery>) -> Answer<Approvals> {
    let query = asked(query)?;
    Ok(Json(Approvals { approvals: service.approvals(query.state, query.limit).await? }))
}

pub(super) async fn approval(State(service): State<Service>, Path(id): Path<String>) -> Answer<Approval> {
    Ok(Json(service.approval(&id).await?))
}

pub(super) async fn decide(
    State(service): State<Service>,
    Path(id): Path<String>,
    body: Sent<DecideApproval>,
) -> Answer<Approval> {
    Ok(Json(service.decide(&id, sent(body)?).await?))
}

pub(super) async fn audit(State(service): State<Service>, query: Asked<AuditQuery>) -> Answer<Entries> {
    Ok(Json(Entries { entries: service.entries(&asked(query)?).await? }))
}

pub(super) async fn verify(State(service): State<Service>) -> Answer<Verification> {
    Ok(Json(service.verify().await?))
}

pub(super) async fn export(State(service): State<Service>, query: Asked<AuditQuery>) -> Result<Response, ApiFailure> {
    let query = asked(query)?;
    let format = query.format.unwrap_or(ExportFormat::Jsonl);
    let mut entries = service.export(&query).await?;
    let (lines, body) = tokio::sync::mpsc::channel::<Result<Bytes, axum::Error>>(4);
    let most = query.limit.unwrap_or(usize::MAX);
    tokio::spawn(async move {
        let mut chunk = format.header();
        let mut count = 0;
        while count < most {
            match entries.next().await {
                None => break,
                Some(Ok(entry)) => chunk.push_str(&format.line(&Entry::from(&entry))),
                // The body breaks off, so that nobody takes what there is for the whole.
                Some(Err(error)) => {
                    let _ = lines.send(Err(axum::Error::new(error))).await;
                    return;
                }
            }
            count += 1;
            if count % EXPORT_LINES == 0 && lines.send(Ok(std::mem::take(&mut chunk).into())).await.is_err() {
                return;
            }
        }
        // Whoever asked may have gone; then there is nobody to tell.
        let _ = lines.send(Ok(chunk.into())).await;
    });
    let body = axum::body::Body::new(crate::front::Body::lines(body));
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    Ok(response)
}

pub(super) async fn policies(State(service): State<Service>) -> Answer<Policies> {
    let policies = service.policies().await?;
    Ok(Json(Policies { policies: policies.into_iter().map(|policy| policy.summary).collect() }))
}

pub(super) async fn policy(State(service): State<Service>, Path(name): Path<String>) -> Answer<PolicyDocument> {
    Ok(Json(service.policy(&name).await?))
}

pub(super) async fn put_policy(
    State(service): State<Service>,
    Path(name): Path<String>,
    body: Sent<PolicyText>,
) -> Answer<PolicyDocument> {
    let sent = sent(body)?;
    Ok(Json(service.put_policy(&name, &sent.text, sent.format.into()).await?))
}

pub(super) async fn remove_policy(
    State(service): State<Service>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiFailure> {
    service.remove_policy(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn check_policy(body: Sent<PolicyText>) -> Answer<PolicyCheck> {
    let sent = sent(body)?;
    let format: Format = sent.format.into();
    let (valid, problems) = match Policy::parse(&sent.text, format) {
        Ok(checked) => (true, checked.warnings),
        Err(problems) => (false, problems),
    };
    Ok(Json(PolicyCheck { valid, problems: problems.iter().map(DocumentProblem::from).collect() }))
}
