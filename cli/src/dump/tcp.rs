//! From segments of TCP to conversations: octets in the order of their sequence numbers.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::capture::{Chunk, Conversation, Direction, Lost};

/// What one packet says of a connection.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// Since 1970.
    pub(super) nanoseconds: u64,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    /// It is the first of its direction (SYN).
    pub(super) opens: bool,
    /// It is not the first of its connection (ACK).
    pub(super) answers: bool,
    pub(super) sequence: u32,
    pub(super) octets: Vec<u8>,
    /// So many octets that followed these were not captured.
    pub(super) cut: usize,
}

/// Octets of a direction, and where in it they belong.
#[derive(Debug)]
struct Piece {
    /// Counted from the first octet of the direction, or from that of its first packet, if that of
    /// the connection was not captured: earlier ones are below zero.
    place: i64,
    /// The number of its packet among those of the connection.
    packet: usize,
    octets: Vec<u8>,
    cut: usize,
}

/// One direction.
#[derive(Debug, Default)]
struct Half {
    /// The sequence number that was seen last, and its place.
    last: Option<(u32, i64)>,
    opened: Option<u32>,
    pieces: Vec<Piece>,
}

/// One connection.
#[derive(Debug)]
struct Connection {
    connector: SocketAddr,
    listener: SocketAddr,
    /// When each packet passed, in nanoseconds since 1970.
    times: Vec<u64>,
    forth: Half,
    back: Half,
}

/// All connections of a capture.
#[derive(Debug, Default)]
pub(super) struct Connections {
    all: Vec<Connection>,
    /// The latest one between two addresses, the smaller one first.
    latest: HashMap<(SocketAddr, SocketAddr), usize>,
}

impl Connections {
    /// A segment passed.
    pub(super) fn take(&mut self, segment: Segment) {
        let (from, to) = (segment.from, segment.to);
        let known = self.latest.get(&(from.min(to), from.max(to))).copied();
        let known = known.filter(|known| {
            let connection = &self.all[*known];
            let first = segment.opens && !segment.answers;
            // The same addresses serve for another connection, unless this is the same packet
            // again.
            !first || connection.forth.opened == Some(segment.sequence)
        });
        let number = known.unwrap_or_else(|| {
            // Who answers was connected to.
            let (connector, listener) = match segment.opens && segment.answers {
                true => (to, from),
                false => (from, to),
            };
            self.all.push(Connection {
                connector,
                listener,
                times: Vec::new(),
                forth: Half::default(),
                back: Half::default(),
            });
            self.all.len() - 1
        });
        self.latest.insert((from.min(to), from.max(to)), number);
        self.all[number].take(segment);
    }

    /// The conversations that were held.
    pub(super) fn into_conversations(self) -> Vec<Conversation> {
        let all = self.all.into_iter().zip(1..);
        all.map(|(connection, number)| connection.into_conversation(number))
            .collect()
    }
}

impl Connection {
    fn take(&mut self, segment: Segment) {
        self.times.push(segment.nanoseconds);
        let packet = self.times.len() - 1;
        match segment.from == self.connector {
            true => self.forth.take(segment, packet),
            false => self.back.take(segment, packet),
        }
    }

    fn into_conversation(self, number: u64) -> Conversation {
        let begun = self.times.iter().min().copied().unwrap_or_default();
        let mut conversation = Conversation {
            number,
            between: Some(format!("{} to {}", self.connector, self.listener)),
            may_be_other: self.forth.opened.is_some() || self.back.opened.is_some(),
            ..Conversation::default()
        };
        let mut chunks = Vec::new();
        for (direction, half) in [(Direction::Forth, self.forth), (Direction::Back, self.back)] {
            let (delivered, lost) = half.deliver();
            let why = lost.map(|why| Lost { direction, why });
            conversation.lost.extend(why);
            chunks.extend(delivered.into_iter().map(|(packet, octets)| {
                let since = self.times[packet].saturating_sub(begun);
                let chunk = Chunk {
                    at: Some(since as f64 / 1e9),
                    direction,
                    octets,
                    inside_tls: false,
                };
                (packet, chunk)
            }));
        }
        chunks.sort_by_key(|(packet, _)| *packet);
        conversation.chunks = chunks.into_iter().map(|(_, chunk)| chunk).collect();
        conversation
    }
}

impl Half {
    fn take(&mut self, segment: Segment, packet: usize) {
        // The sequence number of the first packet counts for an octet that is none.
        let sequence = segment.sequence.wrapping_add(u32::from(segment.opens));
        if segment.opens && self.opened.is_none() {
            self.opened = Some(segment.sequence);
        }
        let place = match self.last {
            // Numbers begin again behind the highest one: the shorter way is the right one.
            Some((last, place)) => place + i64::from(sequence.wrapping_sub(last).cast_signed()),
            None => 0,
        };
        if self.last.is_none_or(|(_, last)| last < place) {
            self.last = Some((sequence, place));
        }
        if !segment.octets.is_empty() || segment.cut > 0 {
            self.pieces.push(Piece {
                place,
                packet,
                octets: segment.octets,
                cut: segment.cut,
            });
        }
    }

    /// The octets in their order, each chunk with the packet by which it could be delivered; and
    /// why there are no more of them, if some are missing.
    fn deliver(mut self) -> (Vec<(usize, Vec<u8>)>, Option<String>) {
        self.pieces.sort_by_key(|piece| (piece.place, piece.packet));
        let first = self.pieces.first().map_or(0, |piece| piece.place);
        let mut end = match self.opened {
            Some(_) => 0,
            None => first,
        };
        let mut delivered = Vec::new();
        let mut packet = 0;
        let mut captured = end;
        for piece in self.pieces {
            let length = |octets: usize| i64::try_from(octets).unwrap_or(i64::MAX);
            let behind = piece.place.saturating_add(length(piece.octets.len()));
            captured = captured.max(behind.saturating_add(length(piece.cut)));
            if piece.place > end {
                break;
            }
            // What came before comes again when its receiver did not confirm it.
            let known = usize::try_from(end - piece.place).unwrap_or(usize::MAX);
            let new = piece.octets.get(known..).unwrap_or_default();
            if !new.is_empty() {
                packet = piece.packet.max(packet);
                delivered.push((packet, new.to_vec()));
                end = behind;
            }
        }
        let lost = (captured > end).then(|| "octets are missing in the capture here".to_owned());
        (delivered, lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half(segments: &[(u32, &str)], opened: Option<u32>) -> Half {
        let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let mut half = Half::default();
        let segment = |sequence, octets: &str, opens| Segment {
            nanoseconds: 0,
            from: address,
            to: address,
            opens,
            answers: false,
            sequence,
            octets: octets.into(),
            cut: 0,
        };
        if let Some(sequence) = opened {
            half.take(segment(sequence, "", true), 0);
        }
        for (packet, (sequence, octets)) in segments.iter().enumerate() {
            half.take(segment(*sequence, octets, false), packet + 1);
        }
        half
    }

    fn delivered(half: Half) -> (String, bool) {
        let (chunks, lost) = half.deliver();
        let octets: Vec<u8> = chunks.into_iter().flat_map(|(_, octets)| octets).collect();
        (String::from_utf8(octets).unwrap(), lost.is_some())
    }

    #[test]
    fn sequence_numbers_say_the_order() {
        for (segments, opened, expected, lost) in [
            (&[(8, "ab"), (10, "cd")][..], Some(7), "abcd", false),
            (&[(10, "cd"), (8, "ab")], Some(7), "abcd", false),
            (&[(10, "cd"), (8, "ab")], None, "abcd", false),
            // Again, and with more behind it.
            (&[(8, "ab"), (8, "ab"), (9, "bcd")], Some(7), "abcd", false),
            (&[(8, "ab"), (11, "d")], Some(7), "ab", true),
            (&[(9, "b")], Some(7), "", true),
            // Behind the highest number the lowest one follows.
            (
                &[(u32::MAX, "ab"), (1, "cd")],
                Some(u32::MAX - 1),
                "abcd",
                false,
            ),
            (&[(1, "cd"), (u32::MAX, "ab")], None, "abcd", false),
        ] {
            let half = half(segments, opened);
            assert_eq!(delivered(half), (expected.to_owned(), lost), "{segments:?}");
        }
    }
}
