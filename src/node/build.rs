//! Putting a node together, and making it listen.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::RwLock;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::code::{self, Outcome};
use super::control::Control;
use super::counters::Counters;
use super::funcs::{self, Functions};
use super::held::Memory;
use super::limits::Met;
use super::link::{Admission, Peers, accept_loop};
use super::random::Random;
use super::request::Gate;
use super::stop::Lifecycle;
use super::{Context, Inner, Node, Owner, Ports, Relay, SendError, Settings};
use crate::config::Config;
use crate::log::log_at;
use crate::mesh;
use crate::net::tls::Tls;
use crate::net::{Listener, Transport, Versions};
use crate::proto::generation::Generations;
use crate::proto::handshake::{Local, TlsUse};
use crate::proto::id::alnumbits;
use crate::proto::{AuthMethod, Framing, Limits, Message, NodeId, PortId};
use crate::rights::Rules;

/// A setting names something that is not known here.
#[derive(Debug)]
pub(crate) struct UnknownName {
    pub(crate) key: &'static str,
    pub(crate) value: String,
    /// What could be named.
    pub(crate) known: String,
}

/// Those of the values that are known here. The others are passed over, as Perl does: the lists are
/// shared with nodes that know other ones. But there must be one that is known.
fn known<T>(
    key: &'static str,
    values: &[String],
    from_name: impl Fn(&str) -> Option<T>,
    all: &[&'static str],
) -> Result<Vec<T>, UnknownName> {
    let found: Vec<T> = values.iter().filter_map(|value| from_name(value)).collect();
    if found.is_empty() {
        return Err(UnknownName {
            key,
            value: values.join(","),
            known: all.join(", "),
        });
    }
    for value in values.iter().filter(|value| from_name(value).is_none()) {
        log_at!(1, "{key}: {value:?} is not known here and has no effect");
    }
    Ok(found)
}

/// Puts the node of this ID together. It does not listen yet.
pub(crate) fn build(
    id: NodeId,
    config: &Config,
    transport: Transport,
    tls: Option<Arc<Tls>>,
    random: Random,
) -> Result<Node, UnknownName> {
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
        max_memory: config.max_memory,
        max_nodes: config.max_nodes,
        max_handshakes: config.max_handshakes,
        greeting_timeout: config.greeting_timeout,
        max_hops: config.max_hops,
        max_name: config.max_name,
        max_reason: config.max_reason,
        max_request: config.max_request,
        max_keys: config.max_keys,
        max_families: config.max_families,
        max_dials: config.max_dials,
        nodelay: config.nodelay,
    };
    let rules = Rules::new(&config.allow, &config.deny, config.secure);
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
        tls: match (&tls, config.require_tls) {
            (None, _) => TlsUse::Never,
            (Some(_), false) => TlsUse::Offered,
            (Some(_), true) => TlsUse::Required,
        },
        timeout_secs: settings.idle_timeout().as_secs(),
        traces: config.trace_context,
        ..Local::new(id.clone(), config.secret.clone())
    };
    let outside = Outside {
        transport,
        tls,
        random,
        serial: Arc::new(AtomicU64::new(1)),
        rules,
    };
    Ok(assemble(id, settings, handshake, None, outside))
}

/// What a node has to do with the world by, which stand-ins share with their bridge's own node.
struct Outside {
    transport: Transport,
    tls: Option<Arc<Tls>>,
    random: Random,
    serial: Arc<AtomicU64>,
    rules: Rules,
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
        traces: false,
        ..(*own.handshake).clone()
    };
    let outside = Outside {
        transport: own.transport.clone(),
        tls: own.tls.clone(),
        random: own.random.clone(),
        serial: own.serial.clone(),
        rules: Rules::clone(&own.gate.rules()),
    };
    assemble(id.clone(), settings, handshake, Some(relay), outside)
}

/// The parameter of a greeting with which a stand-in names its bridge.
pub(crate) const STAND_IN_KEY: &str = "standin";

fn assemble(
    id: NodeId,
    settings: Settings,
    handshake: Local,
    relay: Option<Arc<dyn Relay>>,
    outside: Outside,
) -> Node {
    let Outside {
        transport,
        tls,
        random,
        serial,
        rules,
    } = outside;
    let generations = settings.generations;
    let mesh = mesh::state::Config {
        connect_interval: settings.connect_interval,
        monitor_timeout: settings.monitor_timeout(),
        stands_in: relay.is_some(),
        seed_only_when_alone: generations == Generations::Only(0),
        seeds_are_single: generations == Generations::Only(2),
    };
    let own_cookie = alnumbits(&random.octets::<6>());
    let remote_cookie = alnumbits(&random.octets::<12>());
    let gossip = alnumbits(&random.octets::<9>());
    let stop = CancellationToken::new();
    let memory = Memory::new(settings.max_memory);
    let database = mesh::database::Limits {
        keys: settings.max_keys,
        monitors: settings.max_families,
        // Said before each request.
        room: 0,
    };
    let most_told = settings.most_told();
    let dials = Semaphore::new(settings.max_dials.min(Semaphore::MAX_PERMITS));
    let inner = Arc::new(Inner {
        id: id.clone(),
        gate: Gate::new(rules),
        runtime: Handle::current(),
        admission: Admission::new(settings.max_handshakes),
        settings,
        seeds: super::seeds::Seeds::default(),
        limits: Met::default(),
        counters: Counters::default(),
        reports: super::report::Reports::new(),
        handshake: Arc::new(handshake),
        ports: Ports::new(own_cookie, remote_cookie),
        peers: Peers::new(memory.clone()),
        memory,
        functions: Functions::default(),
        favours: Default::default(),
        data: super::data::DataConns::default(),
        sources: super::logs::Sources::default(),
        control: Control::new(id, gossip, mesh, database, most_told, &random),
        listeners: RwLock::default(),
        transport,
        tls,
        relay,
        observer: OnceLock::new(),
        lifecycle: Lifecycle::new(stop.clone()),
        events: super::events::Subscribers::default(),
        versions: Versions::default(),
        dials,
        serial,
        random,
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
            Err(error) => return Outcome::Done(Err(error.into())),
        };
        if version.trunc() != 0.0 {
            let text = format!("node version mismatch (requested {version}; we have 0)");
            return Outcome::Done(Err(text.into()));
        }
        // The peer's going is nothing to be reported.
        let own = context.clone();
        context.mon(&peer, move |_| own.end());
        context.this().rcv_any(move |context, message| {
            let node = context.node().inner();
            node.control.message(node, &peer, &message);
        });
        Outcome::Done(Ok(()))
    };
    let connect: funcs::Function = Arc::new(connect);
    let mut functions = node.functions.named.write();
    functions.insert(mesh::CONNECT.to_owned(), connect);
    let stats = telling(|node, reply| node.snd(reply, &(node.stats(),)));
    functions.insert(super::STATS_FUNCTION.to_owned(), stats);
    let names = telling(|node, reply| node.snd(reply, &node.functions()));
    functions.insert(super::FUNCTIONS_FUNCTION.to_owned(), names);
    let report = telling(|node, reply| node.snd(reply, &(&*node.recent_report(),)));
    functions.insert(super::REPORT_FUNCTION.to_owned(), report);
}

/// A function that is called with a port, and tells it something about the node.
fn telling(
    tell: impl Fn(&Node, &PortId) -> Result<(), SendError> + Send + Sync + 'static,
) -> funcs::Function {
    Arc::new(
        move |context: &Context, args: Message| match args.args::<(PortId,)>() {
            Ok((reply,)) => Outcome::Done(tell(context, &reply).map_err(Into::into)),
            Err(error) => Outcome::Done(Err(error.into())),
        },
    )
}

/// Binds a listener: where it is, and itself.
pub(crate) fn bind(node: &Inner, address: &str) -> std::io::Result<(String, Listener)> {
    let listener = node.transport.bind(address)?;
    Ok((listener.local_addr()?, listener))
}

/// Accepts connections there, and tells the mesh.
pub(crate) fn listen_on(node: &Arc<Inner>, listeners: Vec<(String, Listener)>) {
    let names: Vec<String> = listeners.iter().map(|(name, _)| name.clone()).collect();
    log_at!(8, "node listens on [{}].", names.join(" "));
    node.control.listen(node, names.clone());
    *node.listeners.write() = names;
    for (_, listener) in listeners {
        let (home, closing) = (node.clone(), node.lifecycle.closing());
        node.spawn_task(async move {
            let accepting = accept_loop(home, listener);
            closing.run_until_cancelled(accepting).await;
        });
    }
}

/// A service of the configuration did not start.
#[derive(Debug)]
pub(crate) struct ServiceFailed {
    /// As it is configured.
    pub(crate) service: String,
    pub(crate) why: String,
}

/// Runs the services of the configuration: functions of this program. Gives those that did not
/// start.
pub(crate) fn run_services(node: &Arc<Inner>, services: &[Value]) -> Vec<ServiceFailed> {
    let started = services.iter().map(|service| {
        run_service(node, service).map_err(|why| ServiceFailed {
            service: service.as_str().map_or(service.to_string(), str::to_owned),
            why,
        })
    });
    started.filter_map(Result::err).collect()
}

/// Runs a service: the name of a function, or an array of that and arguments. A name that ends with
/// `::` is that of a module in Perl, which does what it does when it is loaded; here it is that of
/// a function without the `::`.
fn run_service(node: &Arc<Inner>, service: &Value) -> Result<(), String> {
    let (name, args) = match service {
        Value::Array(list) => match list.split_first() {
            Some((name, args)) => (name.as_str(), args),
            None => (None, &[][..]),
        },
        name => (name.as_str(), &[][..]),
    };
    let name = name.ok_or("it has no name")?;
    let name = name.strip_suffix("::").unwrap_or(name);
    if mesh::GLOBAL_SERVICE.strip_suffix("::") == Some(name) {
        node.control.become_global(node);
        return Ok(());
    }
    let function = node.functions.get(name);
    let function = function.ok_or("there is no such function here")?;
    let context = Context::new(node, node.id.node_port());
    let args = Message::from_values(args);
    match code::guarded(|| function(&context, args)) {
        Outcome::Done(Err(failure)) => Err(failure.text()),
        Outcome::Done(Ok(())) => Ok(()),
        Outcome::Later(future) => {
            let name = name.to_owned();
            node.spawn_task(async move {
                if let Err(failure) = code::caught(future).await {
                    log_at!(1, "the service {name} failed: {}", failure.text());
                }
            });
            Ok(())
        }
    }
}
