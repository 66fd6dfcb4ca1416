//! A connection: two sides, and a lane for what each of them writes.
//!
//! One lock holds both lanes, since what a side may write depends on what has arrived from the
//! other. Others are woken, and their wakers dropped, only after it was released: either may run
//! code that comes back here.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker, ready};

use parking_lot::Mutex;
use tokio::io::ReadBuf;
use tokio::time::Instant;

use super::route::{Arrival, Due, Middle, Route, Timer, Traveller, View, count};

/// Of a lane that has run empty, no more memory is kept than for so many octets and parts.
const IDLE_SIZE: usize = 4 * 1024;
const IDLE_PARTS: usize = 16;

/// Who dialled is side 0, who accepted is side 1.
pub(super) type Side = usize;

pub(super) struct Connection {
    serial: u64,
    /// How many octets may lie in each lane.
    capacity: usize,
    /// The ways that the lanes take: the first one from side 0 to side 1.
    routes: [Arc<Route>; 2],
    /// How many connections there are in the network.
    open: Arc<AtomicUsize>,
    state: Mutex<State>,
}

struct State {
    /// Both sides are told so, and nothing passes any more.
    reset: bool,
    /// What each side has written.
    lanes: [Lane; 2],
}

/// What one side has written and the other one not yet read.
#[derive(Default)]
struct Lane {
    octets: VecDeque<u8>,
    /// What stands on the way.
    middle: Option<Middle>,
    /// When how many of them arrive.
    parts: VecDeque<(Due, usize)>,
    /// When the last of what was sent arrives.
    latest: Option<Instant>,
    /// The end of the stream.
    end: Option<Due>,
    /// The news that the side that writes here is gone, and so reads nothing either; and whether it
    /// went with octets unread, which resets the connection.
    gone: Option<(Due, bool)>,
    reader: Option<Waker>,
    /// Those that wait for room, in the order in which they began to.
    writers: Vec<(u64, Waker)>,
    next_writer: u64,
}

/// Somebody who waits for room.
#[derive(Default)]
pub(crate) struct Waiting {
    place: Option<u64>,
    timer: Timer,
}

impl Connection {
    pub(super) fn new(
        serial: u64,
        capacity: usize,
        routes: [Arc<Route>; 2],
        open: Arc<AtomicUsize>,
    ) -> Arc<Self> {
        open.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection {
            serial,
            capacity,
            open,
            state: Mutex::new(State {
                reset: false,
                lanes: routes.each_ref().map(|route| Lane {
                    middle: route.middle(),
                    ..Lane::default()
                }),
            }),
            routes,
        });
        for route in &connection.routes {
            let weak = Arc::downgrade(&connection);
            route.add(serial, weak);
        }
        connection
    }

    /// Reads what the other side has written.
    pub(super) fn poll_read(
        &self,
        side: Side,
        timer: &mut Timer,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let at = match self.try_read(side, cx, buf) {
                Ok(result) => return Poll::Ready(result),
                Err(Some(at)) => at,
                Err(None) => return Poll::Pending,
            };
            ready!(timer.poll(cx, at));
        }
    }

    /// Gives the result of a read, or else when to try again: if that is not known, there will be a
    /// wake.
    fn try_read(
        &self,
        side: Side,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Result<io::Result<()>, Option<Instant>> {
        let (from, route) = (1 - side, &self.routes[1 - side]);
        let (view, _replaced, writers);
        {
            let mut state = self.state.lock();
            let reset = state.reset;
            let lane = &mut state.lanes[from];
            view = route.view();
            if let Some(wait) = lane.wait(reset, &view).filter(|_| buf.remaining() > 0) {
                _replaced = register(&mut lane.reader, cx);
                return Err(wait);
            }
            // However fast it goes, other tasks get their turn. A task is woken later if it has to
            // wait for that, not here, under the lock.
            if pin!(tokio::task::coop::consume_budget())
                .poll(cx)
                .is_pending()
            {
                return Err(None);
            }
            if reset || lane.is_reset(&view) {
                return Ok(Err(ErrorKind::ConnectionReset.into()));
            }
            let taken = lane.take(&view, buf);
            count(&route.delivered, taken);
            writers = match taken {
                0 => Vec::new(),
                _ => std::mem::take(&mut lane.writers),
            };
        }
        for (_, writer) in writers {
            writer.wake();
        }
        Ok(Ok(()))
    }

    /// Writes as much as there is room for, or gives [`ErrorKind::WouldBlock`].
    pub(super) fn try_write(&self, side: Side, octets: &[u8]) -> io::Result<usize> {
        if octets.is_empty() {
            return Ok(0);
        }
        let (written, reader);
        {
            let mut state = self.state.lock();
            written = self.room(&state, side)?.min(octets.len());
            let lane = &mut state.lanes[side];
            let changed = lane.middle.as_mut().map(|pass| pass(&octets[..written]));
            let passed = changed.as_deref().unwrap_or(&octets[..written]);
            let due = self.routes[side].send(lane.latest, passed.len());
            lane.put(passed, due);
            debug_assert!(lane.octets.len() <= self.capacity || changed.is_some());
            reader = lane.reader.take();
        }
        wake(reader);
        Ok(written)
    }

    /// How many octets can be written now.
    fn room(&self, state: &State, side: Side) -> io::Result<usize> {
        if state.reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        if state.lanes[side].end.is_some() {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if let Some((due, reset)) = state.lanes[1 - side].gone
            && self.routes[1 - side].view().has_arrived(due)
        {
            return Err(match reset {
                true => ErrorKind::ConnectionReset.into(),
                false => ErrorKind::BrokenPipe.into(),
            });
        }
        // What stands on the way may have made more of it.
        match self.capacity.saturating_sub(state.lanes[side].octets.len()) {
            0 => Err(ErrorKind::WouldBlock.into()),
            room => Ok(room),
        }
    }

    /// Waits until a write gives something else than [`ErrorKind::WouldBlock`].
    pub(super) fn poll_writable(
        &self,
        side: Side,
        waiting: &mut Waiting,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            let at = {
                let _replaced;
                let mut state = self.state.lock();
                let room = self.room(&state, side);
                if !room.is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
                    return pin!(tokio::task::coop::consume_budget()).poll(cx);
                }
                _replaced = state.lanes[side].enqueue(waiting, cx);
                let gone = state.lanes[1 - side].gone;
                gone.map(|(due, _)| self.routes[1 - side].view().arrival(due))
            };
            match at {
                Some(Arrival::At(at)) => ready!(waiting.timer.poll(cx, at)),
                Some(Arrival::Now) => {} // by now
                Some(Arrival::Held) | None => return Poll::Pending,
            }
        }
    }

    /// Does not wait for room any longer.
    pub(super) fn stop_waiting(&self, side: Side, waiting: &Waiting) {
        if let Some(place) = waiting.place {
            let _removed;
            let mut state = self.state.lock();
            let writers = &mut state.lanes[side].writers;
            let found = writers.iter().position(|(other, _)| *other == place);
            _removed = found.map(|index| writers.remove(index));
        }
    }

    /// Sends the end of the stream, unless it was sent.
    pub(super) fn end(&self, side: Side) {
        let (reader, writers);
        {
            let mut state = self.state.lock();
            let lane = &mut state.lanes[side];
            lane.end(&self.routes[side]);
            reader = lane.reader.take();
            writers = std::mem::take(&mut lane.writers);
        }
        wake(reader);
        for (_, writer) in writers {
            writer.wake();
        }
    }

    /// Nobody reads or writes on this side any more.
    pub(super) fn close(&self, side: Side) {
        {
            let mut state = self.state.lock();
            let view = self.routes[1 - side].view();
            let unread = &state.lanes[1 - side].parts;
            let unread = unread
                .front()
                .is_some_and(|(due, _)| view.has_arrived(*due));
            let lane = &mut state.lanes[side];
            lane.end(&self.routes[side]);
            lane.gone = Some((self.routes[side].send(lane.latest, 0), unread));
        }
        self.wake_all();
    }
}

impl Traveller for Connection {
    /// Wakes whoever waits: those on side 0 first.
    fn wake_all(&self) {
        let mut wakers = Vec::new();
        {
            let mut state = self.state.lock();
            for side in [0, 1] {
                wakers.extend(state.lanes[1 - side].reader.take());
                let writers = state.lanes[side].writers.drain(..);
                wakers.extend(writers.map(|(_, writer)| writer));
            }
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Resets the connection: at once, and for both sides.
    fn reset(&self) {
        {
            let mut state = self.state.lock();
            state.reset = true;
            for lane in &mut state.lanes {
                lane.octets = VecDeque::new();
                lane.parts = VecDeque::new();
            }
        }
        self.wake_all();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        for route in &self.routes {
            route.remove(self.serial);
        }
    }
}

impl Lane {
    /// Whether a read has to wait; and if so, until when if that is known.
    fn wait(&self, reset: bool, view: &View) -> Option<Option<Instant>> {
        if reset || self.is_reset(view) {
            return None;
        }
        let front = self.parts.front().map(|(due, _)| *due);
        match front.or(self.end).map(|due| view.arrival(due)) {
            Some(Arrival::Now) => None,
            Some(Arrival::At(at)) => Some(Some(at)),
            Some(Arrival::Held) | None => Some(None),
        }
    }

    /// Whether the news has arrived that the side that writes has reset the connection.
    fn is_reset(&self, view: &View) -> bool {
        let gone = self.gone.filter(|(_, reset)| *reset);
        gone.is_some_and(|(due, _)| view.has_arrived(due))
    }

    fn put(&mut self, octets: &[u8], due: Due) {
        if octets.is_empty() {
            return;
        }
        self.latest = due.at;
        self.octets.extend(octets);
        match self.parts.back_mut() {
            Some((last, len)) if *last == due => *len += octets.len(),
            _ => self.parts.push_back((due, octets.len())),
        }
    }

    /// Takes what has arrived, as much of it as `buf` has room for.
    fn take(&mut self, view: &View, buf: &mut ReadBuf<'_>) -> usize {
        let mut taken = 0;
        while let Some((due, len)) = self.parts.front_mut()
            && taken < buf.remaining()
            && view.has_arrived(*due)
        {
            let part = (*len).min(buf.remaining() - taken);
            taken += part;
            *len -= part;
            if *len == 0 {
                self.parts.pop_front();
            }
        }
        let (first, second) = self.octets.as_slices();
        let split = taken.min(first.len());
        buf.put_slice(&first[..split]);
        buf.put_slice(&second[..taken - split]);
        self.octets.drain(..taken);
        if self.octets.is_empty() {
            self.octets.shrink_to(IDLE_SIZE);
            self.parts.shrink_to(IDLE_PARTS);
            if self.end.is_none() {
                self.latest = None;
            }
        }
        taken
    }

    fn end(&mut self, route: &Route) {
        if self.end.is_none() {
            let due = route.send(self.latest, 0);
            self.latest = due.at;
            self.end = Some(due);
        }
    }

    /// Has `waiting` wait here for room. It keeps its place until it is woken.
    fn enqueue(&mut self, waiting: &mut Waiting, cx: &mut Context<'_>) -> Option<Waker> {
        let place = waiting.place;
        let found = self.writers.iter_mut();
        if let Some((_, waker)) = found.into_iter().find(|(other, _)| Some(*other) == place) {
            return (!waker.will_wake(cx.waker()))
                .then(|| std::mem::replace(waker, cx.waker().clone()));
        }
        let place = self.next_writer;
        self.next_writer += 1;
        waiting.place = Some(place);
        self.writers.push((place, cx.waker().clone()));
        None
    }
}

/// Gives what was registered before, to be dropped when no lock is held.
fn register(place: &mut Option<Waker>, cx: &mut Context<'_>) -> Option<Waker> {
    match place {
        Some(waker) if waker.will_wake(cx.waker()) => None,
        _ => place.replace(cx.waker().clone()),
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
