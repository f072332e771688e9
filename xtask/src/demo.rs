//! `cargo xtask demo`: builds everything, serves the example organizations on loopback, and prints
//! requests to paste.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::tools::{cargo, need_c_compiler, root, run, say};

/// Where the demonstration listens.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8180);
/// How long the service may take to be ready. A first start compiles the plugins.
const START_MAX: Duration = Duration::from_secs(120);

/// The moment that the examples are of. The demonstration's clock stands still there, so that ages,
/// approvals and sessions are as the examples tell them, whenever somebody tries.
const NOW: &str = "2026-11-21T18:00:00Z";

/// One request to paste.
struct Sample {
    title: &'static str,
    path: &'static str,
    /// The file with its body, from the project's root.
    file: &'static str,
    /// What the answer must contain.
    answers: &'static [&'static str],
}

const SAMPLES: &[Sample] = &[
    Sample {
        title: "A permit with obligations: an approved export leaves the hospital, watermarked and encrypted",
        path: "/lone-star-hospital/access/v1/evaluation",
        file: "examples/clinics/requests/export-approved.json",
        answers: &["\"decision\":true", "\"obligations\"", "watermark"],
    },
    Sample {
        title: "A denial with its remedy: the same for a data set that lacks one approver",
        path: "/lone-star-hospital/access/v1/evaluation",
        file: "examples/clinics/requests/export-lacks-approver.json",
        answers: &["\"decision\":false", "\"remedies\"", "\"quorum\""],
    },
    Sample {
        title: "A batch, as a portal page asks it: a mother, two results of her teen, a record \
                that does not exist; the last two look alike",
        path: "/bay-pediatrics/access/v1/evaluations",
        file: "examples/clinics/requests/portal-page.json",
        answers: &["{\"evaluations\":[{\"decision\":true},{\"decision\":false},{\"decision\":false}]}"],
    },
];

/// Builds everything and serves until interrupted.
///
/// # Errors
/// When something cannot be built or the service does not become ready.
pub(crate) fn demo() -> anyhow::Result<()> {
    let root = root();
    need_c_compiler()?;
    if TcpStream::connect_timeout(&ADDRESS, Duration::from_millis(200)).is_ok() {
        bail!("something already listens on {ADDRESS}: stop it first");
    }
    crate::plugins::build(&root)?;
    // For the whole workspace, so that dependencies are built once for this and for the tests.
    run("building the decision service", cargo(&root).args(["build", "--workspace", "--bin", "assent"]))?;
    let clinics = root.join("examples/clinics");
    let mut service = start(&clinics, ADDRESS).with_context(|| {
        format!(
            "if it asks for two persons, which it does after a plugin was built anew or a guarded part was edited: have \
             two agree, or begin the demonstration's log anew by removing {}",
            clinics.join(".assent").display()
        )
    })?;
    print_samples();
    say("the service runs until you press Ctrl-C");
    let status = service.0.wait().context("the service could not be waited for")?;
    if status.success() { Ok(()) } else { bail!("the service ended ({status}); its messages are above") }
}

/// Serves what the tests have built, sends each sample, compares the answers, and stops; twice, the
/// second time with a warm cache and the log of the first. Of a copy without a log, for one that remembers other plugins
/// would ask for two persons.
///
/// # Errors
/// When an answer is not the one that the demonstration shows.
pub(crate) fn try_out() -> anyhow::Result<()> {
    // As deep as the original, for its files name others from there.
    let clinics = root().join("target/clinics");
    if clinics.exists() {
        fs::remove_dir_all(&clinics).with_context(|| format!("{} cannot be removed", clinics.display()))?;
    }
    copy(&root().join("examples/clinics"), &clinics)?;
    for turn in ["first", "second"] {
        say(&format!("trying the demonstration's requests, {turn} time"));
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let service = start(&clinics, address)?;
        for sample in SAMPLES {
            let (status, body) = post(address, sample)?;
            if let Some(part) = sample.answers.iter().find(|part| !body.contains(**part)) {
                bail!("demo: `{}` answered {status} {body}, which lacks `{part}`", sample.title);
            }
        }
        drop(service);
    }
    say(&format!("the demonstration's {} requests were answered as it says, twice", SAMPLES.len()));
    Ok(())
}

/// The service's process, stopped when dropped.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself, which is what is wanted here.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Copies a deployment, without what a service keeps there.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let failed = || format!("{} cannot be copied", from.display());
    fs::create_dir_all(to).with_context(failed)?;
    for entry in fs::read_dir(from).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_name() == ".assent" {
            continue;
        }
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            fs::copy(&path, &target).with_context(failed)?;
        }
    }
    Ok(())
}

fn start(clinics: &Path, address: SocketAddr) -> anyhow::Result<Service> {
    let root = root();
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let assent = target.join("debug").join(format!("assent{}", std::env::consts::EXE_SUFFIX));
    run(
        "making the keys of the example's audit log, where it has none",
        Command::new(&assent).args(["audit", "init"]).arg(clinics),
    )?;
    say("starting the decision service with the example organizations");
    let child = Command::new(&assent)
        .args([Path::new("serve"), clinics])
        .args(["--listen", &address.to_string(), "--stopped-clock", NOW])
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("`{}` could not be started", assent.display()))?;
    wait_until_ready(Service(child), address)
}

fn wait_until_ready(mut service: Service, address: SocketAddr) -> anyhow::Result<Service> {
    let began = Instant::now();
    while began.elapsed() < START_MAX {
        if let Some(status) = service.0.try_wait()? {
            bail!("the service ended before it was ready ({status}); its messages are above");
        }
        if request(address, "GET", "/readyz", "").is_ok_and(|(status, _)| status == 200) {
            return Ok(service);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("the service was not ready within {} s", START_MAX.as_secs())
}

#[expect(clippy::print_stdout, reason = "these lines are what the demonstration is for")]
fn print_samples() {
    for sample in SAMPLES {
        println!("\n# {}", sample.title);
        println!("curl -s http://{ADDRESS}{} \\", sample.path);
        println!("  -H 'Content-Type: application/json' -d @{}", sample.file);
    }
    println!();
}

fn post(address: SocketAddr, sample: &Sample) -> anyhow::Result<(u16, String)> {
    let file = root().join(sample.file);
    let body =
        std::fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    request(address, "POST", sample.path, &body)
}

/// One HTTP request on a connection of its own: enough for a demonstration, and no dependency.
fn request(address: SocketAddr, method: &str, path: &str, body: &str) -> anyhow::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no end of its head")?;
    let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok()).context("no status")?;
    Ok((status, body.to_owned()))
}
