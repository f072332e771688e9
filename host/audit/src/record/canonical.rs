//! One spelling for every JSON value, so that equal records are equal bytes.
//!
//! Of RFC 8785 (JCS) we rely on: no white space; members sorted by their UTF-16 code units; strings
//! escaped as in its section 3.2.2.2 (which is what `serde_json` writes); no member twice. Numbers differ on
//! purpose: whole numbers are written exactly up to 64 bits, where JCS would round them to a double, and
//! others in the shortest form that reads back to the same double, with `.0` or an exponent kept. A reader
//! in another language that re-creates our bytes must do the same; one that only verifies needs neither.

use std::cmp::Ordering;

use serde::Serialize;
use serde_json::Value;

use super::RecordError;

/// `serde_json` reads up to 128 levels; what we write must read back with room for what wraps it.
pub const DEPTH_MAX: usize = 120;

/// The canonical bytes of anything that serializes.
///
/// # Errors
/// [`RecordError::TooDeep`]; [`RecordError::Shape`] where it has no form in JSON.
pub fn bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, RecordError> {
    of_value(&serde_json::to_value(value).map_err(|e| RecordError::shape(&e))?)
}

/// The canonical bytes of a JSON value.
///
/// # Errors
/// [`RecordError::TooDeep`].
pub fn of_value(value: &Value) -> Result<Vec<u8>, RecordError> {
    let mut out = Vec::with_capacity(1024);
    write(value, 0, &mut out)?;
    Ok(out)
}

fn write(value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<(), RecordError> {
    if depth > DEPTH_MAX {
        return Err(RecordError::TooDeep { limit: DEPTH_MAX });
    }
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => out.extend(value.to_string().bytes()),
        Value::String(text) => string(text, out)?,
        Value::Array(items) => {
            out.push(b'[');
            for (number, item) in items.iter().enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                write(item, depth + 1, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| by_utf16(a, b));
            out.push(b'{');
            for (number, (name, item)) in sorted.into_iter().enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                string(name, out)?;
                out.push(b':');
                write(item, depth + 1, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// UTF-16 order differs from that of UTF-8 only beyond the basic plane; names are mostly ASCII.
fn by_utf16(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

fn string(text: &str, out: &mut Vec<u8>) -> Result<(), RecordError> {
    serde_json::to_writer(out, text).map_err(|e| RecordError::shape(&e))
}
