//! What is to be written on a link: who writes it, and when.
//!
//! As a rule a task of its own, the writer, takes everything that has gathered since it took the
//! last. Whoever sends a lone message, and the link's reader at the end of its turn, *flush* in the
//! writer's place: that spares a task for a message. At most one of them writes at any time.

use super::terms::{Pace, Wake};

/// A message of this many octets or more takes the place of the empty buffer: it is not copied.
const LARGE: usize = 8 * 1024;

/// The octets to be written on the present link.
#[derive(Default)]
pub(crate) struct Outbox {
    queued: Vec<u8>,
    /// Octets that the writer, or who flushes in its place, took and has not written yet.
    in_flight: usize,
    /// Somebody flushes in the writer's place.
    flushing: bool,
    /// The next message, if nothing waits before it, is likely to be alone: who sends it flushes
    /// it.
    lone: bool,
    /// Messages appended since the link came up, and how many these were at the last pause.
    sent: u64,
    sent_at_pause: u64,
}

/// What the writer gets into its buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// What is to be written.
    Octets,
    /// Nothing: it is empty.
    Nothing,
}

impl Outbox {
    /// What is to be written first on a new link: `queued`.
    pub(super) fn begin(queued: Vec<u8>) -> Self {
        Outbox {
            queued,
            lone: true,
            ..Outbox::default()
        }
    }

    /// Octets that nobody has taken to write yet.
    #[inline]
    pub(crate) fn queued(&self) -> usize {
        self.queued.len()
    }

    /// Octets that somebody has taken and not written yet.
    #[inline]
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Messages appended since the link came up.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Appends a message.
    pub(super) fn append(&mut self, encoded: &[u8]) -> Wake {
        let wake = self.appended();
        self.queued.extend_from_slice(encoded);
        wake
    }

    /// Appends a message that is encoded in place. After an error nothing was appended.
    pub(super) fn append_with<E>(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Wake, E> {
        let before = self.queued.len();
        if let Err(error) = encode(&mut self.queued) {
            self.queued.truncate(before);
            return Err(error);
        }
        self.sent += 1;
        Ok(match before {
            0 => Wake::Writer,
            _ => Wake::Nobody,
        })
    }

    /// Appends a message of the program, in exchange for our buffer if that is better than to copy
    /// it.
    #[inline]
    pub(super) fn append_buffer(&mut self, encoded: &mut Vec<u8>, pace: Pace) -> Wake {
        if !self.queued.is_empty() {
            if encoded.len() < LARGE || self.queued.len() > encoded.len() / 16 {
                return self.append(encoded);
            }
            // Little waits before much: the large one is not copied for that.
            let wake = self.appended();
            drop(encoded.splice(..0, self.queued.drain(..)));
            std::mem::swap(&mut self.queued, encoded);
            return wake;
        }
        let mut wake = self.appended();
        if pace == Pace::Direct && self.in_flight == 0 && std::mem::take(&mut self.lone) {
            wake = Wake::Sender;
        }
        match encoded.len() {
            LARGE.. => std::mem::swap(&mut self.queued, encoded),
            _ => self.queued.extend_from_slice(encoded),
        }
        wake
    }

    /// A message is about to be appended.
    #[inline]
    fn appended(&mut self) -> Wake {
        self.sent += 1;
        match self.queued.is_empty() {
            true => Wake::Writer,
            false => Wake::Nobody,
        }
    }

    /// Something came by the link, or its writer has nothing to do. If no more than one message was
    /// sent since that was so before, then the next one is likely to be alone as well.
    pub(crate) fn pause(&mut self) {
        self.lone = self.sent.wrapping_sub(self.sent_at_pause) <= 1;
        self.sent_at_pause = self.sent;
    }

    /// The writer sleeps. Keeps no larger buffer than this, in octets.
    pub(crate) fn writer_sleeps(&mut self, octets: usize) {
        self.queued.shrink_to(octets);
        self.pause();
    }

    /// The writer takes what is to be written, in exchange for its empty buffer, which gathers what
    /// follows. What it took before is written.
    pub(crate) fn take(&mut self, buffer: &mut Vec<u8>) -> Taken {
        if self.flushing {
            // Who does that wakes the writer if something is left.
            return Taken::Nothing;
        }
        std::mem::swap(&mut self.queued, buffer);
        self.in_flight = buffer.len();
        match buffer.is_empty() {
            true => Taken::Nothing,
            false => Taken::Octets,
        }
    }

    /// Somebody wants to write in the writer's place: the octets, if there are some and nobody
    /// writes. [`end_flush`](Self::end_flush) has to follow.
    pub(crate) fn begin_flush(&mut self) -> Result<Vec<u8>, Wake> {
        if self.queued.is_empty() {
            return Err(Wake::Nobody);
        }
        if self.in_flight > 0 {
            return Err(Wake::Writer);
        }
        let taken = std::mem::take(&mut self.queued);
        self.in_flight = taken.len();
        self.flushing = true;
        Ok(taken)
    }

    /// So many of the octets that [`begin_flush`](Self::begin_flush) gave went out. The rest is for
    /// the writer, before what was appended meanwhile.
    pub(crate) fn end_flush(&mut self, mut taken: Vec<u8>, written: usize) -> Wake {
        self.flushing = false;
        self.in_flight = 0;
        taken.drain(..written);
        taken.append(&mut self.queued);
        self.queued = taken;
        match self.queued.is_empty() {
            true => Wake::Nobody,
            false => Wake::Writer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Op {
        Append(usize),
        Send(usize, Pace),
        Fail,
        Take,
        BeginFlush,
        EndFlush(usize),
        Pause,
    }

    fn op() -> impl Strategy<Value = Op> {
        let size = prop_oneof![1..20_usize, LARGE - 1..LARGE + 2];
        let pace = prop_oneof![Just(Pace::Direct), Just(Pace::Gather)];
        prop_oneof![
            size.clone().prop_map(Op::Append),
            (size, pace).prop_map(|(size, pace)| Op::Send(size, pace)),
            Just(Op::Fail),
            Just(Op::Take),
            Just(Op::BeginFlush),
            (0..30_000_usize).prop_map(Op::EndFlush),
            Just(Op::Pause),
        ]
    }

    proptest! {
        /// Whoever writes, and however much goes at once: the octets go out in their order, none
        /// twice, none left behind while nobody is woken.
        #[test]
        fn octets_go_out_in_their_order(ops in prop::collection::vec(op(), 0..60)) {
            let mut outbox = Outbox::begin(b"token".to_vec());
            let (mut sent, mut written) = (b"token".to_vec(), Vec::new());
            let (mut flushing, mut woken, mut messages) = (None::<Vec<u8>>, true, 0);
            let mut n = 0_usize;
            let mut octets = |size: usize| -> Vec<u8> {
                n += 1;
                (0..size).map(|i| (i + n * 31) as u8).collect()
            };
            for op in ops {
                let wake = match op {
                    Op::Append(size) => {
                        let message = octets(size);
                        sent.extend(&message);
                        messages += 1;
                        outbox.append(&message)
                    }
                    Op::Send(size, pace) => {
                        let mut message = octets(size);
                        sent.extend(&message);
                        messages += 1;
                        outbox.append_buffer(&mut message, pace)
                    }
                    Op::Fail => {
                        let fail = |out: &mut Vec<u8>| { out.extend(b"half"); Err(()) };
                        prop_assert_eq!(outbox.append_with(fail), Err(()));
                        Wake::Nobody
                    }
                    Op::Take => {
                        let mut taken = Vec::new();
                        if outbox.take(&mut taken) == Taken::Octets {
                            prop_assert!(flushing.is_none());
                        }
                        written.extend(taken);
                        Wake::Nobody
                    }
                    Op::BeginFlush if flushing.is_none() => match outbox.begin_flush() {
                        Ok(taken) => {
                            flushing = Some(taken);
                            Wake::Nobody
                        }
                        Err(wake) => wake,
                    },
                    Op::EndFlush(written_now) => match flushing.take() {
                        Some(taken) => {
                            let written_now = written_now.min(taken.len());
                            written.extend(&taken[..written_now]);
                            outbox.end_flush(taken, written_now)
                        }
                        None => Wake::Nobody,
                    },
                    Op::BeginFlush => Wake::Nobody,
                    Op::Pause => {
                        outbox.pause();
                        Wake::Nobody
                    }
                };
                woken |= wake == Wake::Writer || wake == Wake::Sender;
                if outbox.queued() == 0 {
                    woken = false;
                } else {
                    prop_assert!(woken || flushing.is_some(), "nobody writes {:?}", outbox.queued());
                }
            }
            if let Some(taken) = flushing {
                let all = taken.len();
                written.extend(&taken);
                outbox.end_flush(taken, all);
            }
            let mut taken = Vec::new();
            outbox.take(&mut taken);
            written.extend(taken);
            prop_assert_eq!(written, sent);
            prop_assert_eq!(outbox.sent(), messages);
        }
    }

    #[test]
    fn a_lone_message_is_flushed_by_who_sends_it() {
        let mut outbox = Outbox::begin(Vec::new());
        let send = |outbox: &mut Outbox| outbox.append_buffer(&mut b"x".to_vec(), Pace::Direct);
        assert_eq!(send(&mut outbox), Wake::Sender);
        assert_eq!(
            send(&mut outbox),
            Wake::Nobody,
            "it is gathered with the first"
        );
        let take = |outbox: &mut Outbox| {
            let mut taken = Vec::new();
            (outbox.take(&mut taken), taken)
        };
        assert_eq!(take(&mut outbox), (Taken::Octets, b"xx".to_vec()));
        assert_eq!(take(&mut outbox), (Taken::Nothing, Vec::new()));
        assert_eq!(send(&mut outbox), Wake::Writer, "it is one of a burst");
        outbox.pause();
        take(&mut outbox);
        take(&mut outbox);
        outbox.pause();
        assert_eq!(send(&mut outbox), Wake::Sender);
    }
}
