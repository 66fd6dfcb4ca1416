//! The lines that programs write: cut out of what comes, and read as requests.

use std::io;

use bytes::BytesMut;
use tokio_util::codec::{Decoder, LinesCodec, LinesCodecError};

use super::request::{Request, RequestError};

/// Cuts requests out of a program's output. After an error there is nothing more to be read.
pub(crate) struct Requests {
    lines: LinesCodec,
    /// How many lines there were.
    seen: u64,
}

/// Why what a program wrote can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    #[error("line {0} of its output is longer than max_message allows, {1} octets")]
    TooLong(u64, usize),
    #[error("line {0} of its output is not UTF-8")]
    NotText(u64),
    #[error("line {0} of its output can't be used: {1}")]
    Request(u64, RequestError),
    #[error("its output can't be read: {0}")]
    Output(#[from] io::Error),
}

impl Requests {
    /// Takes lines of at most so many octets.
    pub(crate) fn new(most: usize) -> Self {
        Requests {
            lines: LinesCodec::new_with_max_length(most),
            seen: 0,
        }
    }

    fn read(
        &mut self,
        cut: Result<Option<String>, LinesCodecError>,
    ) -> Result<Option<Request>, LineError> {
        let line = self.seen + 1;
        let text = match cut {
            Ok(Some(text)) => text,
            Ok(None) => return Ok(None),
            Err(LinesCodecError::MaxLineLengthExceeded) => {
                return Err(LineError::TooLong(line, self.lines.max_length()));
            }
            Err(LinesCodecError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(LineError::NotText(line));
            }
            Err(LinesCodecError::Io(error)) => return Err(LineError::Output(error)),
        };
        self.seen = line;
        let request = Request::read(&text);
        request
            .map(Some)
            .map_err(|error| LineError::Request(line, error))
    }
}

impl Decoder for Requests {
    type Item = Request;
    type Error = LineError;

    fn decode(&mut self, octets: &mut BytesMut) -> Result<Option<Request>, LineError> {
        let cut = self.lines.decode(octets);
        self.read(cut)
    }

    fn decode_eof(&mut self, octets: &mut BytesMut) -> Result<Option<Request>, LineError> {
        let cut = self.lines.decode_eof(octets);
        self.read(cut)
    }
}

/// A message, or what there is to be told, as a line for a program's input. JSON may have ends of
/// lines between its elements, and nowhere else.
pub(crate) fn line_of(json: &str) -> Vec<u8> {
    let blank = |octet| match octet {
        b'\n' | b'\r' => b' ',
        octet => octet,
    };
    json.bytes().map(blank).chain([b'\n']).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All requests, and what they ended with, of an output that comes in these pieces.
    fn read<'a>(most: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let (mut requests, mut octets) = (Requests::new(most), BytesMut::new());
        let mut all = Vec::new();
        let mut take = |octets: &mut BytesMut, end: bool| loop {
            let next = match end {
                false => requests.decode(octets),
                true => requests.decode_eof(octets),
            };
            match next {
                Ok(Some(request)) => all.push(format!("{request:?}")),
                Ok(None) => return true,
                Err(error) => {
                    all.push(error.to_string());
                    return false;
                }
            }
        };
        let mut more = true;
        for piece in pieces {
            octets.extend_from_slice(piece);
            more = more && take(&mut octets, false);
        }
        if more {
            take(&mut octets, true);
        }
        all
    }

    #[test]
    fn the_last_line_needs_no_end_and_lines_may_have_two() {
        let output = b"[\"mon\",\"a\"]\r\n[\"mon\",\"b\"]";
        let wanted = [r#"Monitor("a")"#, r#"Monitor("b")"#];
        assert_eq!(read(99, [&output[..]]), wanted);
    }

    #[test]
    fn what_is_wrong_names_the_line() {
        let good = b"[\"kil\"]\n";
        for (bad, wanted) in [
            (&b"hello\n"[..], "line 2 of its output can't be used"),
            (b"\xff\n", "line 2 of its output is not UTF-8"),
            (
                &[b'x'; 51],
                "line 2 of its output is longer than max_message allows, 50",
            ),
        ] {
            let all = read(50, [&good[..], bad]);
            assert!(all.len() == 2 && all[1].starts_with(wanted), "{all:?}");
        }
    }

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(line_of("[1,\n\"a\\n\",\r\n2]"), b"[1, \"a\\n\",  2]\n");
    }

    proptest! {
        /// However the octets come, the requests are the same.
        #[test]
        fn pieces_do_not_matter(
            lines in proptest::collection::vec(
                prop_oneof![
                    8 => "[a-z\u{e9}\u{4e2d}]{0,12}".prop_map(|text| {
                        format!("{}\n", serde_json::json!(["snd", "a#b", text])).into_bytes()
                    }),
                    1 => proptest::collection::vec(any::<u8>(), 0..40),
                ],
                0..8,
            ),
            cuts in proptest::collection::vec(1usize..20, 0..200),
        ) {
            let output = lines.concat();
            let whole = read(40, [&output[..]]);
            let (mut left, mut pieces) = (&output[..], Vec::new());
            for cut in cuts {
                let (piece, rest) = left.split_at(cut.min(left.len()));
                pieces.push(piece);
                left = rest;
            }
            pieces.push(left);
            prop_assert_eq!(read(40, pieces), whole);
        }
    }
}
