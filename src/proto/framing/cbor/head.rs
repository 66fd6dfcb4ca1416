//! The head of a CBOR item: what it is and how long, in 1 to 9 octets.

/// An item's head. What follows it depends on what it is: nothing behind numbers and simple values,
/// so many octets behind strings, so many items behind arrays, maps (two each) and tags (one).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Head {
    Uint(u64),
    /// The number -1 - n.
    Negative(u64),
    Octets(u64),
    Text(u64),
    Array(u64),
    Map(u64),
    Tag(u64),
    /// Definite strings of octets follow, until a break.
    OctetChunks,
    /// Definite strings of text follow, until a break.
    TextChunks,
    /// Items follow until a break.
    OpenArray,
    /// Pairs follow until a break.
    OpenMap,
    Float(f64),
    Bool(bool),
    Null,
    Undefined,
    Break,
}

/// Reads the head at the start of `buf` and gives its length too; `None` if it is cut off.
///
/// What makes a head wrong is always its first octet, so errors do not depend on where it is cut.
#[inline]
pub(super) fn read(buf: &[u8]) -> Result<Option<(Head, usize)>, &'static str> {
    let Some(&first) = buf.first() else {
        return Ok(None);
    };
    let info = first & 0x1f;
    if info < 24 {
        let value = u64::from(info);
        let head = match first >> 5 {
            0 => Head::Uint(value),
            1 => Head::Negative(value),
            2 => Head::Octets(value),
            3 => Head::Text(value),
            4 => Head::Array(value),
            5 => Head::Map(value),
            6 => Head::Tag(value),
            _ => match info {
                20 => Head::Bool(false),
                21 => Head::Bool(true),
                22 => Head::Null,
                23 => Head::Undefined,
                _ => return Err("unassigned simple value"),
            },
        };
        return Ok(Some((head, 1)));
    }
    read_long(first, &buf[1..])
}

#[inline]
fn read_long(first: u8, rest: &[u8]) -> Result<Option<(Head, usize)>, &'static str> {
    let (major, info) = (first >> 5, first & 0x1f);
    let value = match info {
        _ if first == 0xf8 => return Err("unassigned simple value"),
        24 => rest.first().map(|&n| (u64::from(n), 2)),
        25 => rest
            .first_chunk()
            .map(|&n| (u64::from(u16::from_be_bytes(n)), 3)),
        26 => rest
            .first_chunk()
            .map(|&n| (u64::from(u32::from_be_bytes(n)), 5)),
        27 => rest.first_chunk().map(|&n| (u64::from_be_bytes(n), 9)),
        31 => {
            let head = match major {
                2 => Head::OctetChunks,
                3 => Head::TextChunks,
                4 => Head::OpenArray,
                5 => Head::OpenMap,
                7 => Head::Break,
                _ => return Err("indefinite length of a number or tag"),
            };
            return Ok(Some((head, 1)));
        }
        _ => return Err("reserved kind of head"),
    };
    let Some((value, len)) = value else {
        return Ok(None);
    };
    let head = match major {
        0 => Head::Uint(value),
        1 => Head::Negative(value),
        2 => Head::Octets(value),
        3 => Head::Text(value),
        4 => Head::Array(value),
        5 => Head::Map(value),
        6 => Head::Tag(value),
        _ => Head::Float(match info {
            25 => half(value as u16),
            26 => f32::from_bits(value as u32).into(),
            _ => f64::from_bits(value),
        }),
    };
    Ok(Some((head, len)))
}

/// The value of a float of 16 bits.
fn half(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3ff);
    let size = match bits >> 10 & 0x1f {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (fraction + 1024.0) * 2f64.powi(i32::from(exponent) - 25),
    };
    if bits & 0x8000 == 0 { size } else { -size }
}

pub(super) const UINT: u8 = 0 << 5;
pub(super) const NEGATIVE: u8 = 1 << 5;
pub(super) const OCTETS: u8 = 2 << 5;
pub(super) const TEXT: u8 = 3 << 5;
pub(super) const ARRAY: u8 = 4 << 5;
pub(super) const MAP: u8 = 5 << 5;
pub(super) const FALSE: u8 = 0xf4;
pub(super) const TRUE: u8 = 0xf5;
pub(super) const NULL: u8 = 0xf6;

/// The octets of the shortest head of the kind `major` with the number `value`, and how many they
/// are.
#[inline]
pub(super) fn encode(major: u8, value: u64) -> ([u8; 9], usize) {
    let mut head = [0; 9];
    let len: usize = match value {
        0..24 => {
            head[0] = major | value as u8;
            return (head, 1);
        }
        24..0x100 => 1,
        0x100..0x1_0000 => 2,
        0x1_0000..0x1_0000_0000 => 4,
        _ => 8,
    };
    head[0] = major | (24 + len.trailing_zeros() as u8);
    head[1..=len].copy_from_slice(&value.to_be_bytes()[8 - len..]);
    (head, 1 + len)
}

/// Appends the shortest head of the kind `major` with the number `value`.
#[inline]
pub(super) fn write(out: &mut Vec<u8>, major: u8, value: u64) {
    match value {
        0..24 => out.push(major | value as u8),
        _ => write_long(out, major, value),
    }
}

/// Each length by itself, so that no piece is copied whose length is not known beforehand.
fn write_long(out: &mut Vec<u8>, major: u8, value: u64) {
    match value {
        0..0x100 => out.extend_from_slice(&[major | 24, value as u8]),
        0x100..0x1_0000 => {
            let [a, b] = (value as u16).to_be_bytes();
            out.extend_from_slice(&[major | 25, a, b]);
        }
        0x1_0000..0x1_0000_0000 => {
            let [a, b, c, d] = (value as u32).to_be_bytes();
            out.extend_from_slice(&[major | 26, a, b, c, d]);
        }
        _ => {
            let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
            out.extend_from_slice(&[major | 27, a, b, c, d, e, f, g, h]);
        }
    }
}

/// Appends a string as this crate writes it: ASCII as octets, anything else as text.
#[inline]
pub(super) fn write_str(out: &mut Vec<u8>, text: &str) {
    let major = if text.is_ascii() { OCTETS } else { TEXT };
    out.reserve(text.len() + 9);
    write(out, major, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Appends a float, in 32 bits if that loses nothing.
#[inline]
pub(super) fn write_f64(out: &mut Vec<u8>, value: f64) {
    let short = value as f32;
    if f64::from(short) == value {
        let [a, b, c, d] = short.to_be_bytes();
        out.extend_from_slice(&[0xfa, a, b, c, d]);
    } else if value.is_nan() {
        // All NaNs alike: as CBOR::XS writes its own.
        out.extend_from_slice(&[0xfb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0]);
    } else {
        let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
        out.extend_from_slice(&[0xfb, a, b, c, d, e, f, g, h]);
    }
}

/// Appends an integer.
#[inline]
pub(super) fn write_i64(out: &mut Vec<u8>, value: i64) {
    match u64::try_from(value) {
        Ok(value) => write(out, UINT, value),
        Err(_) => write(out, NEGATIVE, !value as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc400, -4.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x0400, 0.000_061_035_156_25),
            (0x7c00, f64::INFINITY),
            (0xfc00, f64::NEG_INFINITY),
        ] {
            assert_eq!(half(bits), value, "{bits:04x}");
        }
        assert!(half(0x8000).is_sign_negative() && half(0x7e00).is_nan());
    }

    #[test]
    fn heads_lead_back() {
        for value in [0, 23, 24, 255, 256, 65535, 65536, 1 << 32, u64::MAX] {
            let mut out = Vec::new();
            write(&mut out, UINT, value);
            assert_eq!(read(&out), Ok(Some((Head::Uint(value), out.len()))));
            for len in 0..out.len() {
                assert_eq!(read(&out[..len]), Ok(None));
            }
        }
    }
}
