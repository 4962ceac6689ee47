//! The whole server, put together in the only place: tests and `main` build it here, from the same settings.

use std::future::Future;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{
    App, HttpServer,
    dev::{Extensions, Server},
    middleware as actix_middleware, web,
};
use service::{Clock, Dashboard, Secret, Supervisor, access::Access};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::connections::Connections;
use crate::graph_file::GraphFiles;
use crate::large_bodies::LargeBodies;
use crate::measures::Measures;
use crate::middleware::{
    admit, api_version, cors, entity_tag, envelope, error_envelope, head, prepared::Prepared, request, request_body,
    security_headers,
};
use crate::openapi::{self, Document};
use crate::operations::Operations;
use crate::peer_owner::PeerOwners;
use crate::routes;
use crate::settings_in_force::SettingsInForce;
use crate::ws::Hub;

/// How long everything has to end once that is asked for.
const SHUTDOWN: Duration = Duration::from_secs(10);
/// How long requests under way have of that.
const REQUESTS_SHUTDOWN_SECONDS: u64 = 3;
/// How long a peer may take nothing of what is sent to it before the kernel drops it.
const PEER_TAKES_NOTHING: Duration = Duration::from_secs(60);
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// The server waits far more than it computes: more threads than this would only cost memory.
const MOST_WORKERS: usize = 4;
const BACKLOG: i32 = 1024;
/// How often measures are gathered.
const GATHER: Duration = Duration::from_secs(5);

/// Why the server cannot start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ApplicationError {
    /// An address cannot be listened at.
    #[error("cannot listen at {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
    },
    /// Others could reach the server, and nobody has credentials.
    #[error(
        "--listen {0}: others can reach this address, and there is neither a password nor a key; set ACCESS_PASSWORD, run \
         `comfyui-dashboard auth set-password`, or say --allow-unauthenticated"
    )]
    OpenToAll(SocketAddr),
    /// The service cannot start.
    #[error(transparent)]
    Service(Box<service::Error>),
    /// A task of the service exited unexpectedly.
    #[error("a part of the server failed: {0}")]
    TaskEnded(String),
    /// The server itself failed.
    #[error("the server failed: {0}")]
    Server(#[from] io::Error),
    /// Not everything ended in time.
    #[error("not everything ended within {} seconds", SHUTDOWN.as_secs())]
    ShutdownTooSlow,
}

impl From<service::Error> for ApplicationError {
    fn from(error: service::Error) -> Self {
        Self::Service(Box::new(error))
    }
}

/// A server that is bound to its addresses and ready to run.
pub struct Application {
    server: Server,
    addresses: Vec<SocketAddr>,
    dashboard: Dashboard,
    supervisor: Supervisor,
    closing: CancellationToken,
    first_password: Option<Secret>,
}

impl Application {
    /// Binds the addresses and starts the service. Requests wait in the backlog until [`Application::run`].
    pub async fn build(config: Config, clock: impl Clock) -> Result<Self, ApplicationError> {
        crate::tls::install_provider();
        refuse_to_be_open_to_all(&config).await?;
        let listeners = listen(&config)?;
        let addresses = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        let (dashboard, supervisor) = Dashboard::start(config.service.clone(), clock).await?;
        let first_password = first_password(&config, &dashboard).await?;
        let closing = CancellationToken::new();
        let hub = Hub::start(&dashboard, config.sockets_per_client, closing.clone());
        let measures = Measures::new();
        tokio::spawn(gather(measures.clone(), closing.clone()));
        let server = serve(listeners, config, dashboard.clone(), web::Data::from(hub), measures)?;
        Ok(Self { server, addresses, dashboard, supervisor, closing, first_password })
    }

    /// The addresses that are listened at, with the ports that were found.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The password that was made because nobody could have come in. It is to be shown once.
    pub fn first_password(&self) -> Option<&str> {
        self.first_password.as_ref().map(Secret::reveal)
    }

    /// The service behind the server.
    pub fn dashboard(&self) -> &Dashboard {
        &self.dashboard
    }

    /// Serves until `stop` resolves or a part fails, then ends everything in order: no new connection, sockets closed with
    /// 1001, requests under way finished, transfers parked, database closed.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), ApplicationError> {
        let handle = self.server.handle();
        let mut server = tokio::spawn(self.server);
        let outcome = tokio::select! {
            () = stop => Ok(()),
            task = self.supervisor.failed() => Err(ApplicationError::TaskEnded(task)),
            ended = &mut server => return Err(ended.map_err(io::Error::other)?.map_or_else(ApplicationError::from, |()| {
                ApplicationError::TaskEnded("http server".to_owned())
            })),
        };
        self.closing.cancel();
        let end = async {
            handle.stop(true).await;
            self.supervisor.shutdown().await;
        };
        let in_time = tokio::time::timeout(SHUTDOWN, end).await;
        outcome.and(in_time.map_err(|_| ApplicationError::ShutdownTooSlow))
    }
}

/// Where a server listens that others can reach, unless everybody may use it.
fn reachable_by_others(config: &Config) -> Option<SocketAddr> {
    let public = config.listen.iter().copied().find(|address| !address.ip().to_canonical().is_loopback());
    public.filter(|_| !config.rules.allow_unauthenticated)
}

/// A server that others can reach needs somebody who can prove who they are, before anything is started.
async fn refuse_to_be_open_to_all(config: &Config) -> Result<(), ApplicationError> {
    let Some(address) = reachable_by_others(config).filter(|_| !config.generate_password) else { return Ok(()) };
    let (database, access) = (&config.service.database.0, &config.service.access);
    let is_guarded = Access::would_require_credentials(database, access).await?;
    if is_guarded { Ok(()) } else { Err(ApplicationError::OpenToAll(address)) }
}

/// The password that is made where that is asked for, others can reach the server, and nobody could come in.
async fn first_password(config: &Config, dashboard: &Dashboard) -> Result<Option<Secret>, ApplicationError> {
    if !config.generate_password || reachable_by_others(config).is_none() {
        return Ok(None);
    }
    Ok(dashboard.access.generate_first_password().await?)
}

fn serve(
    listeners: Vec<TcpListener>,
    config: Config,
    dashboard: Dashboard,
    hub: web::Data<Hub>,
    measures: Measures,
) -> Result<Server, ApplicationError> {
    let document = openapi::document();
    let settings = web::Data::new(SettingsInForce::of(&config));
    let connections = Connections::new(config.connections, config.rules.trusted_proxies.clone());
    let owners = config.peer_owners.clone();
    let large_bodies = web::Data::from(LargeBodies::new(config.large_bodies));
    let graph_files = web::Data::from(GraphFiles::new());
    let (operations, document) = (web::Data::new(Operations::of(&document)), web::Data::new(Document::from(&document)));
    let (rules, body_pace, socket_pace) =
        (web::Data::new(config.rules), web::Data::new(config.body_pace), web::Data::new(config.socket_pace));
    let (dashboard, measures) = (web::Data::new(dashboard), web::Data::new(measures));
    let app = move || {
        use utoipa_actix_web::AppExt;
        App::new()
            .app_data(dashboard.clone())
            .app_data(hub.clone())
            .app_data(measures.clone())
            .app_data(operations.clone())
            .app_data(document.clone())
            .app_data(rules.clone())
            .app_data(settings.clone())
            .app_data(body_pace.clone())
            .app_data(large_bodies.clone())
            .app_data(graph_files.clone())
            .app_data(socket_pace.clone())
            // Of this worker alone.
            .app_data(Rc::new(Prepared::default()))
            .into_utoipa_app()
            .configure(routes::register)
            .into_app()
            .wrap(actix_middleware::from_fn(routes::unrouted::keep_out))
            .wrap(actix_middleware::from_fn(head::as_get))
            .wrap(actix_middleware::from_fn(envelope::wrap))
            .wrap(actix_middleware::from_fn(entity_tag::tag))
            .wrap(actix_middleware::from_fn(api_version::require))
            .wrap(actix_middleware::from_fn(admit::admit))
            .wrap(actix_middleware::from_fn(cors::allow))
            .wrap(actix_middleware::from_fn(api_version::announce))
            .wrap(actix_middleware::Compress::default())
            .wrap(actix_middleware::from_fn(error_envelope::render))
            .wrap(actix_middleware::from_fn(security_headers::add))
            .wrap(actix_middleware::from_fn(request_body::guard))
            .wrap(actix_middleware::from_fn(request::observe))
            .wrap(actix_middleware::NormalizePath::trim())
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_WORKERS);
    let server = HttpServer::new(app)
        .workers(workers)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(REQUESTS_SHUTDOWN_SECONDS)
        .disable_signals()
        .on_connect(move |connection, extensions| greet(connection, &connections, &owners, extensions));
    Ok(listeners.into_iter().try_fold(server, HttpServer::listen)?.run())
}

/// Binds every address, each family to itself. One that nobody named may be missing: not every machine has IPv6.
fn listen(config: &Config) -> Result<Vec<TcpListener>, ApplicationError> {
    let mut listeners = Vec::new();
    let mut missing = None;
    for address in &config.listen {
        match bind(*address) {
            Ok(listener) => listeners.push(listener),
            Err(cause) if config.listen_is_default && cause.kind() != io::ErrorKind::AddrInUse => {
                missing = Some(ApplicationError::Listen { address: *address, cause });
            }
            Err(cause) => return Err(ApplicationError::Listen { address: *address, cause }),
        }
    }
    match missing {
        Some(refused) if listeners.is_empty() => Err(refused),
        _ => Ok(listeners),
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Takes a connection in and looks up whose it is, or ends it at once where there are too many. A peer that reads nothing would hold its
/// answer for ever: the framework has no time limit for writes, the kernel has.
fn greet(
    connection: &dyn std::any::Any,
    connections: &Arc<Connections>,
    owners: &PeerOwners,
    extensions: &mut Extensions,
) {
    let Some(stream) = connection.downcast_ref::<actix_web::rt::net::TcpStream>() else { return };
    let socket = SockRef::from(stream);
    let addresses = stream.peer_addr().and_then(|peer| Ok((peer, stream.local_addr()?)));
    let place = addresses.ok().and_then(|(peer, local)| Some((connections.take(peer.ip())?, peer, local)));
    let Some((place, peer, local)) = place else {
        let _ = socket.shutdown(Shutdown::Both);
        return;
    };
    extensions.insert(owners.owner_of(peer, local));
    let _ = socket.set_tcp_user_timeout(Some(PEER_TAKES_NOTHING));
    extensions.insert(place);
}

async fn gather(measures: Measures, closing: CancellationToken) {
    let mut turns = tokio::time::interval(GATHER);
    while closing.run_until_cancelled(turns.tick()).await.is_some() {
        measures.gather();
    }
}
