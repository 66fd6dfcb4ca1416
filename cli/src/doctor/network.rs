//! Where the node would listen, and whom it would find.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::path::Path;

use aemp::config::{BIND_PORT, Config, Endpoint, LocalHost, SEED_PORT, resolve};
use aemp::proto::NodeId;
use aemp::{Builder, Probe};

use super::explain;
use super::findings::Findings;
use super::setup::is_node_id;
use crate::Failure;
use crate::output::OutputError;

/// Where this node listens, or would.
#[derive(Debug, Default)]
pub(super) struct Own {
    addresses: HashSet<Endpoint>,
    /// It runs already: a node with its ID is there.
    runs: bool,
    /// It does not: an address of its own is free.
    is_free: bool,
}

/// Looks at each address to listen on.
pub(super) async fn binds(
    builder: &Builder,
    config: &Config,
    findings: &mut Findings,
) -> Result<Own, Failure> {
    let mut own = Own::default();
    let all = vec!["*".to_owned()];
    let binds = config.binds.as_ref().unwrap_or(&all);
    let local = LocalHost::detect()?;
    for bind in binds {
        let what = format!("bind {bind}");
        findings.look_at(&what);
        match resolve(bind, BIND_PORT, &local).await {
            Err(error) => {
                findings.wrong(&what, error, "correct `binds`: HOST:PORT, `*` for any")?
            }
            Ok(found) if found.is_empty() => findings.odd(
                &what,
                "it stands for no address: this machine has only loopback addresses",
                "name one, such as 127.0.0.1:4040, if others are to connect",
            )?,
            Ok(found) => {
                for address in found {
                    listen(builder, config, address, &mut own, findings).await?;
                }
            }
        }
        findings.looked();
    }
    if binds.iter().all(String::is_empty) && config.seeds.is_empty() {
        findings.wrong(
            "binds",
            "the node listens nowhere and has no seeds, so it can't have links",
            "aemp addbind HOST:PORT, or aemp addseed HOST:PORT",
        )?;
    } else if binds.iter().all(String::is_empty) {
        findings.fine(
            "binds",
            "none: this node connects, and nobody connects to it",
        )?;
    }
    Ok(own)
}

/// Looks whether there can be a listener on an address.
async fn listen(
    builder: &Builder,
    config: &Config,
    address: Endpoint,
    own: &mut Own,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let what = format!("listen on {address}");
    own.addresses.insert(address.clone());
    let error = match try_to_listen(&address) {
        Ok(()) => {
            own.is_free |= !matches!(&address, Endpoint::Ip(ip) if ip.port() == 0);
            return Ok(findings.fine(&what, "free")?);
        }
        Err(error) => error,
    };
    if error.kind() != ErrorKind::AddrInUse {
        let advice = match error.kind() {
            ErrorKind::AddrNotAvailable => {
                "no interface of this machine has that address: correct `binds`"
            }
            ErrorKind::PermissionDenied => {
                "ports below 1024 are not for every user, nor are all folders: take another one"
            }
            ErrorKind::NotFound => "make the folder of the socket, or correct `binds`",
            _ => "correct `binds`",
        };
        return Ok(findings.wrong(&what, error, advice)?);
    }
    let there = builder.probe(&address.to_string()).await?.greeting;
    match there.map(|greeting| greeting.node) {
        Some(id) if is_node_id(config, &id) => {
            own.runs = true;
            findings.fine(&what, format_args!("this node, {id}, is running there"))?
        }
        Some(id) => findings.wrong(
            &what,
            format_args!("another node, {id}, is listening there"),
            "end that one, or take another port (`aemp setbinds`)",
        )?,
        None => findings.wrong(
            &what,
            "another program is listening there",
            "end that one, or take another port (`aemp setbinds`)",
        )?,
    }
    Ok(())
}

/// Looks where the network is to be shown to browsers.
#[cfg(feature = "http")]
pub(super) async fn http(
    config: &Config,
    own: &Own,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let Some(setting) = &config.http else {
        return Ok(());
    };
    let what = format!("http {setting}");
    let advice = "end what listens there, or take another address (`aemp sethttp`)";
    match crate::http::Server::bind(setting).await {
        Ok(server) if server.is_for_others() => findings.odd(
            &what,
            "free; whoever reaches it sees nodes, ports and groups without a secret",
            "127.0.0.1 is seen from this machine only",
        )?,
        Ok(_) => findings.fine(&what, "free")?,
        Err(_) if own.runs => findings.fine(&what, "this node is running, and listens there")?,
        Err(error) => findings.wrong(&what, error, advice)?,
    }
    Ok(())
}

#[cfg(not(feature = "http"))]
pub(super) async fn http(config: &Config, _: &Own, findings: &mut Findings) -> Result<(), Failure> {
    match config.http {
        None => Ok(()),
        Some(_) => Ok(findings.wrong(
            "http",
            "this command was built without the feature http",
            "cargo install aemp-cli, or aemp delhttp",
        )?),
    }
}

/// Whether there can be a listener. What there was is as it was.
fn try_to_listen(address: &Endpoint) -> io::Result<()> {
    let path = match address {
        Endpoint::Unix(path) => Path::new(path),
        Endpoint::Ip(ip) => return TcpListener::bind(ip).map(drop),
        _ => return Ok(()),
    };
    // A node takes the place of a socket that nobody listens on any more.
    if crate::system::is_listening(path) {
        return Err(ErrorKind::AddrInUse.into());
    }
    match path.parent() {
        Some(folder) => std::fs::metadata(folder).map(drop),
        None => Err(ErrorKind::NotFound.into()),
    }
}

/// Looks at each seed, step by step.
pub(super) async fn seeds(
    builder: &Builder,
    config: &Config,
    own: &Own,
    findings: &mut Findings,
) -> Result<(), Failure> {
    if config.seeds.is_empty() {
        return Ok(findings.fine("seeds", "none: this node waits for others to connect")?);
    }
    let local = LocalHost::detect()?;
    let mut known = BTreeMap::new();
    for seed in &config.seeds {
        let what = format!("seed {seed}");
        findings.look_at(&what);
        let addresses = match resolve(seed, SEED_PORT, &local).await {
            Ok(addresses) => addresses,
            Err(error) => {
                findings.wrong(
                    &what,
                    error,
                    "correct `seeds`, or this machine's name service",
                )?;
                findings.looked();
                continue;
            }
        };
        for address in addresses {
            let shown = address.to_string();
            let what = match seed.as_str() == shown {
                true => what.clone(),
                false => format!("{what} ({shown})"),
            };
            if own.addresses.contains(&address) && !own.runs {
                findings.fine(&what, "this node itself")?;
                continue;
            }
            let probe = builder.probe(&shown).await?;
            describe(&what, &probe, config, findings)?;
            if let Some(nodes) = probe.known_nodes {
                let ids: BTreeSet<NodeId> = nodes.into_iter().collect();
                known.insert(what, ids);
            }
        }
        findings.looked();
    }
    mesh(&known, config, own, findings)?;
    Ok(())
}

/// Says how far a try came.
fn describe(
    what: &str,
    probe: &Probe,
    config: &Config,
    findings: &mut Findings,
) -> Result<(), OutputError> {
    if let Some(connected) = probe.connected {
        findings.fine(what, format_args!("connected in {connected:.1?}"))?;
    }
    if let (Some(greeting), Some(generation)) = (&probe.greeting, probe.generation) {
        let provider = greeting.param("provider").unwrap_or("unknown");
        let node = &greeting.node;
        findings.fine(
            what,
            format_args!("{node} ({provider}) greets; generation {generation}"),
        )?;
    }
    if probe.is_proved {
        match &probe.tls {
            Some(tls) => findings.fine(
                what,
                format_args!(
                    "both have proved themselves, {} {}",
                    tls.version, tls.cipher
                ),
            )?,
            None if config.cert.is_some() => findings.odd(
                what,
                "both have proved themselves, but without TLS: the node there has no certificate",
                "on that node: aemp setcert FILE, with the same file",
            )?,
            None => findings.fine(what, "both have proved themselves by the secret")?,
        }
    }
    if let Some((ours, theirs)) = probe.framings {
        findings.fine(what, format_args!("we would send {ours}, it {theirs}"))?;
    }
    if let (Some(ahead), Some(took)) = (probe.clock_ahead, probe.round_trip) {
        clock(what, ahead, took.as_secs_f64(), findings)?;
    }
    if let Some(nodes) = &probe.known_nodes {
        let ids: Vec<&str> = nodes.iter().map(NodeId::as_str).collect();
        findings.fine(what, format_args!("it knows {}", ids.join(", ")))?;
    }
    match explain::failure(probe, config) {
        Some((text, advice)) => findings.wrong(what, text, &advice),
        None => Ok(()),
    }
}

/// Two clocks that are apart by more than this show other times in their logs, in seconds.
const APART: f64 = 2.0;

fn clock(what: &str, ahead: f64, took: f64, findings: &mut Findings) -> Result<(), OutputError> {
    let milliseconds = took * 1e3;
    if ahead.abs() <= APART + took {
        return findings.fine(
            what,
            format_args!("answers within {milliseconds:.1} ms; its clock agrees with ours"),
        );
    }
    let direction = if ahead > 0.0 { "ahead of" } else { "behind" };
    findings.odd(
        what,
        format_args!("its clock is {:.0} s {direction} ours", ahead.abs()),
        "one of both machines needs its time set (NTP)",
    )
}

/// Compares what the seeds say of the network.
fn mesh(
    known: &BTreeMap<String, BTreeSet<NodeId>>,
    config: &Config,
    own: &Own,
    findings: &mut Findings,
) -> Result<(), OutputError> {
    let all: BTreeSet<&NodeId> = known.values().flatten().collect();
    for (what, ids) in known {
        let lacks: Vec<&str> = all
            .iter()
            // Those who only ask, as we do, come and go.
            .filter(|id| !ids.contains(**id) && !id.as_str().starts_with("anon/"))
            .map(|id| id.as_str())
            .collect();
        if !lacks.is_empty() {
            findings.odd(
                "mesh",
                format_args!(
                    "{what} does not know {}, but another seed does",
                    lacks.join(", ")
                ),
                "the seeds should be seeds of each other, so that there is one network",
            )?;
        }
    }
    let same = all.into_iter().find(|id| is_node_id(config, id));
    match same {
        Some(id) if own.is_free && !own.runs => findings.wrong(
            "node ID",
            format_args!("a node {id} is in the network already, and it is not this one"),
            "give one of both another ID: aemp setnodeid ID",
        ),
        _ => Ok(()),
    }
}
