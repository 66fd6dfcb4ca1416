//! Configuring and starting a node: its settings, its listeners, its seeds, and the bridge that it
//! may be.
//!
//! This room stands above `node` and `bridge`, and puts them together.

mod probe;
mod reload;
mod start;

pub use probe::{Probe, ProbeStep};
pub use reload::Reloaded;

use serde_json::Value;

use crate::config::{self, Arguments, Config, ConfigError, Environment, RcFile, Settings};
use crate::net::Transport;
use crate::net::memory::Host;
use crate::net::tls::{CertError, Tls};
use crate::node::Node;
use crate::proto::generation::Generations;
use crate::proto::{Framing, InvalidNodeId, Secret};

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
    /// The setting `cert` can't be used, or is missing.
    #[error(transparent)]
    Cert(#[from] CertError),
    /// A setting names nothing that this crate knows.
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
    /// A service of the configuration did not start, and [`Builder::require_services`] says that it
    /// must.
    #[error("the service {service} does not start: {why}")]
    Service {
        /// The service, as it is configured.
        service: String,
        /// Why.
        why: String,
    },
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
    transport: Transport,
    /// The program's own configuration of TLS.
    tls: Option<std::sync::Arc<Tls>>,
    prepare: Prepare,
    /// Whether all services have to start.
    require_services: bool,
}

/// What the program does with the node before anybody can reach it.
#[derive(Clone, Default)]
struct Prepare(Vec<std::sync::Arc<PrepareCode>>);

type PrepareCode = dyn Fn(&Node) + Send + Sync;

impl std::fmt::Debug for Prepare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} functions", self.0.len())
    }
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

    fn set_list<S: Into<String>>(self, key: &str, list: impl IntoIterator<Item = S>) -> Self {
        let list: Vec<String> = list.into_iter().map(Into::into).collect();
        self.set(key, list)
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

    /// The node's ID. `%n` in it is replaced by the name of the host, `%u`, and a `/` at its end,
    /// by a random part, so `anon/` gives a random one. Without it, it is the profile's name.
    /// [`Config::node_id`] has the whole rule.
    ///
    /// ```
    /// let builder = aemp::Node::builder().no_rc().nodeid("shop/%n/");
    /// assert!(builder.config()?.node_id("doomed", &[7; 12])?.starts_with("shop/doomed/Bw"));
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn nodeid(self, id: impl Into<String>) -> Self {
        self.set("nodeid", id.into())
    }

    /// Where to listen: `host:port`, `*` for all addresses but loopback or for any port, or a Unix
    /// socket, `unix/:/path`. Without it, `*`; with an empty list, nowhere. A name that can't be
    /// looked up is no error, but a line in the log. [`Address`](crate::config::Address) has all
    /// forms.
    ///
    /// ```
    /// let builder = aemp::Node::builder().no_rc().binds(["*:4040", "127.0.0.1:*"]);
    /// assert_eq!(builder.config()?.binds.unwrap().len(), 2);
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn binds<S: Into<String>>(self, binds: impl IntoIterator<Item = S>) -> Self {
        self.set_list("binds", binds)
    }

    /// The addresses of nodes through which the network is found.
    ///
    /// ```
    /// let builder = aemp::Node::builder().no_rc().seeds(["doomed:4040", "ruth:4040"]);
    /// assert_eq!(builder.config()?.seeds, ["doomed:4040", "ruth:4040"]);
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn seeds<S: Into<String>>(self, seeds: impl IntoIterator<Item = S>) -> Self {
        self.set_list("seeds", seeds)
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

    /// The key and the certificates of the node in PEM, the text itself: with it, links go through
    /// TLS where the other node has one, too, and a secret is not needed. Whose certificate is in
    /// it, or issued by one that is, is let in; see [`crate::net::tls`] and PROTOCOL.md, "TLS".
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pem = std::fs::read_to_string("fixtures/tls/perl.pem")?;
    /// let builder = aemp::Node::builder().no_rc().nodeid("ruth").binds(["127.0.0.1:0"]).cert(pem);
    /// # if cfg!(feature = "tls") {
    /// let node = builder.require_tls().start().await?;
    /// # }
    /// # Ok(()) }
    /// ```
    pub fn cert(self, pem: impl Into<String>) -> Self {
        self.set("cert", pem.into())
    }

    /// Refuses nodes that do not speak TLS, whoever connects to whom.
    ///
    /// ```
    /// let builder = aemp::Node::builder().no_rc().require_tls();
    /// assert!(builder.config()?.require_tls);
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn require_tls(self) -> Self {
        self.set("require_tls", true)
    }

    /// Speaks TLS by these configurations of the program's own, in place of a
    /// [certificate](Self::cert): which of the two is used for a link is drawn by lot. As client,
    /// the name of the server is always `aemp`.
    ///
    /// ```
    /// # fn configured(client: rustls::ClientConfig, server: rustls::ServerConfig) {
    /// let builder = aemp::Node::builder().rustls(client.into(), server.into());
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn rustls(
        mut self,
        client: std::sync::Arc<rustls::ClientConfig>,
        server: std::sync::Arc<rustls::ServerConfig>,
    ) -> Self {
        self.tls = Some(Tls::from_program(client, server).into());
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

    /// The framings to offer and accept, best first; CBOR and JSON, unless set. An older Perl node
    /// and this one meet in JSON or Storable.
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

    /// Refuses to run anything here for other nodes: the functions of this program are not called
    /// and not spawned, and nothing is evaluated. Ports, monitors, kills and groups work as ever,
    /// and so does [`Node::spawn`] on this node; but requests to its own node port are refused,
    /// too, because others could have it send them.
    ///
    /// ```
    /// let builder = aemp::Node::builder().no_rc().secure();
    /// assert!(builder.config()?.secure);
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn secure(self) -> Self {
        self.set("secure", true)
    }

    /// Has messages say which trace they belong to (see
    /// [`TraceContext`](crate::proto::TraceContext)), so that what one request causes on several
    /// nodes is found together.
    ///
    /// What the program sends within [`Node::in_trace`](crate::Node::in_trace) or
    /// [`Node::with_trace`](crate::Node::with_trace) is a part of that trace. The handler that
    /// takes it is a step of its own, and so what it sends goes on with the trace, on this node and
    /// to other nodes of this crate for which the same is configured. That holds for spawns and
    /// calls as well; deaths, and what waits for a node that there is no link to yet, go without.
    ///
    /// The spans of handlers and spawns ([`SPAN_TARGET`](crate::log::SPAN_TARGET)) have the fields
    /// `trace_id`, `span_id` and `parent_id`. A handler finds its step with
    /// [`Node::current_trace`](crate::Node::current_trace), to hand it to a tracer such as
    /// OpenTelemetry's.
    ///
    /// PROTOCOL.md, "Trace contexts", says how it goes over the wire.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, PortId};
    /// let node = Node::builder().no_rc().nodeid("shop").trace_context().start().await?;
    /// let port = node.port();
    /// port.rcv("which", |cx, (reply,): (PortId,)| {
    ///     cx.snd(&reply, &(cx.current_trace().map(|step| format!("{:x}", step.trace_id())),))
    /// });
    /// let trace = node.new_trace();
    /// let call = node.cal::<String>(&port, &("which",), None);
    /// let which = node.with_trace(trace, call).await?;
    /// assert_eq!(which, format!("{:x}", trace.trace_id()));
    /// # Ok(()) }
    /// ```
    pub fn trace_context(self) -> Self {
        self.set("trace_context", true)
    }

    /// Leaves only what these rules allow of the actions that they are about: see
    /// [`Rule`](crate::config::Rule). What is wrong in them is an error of
    /// [`start`](Self::start).
    ///
    /// ```
    /// let builder = aemp::Node::builder().no_rc().allow(["shop/* spawn job::*", "* send @shop"]);
    /// assert_eq!(builder.config()?.allow.len(), 2);
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn allow<R: Into<String>>(self, rules: impl IntoIterator<Item = R>) -> Self {
        self.set_list("allow", rules)
    }

    /// Refuses what these rules are about, whatever is allowed: see
    /// [`Rule`](crate::config::Rule). What is wrong in them is an error of
    /// [`start`](Self::start).
    ///
    /// ```
    /// let builder = aemp::Node::builder().no_rc().deny(["* kill", "guest* relay"]);
    /// assert_eq!(builder.config()?.deny.len(), 2);
    /// let error = aemp::Node::builder().no_rc().deny(["* stop"]).config().unwrap_err();
    /// assert!(error.to_string().contains("\"stop\" is no action"));
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn deny<R: Into<String>>(self, rules: impl IntoIterator<Item = R>) -> Self {
        self.set_list("deny", rules)
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

    /// Puts the node on a network in memory, as this host, in place of TCP: its binds, such as `*`
    /// or `ruth:4040`, and its seeds, such as `doomed:4040`, are addresses there, of the form
    /// `HOST:PORT`. Its randomness comes from the network's seed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::net::memory::Network;
    /// let network = Network::new(7);
    /// let node = |id: &str| {
    ///     aemp::Node::builder().no_rc().nodeid(id).secret("geheim").network(&network.host(id))
    /// };
    /// let seed = node("seed").binds(["seed:4040"]).start().await?;
    /// let other = node("other").seeds(["seed:4040"]).start().await?;
    /// let mut events = other.mon_nodes();
    /// while !other.node_is_up("seed") {
    ///     events.next().await;
    /// }
    /// # other.shutdown().await; seed.shutdown().await;
    /// # Ok(()) }
    /// ```
    pub fn network(mut self, host: &Host) -> Self {
        self.transport = Transport::Memory(host.clone());
        self
    }

    /// Runs this code on the node before it listens and before the services of the configuration
    /// are run: to register the functions that these, and other nodes from the first moment on, can
    /// call. It may be set several times; all of it is run, in that order.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (started, begun) = std::sync::mpsc::channel();
    /// let builder = aemp::Node::builder().no_rc().nodeid("ruth").binds(["127.0.0.1:0"]);
    /// let builder = builder.set("services", vec!["shop::till"]).prepare(move |node| {
    ///     let started = started.clone();
    ///     node.function("shop::till", move |_, (): ()| started.send("till").unwrap());
    /// });
    /// let node = builder.start().await?;
    /// assert_eq!(begun.recv()?, "till");
    /// # Ok(()) }
    /// ```
    pub fn prepare(mut self, code: impl Fn(&Node) + Send + Sync + 'static) -> Self {
        self.prepare.0.push(std::sync::Arc::new(code));
        self
    }

    /// Does not start without all services of the configuration, unless the setting
    /// `optional_services` is true. Otherwise those that do not start are just told of in the log:
    /// the configuration may be shared with Perl programs, whose modules are nothing here.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let builder = aemp::Node::builder().no_rc().nodeid("ruth").binds([""; 0]);
    /// let builder = builder.set("services", vec!["shop::till"]);
    /// assert!(builder.clone().start().await.is_ok());
    /// let error = builder.require_services().start().await.unwrap_err();
    /// assert!(error.to_string().contains("the service shop::till does not start"));
    /// # }
    /// ```
    pub fn require_services(mut self) -> Self {
        self.require_services = true;
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
        self.config_of(&self.settings()?)
    }

    /// The settings by name, as they are by now in the file and here: what [`config`](Self::config)
    /// is made of.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: the file is wrong, there is no such profile, or what is set here is no
    /// setting.
    ///
    /// ```
    /// let builder = aemp::Node::builder().no_rc().seeds(["doomed:4040"]);
    /// let settings = builder.settings()?;
    /// assert_eq!(settings.get("seeds").unwrap().value, serde_json::json!(["doomed:4040"]));
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn settings(&self) -> Result<Settings, ConfigError> {
        let rc = match self.no_rc || self.arguments.leave_out_file()? {
            true => RcFile::default(),
            false => RcFile::load(Environment::from_process().rc_path())?,
        };
        let settings =
            config::find_profile(&rc, Some(&self.profile_name()), &self.arguments.settings)?;
        config::check_names(&self.arguments)?;
        Ok(settings)
    }

    fn profile_name(&self) -> String {
        let given = self.arguments.profile.clone();
        given.unwrap_or_else(config::node_name)
    }

    fn config_of(&self, settings: &Settings) -> Result<Config, ConfigError> {
        let mut config = Config::from_settings(&self.profile_name(), settings)?;
        if config.secret.is_none() {
            config.secret = self.secret.clone();
        }
        Ok(config)
    }
}

impl Node {
    /// Starts to configure a node.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::builder().no_rc().nodeid("ruth").binds(["127.0.0.1:0"]).start().await?;
    /// assert_eq!(node.id(), "ruth");
    /// # Ok(()) }
    /// ```
    pub fn builder() -> Builder {
        Builder::default()
    }
}
