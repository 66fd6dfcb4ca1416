//! A relay between nodes: passes on what they say to each other, and has somebody watch it.
//! `record` and `proxy` are such.

mod opening;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;

use parking_lot::Mutex;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::task::JoinSet;

use crate::system::Signals;
use crate::{Failure, output};
pub(crate) use opening::Side;
use opening::{Next, Opening};
use tls::Ends;

/// What the help of each relay says about TLS.
macro_rules! tls_help {
    () => {
        "Where both nodes have a certificate, they go over to TLS. Without --cert that passes as it is, \
         and nobody can read it. With --cert the relay speaks TLS with each side: FILE is the setting \
         `cert` of a node there, with its key. Nodes that share one file need no more; if the node at \
         TARGET trusts another one, that is --target-cert."
    };
}
pub(crate) use tls_help;

/// So many octets are read at once.
const CHUNK: usize = 64 * 1024;

/// The options of each relay.
#[derive(Debug, clap::Args)]
#[group(id = "relay")]
pub(crate) struct Options {
    /// Where to listen: HOST:PORT, with port 0 any that is free
    listen: String,
    /// Where connections go: HOST:PORT
    target: String,
    /// Listen on an address that others than this machine reach
    #[arg(long)]
    allow: bool,
    /// So many connections at a time; others wait
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    max_connections: u16,
    /// A key and certificates in PEM, with which to speak TLS where both nodes do
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Those for TARGET, if they are others
    #[arg(long, value_name = "FILE", requires = "cert")]
    target_cert: Option<PathBuf>,
}

/// Octets that pass.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passing<'a> {
    /// Who says it.
    pub(crate) from: Side,
    /// None: that side says no more.
    pub(crate) octets: &'a [u8],
    /// They go through TLS, and these went in.
    pub(crate) inside_tls: bool,
}

/// Who watches a connection.
pub(crate) trait Watch: Send + 'static {
    /// Something is about to be passed on.
    ///
    /// # Errors
    ///
    /// Why the connection is to be closed instead.
    fn passes(&mut self, what: Passing<'_>) -> Result<(), String>;

    /// The connection has ended in this way.
    fn ended(self, how: &str) -> Result<(), Failure>;
}

/// Relays connections until SIGINT or SIGTERM. `begin` makes the watch of each, given where it
/// comes from. `doing`: what the command says that it does.
pub(crate) async fn serve<W: Watch>(
    options: &Options,
    doing: &str,
    mut begin: impl FnMut(SocketAddr) -> Result<W, Failure>,
) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let ends = match &options.cert {
        Some(cert) => Some(Ends::of_files(cert, options.target_cert.as_deref())?),
        None => None,
    };
    let listener = listen(options).await?;
    let (at, target) = (listener.local_addr()?, &options.target);
    match output::is_json() {
        true => output::line(json!({"listens": at.to_string(), "target": target}))?,
        false => output::line(format_args!("{doing} what passes from {at} to {target}"))?,
    }
    let mut running: JoinSet<Result<(), Failure>> = JoinSet::new();
    loop {
        let has_room = running.len() < usize::from(options.max_connections);
        tokio::select! {
            accepted = listener.accept(), if has_room => match accepted {
                Ok((connector, from)) => {
                    let relay = Relay {
                        target: target.clone(),
                        ends: ends.clone(),
                        watch: Mutex::new(begin(from)?),
                    };
                    running.spawn(relay.run(connector));
                }
                // One that was given up before it was taken; or there is no file left for it, until
                // another connection ends.
                Err(error) => {
                    output::status(format_args!("can't accept a connection: {error}"));
                    if let Some(ended) = running.join_next().await {
                        ended??;
                    }
                }
            },
            Some(ended) = running.join_next() => ended??,
            _ = signals.end() => return Ok(()),
        }
    }
}

/// Listens, unless that is an address that others reach and nobody said that they may.
async fn listen(options: &Options) -> Result<TcpListener, Failure> {
    let at = &options.listen;
    let wrong = |error: std::io::Error| format!("{at}: {error}");
    let addresses: Vec<SocketAddr> = lookup_host(at).await.map_err(wrong)?.collect();
    let is_own = addresses.iter().all(|address| address.ip().is_loopback());
    if !is_own && !options.allow {
        let text = format!("{at} can be reached from other machines. If it may: --allow");
        return Err(text.into());
    }
    Ok(TcpListener::bind(&addresses[..]).await.map_err(wrong)?)
}

/// A connection that is relayed.
struct Relay<W> {
    target: String,
    ends: Option<Ends>,
    watch: Mutex<W>,
}

/// What is to be passed on of one side.
struct Source {
    stream: TcpStream,
    /// What was read of it, and not passed on yet.
    held: Vec<u8>,
    /// It says no more, which was passed on.
    has_ended: bool,
}

impl<W: Watch> Relay<W> {
    async fn run(self, connector: TcpStream) -> Result<(), Failure> {
        let how = match self.relay(connector).await {
            Ok(()) => "ended".to_owned(),
            Err(how) => how,
        };
        self.watch.into_inner().ended(&how)
    }

    /// Passes on what both sides say until both have ended, or one of them can't be reached.
    async fn relay(&self, connector: TcpStream) -> Result<(), String> {
        let target = &self.target;
        let connected = TcpStream::connect(target).await;
        let listener = connected.map_err(|error| format!("{target} can't be reached: {error}"))?;
        let _ = (connector.set_nodelay(true), listener.set_nodelay(true));
        let mut sources = [connector, listener].map(|stream| Source {
            stream,
            held: Vec::new(),
            has_ended: false,
        });
        let next = match self.ends {
            Some(_) => self.open(&mut sources).await?,
            None => Next::Plain,
        };
        let ended = sources.each_ref().map(|source| source.has_ended);
        let [connector, listener] = sources.map(|source| tls::begun(source.stream, source.held));
        match (next, &self.ends) {
            (Next::Tls(role), Some(ends)) => {
                let named = |side: &'static str, setting: &'static str| {
                    move |error: std::io::Error| {
                        let why = tls::explain(&error);
                        format!("closed, as {side} and we can't agree: {why} ({setting})")
                    }
                };
                let opened = tokio::try_join!(
                    async {
                        let opened = ends.connector.open(connector, role).await;
                        opened.map_err(named("who has connected", "--cert"))
                    },
                    async {
                        let opened = ends.target.open(listener, tls::other(role)).await;
                        let setting = "--target-cert, or --cert without it";
                        opened.map_err(named("the target", setting))
                    },
                );
                let (connector, listener) = opened?;
                self.pass_both(connector, listener, [false; 2], true).await
            }
            _ => self.pass_both(connector, listener, ended, false).await,
        }
    }

    /// Passes on the greetings and nonces, and finds out what follows them.
    async fn open(&self, sources: &mut [Source; 2]) -> Result<Next, String> {
        let mut opening = Opening::default();
        let (mut forth, mut back) = (vec![0; CHUNK], vec![0; CHUNK]);
        loop {
            match opening.next() {
                Next::Unknown => {}
                next => return Ok(next),
            }
            let [connector, target] = &mut *sources;
            let (side, read) = tokio::select! {
                read = connector.stream.read(&mut forth), if !opening.is_complete(Side::Connector) =>
                    (Side::Connector, read),
                read = target.stream.read(&mut back), if !opening.is_complete(Side::Target) =>
                    (Side::Target, read),
            };
            let (from, to, block) = match side {
                Side::Connector => (connector, target, &forth),
                Side::Target => (target, connector, &back),
            };
            let octets = &block[..read.map_err(broken)?];
            let passing = match octets {
                [] => {
                    opening.end(side);
                    from.has_ended = true;
                    octets
                }
                _ => octets.split_at(opening.take(side, octets)).0,
            };
            from.held.extend_from_slice(&octets[passing.len()..]);
            self.watch.lock().passes(Passing {
                from: side,
                octets: passing,
                inside_tls: false,
            })?;
            match passing {
                // The other side may have gone already.
                [] => drop(to.stream.shutdown().await),
                _ => to.stream.write_all(passing).await.map_err(broken)?,
            }
        }
    }

    async fn pass_both(
        &self,
        connector: impl AsyncRead + AsyncWrite,
        target: impl AsyncRead + AsyncWrite,
        [forth_ended, back_ended]: [bool; 2],
        inside_tls: bool,
    ) -> Result<(), String> {
        let (from_connector, to_connector) = tokio::io::split(connector);
        let (from_target, to_target) = tokio::io::split(target);
        let forth = async {
            match forth_ended {
                true => Ok(()),
                false => {
                    let from = Side::Connector;
                    self.pass(from_connector, to_target, from, inside_tls).await
                }
            }
        };
        let back = async {
            match back_ended {
                true => Ok(()),
                false => {
                    let from = Side::Target;
                    self.pass(from_target, to_connector, from, inside_tls).await
                }
            }
        };
        tokio::try_join!(forth, back).map(drop)
    }

    /// Passes on one direction. What passes is watched first, so that no answer stands in front of
    /// what it answers.
    async fn pass(
        &self,
        mut source: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        from: Side,
        inside_tls: bool,
    ) -> Result<(), String> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = match source.read(&mut buffer).await {
                // Within TLS, the end of a direction is not always announced.
                Err(error) if inside_tls && error.kind() == std::io::ErrorKind::UnexpectedEof => 0,
                read => read.map_err(broken)?,
            };
            let octets = &buffer[..count];
            self.watch.lock().passes(Passing {
                from,
                octets,
                inside_tls,
            })?;
            if count == 0 {
                // The other side may have gone already.
                let _ = to.shutdown().await;
                return Ok(());
            }
            to.write_all(octets).await.map_err(broken)?;
            to.flush().await.map_err(broken)?;
        }
    }
}

fn broken(error: std::io::Error) -> String {
    format!("broken off: {error}")
}
