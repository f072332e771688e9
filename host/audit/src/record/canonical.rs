//! One spelling for every JSON value, so that equal records are equal bytes.
//!
//! Of RFC 8785 (JCS) we rely on: no white space; members sorted by their UTF-16 code units; strings
//! escaped as in its section 3.2.2.2 (which is what `serde_json` writes); no member twice. Numbers differ on
//! purpose: whole numbers are written exactly up to 64 bits, where JCS would round them to a double, and
//! others in the shortest form that reads back to the same double, with `.0` or an exponent kept. A reader
//! in another language that re-creates our bytes must do the same; one that only verifies needs neither.

use std::cmp::Ordering;
use std::io;
use std::ops::Range;

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

use super::RecordError;

/// `serde_json` reads up to 128 levels; what we write must read back with room for what wraps it.
pub const DEPTH_MAX: usize = 120;
/// A decision with three plugins is some 3 KB.
const USUAL_BYTES: usize = 4096;

/// The canonical bytes of anything that serializes, a JSON value or a record.
///
/// # Errors
/// [`RecordError::TooDeep`]; [`RecordError::Shape`] where it has no form in JSON, or has a member twice.
pub fn bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, RecordError> {
    let mut canonical = Canonical { out: Vec::with_capacity(USUAL_BYTES), ..Canonical::default() };
    let written = value.serialize(&mut Serializer::with_formatter(io::sink(), &mut canonical));
    match written {
        Ok(()) => Ok(canonical.out),
        Err(_) if canonical.depth > DEPTH_MAX => Err(RecordError::TooDeep { limit: DEPTH_MAX }),
        Err(error) => Err(RecordError::shape(&error)),
    }
}

/// Writes while a value is serialized. An object is written as it comes; at its end its members, which are
/// all known then, are put in order.
#[derive(Default)]
struct Canonical {
    out: Vec<u8>,
    depth: usize,
    /// The objects that are not ended, outermost first.
    objects: Vec<Object>,
    /// Their members, those of the innermost last.
    members: Vec<Member>,
    /// Where an object is put together.
    sorted: Vec<u8>,
}

/// An object that is not ended.
struct Object {
    /// Where in the output its first member begins.
    start: usize,
    /// How many members others had when it began.
    members: usize,
}

/// Where in the output a member stands, and its name with the quotes.
#[derive(Clone)]
struct Member {
    name: Range<usize>,
    end: usize,
}

impl Canonical {
    fn deeper(&mut self) -> io::Result<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(io::Error::other("nested too deeply")) } else { Ok(()) }
    }

    /// Puts the members of the object that ends in order.
    fn sort(&mut self) -> io::Result<()> {
        let object = self.objects.pop().ok_or_else(unbalanced)?;
        let Self { out, members, sorted, .. } = self;
        let own = members.get_mut(object.members..).ok_or_else(unbalanced)?;
        let name = |member: &Member| out.get(member.name.clone()).unwrap_or_default();
        own.sort_by(|a, b| by_utf16(name(a), name(b)));
        sorted.clear();
        sorted.push(b'{');
        let mut previous: Option<&[u8]> = None;
        for member in own.iter() {
            if previous == Some(name(member)) {
                return Err(io::Error::other("a member is there twice"));
            }
            if previous.is_some() {
                sorted.push(b',');
            }
            sorted.extend_from_slice(out.get(member.name.start..member.end).ok_or_else(unbalanced)?);
            previous = Some(name(member));
        }
        sorted.push(b'}');
        out.truncate(object.start);
        out.append(sorted);
        members.truncate(object.members);
        Ok(())
    }
}

/// `serde_json` ends what it begins; if it ever did not, nothing may be written.
fn unbalanced() -> io::Error {
    io::Error::other("an object ended that had not begun")
}

/// UTF-16 order differs from that of the bytes only beyond the basic plane and where a character is
/// escaped; names are mostly plain.
fn by_utf16(a: &[u8], b: &[u8]) -> Ordering {
    let plain = |name: &[u8]| name.is_ascii() && !name.contains(&b'\\');
    if plain(a) && plain(b) {
        // Without the quotes, which would count as a character where one name begins another.
        let inner = |name: &'_ [u8]| name.len().saturating_sub(1);
        return a.get(1..inner(a)).cmp(&b.get(1..inner(b)));
    }
    let units = |name: &[u8]| {
        let text: Option<String> = serde_json::from_slice(name).ok();
        text.map(|text| text.encode_utf16().collect::<Vec<_>>())
    };
    units(a).cmp(&units(b))
}

/// Everything that is not about objects and depth is as `serde_json` writes it.
macro_rules! as_usual {
    ($($method:ident($($argument:ident: $type:ty),*);)*) => {$(
        fn $method<W: ?Sized + io::Write>(&mut self, _: &mut W, $($argument: $type),*) -> io::Result<()> {
            CompactFormatter.$method(&mut self.out, $($argument),*)
        }
    )*};
}

impl Formatter for &mut Canonical {
    as_usual! {
        write_null();
        write_bool(value: bool);
        write_i8(value: i8);
        write_i16(value: i16);
        write_i32(value: i32);
        write_i64(value: i64);
        write_i128(value: i128);
        write_u8(value: u8);
        write_u16(value: u16);
        write_u32(value: u32);
        write_u64(value: u64);
        write_u128(value: u128);
        write_f32(value: f32);
        write_f64(value: f64);
        write_number_str(value: &str);
        begin_string();
        end_string();
        write_string_fragment(fragment: &str);
        write_char_escape(escape: CharEscape);
        write_raw_fragment(fragment: &str);
        begin_array_value(first: bool);
        end_array_value();
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.deeper()?;
        self.out.push(b'[');
        Ok(())
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.depth -= 1;
        self.out.push(b']');
        Ok(())
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.deeper()?;
        self.objects.push(Object { start: self.out.len(), members: self.members.len() });
        Ok(())
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.depth -= 1;
        self.sort()
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, _: &mut W, _first: bool) -> io::Result<()> {
        let at = self.out.len();
        self.members.push(Member { name: at..at, end: at });
        Ok(())
    }

    fn end_object_key<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        let at = self.out.len();
        self.members.last_mut().ok_or_else(unbalanced)?.name.end = at;
        Ok(())
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.out.push(b':');
        Ok(())
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        let at = self.out.len();
        self.members.last_mut().ok_or_else(unbalanced)?.end = at;
        Ok(())
    }
}
