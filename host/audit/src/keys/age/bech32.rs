//! Reading Bech32 (BIP 173), the alphabet of age's keys: a prefix, `1`, 5-bit characters, a checksum of six.

use zeroize::Zeroizing;

const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
const CHECKSUM: usize = 6;

/// The bytes of a text with this prefix (in lower case), written in one case throughout; `None` where it is
/// anything else.
pub(super) fn decode(prefix: &str, text: &str) -> Option<Zeroizing<Vec<u8>>> {
    if text.bytes().any(|byte| byte.is_ascii_lowercase())
        && text.bytes().any(|byte| byte.is_ascii_uppercase())
    {
        return None;
    }
    let text = Zeroizing::new(text.to_ascii_lowercase());
    let characters = text.strip_prefix(prefix)?.strip_prefix('1')?;
    let values: Option<Vec<u8>> = characters.bytes().map(value).collect();
    let values = Zeroizing::new(values?);
    let high = prefix.bytes().map(|byte| byte >> 5);
    let low = prefix.bytes().map(|byte| byte & 31);
    if checksum(high.chain([0]).chain(low).chain(values.iter().copied())) != 1 {
        return None;
    }
    bytes(values.get(..values.len().checked_sub(CHECKSUM)?)?)
}

fn value(character: u8) -> Option<u8> {
    ALPHABET.iter().position(|letter| *letter == character)?.try_into().ok()
}

fn checksum(values: impl Iterator<Item = u8>) -> u32 {
    values.fold(1, |sum: u32, value| {
        let top = sum >> 25;
        let sum = (sum & 0x01ff_ffff) << 5 ^ u32::from(value);
        let generators = GENERATOR.iter().enumerate().filter(|(bit, _)| top >> bit & 1 == 1);
        generators.fold(sum, |sum, (_, generator)| sum ^ generator)
    })
}

/// Five bits each become eight; what is left over must be less than five zeros.
fn bytes(values: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (mut bytes, mut held, mut bits) = (Zeroizing::new(Vec::with_capacity(values.len())), 0_u32, 0);
    for value in values {
        held = held << 5 | u32::from(*value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 0xff) as u8);
            held &= (1 << bits) - 1;
        }
    }
    (bits < 5 && held == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_valid_examples_of_the_specification_decode() {
        let decode = |prefix: &str, text: &str| decode(prefix, text).unwrap().to_vec();
        assert!(decode("a", "A12UEL5L").is_empty() && decode("a", "a12uel5l").is_empty());
        let all: Vec<u8> = decode("abcdef", "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw");
        assert_eq!(hex::encode(all), "00443214c74254b635cf84653a56d7c675be77df");
        assert!(decode("?", "?1ezyfcl").is_empty());
    }

    #[test]
    fn what_the_specification_calls_invalid_does_not() {
        for (prefix, text) in [
            ("a", "a12uEL5L"),
            ("a", "a12uel5m"),
            ("b", "a12uel5l"),
            ("pzry", "pzry9x0s0muk"),
            ("x", "x1b4n0q5v"),
            ("li", "li1dgmt3"),
            ("a", "a1"),
            ("", ""),
        ] {
            assert!(decode(prefix, text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_changed_character_is_found() {
        let text = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
        assert_eq!(decode("age", text).unwrap().len(), 32);
        for at in 4..text.len() {
            let mut changed = text.as_bytes().to_vec();
            changed[at] = if changed[at] == b'q' { b'p' } else { b'q' };
            assert!(decode("age", str::from_utf8(&changed).unwrap()).is_none(), "{at}");
        }
    }
}
