//! The socket's two addresses. Whoever gets here was let in before the upgrade.

use std::sync::Arc;

use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest, HttpResponse, dev, get,
    web::{Data, Payload},
};
use service::Dashboard;

use crate::error::ApiError;
use crate::large_bodies::LargeBodies;
use crate::middleware::{authenticate::Asker, request::Asked};
use crate::ws::{self, Hub, SocketPace};

/// The subprotocol that a browser offers beside its key.
const PROTOCOL: &str = "comfyui-dashboard";

/// Open the socket
///
/// Subscribe to `downloads`, `queue`, `system` or `workflows` with `{"type": "subscribe", "channels": ["downloads"]}`.
#[utoipa::path(
    tag = "socket",
    responses((status = 101, description = "The connection is a WebSocket now"))
)]
#[get("/ws")]
pub(super) async fn open_socket(
    request: HttpRequest,
    payload: Payload,
    hub: Data<Hub>,
    dashboard: Data<Dashboard>,
) -> Result<HttpResponse, Error> {
    open(&request, payload, hub, &dashboard).await
}

/// Open the socket
///
/// The same as `/ws`, for proxies that pass on nothing but `/api`.
#[utoipa::path(
    tag = "socket",
    responses((status = 101, description = "The connection is a WebSocket now"))
)]
#[get("/api/ws")]
pub(super) async fn open_api_socket(
    request: HttpRequest,
    payload: Payload,
    hub: Data<Hub>,
    dashboard: Data<Dashboard>,
) -> Result<HttpResponse, Error> {
    open(&request, payload, hub, &dashboard).await
}

async fn open(
    request: &HttpRequest,
    payload: Payload,
    hub: Data<Hub>,
    dashboard: &Dashboard,
) -> Result<HttpResponse, Error> {
    let asker = request.extensions().get::<Asker>().cloned();
    let asker = asker.ok_or_else(|| ApiError::internal("socket request was not authenticated"))?;
    let hub: Arc<Hub> = hub.into_inner();
    let seat = hub.join(asker.client())?;
    // The library's own reader keeps a frame of any length before it compares that with its limit: it gets nothing to read.
    let nothing = Payload::from_request(request, &mut dev::Payload::None).await?;
    let (response, session, _) = actix_ws::handle_with_protocols(request, nothing, &[PROTOCOL])?;
    let id = request.extensions().get::<Asked>().map(|asked| asked.id.clone()).unwrap_or_default();
    let pace = request.app_data::<Data<SocketPace>>().map_or_else(SocketPace::default, |pace| ***pace);
    // This worker owns the connection, so the session runs here and ends with it.
    let bodies = request.app_data::<Data<LargeBodies>>().map(|bodies| bodies.clone().into_inner());
    let bodies = bodies.ok_or_else(|| ApiError::internal("large bodies are not counted"))?;
    let service = (dashboard.clone(), bodies);
    actix_web::rt::spawn(ws::serve((hub, seat), service, (asker, id.to_string()), pace, (session, payload)));
    Ok(response)
}
