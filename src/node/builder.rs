//! Configuring and starting a node.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::RwLock;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::funcs::{self, Functions};
use super::port::Outcome;
use super::{Context, Inner, Node, Owner, Ports, Relay, Settings, peers};
use crate::config::{
    self, Arguments, Config, ConfigError, Environment, LocalHost, RcFile, format_hostport,
};
use crate::log::log_at;
use crate::mesh::{self, Mesh};
use crate::net;
use crate::proto::generation::Generations;
use crate::proto::handshake::Local;
use crate::proto::id::alnumbits;
use crate::proto::{AuthMethod, Framing, InvalidNodeId, Limits, Message, NodeId, Reason, Secret};

/// Why a node did not start.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use aemp::{Node, StartError};
/// let start = Node::builder().no_rc().nodeid("a").set("auth_offer", "magic").start();
/// match start.await {
///     Err(StartError::Unknown { key, value, .. }) => assert_eq!((key, &*value), ("auth_offer", "magic")),
///     other => panic!("{other:?}"),
/// }
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The node ID is none.
    #[error(transparent)]
    NodeId(#[from] InvalidNodeId),
    /// A setting names something that this crate does not know.
    #[error("{key}: {value:?} is not known here; known are {known}")]
    Unknown {
        /// The setting.
        key: &'static str,
        /// What it names.
        value: String,
        /// What could be named.
        known: String,
    },
    /// A listener can't be had.
    #[error("can't listen on {address}: {error}")]
    Bind {
        /// The address.
        address: String,
        /// Why.
        error: std::io::Error,
    },
    /// The node can't be the bridge that it is configured to be.
    #[error(transparent)]
    Bridge(#[from] crate::bridge::BridgeError),
}

/// Configures a node, in the way of Perl's `configure`.
///
/// What is set here are *defaults*: values in the configuration file that is shared with Perl (see
/// [`crate::config`]) count for more, so that whoever runs a program can change them. With
/// [`no_rc`](Self::no_rc) the file is not read.
///
/// ```no_run
/// # async fn run() -> Result<(), aemp::StartError> {
/// let node = aemp::Node::builder()
///     .nodeid("eg_receiver")
///     .binds(["*:4040"])
///     .start()
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Builder {
    arguments: Arguments,
    no_rc: bool,
    secret: Option<Secret>,
}

impl Builder {
    /// The profile to use; without one it is the name of the host.
    ///
    /// ```
    /// let builder = aemp::Node::builder().no_rc().profile("seed");
    /// assert_eq!(builder.config()?.profile, "seed");
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn profile(mut self, name: impl Into<String>) -> Self {
        self.arguments.profile = Some(name.into());
        self
    }

    /// Any setting, by the name that it has in the file.
    ///
    /// ```
    /// use std::time::Duration;
    /// let builder = aemp::Node::builder().no_rc().set("monitor_timeout", 20);
    /// assert_eq!(builder.config()?.monitor_timeout, Some(Duration::from_secs(20)));
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn set(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.arguments.settings.push((key.into(), value.into()));
        self
    }

    /// These arguments, in place of the profile and the settings given so far.
    ///
    /// ```
    /// use aemp::config::Arguments;
    /// let arguments = Arguments::from_list(vec!["seed".into(), "binds".into(), "*:4040".into()])?;
    /// let config = aemp::Node::builder().no_rc().arguments(arguments).config()?;
    /// assert_eq!((config.profile, config.binds), ("seed".into(), Some(vec!["*:4040".into()])));
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn arguments(mut self, arguments: Arguments) -> Self {
        self.arguments = arguments;
        self
    }

    /// The node's ID. `%n` in it is replaced by the name of the host, `%u`, and a `/` at its end, by a random
    /// part, so `anon/` gives a random one. Without it, it is the profile's name. [`Config::node_id`] has the
    /// whole rule.
    ///
    /// ```
    /// let builder = aemp::Node::builder().no_rc().nodeid("shop/%n/");
    /// assert!(builder.config()?.node_id("doomed", &[7; 12])?.starts_with("shop/doomed/Bw"));
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn nodeid(self, id: impl Into<String>) -> Self {
        self.set("nodeid", id.into())
    }

    /// Where to listen: `host:port`, `*` for all addresses but loopback or for any port. Without it,
    /// `*`; with an empty list, nowhere.
    ///
    /// ```
    /// let builder = aemp::Node::builder().no_rc().binds(["*:4040", "127.0.0.1:*"]);
    /// assert_eq!(builder.config()?.binds.unwrap().len(), 2);
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn binds<S: Into<String>>(self, binds: impl IntoIterator<Item = S>) -> Self {
        let binds: Vec<String> = binds.into_iter().map(Into::into).collect();
        self.set("binds", binds)
    }

    /// The addresses of nodes through which the network is found.
    ///
    /// ```
    /// let builder = aemp::Node::builder().no_rc().seeds(["doomed:4040", "ruth:4040"]);
    /// assert_eq!(builder.config()?.seeds, ["doomed:4040", "ruth:4040"]);
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn seeds<S: Into<String>>(self, seeds: impl IntoIterator<Item = S>) -> Self {
        let seeds: Vec<String> = seeds.into_iter().map(Into::into).collect();
        self.set("seeds", seeds)
    }

    /// The secret that the nodes of the network share.
    ///
    /// ```
    /// let builder = aemp::Node::builder().no_rc().secret("geheim");
    /// assert_eq!(builder.config()?.secret, Some("geheim".into()));
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn secret(mut self, secret: impl Into<Secret>) -> Self {
        self.secret = Some(secret.into());
        self
    }

    /// Which generations to speak; all, unless set.
    ///
    /// ```
    /// use aemp::proto::generation::Generations;
    /// let builder = aemp::Node::builder().no_rc().generation(Generations::Only(0));
    /// assert_eq!(builder.config()?.generation, Generations::Only(0));
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn generation(self, generations: Generations) -> Self {
        match generations {
            Generations::Auto => self.set("generation", "auto"),
            Generations::Only(number) => self.set("generation", number),
        }
    }

    /// The framings to offer and accept, best first; CBOR and JSON, unless set. An older Perl node and
    /// this one meet in JSON or Storable.
    ///
    /// ```
    /// use aemp::proto::Framing;
    /// let builder = aemp::Node::builder().no_rc().framings([Framing::Json, Framing::Storable]);
    /// assert_eq!(builder.config()?.framing_format, ["json", "storable"]);
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn framings(self, framings: impl IntoIterator<Item = Framing>) -> Self {
        let names: Vec<&str> = framings.into_iter().map(Framing::name).collect();
        self.set("framing_format", names)
    }

    /// Refuses to run anything here for other nodes: the functions of this program are not called and not
    /// spawned, and nothing is evaluated. Ports, monitors, kills and groups work as ever, and so does
    /// [`Node::spawn`] on this node; but requests to its own node port are refused, too, because others
    /// could have it send them.
    ///
    /// ```
    /// let builder = aemp::Node::builder().no_rc().secure();
    /// assert!(builder.config()?.secure);
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn secure(self) -> Self {
        self.set("secure", true)
    }

    /// Lets what is set here count for more than what is in the configuration file.
    ///
    /// ```
    /// let builder = aemp::Node::builder().no_rc().nodeid("ruth").force();
    /// assert_eq!(builder.config()?.nodeid.as_deref(), Some("ruth"));
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn force(self) -> Self {
        self.set("force", true)
    }

    /// Does not read the configuration file. The argument `norc` does the same.
    ///
    /// ```
    /// let config = aemp::Node::builder().no_rc().config()?;
    /// assert!(config.secret.is_none() && config.seeds.is_empty());
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn no_rc(mut self) -> Self {
        self.no_rc = true;
        self
    }

    /// The configuration as it would be used by [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: the file or a setting is wrong.
    ///
    /// ```
    /// let builder = aemp::Node::builder().no_rc().profile("seed").set("max_depth", "100");
    /// let config = builder.config()?;
    /// assert_eq!((config.profile.as_str(), config.max_depth), ("seed", 100));
    /// assert!(builder.set("max_depth", "deep").config().is_err());
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn config(&self) -> Result<Config, ConfigError> {
        let rc = match self.no_rc || self.arguments.leave_out_file()? {
            true => RcFile::default(),
            false => RcFile::load(Environment::from_process().rc_path())?,
        };
        let mut config = Config::load(&rc, &self.arguments, &config::node_name())?;
        if config.secret.is_none() {
            config.secret = self.secret.clone();
        }
        Ok(config)
    }

    /// Starts the node: reads the configuration, binds the listeners, and sets out for the seeds.
    ///
    /// Returns when the node listens. It takes a while longer until it has joined its network: see
    /// [`Node::mon_nodes`] and [`Node::mon_group`].
    ///
    /// # Errors
    ///
    /// [`StartError`]. Seeds that can't be reached are no error; they are tried again and again.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::builder()
    ///     .no_rc()
    ///     .nodeid("ruth")
    ///     .secret("geheim")
    ///     .binds(["127.0.0.1:0"])
    ///     .start()
    ///     .await?;
    /// assert_eq!(node.listeners().len(), 1);
    /// # Ok(()) }
    /// ```
    pub async fn start(self) -> Result<Node, StartError> {
        let config = self.config()?;
        for (key, origin) in &config.unknown {
            log_at!(
                1,
                "the setting {key} ({origin}) is not known and has no effect"
            );
        }
        let id = NodeId::checked(&config.node_id(&config::node_name(), &rand::random())?)?;
        log_at!(8, "node {id} starting up.");
        let node = build(id, &config)?;
        let inner = node.inner();
        log_at!(7, "starting global service.");
        listen(inner, &config).await?;
        if !config.bridge.is_empty() {
            node.bridge(config.bridge.iter().copied())?.keep();
        }
        let local = LocalHost::detect()?;
        for seed in config.seeds {
            add_seed(inner, seed, &local).await;
        }
        run_services(inner, &config.services);
        Ok(node)
    }

    /// The node without any network.
    pub(crate) fn local(self) -> Node {
        let id = NodeId::new(format!("anon/{}", alnumbits(&rand::random::<[u8; 12]>())));
        let node = build(id, &Config::default()).expect("the defaults are right");
        node.become_global(); // there is nobody else to ask
        node
    }
}

fn known<T>(
    key: &'static str,
    values: &[String],
    from_name: impl Fn(&str) -> Option<T>,
    all: &[&'static str],
) -> Result<Vec<T>, StartError> {
    let parse = |value: &String| {
        from_name(value).ok_or_else(|| StartError::Unknown {
            key,
            value: value.clone(),
            known: all.join(", "),
        })
    };
    values.iter().map(parse).collect()
}

fn build(id: NodeId, config: &Config) -> Result<Node, StartError> {
    let methods = AuthMethod::ALL.map(AuthMethod::name);
    let settings = Settings {
        generations: config.generation,
        monitor_timeout: config.monitor_timeout,
        network_latency: config.network_latency.unwrap_or(Duration::from_secs(3)),
        connect_interval: config.connect_interval,
        limits: Limits {
            max_message: config.max_message,
            max_depth: config.max_depth,
        },
        max_queue: config.max_queue,
        max_mailbox: config.max_mailbox,
        nodelay: config.nodelay,
        secure: config.secure,
    };
    let handshake = Local {
        generations: config.generation,
        auth_offer: known(
            "auth_offer",
            &config.auth_offer,
            AuthMethod::from_name,
            &methods,
        )?,
        auth_accept: known(
            "auth_accept",
            &config.auth_accept,
            AuthMethod::from_name,
            &methods,
        )?,
        framings: known(
            "framing_format",
            &config.framing_format,
            Framing::from_name,
            &Framing::ALL.map(Framing::name),
        )?,
        timeout_secs: settings.idle_timeout().as_secs(),
        ..Local::new(id.clone(), config.secret.clone())
    };
    Ok(assemble(id, settings, handshake, None))
}

/// A stand-in of the bridge whose own node is `own`: its ID, the number of its generation.
pub(crate) fn stand_in(own: &Arc<Inner>, id: &NodeId, number: u32, relay: Arc<dyn Relay>) -> Node {
    let settings = Settings {
        generations: Generations::Only(number),
        ..own.settings.clone()
    };
    let handshake = Local {
        node: id.clone(),
        generations: Generations::Only(number),
        params: vec![(STAND_IN_KEY.to_owned(), own.id.to_string())],
        ..(*own.handshake).clone()
    };
    assemble(id.clone(), settings, handshake, Some(relay))
}

/// The parameter of a greeting with which a stand-in names its bridge.
pub(crate) const STAND_IN_KEY: &str = "standin";

fn assemble(
    id: NodeId,
    settings: Settings,
    handshake: Local,
    relay: Option<Arc<dyn Relay>>,
) -> Node {
    let generations = settings.generations;
    let mesh = mesh::state::Config {
        connect_interval: settings.connect_interval,
        monitor_timeout: settings.monitor_timeout(),
        stands_in: relay.is_some(),
        seed_only_when_alone: generations == Generations::Only(0),
        seeds_are_single: generations == Generations::Only(2),
    };
    let runiq = alnumbits(&rand::random::<[u8; 12]>());
    let bridges = alnumbits(&rand::random::<[u8; 9]>());
    let stop = CancellationToken::new();
    let inner = Arc::new(Inner {
        id: id.clone(),
        runtime: Handle::current(),
        settings,
        handshake: Arc::new(handshake),
        ports: Ports::default(),
        peers: peers::Peers::default(),
        functions: Functions::default(),
        mesh: Mesh::new(id, bridges, mesh),
        listeners: RwLock::default(),
        relay,
        observer: OnceLock::new(),
        stop: stop.clone(),
        stopping: AtomicBool::new(false),
        events: super::events::Subscribers::default(),
        tasks: TaskTracker::new(),
        kills: TaskTracker::new(),
        halted: CancellationToken::new(),
        uniq: alnumbits(&rand::random::<[u8; 6]>()),
        runiq,
        port_room: Notify::new(),
        port_counter: AtomicU64::new(0),
        serial: AtomicU64::new(1),
    });
    add_global_service(&inner);
    let (home, stopped) = (inner.clone(), stop.clone());
    inner.runtime.spawn(async move {
        stopped.cancelled().await;
        home.halt().await;
    });
    Node {
        inner,
        _owner: Some(Arc::new(Owner(stop))),
    }
}

/// What peers spawn to talk about the mesh, and what they call to read statistics.
fn add_global_service(node: &Arc<Inner>) {
    let connect = |context: &Context, args: Message| {
        let read = args.args::<(crate::proto::message::Num<f64>, NodeId)>();
        let (version, peer) = match read {
            Ok((version, peer)) => (version.0, peer),
            Err(error) => return Outcome::Done(Err(error.to_string())),
        };
        if version.trunc() != 0.0 {
            let text = format!("node version mismatch (requested {version}; we have 0)");
            return Outcome::Done(Err(text));
        }
        // The peer's going is nothing to be reported.
        let own = context.clone();
        context.mon(&peer, move |_| own.end());
        context.this().rcv_any(move |context, message| {
            let node = context.node().inner();
            node.mesh.message(node, &peer, &message);
        });
        Outcome::Done(Ok(()))
    };
    let connect: funcs::Function = Arc::new(connect);
    let stats = |context: &Context, args: Message| {
        let reply = args.args::<(crate::proto::PortId,)>();
        let sent = match reply {
            Ok((reply,)) => context.snd(&reply, &(context.stats(),)),
            Err(error) => return Outcome::Done(Err(error.to_string())),
        };
        Outcome::Done(sent.map_err(|error| error.to_string()))
    };
    let stats: funcs::Function = Arc::new(stats);
    let mut functions = node.functions.named.write();
    functions.insert(mesh::CONNECT.to_owned(), connect);
    functions.insert(super::STATS_FUNCTION.to_owned(), stats);
}

async fn listen(node: &Arc<Inner>, config: &Config) -> Result<(), StartError> {
    let all = vec!["*".to_owned()];
    let binds = config.binds.as_ref().unwrap_or(&all);
    let local = LocalHost::detect()?;
    let addresses = config::resolve_all(binds, config::BIND_PORT, &local).await?;
    listen_on(node, addresses)
}

/// Listens there, and tells the mesh.
pub(crate) fn listen_on(node: &Arc<Inner>, addresses: Vec<SocketAddr>) -> Result<(), StartError> {
    let mut listeners = Vec::new();
    for address in addresses {
        let bind = |error| StartError::Bind {
            address: format_hostport(&address),
            error,
        };
        let listener = net::bind(address).map_err(bind)?;
        let bound = listener.local_addr().map_err(bind)?;
        listeners.push((format_hostport(&bound), listener));
    }
    let names: Vec<String> = listeners.iter().map(|(name, _)| name.clone()).collect();
    log_at!(8, "node listens on [{}].", names.join(" "));
    node.mesh.listen(node, names.clone());
    *node.listeners.write() = names;
    for (_, listener) in listeners {
        node.spawn_task(net::accept_loop(node.clone(), listener));
    }
    Ok(())
}

/// Adds a seed; while its name can't be resolved, tries again in the background.
async fn add_seed(node: &Arc<Inner>, seed: String, local: &LocalHost) {
    const AGAIN: Duration = Duration::from_secs(10);
    let add = |addresses: Vec<SocketAddr>, node: &Arc<Inner>| {
        let addresses = addresses.iter().map(format_hostport).collect();
        node.mesh.add_seeds(node, addresses);
    };
    match config::resolve(&seed, config::SEED_PORT, local).await {
        Ok(addresses) => add(addresses, node),
        Err(error) => {
            log_at!(1, "seed {seed}: {error}; trying again every {AGAIN:?}");
            let (home, local) = (node.clone(), local.clone());
            node.spawn_task(async move {
                loop {
                    tokio::time::sleep(AGAIN).await;
                    if let Ok(found) = config::resolve(&seed, config::SEED_PORT, &local).await {
                        return add(found, &home);
                    }
                }
            });
        }
    }
}

/// Runs the services of the configuration: functions of this program.
fn run_services(node: &Arc<Inner>, services: &[Value]) {
    for service in services {
        if service.as_str() == Some(mesh::GLOBAL_SERVICE) {
            node.mesh.become_global(node);
            continue;
        }
        let (name, args) = match service {
            Value::Array(list) => match list.split_first() {
                Some((name, args)) => (name.as_str(), args),
                None => (None, &[][..]),
            },
            name => (name.as_str(), &[][..]),
        };
        let Some(function) = name.and_then(|name| node.functions.get(name)) else {
            log_at!(1, "the service {service} is no function of this program");
            continue;
        };
        let context = Context::new(node, node.id.node_port());
        let args = Message::from_values(args);
        let outcome = super::port::guarded(|| function(&context, args));
        if let Outcome::Done(Err(text)) = outcome {
            log_at!(1, "the service {service} failed: {text}");
        }
    }
}

impl Inner {
    pub(crate) async fn shutdown(self: &Arc<Self>) {
        const PATIENCE: Duration = Duration::from_secs(1);
        let peers = self.peers.all();
        let flush = async {
            // What was to be killed before is told of before.
            self.kills.close();
            self.kills.wait().await;
            for peer in &peers {
                if peer.is_up() {
                    peer.wait_until_written().await;
                }
            }
        };
        let _ = tokio::time::timeout(PATIENCE, flush).await;
        self.stopping.store(true, Ordering::Release);
        self.stop.cancel();
        let _ = tokio::time::timeout(PATIENCE, self.halted.cancelled()).await;
        self.tasks.close();
        let _ = tokio::time::timeout(PATIENCE, self.tasks.wait()).await;
    }

    /// Ends everything: links are lost, monitors fire, ports die, and what the program gave us to
    /// call is dropped.
    async fn halt(self: &Arc<Self>) {
        const PATIENCE: Duration = Duration::from_millis(500);
        self.stopping.store(true, Ordering::Release);
        let peers = self.peers.all();
        super::enter(&self.runtime, || {
            for peer in &peers {
                peer.disconnect(self, "node is shutting down");
            }
        });
        // Monitors may be firing on other threads.
        let settled = async {
            for peer in &peers {
                peer.settled().await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, settled).await;
        super::enter(&self.runtime, || {
            for port in self.ports.all() {
                port.die_of(self, Reason::normal());
            }
        });
        self.functions.clear();
        self.events.close();
        self.mesh.close();
        self.halted.cancel();
    }
}
