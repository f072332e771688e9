//! What a panic may leave in the log: where it happened, and nothing of what it says.
//!
//! INVARIANT (no patient in logs): a panic's message may quote what it stumbled over.

use std::io::Write as _;

/// From here on, panics of this process are noted by file and line only. For the command line to
/// call before it serves; the requests that panic are answered 500 and counted either way.
pub fn note_panics_by_place() {
    std::panic::set_hook(Box::new(|panic| {
        let line = match panic.location() {
            Some(place) => format!("panicked at {}:{}\n", place.file(), place.line()),
            None => "panicked\n".to_owned(),
        };
        drop(std::io::stderr().lock().write_all(line.as_bytes()));
    }));
}
