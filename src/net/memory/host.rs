//! A host: what listens and dials.

use std::io::{self, ErrorKind};

use tokio::sync::mpsc;

use super::listener::{BACKLOG, Listener};
use super::network::{Name, Network};
use super::pipe::Pipe;
use super::route::count;

/// A host in a [`Network`]. Clones, and those that [`Network::host`] gives for the same name, are
/// the same host.
#[derive(Debug, Clone)]
pub struct Host {
    network: Network,
    name: Name,
}

/// Here, as hosts stand above the network that they share.
impl Network {
    /// The host of this name: what stands before the port in its addresses. It need not have been
    /// mentioned before.
    pub fn host(&self, name: &str) -> Host {
        Host {
            network: self.clone(),
            name: name.into(),
        }
    }
}

impl Host {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The network that it is in.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Listens on `address`, which is `name:port` with the name of this host, or `*` in its place.
    /// A port of `0` or `*` is the next one that is free: from 1 on, each once before any is given
    /// again.
    ///
    /// # Errors
    ///
    /// [`AddrInUse`](ErrorKind::AddrInUse) if there is a listener on this address, or no port is
    /// free, [`AddrNotAvailable`](ErrorKind::AddrNotAvailable) if the address is another host's,
    /// and [`InvalidInput`](ErrorKind::InvalidInput) if it is none.
    pub fn bind(&self, address: &str) -> io::Result<Listener> {
        let (name, port) = address
            .rsplit_once(':')
            .ok_or_else(|| no_address(address))?;
        if name != "*" && name != &*self.name {
            return Err(ErrorKind::AddrNotAvailable.into());
        }
        let port: u16 = match port {
            "*" => 0,
            port => port.parse().map_err(|_| no_address(address))?,
        };
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let mut state = self.network.0.state.lock();
        let address = match port {
            0 => state.free_address(&self.name)?,
            port => format!("{}:{port}", self.name),
        };
        if state.listeners.contains_key(&address) {
            return Err(ErrorKind::AddrInUse.into());
        }
        state.listeners.insert(address.clone(), sender);
        drop(state);
        Ok(Listener::new(self.network.clone(), address, receiver))
    }

    /// Connects to `address`, which is `name:port`. That takes the delays there and back, and
    /// longer if as many as 1024 connections wait there to be accepted. In a
    /// [partition](Network::partition) it waits for the end of that. Who stops waiting for it
    /// closes the connection, if the listener has it already.
    ///
    /// # Errors
    ///
    /// [`ConnectionRefused`](ErrorKind::ConnectionRefused) if nobody listens there when the attempt
    /// arrives, and [`InvalidInput`](ErrorKind::InvalidInput) if it is no address.
    ///
    /// # Panics
    ///
    /// If there is a delay and no tokio runtime with a clock.
    pub async fn dial(&self, address: &str) -> io::Result<Pipe> {
        let split = address.rsplit_once(':');
        let parsed = split.and_then(|(name, port)| Some((name, port.parse::<u16>().ok()?)));
        let (name, port) = parsed.ok_or_else(|| no_address(address))?;
        let (there, back, source) = {
            let mut state = self.network.0.state.lock();
            let name = Name::from(name);
            let there = state.way(&self.name, &name).route.clone();
            let back = state.way(&name, &self.name).route.clone();
            (there, back, state.source(&self.name))
        };
        there.travel().await;
        let listener = {
            let state = self.network.0.state.lock();
            state.listeners.get(&format!("{name}:{port}")).cloned()
        };
        let place = match listener {
            Some(listener) => listener.reserve_owned().await.ok(),
            None => None,
        };
        let pipe = place.map(|place| {
            let connection = self.network.connect([there.clone(), back.clone()]);
            let [near, far] = Pipe::pair(&connection);
            count(&there.connected, 1);
            place.send((far, source));
            near
        });
        back.travel().await;
        pipe.ok_or_else(|| ErrorKind::ConnectionRefused.into())
    }

    /// A number to seed with it what is random on this host. It depends on the seed of the network,
    /// the name of this host, and how often it was asked for: what starts here again, such as a
    /// node, is not to draw once more what it drew before.
    pub fn rng_seed(&self) -> u64 {
        let draws = self.network.0.state.lock().draw(&self.name);
        let octets = self.name.bytes().map(u64::from);
        let begin = mix(self.network.0.seed ^ mix(draws));
        octets.fold(begin, |seed, octet| mix(seed ^ octet))
    }
}

fn no_address(text: &str) -> io::Error {
    let message = format!("not an address of the form name:port: {text}");
    io::Error::new(ErrorKind::InvalidInput, message)
}

/// SplitMix64: other numbers for other arguments, without a pattern.
pub(super) fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
