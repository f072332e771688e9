//! A server that speaks S3, from a folder of buckets, on this machine; it can fail and come back.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) const KEY: &str = "copier";
pub(crate) const SECRET: &str = "copier-secret";

pub(crate) struct Server {
    buckets: PathBuf,
    address: SocketAddr,
    /// How many requests it still answers.
    left: Arc<AtomicUsize>,
    running: JoinHandle<()>,
}

impl Server {
    pub(crate) fn start(buckets: &Path) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let left = Arc::new(AtomicUsize::new(usize::MAX));
        let running = serve(listener, buckets, Arc::clone(&left));
        Self { buckets: buckets.to_owned(), address, left, running }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on that many requests are answered, and then none.
    pub(crate) fn answer_only(&self, requests: usize) {
        self.left.store(requests, Ordering::SeqCst);
    }

    pub(crate) async fn stop(&mut self) {
        self.running.abort();
        // Aborted is how it ends.
        drop((&mut self.running).await);
    }

    pub(crate) async fn restart(&mut self) {
        self.left.store(usize::MAX, Ordering::SeqCst);
        let listener = std::net::TcpListener::bind(self.address).unwrap();
        self.running = serve(listener, &self.buckets, Arc::clone(&self.left));
    }
}

fn serve(listener: std::net::TcpListener, buckets: &Path, left: Arc<AtomicUsize>) -> JoinHandle<()> {
    let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(buckets).unwrap());
    builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
    let service = builder.build();
    listener.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    tokio::spawn(async move {
        // They end with this task.
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let (service, left) = (service.clone(), Arc::clone(&left));
            connections.spawn(async move {
                let counted = service_fn(move |request: Request<Incoming>| {
                    let less =
                        |left: usize| if left == usize::MAX { Some(left) } else { left.checked_sub(1) };
                    let answer = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok();
                    let service = service.clone();
                    // An error closes the connection without an answer.
                    async move {
                        if answer {
                            let answer = Service::call(&service, request).await;
                            answer.map_err(|error| io::Error::other(format!("{error:?}")))
                        } else {
                            Err(io::Error::other("it fails"))
                        }
                    }
                });
                // A client that went away is no matter here.
                drop(
                    Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), counted).await,
                );
            });
        }
    })
}
