//! The network itself: the ways between its hosts, and the faults on them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::connection::Connection;
use super::pipe::Pipe;
use super::route::{Middle, Route};

/// How many octets a connection holds each way unless set otherwise.
const DEFAULT_CAPACITY: usize = 64 * 1024;

/// The ports that connections come from; listeners are given lower ones.
pub(super) const FIRST_SOURCE: u16 = 49_152;

pub(super) type Name = Arc<str>;

/// A connection that was not accepted yet, with the address that it comes from.
pub(super) type Dialled = (Pipe, String);

/// A network in memory. Clones are the same network. See [the module](super).
#[derive(Clone)]
pub struct Network(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) seed: u64,
    /// How many connections there are.
    open: Arc<AtomicUsize>,
    /// Locked before a route, never after one; no connection is touched under it.
    pub(super) state: Mutex<State>,
}

pub(super) struct State {
    capacity: usize,
    default_delay: Duration,
    next_serial: u64,
    hosts: BTreeMap<Name, Ports>,
    ways: BTreeMap<(Name, Name), Way>,
    isolated: BTreeSet<Name>,
    pub(super) listeners: BTreeMap<String, mpsc::Sender<Dialled>>,
}

/// What of a host is to be given next: its ports, and its random numbers.
struct Ports {
    listener: u16,
    source: u16,
    draws: u64,
}

/// From one host to another.
pub(super) struct Way {
    pub(super) route: Arc<Route>,
    has_own_delay: bool,
    is_partitioned: bool,
}

/// What has gone from one host to another; see [`Network::traffic`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Connections that the first host dialled and the second one's listener got.
    pub connections: u64,
    /// Octets that the first host sent and the second one read, in connections that either had
    /// dialled.
    pub octets: u64,
}

impl Network {
    /// A network without delays or faults. All that depends on `seed` are the numbers of
    /// [`Host::rng_seed`](super::Host::rng_seed).
    pub fn new(seed: u64) -> Self {
        Network(Arc::new(Shared {
            seed,
            open: Arc::default(),
            state: Mutex::new(State {
                capacity: DEFAULT_CAPACITY,
                default_delay: Duration::ZERO,
                next_serial: 0,
                hosts: BTreeMap::new(),
                ways: BTreeMap::new(),
                isolated: BTreeSet::new(),
                listeners: BTreeMap::new(),
            }),
        }))
    }

    /// How many octets may lie in a connection, each way, of those that are made from now on: at
    /// first 64 KiB. Writers wait when it is full.
    ///
    /// # Panics
    ///
    /// If it is 0, with which nothing would ever pass.
    pub fn set_capacity(&self, octets: usize) {
        assert!(octets > 0, "a capacity of 0 lets nothing pass");
        self.0.state.lock().capacity = octets;
    }

    /// How long everything takes that is sent from now on, between all hosts and within each,
    /// except where [`set_delay`](Self::set_delay) says otherwise: at first no time at all.
    pub fn set_default_delay(&self, delay: Duration) {
        let mut state = self.0.state.lock();
        state.default_delay = delay;
        for way in state.ways.values().filter(|way| !way.has_own_delay) {
            way.route.set_delay(delay);
        }
    }

    /// How long everything takes that is sent from one host to another from now on: octets, ends of
    /// streams, connection attempts and the answers to them. Within a connection nothing arrives
    /// before what was sent earlier, even if the delay has become shorter.
    pub fn set_delay(&self, from: &str, to: &str, delay: Duration) {
        let mut state = self.0.state.lock();
        let way = state.way(&from.into(), &to.into());
        way.has_own_delay = true;
        way.route.set_delay(delay);
    }

    /// How many octets a second pass from one host to another from now on, of all their connections
    /// together; `None`, as at first, for any number of them. What is sent waits for what was sent
    /// before it, then takes its [delay](Self::set_delay): a narrow line, or a reader that is slow.
    ///
    /// # Panics
    ///
    /// If it is 0: nothing passes in a [partition](Self::partition).
    pub fn set_rate(&self, from: &str, to: &str, octets: Option<u64>) {
        assert!(octets != Some(0), "a rate of 0 is a partition");
        self.route(from, to).set_rate(octets);
    }

    /// Puts something on the way from one host to another that takes what is written and gives what
    /// arrives in its place, such as a proxy that is broken. Each connection that is made from now
    /// on has one of its own, by `make`. It is asked once for whatever is written at once, which
    /// need not be whole messages, and must not use this network itself.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// let network = aemp::net::memory::Network::new(1);
    /// network.interpose("a", "b", || |octets: &[u8]| octets.to_ascii_uppercase());
    /// let listener = network.host("b").bind("b:1")?;
    /// let mut near = network.host("a").dial("b:1").await?;
    /// near.write_all(b"hello").await?;
    /// drop(near);
    /// let mut text = String::new();
    /// listener.accept().await?.0.read_to_string(&mut text).await?;
    /// assert_eq!(text, "HELLO");
    /// # Ok(()) }
    /// ```
    pub fn interpose<M>(&self, from: &str, to: &str, make: impl Fn() -> M + Send + Sync + 'static)
    where
        M: FnMut(&[u8]) -> Vec<u8> + Send + 'static,
    {
        let make = move || Box::new(make()) as Middle;
        self.route(from, to).interpose(Arc::new(make));
    }

    /// Resets every connection between the two hosts at once, whoever dialled it and whatever
    /// delays and partitions there are: both sides get
    /// [`ConnectionReset`](ErrorKind::ConnectionReset), and what they have not read yet is lost.
    /// New connections can be made, and attempts that are on their way go on.
    pub fn cut(&self, a: &str, b: &str) {
        // A connection goes both ways, so either way knows it.
        for connection in self.route(a, b).connections() {
            connection.reset();
        }
    }

    /// Lets nothing that one host sends arrive at the other until [`heal`](Self::heal): octets,
    /// ends of streams, connection attempts, and the answers to those, all wait and go on then. The
    /// other direction is not concerned. What has arrived by now can still be read.
    pub fn partition(&self, from: &str, to: &str) {
        let mut state = self.0.state.lock();
        let key = (from.into(), to.into());
        state.way(&key.0, &key.1).is_partitioned = true;
        state.refresh(|way| *way == key);
    }

    /// Ends a [partition](Self::partition): what was held arrives now, in its order, or when its
    /// delay is over. Does nothing about [`isolate`](Self::isolate).
    pub fn heal(&self, from: &str, to: &str) {
        let key = (from.into(), to.into());
        self.release(|state| {
            state.way(&key.0, &key.1).is_partitioned = false;
            state.refresh(|way| *way == key)
        });
    }

    /// Partitions a host from all others, in both directions, until [`rejoin`](Self::rejoin). It
    /// still reaches itself.
    pub fn isolate(&self, name: &str) {
        let mut state = self.0.state.lock();
        state.isolated.insert(name.into());
        state.refresh(|(from, to)| &**from == name || &**to == name);
    }

    /// Ends what [`isolate`](Self::isolate) began; [partitions](Self::partition) stay.
    pub fn rejoin(&self, name: &str) {
        self.release(|state| {
            state.isolated.remove(name);
            state.refresh(|(from, to)| &**from == name || &**to == name)
        });
    }

    /// Ends all partitions and isolations.
    pub fn heal_all(&self) {
        self.release(|state| {
            state.isolated.clear();
            for way in state.ways.values_mut() {
                way.is_partitioned = false;
            }
            state.refresh(|_| true)
        });
    }

    /// How many connections there are: those that at least one side has not dropped yet.
    pub fn connections(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }

    /// What has gone from one host to another so far.
    pub fn traffic(&self, from: &str, to: &str) -> Traffic {
        let route = self.route(from, to);
        Traffic {
            connections: route.connected.load(Ordering::Relaxed),
            octets: route.delivered.load(Ordering::Relaxed),
        }
    }

    fn route(&self, from: &str, to: &str) -> Arc<Route> {
        let mut state = self.0.state.lock();
        state.way(&from.into(), &to.into()).route.clone()
    }

    /// Does something that opens routes, and wakes those who wait for that when no lock is held any
    /// more.
    fn release(&self, open: impl FnOnce(&mut State) -> Vec<Arc<Route>>) {
        let opened = open(&mut self.0.state.lock());
        for route in opened {
            route.wake();
        }
    }

    /// A new connection over these routes.
    pub(super) fn connect(&self, routes: [Arc<Route>; 2]) -> Arc<Connection> {
        let mut state = self.0.state.lock();
        let serial = state.next_serial;
        state.next_serial += 1;
        let capacity = state.capacity;
        drop(state);
        Connection::new(serial, capacity, routes, self.0.open.clone())
    }

    /// Frees the address of a listener.
    pub(super) fn unbind(&self, address: &str) {
        let removed = self.0.state.lock().listeners.remove(address);
        drop(removed); // under no lock
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("seed", &self.0.seed)
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}

impl State {
    /// The way from one host to another, which is there as soon as somebody asks for it.
    pub(super) fn way(&mut self, from: &Name, to: &Name) -> &mut Way {
        let (delay, isolated) = (self.default_delay, &self.isolated);
        let key = (from.clone(), to.clone());
        self.ways.entry(key).or_insert_with(|| {
            let route = Arc::new(Route::new(delay));
            if from != to && (isolated.contains(from) || isolated.contains(to)) {
                route.hold();
            }
            Way {
                route,
                has_own_delay: false,
                is_partitioned: false,
            }
        })
    }

    /// Holds or opens each of the chosen routes, as it should be now. Gives those that were opened,
    /// to be woken when no lock is held.
    fn refresh(&self, chosen: impl Fn(&(Name, Name)) -> bool) -> Vec<Arc<Route>> {
        let mut opened = Vec::new();
        for (key, way) in self.ways.iter().filter(|(key, _)| chosen(key)) {
            let (from, to) = key;
            let apart = self.isolated.contains(from) || self.isolated.contains(to);
            if way.is_partitioned || (apart && from != to) {
                way.route.hold();
            } else if way.route.open() {
                opened.push(way.route.clone());
            }
        }
        opened
    }

    fn ports(&mut self, host: &Name) -> &mut Ports {
        self.hosts.entry(host.clone()).or_insert(Ports {
            listener: 1,
            source: FIRST_SOURCE,
            draws: 0,
        })
    }

    /// How often a random number was asked for on this host before.
    pub(super) fn draw(&mut self, host: &Name) -> u64 {
        let ports = self.ports(host);
        ports.draws += 1;
        ports.draws - 1
    }

    /// The address of a listener on the next port that is free.
    pub(super) fn free_address(&mut self, host: &Name) -> io::Result<String> {
        for _ in 1..FIRST_SOURCE {
            let ports = self.ports(host);
            let address = format!("{host}:{}", ports.listener);
            ports.listener = (ports.listener % (FIRST_SOURCE - 1)) + 1;
            if !self.listeners.contains_key(&address) {
                return Ok(address);
            }
        }
        Err(ErrorKind::AddrInUse.into())
    }

    /// The address that the next connection of a host comes from. After 16,384 of them they repeat.
    pub(super) fn source(&mut self, host: &Name) -> String {
        let ports = self.ports(host);
        let source = ports.source;
        ports.source = source.checked_add(1).unwrap_or(FIRST_SOURCE);
        format!("{host}:{source}")
    }
}
