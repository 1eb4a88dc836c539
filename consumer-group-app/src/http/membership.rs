//! `POST /register`, `/unregister` and `/checkMembership`.

use std::slice;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{Request, StatusCode},
};
use protocol::{
    ConsumerId,
    http::{
        CHECK_MEMBERSHIP, MAX_MEMBERSHIP_BODY_BYTES, Membership, MembershipRequest, MessageBody,
        REGISTER, RegistrationRequest, UNREGISTER,
    },
};
use redis_bus::consumer_list::Registration;
use serde::de::DeserializeOwned;
use service_kit::{
    api_docs::responses::{BadBody, Failure},
    api_error::ApiError,
    http_body::read_json,
};

use super::AppState;

/// The group holds as many consumers as it may.
#[derive(Debug, thiserror::Error)]
#[error("the group is full: it may hold {capacity}, as --maxConsumerGroupSize says")]
struct GroupFull {
    capacity: usize,
}

/// Become a member of the group.
///
/// 200 also for a consumer that is a member already. 500 also when the group holds as many consumers
/// as it may; those that do not answer are removed before that. It is given messages once its
/// `GET /health` was answered with 200, which it is asked at once.
#[utoipa::path(
    post, path = REGISTER, tag = "Membership", request_body = RegistrationRequest,
    responses(
        (
            status = 200, description = "It is a member.", body = MessageBody,
            example = json!({ "message": "Consumer with id 127.0.0.1:5001 is registered." }),
        ),
        BadBody, Failure,
    ),
)]
pub(super) async fn register(
    State(state): State<AppState>,
    request: Request<Body>,
) -> Result<Json<MessageBody>, ApiError> {
    const FAILED: &str = "Failed to register consumer!";
    let RegistrationRequest {
        consumer_id: id,
        concurrency,
    } = read(request).await?;
    if state.own_address.is(&id) {
        let why = format!("{id} is this group's own address, and no consumer");
        return Err(ApiError::bad_request(&why));
    }
    let registration = state.sweeps.register(&state.list, &id, state.capacity);
    let registration = registration.await;
    match registration.map_err(|error| ApiError::internal(FAILED, &error))? {
        Registration::Registered | Registration::AlreadyMember => {
            state.group.registered(&id, concurrency);
            Ok(Json(MessageBody::registered(&id)))
        }
        Registration::Full => {
            let full = GroupFull {
                capacity: state.capacity,
            };
            Err(ApiError::internal(FAILED, &full).because(full.to_string()))
        }
    }
}

/// Stop being a member of the group.
///
/// 200 also for a consumer that was no member. What it was given already is waited for.
#[utoipa::path(
    post, path = UNREGISTER, tag = "Membership", request_body = MembershipRequest,
    responses(
        (
            status = 200, description = "It is no member.", body = MessageBody,
            example = json!({ "message": "Consumer with id 127.0.0.1:5001 is unregistered." }),
        ),
        BadBody, Failure,
    ),
)]
pub(super) async fn unregister(
    State(state): State<AppState>,
    request: Request<Body>,
) -> Result<Json<MessageBody>, ApiError> {
    const FAILED: &str = "Failed to unregister consumer!";
    let id = read_id(request).await?;
    let unregistered = state.list.unregister(slice::from_ref(&id)).await;
    unregistered.map_err(|error| ApiError::internal(FAILED, &error))?;
    Ok(Json(MessageBody::unregistered(&id)))
}

/// Whether a consumer is a member of the group.
#[utoipa::path(
    post, path = CHECK_MEMBERSHIP, tag = "Membership", request_body = MembershipRequest,
    responses(
        (
            status = 200, description = "It is a member.", body = Membership,
            example = json!({ "is_member": true }),
        ),
        (
            status = 404, description = "It is none.", body = Membership,
            example = json!({ "is_member": false }),
        ),
        BadBody, Failure,
    ),
)]
pub(super) async fn check_membership(
    State(state): State<AppState>,
    request: Request<Body>,
) -> Result<(StatusCode, Json<Membership>), ApiError> {
    const FAILED: &str = "Failed to check for membership!";
    let id = read_id(request).await?;
    let is_member = state.list.is_member(&id).await;
    let is_member = is_member.map_err(|error| ApiError::internal(FAILED, &error))?;
    let status = if is_member {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    };
    Ok((status, Json(Membership { is_member })))
}

async fn read_id(request: Request<Body>) -> Result<ConsumerId, ApiError> {
    let MembershipRequest { consumer_id } = read(request).await?;
    Ok(consumer_id)
}

async fn read<T: DeserializeOwned>(request: Request<Body>) -> Result<T, ApiError> {
    let body = read_json(request, MAX_MEMBERSHIP_BODY_BYTES).await?;
    serde_json::from_slice(&body).map_err(|error| ApiError::bad_request(&error.to_string()))
}
