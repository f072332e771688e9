//! Syslog over TLS (RFC 5425): a receiver that parses octet counting strictly, and many ways for it to fail.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use assent_outbound::export::{Exporter, Format, Pace, prepare};
use assent_outbound::http::ClientIdentity;
use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs as crypto;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::support::*;

/// An authority, with what it vouches for.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for this name, and its key.
    pub(crate) fn certify(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

fn server(authority: &Authority, name: &str, clients: Option<&Authority>) -> Arc<ServerConfig> {
    let (certificate, key) = authority.certify(name);
    let certificates = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(crypto::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(clients.pem().as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    Arc::new(builder.with_single_cert(certificates, key).unwrap())
}

/// What a receiver does with one connection.
#[derive(Clone, Copy, Debug)]
enum Treatment {
    /// Reads to the end and closes.
    Well,
    /// Reads so many bytes and drops the connection.
    Cut(usize),
    /// Reads so many bytes, falls asleep, and drops the connection with what came meanwhile.
    Doze(usize),
    /// Does not read, and holds the connection until it is dropped by the other side.
    Stall,
    /// Sends back what it got.
    Echo,
    /// Closes before anything is said.
    Slam,
}

/// A receiver on this machine; each connection is treated as planned, those after the plan well.
struct Receiver {
    address: std::net::SocketAddr,
    messages: Arc<Mutex<Vec<String>>>,
    broken: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
}

impl Receiver {
    fn start(tls: Option<Arc<ServerConfig>>, plan: Vec<Treatment>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            messages: Arc::default(),
            broken: Arc::default(),
            connections: Arc::default(),
        };
        let (messages, broken) = (Arc::clone(&receiver.messages), Arc::clone(&receiver.broken));
        let connections = Arc::clone(&receiver.connections);
        std::thread::spawn(move || {
            let mut plan = plan.into_iter();
            let mut held = vec![];
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                *connections.lock().unwrap() += 1;
                let treatment = plan.next().unwrap_or(Treatment::Well);
                if let Treatment::Stall = treatment {
                    held.push(stream);
                    continue;
                }
                let outcome = match &tls {
                    None => treat(stream, treatment, &messages),
                    Some(config) => {
                        let connection = ServerConnection::new(Arc::clone(config)).unwrap();
                        let stream = StreamOwned::new(connection, stream);
                        treat(stream, treatment, &messages)
                    }
                };
                if let Err(problem) = outcome {
                    broken.lock().unwrap().push(problem);
                }
            }
        });
        receiver
    }

    fn numbers(&self) -> Vec<u64> {
        self.messages.lock().unwrap().iter().map(|message| number(message)).collect()
    }

    fn to(&self, tls: bool) -> String {
        let scheme = if tls { "syslog+tls" } else { "syslog+tcp" };
        format!("{scheme}://localhost:{}", self.address.port())
    }
}

/// Serves one connection. An error is what was malformed in what came, whole or not.
fn treat<S: Read + Write>(
    mut stream: S,
    treatment: Treatment,
    messages: &Mutex<Vec<String>>,
) -> Result<(), String> {
    let most = match treatment {
        Treatment::Cut(bytes) | Treatment::Doze(bytes) => bytes,
        Treatment::Slam => 0,
        Treatment::Well | Treatment::Echo | Treatment::Stall => usize::MAX,
    };
    let mut parser = Parser::default();
    let (mut read, mut buffer) = (0, [0; 700]);
    while read < most {
        let room = buffer.len().min(most - read);
        match stream.read(&mut buffer[..room]) {
            Ok(0) => break,
            Ok(count) => {
                read += count;
                if matches!(treatment, Treatment::Echo) {
                    // It may be gone.
                    drop(stream.write_all(&buffer[..count]).and_then(|()| stream.flush()));
                }
                parser.feed(&buffer[..count], messages)?;
            }
            // A connection that the other side gave up, or refused before it began.
            Err(_) => return Ok(()),
        }
    }
    if matches!(treatment, Treatment::Doze(_)) {
        // Longer than a sender takes to close.
        std::thread::sleep(Duration::from_millis(40));
    }
    match treatment {
        Treatment::Well if !parser.rest.is_empty() => Err("the stream ended in a frame".into()),
        _ => Ok(()),
    }
}

/// Octet counting as RFC 5425 has it: `MSG-LEN SP SYSLOG-MSG`, MSG-LEN without leading zeros.
#[derive(Default)]
struct Parser {
    rest: Vec<u8>,
}

impl Parser {
    fn feed(&mut self, bytes: &[u8], messages: &Mutex<Vec<String>>) -> Result<(), String> {
        self.rest.extend_from_slice(bytes);
        loop {
            let Some(space) = self.rest.iter().position(|byte| *byte == b' ') else {
                let digits = self.rest.iter().all(u8::is_ascii_digit) && self.rest.len() < 6;
                return if digits { Ok(()) } else { Err(format!("no length: {:?}", self.rest)) };
            };
            let length = std::str::from_utf8(&self.rest[..space]).unwrap_or("");
            if length.is_empty() || length.starts_with('0') || !length.bytes().all(|b| b.is_ascii_digit()) {
                return Err(format!("`{length}` is no length"));
            }
            let length: usize = length.parse().map_err(|_| "a length that is too long".to_owned())?;
            let Some(message) = self.rest.get(space + 1..space + 1 + length) else { return Ok(()) };
            let message = std::str::from_utf8(message).map_err(|_| "not UTF-8".to_owned())?;
            let valid = message.starts_with('<')
                && message.contains(">1 2026-")
                && message.contains(" [assent@32473 ")
                && !message.contains(char::is_control);
            if !valid {
                return Err(format!("no message: {message}"));
            }
            messages.lock().unwrap().push(message.to_owned());
            self.rest.drain(..space + 1 + length);
        }
    }
}

fn trusting(world: &World, id: &str, receiver: &Receiver, authority: &Authority) -> Exporter {
    let path = world.path(&format!("{id}.pem"));
    write(&path, &authority.pem());
    let mut exporter = world.exporter(id, Format::Syslog, &receiver.to(true));
    exporter.authorities = Some(path);
    exporter
}

#[test]
fn every_record_arrives_once_and_in_order_over_tls() {
    let (world, authority) = (World::new(), Authority::new());
    let receiver = Receiver::start(Some(server(&authority, "localhost", None)), vec![]);
    let running = world.start(&trusting(&world, "tls", &receiver, &authority));
    for _ in 0..3 {
        world.record(50);
        wait_until_delivered(&running);
    }
    assert_eq!(receiver.numbers(), (0..150).collect::<Vec<_>>());
    let state = running.state();
    assert_eq!((state.failures, state.organizations[0].sent, state.organizations[0].oldest), (0, 150, None));
    drop(running);
    assert_eq!(*receiver.broken.lock().unwrap(), Vec::<String>::new());
}

#[test]
fn a_receiver_that_another_authority_vouches_for_gets_nothing() {
    let (world, authority) = (World::new(), Authority::new());
    let stranger = Receiver::start(Some(server(&Authority::new(), "localhost", None)), vec![]);
    let misnamed = Receiver::start(Some(server(&authority, "other.example.org", None)), vec![]);
    world.record(3);
    for (id, receiver) in [("stranger", &stranger), ("misnamed", &misnamed)] {
        let running = world.start(&trusting(&world, id, receiver, &authority));
        wait_for("it says what is wrong", || !said(id).is_empty());
        assert!(said(id)[0].contains("certificate"), "{:?}", said(id));
        assert_eq!((lag(&running), receiver.numbers(), running.state().failing), (3, vec![], true));
    }
}

#[test]
fn a_receiver_that_asks_who_we_are_is_told() {
    let (world, authority) = (World::new(), Authority::new());
    let receiver = Receiver::start(Some(server(&authority, "localhost", Some(&authority))), vec![]);
    world.record(3);
    let mut exporter = trusting(&world, "known", &receiver, &authority);
    let running = world.start(&Exporter {
        id: assent_outbound::export::ExporterId::new("nobody").unwrap(),
        ..exporter.clone()
    });
    wait_for("nobody is refused", || running.state().failures > 2);
    assert!(receiver.numbers().is_empty());
    let (certificate, key) = authority.certify("pdp.example.org");
    let identity = ClientIdentity { certificate: world.path("client.pem"), key: world.path("client.key") };
    write(&identity.certificate, &certificate);
    write(&identity.key, &key);
    exporter.identity = Some(identity.clone());
    let running = world.start(&exporter);
    wait_until_delivered(&running);
    assert_eq!(receiver.numbers(), [0, 1, 2]);

    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o444);
    std::fs::set_permissions(&identity.key, mode).unwrap();
    let error = prepare(exporter).err().unwrap().to_string();
    assert!(error.contains("client.key") && error.contains("owner"), "{error}");
}

#[test]
fn a_receiver_that_stalls_or_slams_the_door_is_tried_until_it_takes_all() {
    let (world, authority) = (World::new(), Authority::new());
    let plan = vec![Treatment::Stall, Treatment::Slam, Treatment::Stall, Treatment::Slam];
    let receiver = Receiver::start(Some(server(&authority, "localhost", None)), plan);
    world.record(40);
    let exporter = trusting(&world, "stalled", &receiver, &authority);
    let running = world.start_at(&exporter, Pace { exchange: Duration::from_millis(500), ..pace() });
    wait_until_delivered(&running);
    assert_at_least_once_in_order(&receiver.numbers(), 40);
    assert!(running.state().failures >= 4);
}

#[test]
fn a_receiver_that_does_not_close_has_confirmed_nothing() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("syslog+tcp://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let taken = Arc::new(Mutex::new(vec![]));
    let held = Arc::clone(&taken);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut all = vec![];
            // To the end, and then holds on to its own side.
            stream.read_to_end(&mut all).unwrap();
            held.lock().unwrap().push(stream);
        }
    });
    world.record(2);
    let exporter = world.exporter("half-open", Format::Syslog, &to);
    let running = world.start_at(&exporter, Pace { exchange: Duration::from_millis(200), ..pace() });
    wait_for("it was sent again", || taken.lock().unwrap().len() > 3);
    wait_for("and says so", || !said("half-open").is_empty());
    assert_eq!(lag(&running), 2);
    assert!(said("half-open")[0].contains("did not close the connection in time"), "{:?}", said("half-open"));
}

#[test]
fn a_receiver_that_sends_records_back_is_not_quoted() {
    let (world, authority) = (World::new(), Authority::new());
    let plan = vec![Treatment::Echo; 4];
    let receiver = Receiver::start(Some(server(&authority, "localhost", None)), plan);
    world.record(20);
    let running = world.start(&trusting(&world, "echo", &receiver, &authority));
    wait_until_delivered(&running);
    assert_at_least_once_in_order(&receiver.numbers(), 20);
    wait_for("it was said", || said("echo").len() >= 2);
    let told = format!("{:?} {:?} {:?}", said("echo"), running.state(), running);
    assert!(receiver.messages.lock().unwrap()[0].contains(CANARIES[0]));
    assert!(CANARIES.iter().all(|canary| !told.contains(canary)), "{told}");
}

fn treatment() -> impl Strategy<Value = Treatment> {
    prop_oneof![
        4 => (0..20_000_usize).prop_map(Treatment::Cut),
        4 => (0..20_000_usize).prop_map(Treatment::Doze),
        1 => Just(Treatment::Well),
        1 => Just(Treatment::Slam),
    ]
}

proptest! {
    // Each case writes a log and opens connections.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_record_arrives_wherever_connections_are_cut(
        tls in any::<bool>(),
        plan in prop::collection::vec(treatment(), 0..8),
        bursts in prop::collection::vec(1..40_u64, 1..4),
        window in 1..64_usize,
        restart in any::<bool>(),
    ) {
        let (world, authority) = (World::new(), Authority::new());
        let config = tls.then(|| server(&authority, "localhost", None));
        // What a receiver had read and not used when it died, nobody can tell: under TLS it reads whole records.
        // So cuts in the middle are for connections of which it reads no more than it uses.
        let under_tls = |treatment| match treatment {
            Treatment::Well => Treatment::Well,
            _ => Treatment::Slam,
        };
        let plan = if tls { plan.into_iter().map(under_tls).collect() } else { plan };
        let receiver = Receiver::start(config, plan);
        let exporter = if tls {
            trusting(&world, "cut", &receiver, &authority)
        } else {
            world.exporter("cut", Format::Syslog, &receiver.to(false))
        };
        let pace = Pace { window_records: window, batch_records: 8, ..pace() };
        let mut running = world.start_at(&exporter, pace);
        for (turn, burst) in bursts.iter().enumerate() {
            world.record(*burst);
            if restart && turn == 1 {
                drop(running);
                running = world.start_at(&exporter, pace);
            }
        }
        wait_until_delivered(&running);
        drop(running);
        assert_at_least_once_in_order(&receiver.numbers(), bursts.iter().sum());
        prop_assert_eq!(&*receiver.broken.lock().unwrap(), &Vec::<String>::new());
    }
}
