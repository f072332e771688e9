//! The glue between a [`Rule`] and what a component exports; tests use the same functions.

use std::mem::ManuallyDrop;
use std::sync::OnceLock;

use crate::Rule;
use crate::bindings::exports::assent::plugin::rules as wit;
use crate::facts::{Sheet, Supply};
use crate::findings::{Findings, Stop};
use crate::records::Request;
use crate::settings::{self, Problem};

/// [`CONTRACT_VERSION`](crate::CONTRACT_VERSION) as three big-endian 16-bit numbers.
pub const API_VERSION: [u8; 6] = [0, 0, 0, 1, 0, 0];

/// The configured rule of a component: set once by `configure`, then part of the snapshot from
/// which every evaluation starts.
#[derive(Debug)]
pub struct Configured<R>(OnceLock<R>);

impl<R: Rule> Configured<R> {
    /// Not configured yet.
    #[expect(clippy::new_without_default, reason = "made in a static only")]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Configures the rule.
    ///
    /// # Errors
    /// Everything that is wrong with the settings.
    pub fn configure(&self, text: &str, schema: &str) -> Result<(), Vec<Problem>> {
        let rule = configure(text, schema)?;
        self.0.set(rule).map_err(|_| vec![Problem::new("", "the rule has already been configured")])?;
        #[cfg(target_arch = "wasm32")]
        crate::allocator::make_room();
        Ok(())
    }

    /// Judges one request.
    ///
    /// # Errors
    /// Why the rule cannot.
    pub fn evaluate(&self, request: wit::Request) -> Result<Findings, String> {
        let rule = self.0.get().ok_or("the rule has not been configured")?;
        evaluate(rule, request)
    }
}

/// Whether each byte of a JSON text counts, beginning with the one at `at`: blanks between values do
/// not. They are a third of a schema as it is written for people.
struct Blanks {
    in_string: bool,
    escaped: bool,
}

impl Blanks {
    const fn counts(&mut self, byte: u8) -> bool {
        let counts = self.in_string || !byte.is_ascii_whitespace();
        if self.escaped {
            self.escaped = false;
        } else if byte == b'"' {
            self.in_string = !self.in_string;
        } else if byte == b'\\' {
            self.escaped = true;
        }
        counts
    }
}

/// How long a JSON text is without blanks between its values.
#[expect(clippy::indexing_slicing, reason = "runs in the compiler, within the text's length")]
pub const fn compact_length(text: &str) -> usize {
    let mut blanks = Blanks { in_string: false, escaped: false };
    let (mut at, mut length) = (0, 0);
    while at < text.len() {
        length += blanks.counts(text.as_bytes()[at]) as usize;
        at += 1;
    }
    length
}

/// A JSON text of this [`compact_length`] without blanks between its values.
#[expect(clippy::indexing_slicing, reason = "runs in the compiler, within the text's length")]
pub const fn compact<const LENGTH: usize>(text: &str) -> [u8; LENGTH] {
    let mut compact = [0; LENGTH];
    let mut blanks = Blanks { in_string: false, escaped: false };
    let (mut at, mut length) = (0, 0);
    while at < text.len() {
        let byte = text.as_bytes()[at];
        if blanks.counts(byte) {
            compact[length] = byte;
            length += 1;
        }
        at += 1;
    }
    compact
}

/// The text that these bytes are.
#[expect(clippy::panic, reason = "runs in the compiler")]
pub const fn text(bytes: &'static [u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("leaving out blanks does not break characters"),
    }
}

/// What the rule is; `schema` is the JSON Schema of its settings.
pub fn describe<R: Rule>(schema: &str) -> wit::Description {
    wit::Description {
        name: R::NAME.to_owned(),
        version: R::VERSION.to_owned(),
        summary: R::SUMMARY.to_owned(),
        settings_schema: schema.to_owned(),
        needs: needs::<R>(),
    }
}

/// What the rule needs to know.
pub fn needs<R: Rule>() -> wit::Needs {
    let mut needs = wit::Needs {
        attributes: vec![],
        memberships: vec![],
        relations: vec![],
        approvals: vec![],
        consents: false,
        disclosure_decisions: false,
        value_sets: vec![],
    };
    R::Facts::declare(&mut needs);
    needs
}

/// The configured rule; `schema` is the JSON Schema of its settings.
///
/// # Errors
/// Everything that is wrong with the settings.
pub fn configure<R: Rule>(text: &str, schema: &str) -> Result<R, Vec<Problem>> {
    settings::parse(text, schema, R::configure)
}

/// Judges one request as the contract has it.
///
/// # Errors
/// Why the rule cannot.
pub fn evaluate<R: Rule>(rule: &R, mut request: wit::Request) -> Result<Findings, String> {
    let mut supply = Supply::of(&mut request);
    // Never dropped: the instance goes with its memory, and the code that would take them apart is
    // a good part of a small rule.
    let facts = ManuallyDrop::new(R::Facts::take(&mut supply).map_err(|mismatch| mismatch.0)?);
    supply.finish().map_err(|mismatch| mismatch.0)?;
    let request = ManuallyDrop::new(Request::from(request));
    match rule.evaluate(&request, &facts) {
        Ok(findings) => Ok(findings),
        Err(Stop::Deny(denial)) => Ok(Findings { denials: vec![*denial], ..Findings::default() }),
        Err(Stop::Fail(why)) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compact_text_lacks_the_blanks_between_values_and_no_other() {
        const WRITTEN: &str = "{\n  \"a b\": [ 1,\t\"\\\" ä\\\\\" , null ]\r\n}\n";
        static COMPACT: [u8; compact_length(WRITTEN)] = compact(WRITTEN);
        assert_eq!(text(&COMPACT), "{\"a b\":[1,\"\\\" ä\\\\\",null]}");
    }
}
