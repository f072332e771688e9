//! A real PostgreSQL server for one test: its own cluster in a temporary folder, reached through a socket there,
//! stopped and removed when it is dropped. Needs the Debian package `postgresql`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a start may take on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);

/// A running server.
pub(crate) struct Server {
    dir: tempfile::TempDir,
    bin: PathBuf,
    process: Option<Child>,
}

impl Server {
    /// Makes a cluster and starts it; `None` where the package is missing, which fails where tests count.
    pub(crate) fn start() -> Option<Self> {
        let Some(bin) = bin() else {
            let say = "PostgreSQL is missing: apt-get install postgresql";
            assert!(std::env::var("CI").is_err(), "{say}");
            eprintln!("skipped: {say}");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        if is_root() {
            // The server refuses to run as root.
            run(Command::new("chown").arg("postgres").arg(dir.path()));
        }
        let mut server = Self { dir, bin, process: None };
        let mut make = server.command("initdb");
        run(make
            .args(["--auth=trust", "--username=assent", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
            .arg(server.data()));
        server.resume();
        Some(server)
    }

    /// The address of a new database.
    pub(crate) fn database(&self, name: &str) -> String {
        run(self.command("createdb").arg("--username=assent").arg("--host").arg(self.dir.path()).arg(name));
        self.url(name)
    }

    /// A copy of a database that nobody uses, under another name; waits for those who used it to be gone.
    #[allow(dead_code, reason = "not all tests that share this file put a database back")]
    pub(crate) fn copy(&self, from: &str, name: &str) -> String {
        let begun = Instant::now();
        loop {
            let mut create = self.command("createdb");
            create
                .args(["--username=assent", "--template", from])
                .arg("--host")
                .arg(self.dir.path())
                .arg(name);
            if create.stderr(Stdio::null()).status().unwrap().success() {
                return self.url(name);
            }
            assert!(begun.elapsed() < START_MAX, "`{from}` stays in use");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("postgres://assent@localhost/{name}?host={}", self.dir.path().display())
    }

    /// Ends the server at once, as a crash does.
    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            run(self.command("pg_ctl").args(["stop", "--mode=immediate", "--pgdata"]).arg(self.data()));
            process.wait().unwrap();
        }
    }

    /// Starts it again.
    pub(crate) fn resume(&mut self) {
        let mut start = self.command("postgres");
        start.arg("-D").arg(self.data()).arg("-k").arg(self.dir.path()).args(["-h", ""]);
        let process = start.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.process = Some(process);
        let begun = Instant::now();
        loop {
            let mut ask = self.command("pg_isready");
            ask.arg("--host").arg(self.dir.path()).stdout(Stdio::null());
            if ask.status().unwrap().success() {
                return;
            }
            assert!(begun.elapsed() < START_MAX, "PostgreSQL does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn command(&self, name: &str) -> Command {
        let program = self.bin.join(name);
        if !is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
        command.current_dir("/");
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// The newest version that is installed, as Debian lays them out.
fn bin() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let newest = versions.flatten().map(|version| version.path()).max()?;
    Some(newest.join("bin")).filter(|bin| Path::new(&bin.join("initdb")).exists())
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
