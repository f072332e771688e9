//! `cargo xtask`: what a person who has just cloned the project runs. Each command says what it is
//! doing, and what to install when something is missing.

mod demo;
mod plugins;
mod test;
mod tools;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask COMMAND

  demo     build everything, serve the example organizations, print requests to paste
  test     build what tests need, then run every test there is
  plugins  build the plugins as components, into plugins/target/components
  bench    measure policies, plugin calls, whole decisions and HTTP (release build; some minutes)";

#[expect(clippy::print_stderr, reason = "messages for the person at the terminal")]
fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let result = match *arguments {
        ["demo"] => demo::demo(),
        ["test"] => test::test(),
        ["bench"] => test::bench(),
        ["plugins"] => plugins::build(&tools::root()).map(drop),
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
