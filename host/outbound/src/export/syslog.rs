//! Syslog over TLS (RFC 5425): RFC 5424 messages, each after its length in bytes, on one connection.
//!
//! Syslog has no answer that says "I have it". What there is, is the end of a connection: a receiver that has
//! read all up to our close answers with its own (RFC 5425, section 4.4). So records are sent as they come and
//! count as delivered once the connection that carried them was closed in good order, after a few seconds or a
//! window of records; whatever was on a connection that ended otherwise is sent again on the next.
//! INVARIANT (at least once): the end of the stream proves that all was read only where nothing of ours
//! arrives at a closed socket afterwards, which the receiver's machine answers with a reset. So after the end
//! a moment passes, longer than the way there and back, and a reset in it means: not delivered.

use std::future::poll_fn;
use std::io::{Error, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use rustls::crypto::aws_lc_rs as crypto;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::definition::Exporter;
use super::error::{DefinitionError, Failure};
use super::feed::Item;
use super::pace::Pace;
use crate::http::{ClientError, read_small};

/// How long a reset takes at least to come back: far longer than a local network needs.
const SETTLE_LEAST: Duration = Duration::from_millis(50);
/// How many times the way there and back: a delayed acknowledgement is in it.
const SETTLE_ROUND_TRIPS: u32 = 4;

/// The receiving end.
pub(super) struct Collector {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    open: Option<Open>,
}

/// A connection with unconfirmed records on it.
struct Open {
    stream: Stream,
    since: Instant,
    settle: Duration,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Collector {
    /// A collector at this address; with `tls`, as the exporter's certificates say.
    pub(super) fn new(
        exporter: &Exporter,
        host: &str,
        port: u16,
        tls: bool,
    ) -> Result<Self, DefinitionError> {
        let tls = if tls {
            let name = ServerName::try_from(host.to_owned())
                .map_err(|_| DefinitionError::Destination { to: exporter.to.to_string() })?;
            Some((TlsConnector::from(Arc::new(config(exporter)?)), name))
        } else {
            None
        };
        Ok(Self { host: host.to_owned(), port, tls, open: None })
    }

    /// Sends these, on the connection that is open or a new one. They are not delivered yet.
    pub(super) async fn send(&mut self, items: &[Item], pace: &Pace) -> Result<(), Failure> {
        let mut frames = Vec::with_capacity(items.iter().map(|item| item.text.len() + 8).sum());
        for item in items {
            frames.extend_from_slice(format!("{} ", item.text.len()).as_bytes());
            frames.extend_from_slice(item.text.as_bytes());
        }
        let sent = async {
            if self.open.is_none() {
                self.open = Some(self.connect(pace).await?);
            }
            let Some(open) = &mut self.open else { return Err(Failure::Closed) };
            open.stream.still_open().await?;
            let written = async {
                open.stream.write_all(&frames).await?;
                open.stream.flush().await
            };
            within(pace.exchange, "take records", written).await
        };
        let sent = sent.await;
        if sent.is_err() {
            self.open = None;
        }
        sent
    }

    /// Whether records have been unconfirmed for so long.
    pub(super) fn is_due(&self, after: Duration) -> bool {
        self.open.as_ref().is_some_and(|open| open.since.elapsed() >= after)
    }

    /// Whether a connection is open.
    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Closes the connection in good order. All that was sent on it is delivered when this returns well.
    pub(super) async fn confirm(&mut self, pace: &Pace) -> Result<(), Failure> {
        // Gone whatever happens: what was on it is confirmed now, or sent again.
        let Some(Open { mut stream, settle, .. }) = self.open.take() else { return Ok(()) };
        stream.still_open().await?;
        within(pace.exchange, "let the connection end", stream.shutdown()).await?;
        within(pace.exchange, "close the connection", stream.until_end()).await?;
        tokio::time::sleep(settle).await;
        match stream.tcp().take_error() {
            Ok(None) => Ok(()),
            Ok(Some(error)) | Err(error) => Err(Failure::Broken(error)),
        }
    }

    async fn connect(&self, pace: &Pace) -> Result<Open, Failure> {
        let begun = Instant::now();
        let address = (self.host.as_str(), self.port);
        let late = || Failure::Timeout { what: "accept the connection" };
        let tcp = timeout(pace.exchange, TcpStream::connect(address)).await.map_err(|_| late())?;
        let tcp = tcp.map_err(Failure::Connect)?;
        let settle = (begun.elapsed() * SETTLE_ROUND_TRIPS).clamp(SETTLE_LEAST, pace.exchange);
        // Nothing waits for more to come: what is sent at once is written at once.
        tcp.set_nodelay(true).map_err(Failure::Connect)?;
        let stream = match &self.tls {
            None => Stream::Plain(tcp),
            Some((connector, name)) => {
                let handshake = timeout(pace.exchange, connector.connect(name.clone(), tcp)).await;
                let late = |_| Failure::Timeout { what: "finish the TLS handshake" };
                Stream::Tls(Box::new(handshake.map_err(late)?.map_err(Failure::Connect)?))
            }
        };
        Ok(Open { stream, since: Instant::now(), settle })
    }
}

impl Stream {
    fn both(&mut self) -> &mut dyn Duplex {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream,
        }
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    async fn write_all(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.both().write_all(bytes).await
    }

    async fn flush(&mut self) -> Result<(), Error> {
        self.both().flush().await
    }

    /// Says that nothing more will come: `close_notify`, then the end of the stream.
    async fn shutdown(&mut self) -> Result<(), Error> {
        self.both().shutdown().await
    }

    /// Waits for the receiver's end. Many end the stream without the `close_notify` that RFC 5425 asks for.
    async fn until_end(&mut self) -> Result<(), Error> {
        let mut byte = [0];
        match self.both().read(&mut byte).await {
            Ok(0) => Ok(()),
            Ok(_) => Err(spoke()),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// That the receiver has neither ended the connection nor said anything, as far as is known by now.
    async fn still_open(&mut self) -> Result<(), Failure> {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let both = self.both();
        let looked = poll_fn(|cx| {
            Poll::Ready(match Pin::new(&mut *both).poll_read(cx, &mut buffer) {
                Poll::Pending => None,
                Poll::Ready(read) => Some(read),
            })
        });
        match looked.await {
            None => Ok(()),
            Some(Ok(())) if buffer.filled().is_empty() => Err(Failure::Closed),
            Some(Ok(())) => Err(Failure::Broken(spoke())),
            Some(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => Err(Failure::Closed),
            Some(Err(error)) => Err(Failure::Broken(error)),
        }
    }
}

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

/// A syslog receiver says nothing, ever.
fn spoke() -> Error {
    Error::new(ErrorKind::InvalidData, "it answered, which syslog does not")
}

async fn within(
    exchange: Duration,
    what: &'static str,
    done: impl Future<Output = Result<(), Error>>,
) -> Result<(), Failure> {
    match timeout(exchange, done).await {
        Ok(done) => done.map_err(Failure::Broken),
        Err(_) => Err(Failure::Timeout { what }),
    }
}

/// TLS 1.2 or 1.3.
fn config(exporter: &Exporter) -> Result<ClientConfig, DefinitionError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(crypto::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(DefinitionError::Tls)?;
    let builder = match &exporter.authorities {
        None => builder.with_platform_verifier().map_err(DefinitionError::Tls)?,
        Some(path) => {
            let refuse = |source| ClientError::Certificates { path: path.display().to_string(), source };
            let bytes = read_small(path).map_err(|error| refuse(Some(error.into())))?;
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(&bytes) {
                let certificate = certificate.map_err(|error| refuse(Some(error.into())))?;
                roots.add(certificate).map_err(|error| refuse(Some(error.into())))?;
            }
            if roots.is_empty() {
                return Err(refuse(None).into());
            }
            builder.with_root_certificates(roots)
        }
    };
    let Some(files) = &exporter.identity else { return Ok(builder.with_no_client_auth()) };
    let (certificates, key) = files.read()?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificates).collect();
    let certificates = certificates.map_err(|error| files.refused(Some(error.into())))?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| files.refused(Some(error.into())))?;
    let built = builder.with_client_auth_cert(certificates, key);
    Ok(built.map_err(|error| files.refused(Some(error.into())))?)
}
