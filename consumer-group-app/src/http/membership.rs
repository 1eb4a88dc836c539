//! `POST /register`, `/unregister` and `/checkMembership`.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{Request, StatusCode},
};
use protocol::{
    ConsumerId,
    http::{MAX_MEMBERSHIP_BODY_BYTES, Membership, MembershipRequest, MessageBody},
};
use redis_bus::consumer_list::Registration;
use service_kit::{api_error::ApiError, http_body::read_json};

use super::AppState;

/// The group holds as many consumers as it may.
#[derive(Debug, thiserror::Error)]
#[error("the group is full: it holds {capacity} consumers, as --maxConsumerGroupSize says")]
struct GroupFull {
    capacity: usize,
}

/// 200 also for a consumer that is a member already.
pub(super) async fn register(
    State(state): State<AppState>,
    request: Request<Body>,
) -> Result<Json<MessageBody>, ApiError> {
    const FAILED: &str = "Failed to register consumer!";
    let id = read_id(request).await?;
    let registration = state.list.register(&id, state.capacity).await;
    match registration.map_err(|error| ApiError::internal(FAILED, &error))? {
        Registration::Registered | Registration::AlreadyMember => {
            state.group.ask(&id);
            Ok(Json(MessageBody::registered(&id)))
        }
        Registration::Full => Err(ApiError::internal(
            FAILED,
            &GroupFull {
                capacity: state.capacity,
            },
        )),
    }
}

/// 200 also for a consumer that was no member.
pub(super) async fn unregister(
    State(state): State<AppState>,
    request: Request<Body>,
) -> Result<Json<MessageBody>, ApiError> {
    const FAILED: &str = "Failed to unregister consumer!";
    let id = read_id(request).await?;
    let unregistered = state.list.unregister(&id).await;
    unregistered.map_err(|error| ApiError::internal(FAILED, &error))?;
    Ok(Json(MessageBody::unregistered(&id)))
}

/// 200 for a member, 404 for anybody else.
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
    let body = read_json(request, MAX_MEMBERSHIP_BODY_BYTES).await?;
    let request: MembershipRequest =
        serde_json::from_slice(&body).map_err(|error| ApiError::bad_request(&error.to_string()))?;
    Ok(request.consumer_id)
}
