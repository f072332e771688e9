//! The `assent` command.

mod arguments;

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use assent_cli::commands;
use assent_model::{Effect, Instant};
use assent_server::{Clock, SystemClock};
use clap::{Parser, Subcommand};

/// Decides who may do what to which health record: Cedar policies, sandboxed plugins, one API.
#[derive(Debug, Parser)]
#[command(name = "assent", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "one is made, once")]
enum Command {
    /// Serve the decision API of a deployment directory.
    Serve {
        /// The deployment directory (holds `assent.toml`).
        dir: PathBuf,
        /// The address to listen on, instead of the one in `assent.toml`.
        #[arg(long, value_name = "ADDRESS", value_parser = address)]
        listen: Option<std::net::SocketAddr>,
        /// Decide everything at this moment: for demonstrations on loopback, where nothing may expire.
        #[arg(long, value_name = "INSTANT")]
        stopped_clock: Option<Instant>,
    },
    /// Check everything a deployment must pass, and report all problems at once.
    Check {
        /// The deployment directory.
        dir: PathBuf,
    },
    /// Decide one request and explain the decision. Exit code: 0 permit, 2 deny, 1 error.
    Eval {
        /// The deployment directory.
        dir: PathBuf,
        /// A file with an AuthZEN evaluation request (JSON); `-`: standard input.
        request: PathBuf,
        /// The organization; may be left out where there is only one.
        #[arg(long, short)]
        organization: Option<String>,
        /// The caller who asks; left out: one that can honour every obligation.
        #[arg(long, short)]
        caller: Option<String>,
        /// The moment to decide at, such as `2026-11-21T18:00:00Z`; left out: now.
        #[arg(long)]
        now: Option<Instant>,
        /// Print the explanation as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Run the decision cases beside the policies; expected against got.
    Test {
        /// The deployment directory.
        dir: PathBuf,
        /// Only cases whose name or file contains this text.
        filter: Option<String>,
    },
    /// The audit log: its keys, what it says, whether it is whole, copies, and letting years go.
    Audit {
        #[command(subcommand)]
        command: arguments::Audit,
    },
    /// What two persons must agree on before a release takes over: propose, approve, show.
    Release {
        #[command(subcommand)]
        command: arguments::release::Release,
    },
    #[command(flatten)]
    State(arguments::state::State),
}

fn address(text: &str) -> Result<std::net::SocketAddr, &'static str> {
    text.parse().map_err(|_| "expected an address and a port, such as `127.0.0.1:8180`")
}

fn main() -> ExitCode {
    assent_server::note_panics_by_place();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version end well; a mistyped option is an error (1), not a denial (2). A
            // closed output leaves nobody to tell.
            error.print().ok();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    match run(arguments.command) {
        Ok(code) => code,
        // `… | head` has seen enough. Not a success: nobody knows how the rest would have ended.
        Err(error) if causes(&error).any(|error| error.kind() == ErrorKind::BrokenPipe) => {
            ExitCode::from(OUTPUT_CLOSED)
        }
        Err(error) => {
            let mut stderr = std::io::stderr().lock();
            // Other files are named by those who use them.
            let bare = causes(&error).next().is_some() && error.chain().count() == 1;
            let place = if bare { "the output cannot be written: " } else { "" };
            // A closed standard error leaves nobody to tell.
            writeln!(stderr, "{place}{error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

/// How shells see other commands end whose output was closed: 128 and the number of the signal.
const OUTPUT_CLOSED: u8 = 141;

/// The errors of the operating system among the causes of this one.
fn causes(error: &anyhow::Error) -> impl Iterator<Item = &std::io::Error> {
    error.chain().filter_map(|cause| cause.downcast_ref())
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match command {
        Command::Serve { dir, listen, stopped_clock } => {
            drop(out);
            commands::serve::serve(&dir, listen, stopped_clock)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Check { dir } => {
            commands::check::check(&dir, &mut out)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Eval { dir, request, organization, caller, now, json } => {
            let arguments = commands::eval::EvalArguments {
                root: &dir,
                request: &request,
                organization: organization.as_deref(),
                caller: caller.as_deref(),
                now: now.unwrap_or_else(|| SystemClock.now()),
                json,
            };
            Ok(match commands::eval::eval(&arguments, &mut out)? {
                Effect::Permit => ExitCode::SUCCESS,
                Effect::Deny => ExitCode::from(2),
            })
        }
        Command::Test { dir, filter } => {
            let report = commands::test::test(&dir, filter.as_deref(), &mut out)?;
            let well = report.failed() == 0 && !report.outcomes.is_empty();
            Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Audit { command } => arguments::audit(command, &mut out),
        Command::Release { command } => {
            command.run(&mut out)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::State(command) => {
            command.run(&mut out)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
