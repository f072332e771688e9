//! What can stand against a plugin when a release is built, and what can stop the host itself.
//!
//! Problems are read by people who write plugins and settings: each says what was found, what was
//! expected and what to do. A call that fails at request time is not here; it is an
//! [`assent_model::PluginFailure`].

use std::path::PathBuf;

use assent_model::PluginFailure;

/// One reason why a binding cannot be part of a release. Admission reports all it can find.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionProblem {
    /// A limit of the binding is zero or above the host's ceiling.
    #[error("limit `{name}` is {value}: expected 1 to {ceiling}")]
    Limit {
        /// The key in the binding's `limits`.
        name: &'static str,
        /// What it was.
        value: u64,
        /// The most the host allows.
        ceiling: u64,
    },
    /// The component's file is too large.
    #[error(
        "the component has {bytes} bytes: at most {max} are accepted; build with `opt-level = \"s\"`, `lto = true`, `strip = true`"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The most that is accepted.
        max: usize,
    },
    /// A core module, such as cargo itself builds for `wasm32-unknown-unknown`.
    #[error("this is a core WebAssembly module and not a component: encode it with `cargo xtask plugins`")]
    CoreModule,
    /// Neither a module nor a component.
    #[error("this is not a WebAssembly component: {message}")]
    Malformed {
        /// What the parser says.
        message: String,
    },
    /// The component imports something.
    #[error("the component imports `{name}`, and plugins import nothing: {}", import_advice(.name))]
    Import {
        /// The import's name.
        name: String,
    },
    /// The component exports something besides the contract.
    #[error("the component exports `{name}`: a plugin exports `{expected}` and nothing else")]
    Export {
        /// The export's name.
        name: String,
        /// The interface that it should export.
        expected: &'static str,
    },
    /// The component was built for a version of the contract that this host does not have.
    #[error(
        "the component is built for `{found}`: this host supports `{supported}`; rebuild it with the SDK of that version"
    )]
    Version {
        /// The interface it exports.
        found: String,
        /// The interface the host supports.
        supported: &'static str,
    },
    /// The component does not export the contract's interface.
    #[error("the component does not export `{expected}`: implement the world `plugin` of `wit/0.1.0`")]
    NoRules {
        /// The interface that is missing.
        expected: &'static str,
    },
    /// The interface is there, but differs from the contract.
    #[error("the component does not fit the contract: {message}")]
    World {
        /// Where they differ.
        message: String,
    },
    /// The compiler refused the component, or could not cope with it.
    #[error("the component cannot be compiled: {message}")]
    Compile {
        /// What the compiler says.
        message: String,
    },
    /// `describe` or `configure` failed under the binding's limits. Neither is given a request, so
    /// that what the guest says of it can be shown.
    #[error("`{function}` failed: {}: {}; {}", .failure.kind.code(), .failure.message, .failure.kind.advice())]
    Failed {
        /// The function that failed.
        function: &'static str,
        /// How.
        failure: PluginFailure,
    },
    /// The plugin's description of itself is malformed.
    #[error("`describe` returned a malformed `{field}`: {message}")]
    Description {
        /// The field of the description.
        field: &'static str,
        /// What was expected.
        message: String,
    },
    /// A need is malformed.
    #[error("the plugin asks for `{need}`: {message}")]
    Need {
        /// The need as the plugin wrote it.
        need: String,
        /// What was expected.
        message: String,
    },
    /// The plugin needs a fact that the organization has not granted.
    #[error(
        "the plugin needs `{need}`, which is not granted: review it and add it to `grants`, or use another plugin"
    )]
    Ungranted {
        /// The grant that is missing, as it would be written.
        need: String,
    },
    /// A grant that is not written as one.
    #[error("`{grant}` is not a grant{}: expected a path such as `patient.birthDate`, or `membership:Role::\"nurse\"`, `relation:ProxyGrant`, `approvals:export`, `consents`, `disclosure-decisions`, `value-set:NAME`", suggestion(.nearest.as_ref()))]
    UnknownGrant {
        /// The grant as written.
        grant: String,
        /// The nearest thing that the plugin does need.
        nearest: Option<String>,
    },
    /// A grant of something that the plugin does not ask for.
    #[error("`{grant}` is granted, but the plugin does not need it{}: remove it, so that `grants` says what the rule can read", suggestion(.nearest.as_ref()))]
    UnusedGrant {
        /// The grant as written.
        grant: String,
        /// The nearest thing that the plugin does need.
        nearest: Option<String>,
    },
    /// The settings are too large.
    #[error("the settings have {bytes} bytes as JSON: at most {max} are accepted")]
    SettingsTooLarge {
        /// Their size.
        bytes: usize,
        /// The most that is accepted.
        max: usize,
    },
    /// `configure` refused the settings.
    #[error("settings{}: {message}", at(.path))]
    Settings {
        /// Where: a JSON Pointer into the settings; empty for the whole.
        path: String,
        /// What was expected.
        message: String,
    },
    /// The host failed. Not the plugin's fault.
    #[error("the host could not examine the component: {message}")]
    Host {
        /// What happened.
        message: String,
    },
}

impl AdmissionProblem {
    /// The kind of problem as a short kebab-case code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Limit { .. } => "limit",
            Self::TooLarge { .. } => "too-large",
            Self::CoreModule => "core-module",
            Self::Malformed { .. } => "malformed",
            Self::Import { .. } => "import",
            Self::Export { .. } => "export",
            Self::Version { .. } => "version",
            Self::NoRules { .. } => "no-rules",
            Self::World { .. } => "world",
            Self::Compile { .. } => "compile",
            Self::Failed { .. } => "failed",
            Self::Description { .. } => "description",
            Self::Need { .. } => "need",
            Self::Ungranted { .. } => "ungranted",
            Self::UnknownGrant { .. } => "unknown-grant",
            Self::UnusedGrant { .. } => "unused-grant",
            Self::SettingsTooLarge { .. } => "settings-too-large",
            Self::Settings { .. } => "settings",
            Self::Host { .. } => "host",
        }
    }
}

/// The host of plugins could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// wasmtime cannot run here.
    #[error("cannot start the plugin engine: {0}")]
    Engine(String),
    /// The directory of compiled code cannot be used.
    #[error("cannot use `{path}` as the directory of compiled plugins: {message}")]
    Cache {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it and what to do.
        message: String,
    },
}

fn import_advice(name: &str) -> &'static str {
    if name.starts_with("wasi:") {
        "build for `wasm32-unknown-unknown` (not `wasm32-wasip1` or `wasm32-wasip2`) and encode with `cargo xtask plugins`"
    } else if name.starts_with("env") || name.starts_with("__wbindgen") {
        "remove the dependency that expects a JavaScript or C host"
    } else {
        "what a rule may know comes with the request; ask for it in its needs"
    }
}

fn suggestion(nearest: Option<&String>) -> String {
    nearest.map(|nearest| format!(" (did you mean `{nearest}`?)")).unwrap_or_default()
}

fn at(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" at `{path}`") }
}
