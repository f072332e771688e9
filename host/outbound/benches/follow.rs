//! How fast exporters follow: records a second for each format to a receiver on this machine, and how much
//! memory the process has before and after. `cargo bench -p assent-outbound`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench: it ends where something fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant as Monotonic};

use assent_audit::keys::MasterKey;
use assent_audit::logs::{Logs, LogsConfig};
use assent_audit::record::Record;
use assent_model::{Instant, OrganizationId};
use assent_outbound::export::{Destination, Exporter, ExporterId, Format, Pace, Start, prepare};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs as crypto;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::task::JoinSet;

const RECORDS: usize = 100_000;
const WAITING: usize = 1_024;

fn clinic() -> OrganizationId {
    OrganizationId::new("clinic").unwrap()
}

/// Decisions of some 1.6 KB.
fn write(logs: &Logs, now: Instant) {
    let samples: Vec<Record> =
        serde_json::from_str(include_str!("../../audit/tests/data/records.json")).unwrap();
    let sample = samples.into_iter().find(|record| record.decision().is_some()).unwrap();
    let bytes = Record { at: now, ..sample }.encode().unwrap();
    let log = logs.log(&clinic(), now).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for _ in 0..RECORDS {
            if tasks.len() >= WAITING {
                tasks.join_next().await.unwrap().unwrap();
            }
            let (log, bytes) = (Arc::clone(&log), bytes.clone());
            tasks.spawn(async move {
                log.append(bytes, Monotonic::now() + Duration::from_secs(60)).await.unwrap();
            });
        }
        while tasks.join_next().await.is_some() {}
    });
    println!("{RECORDS} records of {} bytes", bytes.len());
}

/// Takes everything; gives its port.
fn http() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            loop {
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    if reader.read_line(&mut head).unwrap_or(0) == 0 {
                        break;
                    }
                }
                let Some(length) = head.lines().find_map(|line| line.strip_prefix("content-length: ")) else {
                    break;
                };
                let mut body = vec![0; length.parse().unwrap()];
                reader.read_exact(&mut body).unwrap();
                let entries = body.windows(10).filter(|part| *part == b"\"request\":").count();
                let entries = vec![r#"{"response":{"status":"201"}}"#; entries].join(",");
                let answer = format!(r#"{{"resourceType":"Bundle","entry":[{entries}]}}"#);
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len());
                reader.get_mut().write_all((head + &answer).as_bytes()).unwrap();
            }
        }
    });
    port
}

/// Takes everything over TLS; gives its port and the authority's certificate.
fn syslog() -> (u16, String) {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap().pem();
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
        );
    let config = Arc::new(config.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            std::io::copy(&mut stream, &mut std::io::sink()).ok();
        }
    });
    (port, authority.pem())
}

/// Resident memory of this process, in MiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let config = LogsConfig {
        directory: folder.path().join("audit"),
        name: "pdp.example.org".into(),
        signing_seed: [3; 32].into(),
        kek: Arc::new(MasterKey::from_bytes(&[4; 32]).unwrap()),
    };
    let now: Instant = "2026-11-21T18:00:00Z".parse().unwrap();
    let (logs, _) = Logs::open(config, [clinic()], now).unwrap();
    let logs = Arc::new(logs);
    write(&logs, now);
    let (tls, authority) = syslog();
    let authorities = folder.path().join("ca.pem");
    std::fs::write(&authorities, authority).unwrap();
    let http = format!("http://127.0.0.1:{}/in", http());
    for (id, format, to) in [
        ("file-json-lines", Format::JsonLines, "file:lines.log".to_owned()),
        ("file-ocsf", Format::Ocsf, "file:ocsf.log".to_owned()),
        ("http-json-lines", Format::JsonLines, http.clone()),
        ("http-ocsf", Format::Ocsf, http.clone()),
        ("http-fhir", Format::Fhir, http),
        ("tls-syslog", Format::Syslog, format!("syslog+tls://localhost:{tls}")),
    ] {
        let is_tls = format == Format::Syslog;
        let exporter = Exporter {
            id: ExporterId::new(id).unwrap(),
            format,
            to: Destination::parse(&to, folder.path()).unwrap(),
            authorities: is_tls.then(|| authorities.clone()),
            identity: None,
            token: None,
            organizations: vec![clinic()],
            mandatory: false,
            from: Start::Beginning,
        };
        let before = memory();
        let begun = Monotonic::now();
        let running =
            prepare(exporter).unwrap().start(&logs, Pace::default(), |line| println!("{line}")).unwrap();
        let mut most = before;
        while running.state().organizations.iter().any(|of| of.lag != Some(0)) {
            std::thread::sleep(Duration::from_millis(5));
            most = most.max(memory());
        }
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "{id:16} {:>8.0} records/s   {before} MiB before, {most} MiB at most",
            RECORDS as f64 / seconds
        );
    }
}
