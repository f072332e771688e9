//! Sockets: accepting, the limits of a connection, and stopping without losing a record.
//!
//! axum's own server sets no timer, so that a peer which sends its headers one byte a minute is
//! never cut off; this loop sets one for the head, and a lifetime. Bodies and decisions have
//! their limits in `evaluation`. Every task has an owner that waits for it: connections hold a
//! place of their semaphore, deciding tasks one of the service's, and stopping takes all places.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{interval, sleep, timeout};

use crate::callers::Connection;
use crate::http::router::router;
use crate::http::turned_away::WINDOW;
use crate::limits::Limits;
use crate::service::Service;

/// Bytes of stack for threads that decide. Cedar evaluates recursively and reports its recursion
/// limit when little stack is left, which would make a policy count as failed; 8 MiB is what the
/// deepest policy that loads needs, four times over.
const DECIDING_STACK_BYTES: usize = 8 << 20;

/// Pause after a failed `accept`, which mostly means that the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why serving ended other than as asked.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener's address could not be told.
    #[error("the address to listen on could not be read")]
    Address(#[source] io::Error),
    /// Other machines could reach the listener, and the configuration does not allow that.
    #[error(
        "`{0}` can be reached from other machines: expected a loopback address, or `server.allow_remote = true` \
         with TLS in front"
    )]
    Remote(SocketAddr),
    /// What was under way did not end in time. Records of it may be missing; their callers have
    /// had no answer.
    #[error("{0} requests were still under way after the time allowed for stopping")]
    NotDrained(usize),
}

/// A runtime whose threads have the stack that decisions need.
///
/// # Errors
/// When the threads cannot be started.
pub fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("assent")
        .thread_stack_size(DECIDING_STACK_BYTES)
        .build()
}

/// Serves until `shutdown` is ready, then finishes what is under way.
///
/// Run it on a [`runtime`].
///
/// # Errors
/// When the listener can be reached from other machines and that is not allowed; or when what was
/// under way did not end within `drain_timeout_ms`.
pub async fn serve(
    service: Arc<Service>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(ServeError::Address)?;
    if !address.ip().to_canonical().is_loopback() && !service.allow_remote_peers {
        return Err(ServeError::Remote(address));
    }
    let connections = Arc::new(Semaphore::new(service.limits.connections_max));
    let (stop, stopping) = watch::channel(false);
    let app = router(Arc::clone(&service));
    let builder = builder(&service.limits);
    let mut shutdown = pin!(shutdown);
    let mut windows = interval(WINDOW);
    loop {
        // The place comes first: at the limit, further connections wait in the kernel's backlog.
        let accept = async {
            let place = Arc::clone(&connections).acquire_owned().await.ok()?;
            Some((listener.accept().await, place))
        };
        let (stream, peer, place) = tokio::select! {
            () = &mut shutdown => break,
            _ = windows.tick() => {
                end_window(&service);
                continue;
            }
            accepted = accept => match accepted {
                Some((Ok((stream, peer)), place)) => (stream, peer, place),
                Some((Err(_), _)) => {
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
                None => break,
            },
        };
        let connection = Connection { peer, listener: address };
        let (builder, app, stopping) = (builder.clone(), app.clone(), stopping.clone());
        let limits = service.limits.clone();
        tokio::spawn(async move {
            run_connection(stream, app, connection, &builder, &limits, stopping).await;
            drop(place);
        });
    }
    service.begin_draining();
    drop(listener);
    stop.send_replace(true);
    let drained = drain(&service, &connections).await;
    if let Some(turned_away) = &service.turned_away {
        turned_away.end_window(service.clock.now()).await;
    }
    drained
}

/// Writes what was counted beside the loop that accepts: a slow log must not keep callers out.
fn end_window(service: &Arc<Service>) {
    let service = Arc::clone(service);
    tokio::spawn(async move {
        if let Some(turned_away) = &service.turned_away {
            turned_away.end_window(service.clock.now()).await;
        }
    });
}

fn builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout())
        .max_headers(limits.headers_max)
        .max_buf_size(limits.header_max_bytes);
    builder
}

async fn run_connection(
    stream: TcpStream,
    app: Router,
    connection: Connection,
    builder: &http1::Builder,
    limits: &Limits,
    mut stopping: watch::Receiver<bool>,
) {
    // Answers are small and complete; a failure here only delays them.
    drop(stream.set_nodelay(true));
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(connection);
        hyper::service::Service::call(&TowerToHyperService::new(app.clone()), request)
    });
    let mut http = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // How a connection ends (cleanly, by its peer, by a limit) changes nothing: requests have
    // their own answers and lines.
    tokio::select! {
        ended = http.as_mut() => return drop(ended),
        _ = stopping.wait_for(|stop| *stop) => {}
        () = sleep(limits.connection_lifetime()) => {}
    }
    http.as_mut().graceful_shutdown();
    drop(timeout(limits.drain_timeout(), http).await);
}

/// Waits for all connections, then for all decisions: a decision whose client has gone has no
/// connection any more.
async fn drain(service: &Service, connections: &Semaphore) -> Result<(), ServeError> {
    let limits = &service.limits;
    let all = async {
        drop(connections.acquire_many(places(limits.connections_max)).await);
        drop(service.in_flight.acquire_many(places(limits.in_flight_max)).await);
    };
    match timeout(limits.drain_timeout(), all).await {
        Ok(()) => Ok(()),
        Err(_elapsed) => {
            Err(ServeError::NotDrained(limits.in_flight_max - service.in_flight.available_permits()))
        }
    }
}

fn places(most: usize) -> u32 {
    // `Limits::check` keeps these far below.
    u32::try_from(most).unwrap_or(u32::MAX)
}
