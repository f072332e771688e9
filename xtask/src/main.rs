//! `cargo xtask`: what a person who has just cloned the project runs. Each command says what it is
//! doing, and what to install when something is missing.

mod demo;
mod plugins;
mod reliability;
mod test;
mod tools;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask COMMAND

  demo     build everything, serve the example organizations, print requests to paste
  test     build what tests need, then run every test there is
  plugins  build the plugins as components, into plugins/target/components
  bench    measure policies, plugin calls, whole decisions and HTTP (release build; some minutes)
  crash    end the audit log in every way, many times: `--cycles N`, `--seed S` (half an hour)
  fuzz     feed every parser of the audit log with anything: `--seconds N` for each (a minute; 11 targets)";

#[expect(clippy::print_stderr, reason = "messages for the person at the terminal")]
fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let result = match *arguments {
        ["demo"] => demo::demo(),
        ["test"] => test::test(),
        ["bench"] => test::bench(),
        ["crash", ref options @ ..] => reliability::crash(options),
        ["fuzz", ref options @ ..] => reliability::fuzz(options),
        ["plugins"] => plugins::build(&tools::root()),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
