//! The two things a chunk stores: sets of positions, and the time of each position.
//!
//! A set is written as a list of 16-bit offsets while that is shorter than a bitmap, else as the bitmap;
//! its length tells which. Times are differences of neighbours as variable-length integers. Reading takes
//! any bytes and never panics: what does not fit is `None`, and the index counts as damaged.

use assent_model::Instant;

use super::CHUNK;

const WORDS: usize = CHUNK as usize / 64;
const BITMAP_BYTES: usize = WORDS * 8;

/// A set of positions within one chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Positions(Box<[u64; WORDS]>);

impl Positions {
    pub(super) fn none() -> Self {
        Self(Box::new([0; WORDS]))
    }

    pub(super) fn of(offsets: impl IntoIterator<Item = u16>) -> Self {
        let mut set = Self::none();
        for offset in offsets {
            set.insert(offset);
        }
        set
    }

    fn insert(&mut self, offset: u16) -> bool {
        let word = self.0.get_mut(usize::from(offset) / 64);
        word.map(|word| *word |= 1 << (offset % 64)).is_some()
    }

    /// The bytes of the set of these offsets, which are sorted and distinct.
    pub(super) fn write(offsets: impl ExactSizeIterator<Item = u16>) -> Vec<u8> {
        if offsets.len() * 2 < BITMAP_BYTES {
            offsets.flat_map(u16::to_le_bytes).collect()
        } else {
            Self::of(offsets).0.iter().flat_map(|word| word.to_le_bytes()).collect()
        }
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut set = Self::none();
        if bytes.len() == BITMAP_BYTES {
            for (word, bytes) in set.0.iter_mut().zip(bytes.as_chunks::<8>().0) {
                *word = u64::from_le_bytes(*bytes);
            }
            return Some(set);
        }
        let (offsets, rest) = bytes.as_chunks::<2>();
        let fits = rest.is_empty() && offsets.iter().all(|bytes| set.insert(u16::from_le_bytes(*bytes)));
        fits.then_some(set)
    }

    pub(super) fn any(&self) -> bool {
        self.0.iter().any(|word| *word != 0)
    }

    pub(super) fn keep(&mut self, others: &Self) {
        for (word, other) in self.0.iter_mut().zip(others.0.iter()) {
            *word &= other;
        }
    }

    /// Keeps the positions whose time is in `from..until`.
    pub(super) fn keep_between(
        &mut self,
        times: &[(u16, i64)],
        from: Option<Instant>,
        until: Option<Instant>,
    ) {
        if from.is_none() && until.is_none() {
            return;
        }
        let from = from.map_or(i64::MIN, Instant::as_millis);
        let until = until.map_or(i64::MAX, Instant::as_millis);
        let inside = times.iter().filter(|(_, millis)| (from..until).contains(millis));
        self.keep(&Self::of(inside.map(|(offset, _)| *offset)));
    }

    /// The offsets, ascending.
    pub(super) fn offsets(&self) -> Vec<u16> {
        let mut offsets = vec![];
        for (word, first) in self.0.iter().zip((0_u16..).step_by(64)) {
            let mut rest = *word;
            while rest != 0 {
                offsets.push(first + rest.trailing_zeros() as u16);
                rest &= rest - 1;
            }
        }
        offsets
    }
}

/// Offsets ascend; times mostly do.
pub(super) fn write_times(times: &[(u16, i64)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(times.len() * 3);
    let (mut last_offset, mut last_millis) = (0_u16, 0_i64);
    for (offset, millis) in times {
        varint(u64::from(offset.wrapping_sub(last_offset)), &mut out);
        let step = millis.wrapping_sub(last_millis);
        // Zigzag: small steps back are as short as small steps on.
        varint(((step << 1) ^ (step >> 63)).cast_unsigned(), &mut out);
        (last_offset, last_millis) = (*offset, *millis);
    }
    out
}

pub(super) fn read_times(mut bytes: &[u8]) -> Option<Vec<(u16, i64)>> {
    let mut times = Vec::with_capacity(CHUNK as usize);
    let (mut offset, mut millis) = (0_u16, 0_i64);
    while !bytes.is_empty() {
        let step;
        (step, bytes) = read_varint(bytes)?;
        offset = offset.wrapping_add(u16::try_from(step).ok()?);
        let zigzag;
        (zigzag, bytes) = read_varint(bytes)?;
        millis = millis.wrapping_add((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed());
        times.push((offset, millis));
    }
    Some(times)
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (count, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f) << (7 * count);
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(count + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sets_read_back_what_they_write(offsets in prop::collection::btree_set(0..CHUNK as u16, 0..3000)) {
            let sorted: Vec<_> = offsets.into_iter().collect();
            let bytes = Positions::write(sorted.iter().copied());
            prop_assert!(bytes.len() <= BITMAP_BYTES);
            let read = Positions::read(&bytes).unwrap();
            prop_assert_eq!(read.offsets(), sorted);
        }

        #[test]
        fn times_read_back_what_they_write(times in prop::collection::vec((0..CHUNK as u16, any::<i64>()), 0..50)) {
            let mut times = times;
            times.sort_unstable();
            prop_assert_eq!(read_times(&write_times(&times)), Some(times));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _: Option<Positions> = Positions::read(&bytes);
            let _: Option<Vec<(u16, i64)>> = read_times(&bytes);
        }
    }

    #[test]
    fn a_set_becomes_a_bitmap_where_that_is_shorter() {
        assert_eq!(Positions::write(0..1023).len(), 2046);
        assert_eq!(Positions::write(0..1024).len(), BITMAP_BYTES);
        assert_eq!(Positions::read(&Positions::write(0..1024)), Some(Positions::of(0..1024)));
    }

    #[test]
    fn what_does_not_fit_a_chunk_is_damage() {
        assert_eq!(Positions::read(&[0, 0, 1]), None);
        assert_eq!(Positions::read(&(CHUNK as u16).to_le_bytes()), None);
        assert_eq!(read_times(&[0x80]), None);
    }
}
