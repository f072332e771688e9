//! What the end-to-end tests share: where things are, deployments built once, a real server.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use assent_cli::deployment::{self, Deployment, build::Built};
use assent_engine::MemoryRecorder;
use assent_model::Instant;
use assent_server::{Callers, Credential, RegisteredCaller, Service, ServiceParts};

/// The project's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests have a parent folder").to_owned()
}

/// Data that may lie beside the project; `None` where it is absent, with a line that says so.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let path = root().parent()?.join("shared").join(path);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: the data beside the project (`{}`) is not here", path.display());
    None
}

/// A deployment of this project, built once for all tests.
pub(crate) struct World {
    /// As written.
    pub(crate) deployment: Deployment,
    /// Ready to decide.
    pub(crate) built: Built,
}

fn load_of_project(path: &str) -> World {
    load(&root().join(path))
}

/// A deployment in this folder.
pub(crate) fn load(directory: &Path) -> World {
    let path = directory.display();
    let built = deployment::read(directory).and_then(|deployment| {
        let built = deployment::build::build(&deployment)?;
        Ok(World { deployment, built })
    });
    built.unwrap_or_else(|errors| {
        panic!("{path} does not load:\n{}", assent_cli::commands::listed(&errors, ""))
    })
}

/// The example clinics.
pub(crate) static CLINICS: LazyLock<World> = LazyLock::new(|| load_of_project("examples/clinics"));
/// The worlds of the public AuthZEN vectors.
pub(crate) static AUTHZEN: LazyLock<World> = LazyLock::new(|| load_of_project("examples/authzen"));
/// The base policies without plugins.
pub(crate) static POLICIES: LazyLock<World> = LazyLock::new(|| load_of_project("tests/cases/policies"));

/// One runtime for the tests that speak HTTP.
pub(crate) fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| assent_server::runtime().expect("a runtime"))
}

/// The key of the caller of [`Server::start_with_key`].
pub(crate) const KEY: &str = "a key for tests";

/// A decision service listening on loopback.
pub(crate) struct Server {
    /// Where.
    pub(crate) address: SocketAddr,
    /// What it recorded.
    pub(crate) recorder: Arc<MemoryRecorder>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    serving: Option<tokio::task::JoinHandle<()>>,
}

/// A clock that stands still.
#[derive(Debug)]
struct Fixed(Instant);

impl assent_server::Clock for Fixed {
    fn now(&self) -> Instant {
        self.0
    }
}

/// Takes completion lines and keeps them, so that tests can look for what must not be there.
#[derive(Debug, Default)]
pub(crate) struct Lines(pub(crate) Mutex<Vec<String>>);

impl assent_server::http::RequestLog for Lines {
    fn completed(&self, request: &assent_server::http::CompletedRequest) {
        self.0.lock().unwrap().push(request.to_string());
    }
}

impl Server {
    /// Serves a world at this moment.
    pub(crate) fn start(world: &World, now: &str) -> Self {
        Self::start_with_log(world, now, Arc::new(Lines::default()))
    }

    /// Serves a world at this moment, to callers that all have the bearer key [`KEY`].
    pub(crate) fn start_with_key(world: &World, now: &str) -> Self {
        let config = &world.deployment.config.callers[0];
        let caller = assent_cli::deployment::build::caller(config);
        let credential = Credential::KeySha256(assent_server::key_digest(KEY));
        let callers = Callers::new([RegisteredCaller { caller, credential }]).unwrap();
        Self::start_with(world, now, Arc::new(Lines::default()), callers)
    }

    /// Serves a world at this moment, with this request log.
    pub(crate) fn start_with_log(world: &World, now: &str, log: Arc<Lines>) -> Self {
        let callers = assent_cli::commands::serve::callers(&world.deployment).unwrap();
        Self::start_with(world, now, log, callers)
    }

    /// Serves a world at this moment; each caller's bearer key is its id.
    pub(crate) fn start_for_cases(world: &World, now: Instant) -> Self {
        Self::start_for_cases_with_log(world, now, Arc::new(Lines::default()))
    }

    /// The same, with this request log.
    pub(crate) fn start_for_cases_with_log(world: &World, now: Instant, log: Arc<Lines>) -> Self {
        let registered = world.deployment.config.callers.iter().map(|config| RegisteredCaller {
            caller: assent_cli::deployment::build::caller(config),
            credential: Credential::KeySha256(assent_server::key_digest(&config.id)),
        });
        Self::start_with(world, &now.to_string(), log, Callers::new(registered).unwrap())
    }

    fn start_with(world: &World, now: &str, log: Arc<Lines>, callers: Callers) -> Self {
        let recorder = Arc::new(MemoryRecorder::new(1_000));
        let parts = ServiceParts {
            releases: world.built.organizations.iter().map(|o| o.release.clone()).collect(),
            states: std::collections::BTreeMap::new(),
            callers,
            recorder: Arc::clone(&recorder) as Arc<dyn assent_engine::Recorder>,
            audit: None,
            rebuild: None,
            limits: assent_server::Limits::default(),
            public_url: Some("https://pdp.example.org".to_owned()),
            allow_remote_peers: false,
            clock: Arc::new(Fixed(now.parse().unwrap())),
            ids: Arc::new(assent_server::RandomIds),
            log,
            gauges: vec![],
        };
        let mut server = Self::serve(Arc::new(Service::new(parts).unwrap()));
        server.recorder = recorder;
        server
    }

    /// Serves this, which records elsewhere.
    pub(crate) fn serve(service: Arc<Service>) -> Self {
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let listener = runtime().block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = runtime().spawn(async move {
            let stopped = async {
                stopped.await.ok();
            };
            assent_server::serve(service, listener, stopped).await.unwrap();
        });
        let recorder = Arc::new(MemoryRecorder::new(1));
        Self { address, recorder, stop: Some(stop), serving: Some(serving) }
    }

    /// One request on a connection of its own.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if method != "GET" {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
        let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        Reply {
            status,
            headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
            body: body.to_owned(),
        }
    }

    /// A JSON request for a decision.
    pub(crate) fn ask(&self, path: &str, body: &serde_json::Value) -> Reply {
        self.send("POST", path, &[("Content-Type", "application/json")], &body.to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
        if let Some(serving) = self.serving.take() {
            runtime().block_on(serving).ok();
        }
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The status.
    pub(crate) status: u16,
    /// Headers, names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// The body.
    pub(crate) body: String,
}

impl Reply {
    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}
