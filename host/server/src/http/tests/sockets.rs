//! Real sockets: what hyper and the accept loop add to the router.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::recording::Gated;
use super::*;
use crate::http::{ServeError, serve};

struct Server {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), ServeError>>,
}

async fn start(world: &World) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let service = Arc::clone(&world.service);
    let serving = tokio::spawn(async move {
        let stopped = async {
            stopped.await.ok();
        };
        serve(service, listener, stopped).await
    });
    Server { address, stop, serving }
}

impl Server {
    async fn exchange(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        reply
    }

    /// A request as text, on behalf of this machine.
    fn text(&self, fields: &str, body: &str) -> String {
        format!(
            "POST {SINGLE} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n{fields}\r\n{body}",
            self.address
        )
    }

    async fn end(self) -> Result<(), ServeError> {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap()
    }
}

fn body() -> String {
    question("alice", "read", "record-1").to_string()
}

#[tokio::test]
async fn this_machine_may_ask_without_a_key_and_connections_are_kept() {
    let world = world();
    let server = start(&world).await;
    let body = body();
    let length = format!("Content-Length: {}\r\n", body.len());
    let twice = server.text(&length, &body) + &server.text(&format!("{length}Connection: close\r\n"), &body);
    let replies = server.exchange(&twice).await;
    assert_eq!(replies.matches("HTTP/1.1 200 OK").count(), 2, "{replies}");
    assert_eq!(replies.matches(r#"{"decision":true}"#).count(), 2, "{replies}");
    assert_eq!(world.recorder.records()[0].caller.id, "here");
    server.end().await.unwrap();
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_not_read_twice() {
    let world = world();
    let server = start(&world).await;
    let body = body();
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    // A length and chunks: the chunks count, and the connection ends with this request, so that
    // what follows is no request.
    let next = server.text(&format!("Content-Length: {}\r\nConnection: close\r\n", body.len()), &body);
    let smuggled = server.text("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", &chunked) + &next;
    let reply = server.exchange(&smuggled).await;
    assert_eq!(reply.matches("HTTP/1.1").count(), 1, "{reply}");
    assert_eq!(world.recorder.records().len(), 1);
    let close = "Connection: close\r\n";
    for (text, status) in [
        (server.text("Content-Length: 3\r\nContent-Length: 4\r\n", "{}  "), "400"),
        (server.text("Transfer-Encoding: gzip\r\n", ""), "400"),
        (server.text(&format!("Host: other\r\n{close}Content-Length: 2\r\n"), "{}"), "400"),
        (format!("POST {SINGLE} HTTP/1.1\r\n{close}Content-Length: 2\r\n\r\n{{}}"), "400"),
        (server.text(&format!("{close}Content-Length: 2\r\n"), "{}"), "400"),
        (server.text(&format!("{close}{}", "A: b\r\n".repeat(100)), ""), "431"),
        (server.text(&format!("{close}A: {}\r\n", "b".repeat(64 << 10)), ""), "431"),
    ] {
        let reply = server.exchange(&text).await;
        assert!(reply.starts_with(&format!("HTTP/1.1 {status}")), "{text:.300}\n{reply:.300}");
    }
    server.end().await.unwrap();
}

#[tokio::test]
async fn a_body_beyond_the_limit_ends_the_connection() {
    let recorder = Arc::new(MemoryRecorder::new(1));
    let limits = Limits { body_max_bytes: 1_000, ..Limits::default() };
    let world = world_with(Arc::clone(&recorder), recorder, limits);
    let server = start(&world).await;
    // The body stated is never sent, and not waited for.
    let reply = server.exchange(&server.text("Content-Length: 1001\r\n", "")).await;
    assert!(reply.starts_with("HTTP/1.1 413"), "{reply}");
    server.end().await.unwrap();
}

#[tokio::test]
async fn a_head_that_does_not_arrive_in_time_ends_the_connection() {
    let recorder = Arc::new(MemoryRecorder::new(1));
    let limits = Limits { header_timeout_ms: 20, ..Limits::default() };
    let world = world_with(Arc::clone(&recorder), recorder, limits);
    let server = start(&world).await;
    // Ends because the server closes; the client waits for as long as it takes.
    let reply = server.exchange(&format!("POST {SINGLE} HTTP/1.1\r\nHost: loc")).await;
    assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 408"), "{reply}");
    server.end().await.unwrap();
}

#[tokio::test]
async fn stopping_waits_for_decisions_whose_clients_have_gone() {
    let recorder = Gated::new();
    let world =
        world_with(Arc::clone(&recorder.log), Arc::clone(&recorder) as Arc<dyn Recorder>, Limits::default());
    let server = start(&world).await;
    let body = body();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let text = server.text(&format!("Content-Length: {}\r\n", body.len()), &body);
    stream.write_all(text.as_bytes()).await.unwrap();
    recorder.begun.acquire().await.unwrap().forget();
    drop(stream);
    let (address, mut ending) = (server.address, Box::pin(server.end()));
    tokio::select! {
        biased;
        ended = &mut ending => panic!("stopped while a record was open: {ended:?}"),
        () = async { while TcpStream::connect(address).await.is_ok() { tokio::task::yield_now().await; } } => {}
    }
    assert!(world.service.is_draining());
    recorder.gate.add_permits(1);
    ending.await.unwrap();
    assert_eq!(recorder.log.records().len(), 1);
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever_and_says_what_was_open() {
    let recorder = Gated::new();
    let limits = Limits { drain_timeout_ms: 20, ..Limits::default() };
    let world = world_with(Arc::clone(&recorder.log), Arc::clone(&recorder) as Arc<dyn Recorder>, limits);
    let server = start(&world).await;
    let asking = tokio::spawn(world.app.clone().oneshot(request("POST", SINGLE, &[], body())));
    recorder.begun.acquire().await.unwrap().forget();
    assert!(matches!(server.end().await, Err(ServeError::NotDrained(1))));
    recorder.gate.add_permits(1);
    assert_eq!(asking.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn other_machines_are_not_listened_to_unless_allowed() {
    let listen = async || TcpListener::bind("0.0.0.0:0").await.unwrap();
    let refused = serve(Arc::clone(&world().service), listen().await, std::future::pending()).await;
    assert!(matches!(refused, Err(ServeError::Remote(_))));
    let allowed = Service::new(ServiceParts { allow_remote_peers: true, ..parts() }).unwrap();
    serve(Arc::new(allowed), listen().await, std::future::ready(())).await.unwrap();
}
