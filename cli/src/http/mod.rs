//! `aemp run .. http HOST:PORT`: the node over HTTP. Counters for whoever collects them, whether it
//! is healthy for whoever starts it again, and a page that shows the network live.
//!
//! ```text
//! browser, collector -> accept -> hyper -> Site::answer -> View, Metrics, Health
//!                      (bounds)           (who asks, for what)
//! ```
//!
//! Who asks has proved nothing. So nothing can be changed here, there is a bound for how many
//! connections there are and for what one may take, what is seen serves everybody who asks within a
//! second, and a page of somebody else's can't have a browser read it ([`host`]).

mod answer;
mod health;
mod host;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use aemp::Node;
use aemp::config::{Address, BIND_PORT, Endpoint, Host, LocalHost, resolve};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::Failure;
use answer::Site;
pub(crate) use health::Health;
use host::Names;

/// So many connections there are at a time; more wait until one ends.
const MOST_CONNECTIONS: usize = 64;

/// The head of a request may take so long, and so may the next one on the same connection.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// The head of a request may have so many octets, and so many lines.
const HEAD_SIZE: usize = 16 * 1024;
const HEAD_LINES: usize = 64;

/// A connection is closed behind its current answer after that time, and after `LAST_ANSWER` more
/// in any case.
const LIFE: Duration = Duration::from_secs(30);
const LAST_ANSWER: Duration = Duration::from_secs(10);

/// Where to be asked.
pub(crate) struct Server {
    listeners: Vec<TcpListener>,
    names: Names,
}

impl Server {
    /// Listens at the address of the setting `http`. Nobody is answered before [`serve`] is called.
    ///
    /// [`serve`]: Self::serve
    pub(crate) async fn bind(setting: &str) -> Result<Self, Failure> {
        let address = Address::parse(setting)?;
        let port = address.port.unwrap_or(BIND_PORT);
        let one = |ip: IpAddr| vec![SocketAddr::new(ip, port)];
        let mut names = Vec::new();
        let listeners = match address.host {
            Host::NodeName => listen(setting, one(Ipv4Addr::LOCALHOST.into())).await?,
            Host::Ip(ip) => listen(setting, one(ip)).await?,
            Host::All => {
                names.push(aemp::config::node_name());
                // The one of IPv6 has both families, where there are both.
                match listen(setting, one(Ipv6Addr::UNSPECIFIED.into())).await {
                    Ok(listeners) => listeners,
                    Err(_) => listen(setting, one(Ipv4Addr::UNSPECIFIED.into())).await?,
                }
            }
            Host::Name(name) => {
                names.push(name);
                let found = resolve(setting, BIND_PORT, &LocalHost::detect()?).await?;
                let ips = found.into_iter().filter_map(|endpoint| match endpoint {
                    Endpoint::Ip(address) => Some(address),
                    _ => None,
                });
                listen(setting, ips.collect()).await?
            }
            _ => return Err(format!("http {setting}: an address of TCP is wanted").into()),
        };
        Ok(Server {
            listeners,
            names: Names::new(names),
        })
    }

    /// Where it listens.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let all = self.listeners.iter();
        all.filter_map(|listener| listener.local_addr().ok())
            .collect()
    }

    /// Whether it is not only for this machine.
    pub(crate) fn is_for_others(&self) -> bool {
        self.addresses()
            .iter()
            .any(|address| !address.ip().is_loopback())
    }

    /// Answers whoever asks, as long as the process runs.
    pub(crate) fn serve(self, node: &Node, health: Health) {
        for address in self.addresses() {
            introduce(address);
        }
        let site = Arc::new(Site::new(node, self.names, health));
        let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        for listener in self.listeners {
            tokio::spawn(accept(listener, site.clone(), room.clone()));
        }
    }
}

async fn listen(setting: &str, addresses: Vec<SocketAddr>) -> Result<Vec<TcpListener>, Failure> {
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| format!("http {setting}: {address}: {error}"))?;
        listeners.push(listener);
    }
    match listeners.is_empty() {
        true => Err(format!("http {setting}: no address was found").into()),
        false => Ok(listeners),
    }
}

fn introduce(address: SocketAddr) {
    tracing::warn!(
        target: "aemp",
        level = 5_u8,
        "http://{address}/ shows the network; /metrics and /healthz are for programs"
    );
    if !address.ip().is_loopback() {
        tracing::warn!(
            target: "aemp",
            level = 2_u8,
            "http: whoever reaches {address} sees nodes, ports and groups without a secret; \
             127.0.0.1 is seen from this machine only"
        );
    }
}

async fn accept(listener: TcpListener, site: Arc<Site>, room: Arc<Semaphore>) {
    loop {
        let Ok(place) = room.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let site = site.clone();
                tokio::spawn(async move {
                    let _place = place;
                    serve(stream, site).await;
                });
            }
            // There are no files left, as a rule: some may be later.
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Answers what is asked over one connection.
async fn serve(stream: TcpStream, site: Arc<Site>) {
    let service = service_fn(|request| site.clone().answer(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_SIZE)
        .max_headers(HEAD_LINES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // Whoever has gone, or speaks no HTTP, has nothing to be told.
    if timeout(LIFE, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(LAST_ANSWER, connection).await;
    }
}
