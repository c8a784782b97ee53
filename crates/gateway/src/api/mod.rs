//! `/api/v1`: the admin API. Every route is one operation of the service, behind the admin token.

mod handlers;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use http::{HeaderMap, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use subtle::ConstantTimeEq as _;
use tower_service::Service as _;

use crate::api_types::{ApiError, ErrorBody};
use crate::front::Body;
use crate::gate::Gate;
use crate::identity;
use crate::service::{Service, ServiceError};

/// Largest body of a request to the API, in bytes.
const BODY_BYTES: usize = 4 * 1024 * 1024;

/// Answers one request to the API.
pub(crate) async fn handle(gate: &Arc<Gate>, request: Request<Incoming>) -> Response<Body> {
    if let Err(error) = admit(gate, request.headers()) {
        return error.into_response().map(Body::Api);
    }
    let mut router = gate.api.clone().with_state(Service { gate: Arc::clone(gate) });
    match router.call(request.map(axum::body::Body::new)).await {
        Ok(response) => response.map(Body::Api),
        Err(never) => match never {},
    }
}

/// The routes. They are put together once.
pub(crate) fn router() -> Router<Service> {
    Router::new()
        .route("/api/v1/status", get(handlers::status))
        .route("/api/v1/grants", get(handlers::grants).post(handlers::create_grant))
        .route("/api/v1/grants/{id}/rotate", post(handlers::rotate_grant))
        .route("/api/v1/grants/{id}/revoke", post(handlers::revoke_grant))
        .route("/api/v1/approvals", get(handlers::approvals))
        .route("/api/v1/approvals/{id}", get(handlers::approval).post(handlers::decide))
        .route("/api/v1/audit", get(handlers::audit))
        .route("/api/v1/audit/verify", get(handlers::verify))
        .route("/api/v1/audit/export", get(handlers::export))
        .route("/api/v1/policies", get(handlers::policies))
        .route("/api/v1/policies/check", post(handlers::check_policy))
        .route(
            "/api/v1/policies/{name}",
            get(handlers::policy).put(handlers::put_policy).delete(handlers::remove_policy),
        )
        .fallback(async || ApiFailure::not_found("there is no such operation"))
        .method_not_allowed_fallback(async || {
            let message = "this operation has another method".to_owned();
            ApiFailure::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message, "see the API reference")
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES))
}

/// Lets in who shows the admin token, from a trusted origin.
fn admit(gate: &Gate, headers: &HeaderMap) -> Result<(), ApiFailure> {
    gate.snapshot
        .load()
        .trust
        .check(headers)
        .map_err(|refused| ApiFailure::new(StatusCode::FORBIDDEN, "forbidden", refused.to_string(), ""))?;
    let known =
        identity::token(headers).is_some_and(|token| bool::from(identity::hash(token).ct_eq(&gate.admin_token_sha256)));
    if known {
        return Ok(());
    }
    gate.metrics.unauthenticated("admin");
    Err(ApiFailure::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "the admin token is needed".to_owned(),
        "send `Authorization: Bearer …` with the token from `admin-token` in the data directory",
    ))
}

/// An answer that is not a success.
#[derive(Debug)]
pub(crate) struct ApiFailure {
    status: StatusCode,
    error: ApiError,
}

impl ApiFailure {
    fn new(status: StatusCode, code: &str, message: String, help: &str) -> Self {
        let error = ApiError { code: code.to_owned(), message, help: help.to_owned(), problems: Vec::new() };
        Self { status, error }
    }

    fn not_found(message: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message.to_owned(), "")
    }

    fn into_response(self) -> Response<axum::body::Body> {
        axum::response::IntoResponse::into_response(self)
    }
}

impl From<ServiceError> for ApiFailure {
    fn from(error: ServiceError) -> Self {
        let message = error.to_string();
        match error {
            ServiceError::Invalid { help, .. } => Self::new(StatusCode::BAD_REQUEST, "invalid", message, &help),
            ServiceError::NotFound(_) => Self::not_found(&message),
            ServiceError::Conflict(_) => Self::new(StatusCode::CONFLICT, "conflict", message, ""),
            ServiceError::Ledger(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message, "try again"),
            ServiceError::Problems(problems) => {
                let mut failure =
                    Self::new(StatusCode::UNPROCESSABLE_ENTITY, "problems", message, "mend them and send it again");
                failure.error.problems = problems.iter().map(Into::into).collect();
                failure
            }
        }
    }
}

impl axum::response::IntoResponse for ApiFailure {
    fn into_response(self) -> Response<axum::body::Body> {
        let mut response = axum::Json(ErrorBody { error: self.error }).into_response();
        *response.status_mut() = self.status;
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, http::HeaderValue::from_static("Bearer realm=\"toolgate admin\""));
        }
        response
    }
}
