//! Carries out what lines ask for.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use aemp::config::{Environment, RcFile};
use aemp::{Message, Node, NodeId, PortId, Reason};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::known::{Known, PERL_PORTS};
use super::line::{self, Args, Line, did_you_mean};
use super::table;
use super::watch::{Told, Watch};
use crate::ask::{self, LIMIT, bare};
use crate::settings::{self, as_perl_shows};
use crate::{Failure, output};

/// What has come of a line.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Lines without the last one's end; nothing, if it is empty.
    pub(super) text: String,
    /// An object of JSON; nothing, if there was nothing to be done.
    pub(super) json: String,
    /// Another node was waited for.
    pub(super) is_answer: bool,
    /// It was the last line.
    pub(super) is_end: bool,
}

impl Shown {
    fn new(text: impl Into<String>, json: Value) -> Self {
        Shown {
            text: text.into(),
            json: json.to_string(),
            ..Shown::default()
        }
    }

    fn nothing() -> Self {
        Shown::new("", json!({}))
    }

    fn answer(mut self) -> Self {
        self.is_answer = true;
        self
    }

    /// A list of values, as they came.
    fn list(name: &str, list: &Message) -> Self {
        Shown {
            text: bare(list),
            json: format!("{{\"{name}\":{}}}", list.to_json()),
            is_answer: true,
            is_end: false,
        }
    }

    /// A name a line.
    fn names(name: &str, names: &[impl AsRef<str>]) -> Self {
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let shown: Vec<String> = names.iter().map(|name| as_perl_shows(name)).collect();
        Shown::new(shown.join("\n"), json!({ name: names }))
    }
}

/// The shell's part in the network.
pub(super) struct Session {
    node: Node,
    watch: Watch,
    known: Arc<Known>,
}

impl Session {
    pub(super) fn new(node: &Node, watch: &Watch, known: &Arc<Known>) -> Self {
        Session {
            node: node.clone(),
            watch: watch.clone(),
            known: known.clone(),
        }
    }

    /// Carries out a line.
    pub(super) async fn perform(&self, line: &str) -> Result<Shown, Failure> {
        let node = &self.node;
        Ok(match line::read(line, &self.known.current())? {
            Line::Nothing => Shown::default(),
            Line::Quit => Shown {
                is_end: true,
                ..Shown::nothing()
            },
            Line::Go(to) => self.go(to),
            Line::Evaluate(code) => self.evaluate(&code).await?,
            Line::Send(port, args) => {
                self.known.meet(&port);
                ask::deliver(node, &port, &args).await?;
                Shown::new("sent", json!({"port": port.as_str(), "sent": true})).answer()
            }
            Line::Call(port, args) => {
                self.known.meet(&port);
                let reply: Args = ask::call(node, &port, &args).await?;
                Shown::list("reply", &Message::encode(&reply)?)
            }
            Line::Monitor(ports) => {
                for port in &ports {
                    self.known.meet(port);
                    self.watch.monitor(port);
                }
                Shown::new("", json!({"monitored": ports}))
            }
            Line::Unmonitor(ports) => {
                for port in &ports {
                    if !self.watch.unmonitor(port) {
                        return Err(format!("{port} is not monitored").into());
                    }
                }
                Shown::nothing()
            }
            Line::Wait(limit) => self.wait(limit).await?,
            Line::Kill(port, reason) => self.kill(&port, reason)?,
            Line::Spawn(at, function, args) => self.spawn(&at, &function, &args).await?,
            Line::Port => {
                let port = self.watch.port();
                self.known.meet(&port);
                self.shown_port(&port)
            }
            Line::Register(group, port) => self.register(&group, &port)?,
            Line::Nodes => self.nodes(),
            Line::Groups => self.groups(),
            Line::Group(group) => self.group(&group).await?,
            Line::Ports(of) => self.ports(&of).await?,
            Line::Functions(of, begin) => {
                let functions = self.known.functions(&of, &begin).await?;
                Shown::names("functions", &functions)
            }
            Line::Family(family, key) => self.family(&family, key).await?,
            Line::Set(family, key, value) => {
                node.db_set(&family, &key, &value)?;
                Shown::nothing()
            }
            Line::Delete(family, keys) => {
                node.db_del(&family, keys);
                Shown::nothing()
            }
            Line::Stats(of) => {
                let stats = ask::stats(node, &of).await?;
                Shown::new(format!("{stats:#}"), stats).answer()
            }
            Line::Restart(of) => {
                ask::restart(node, &of).await?;
                let text = format!("{} starts again", as_perl_shows(of.as_str()));
                Shown::new(text, json!({"restarted": of})).answer()
            }
            Line::Show(words) => show(&words)?,
            Line::Help(None) => {
                Shown::new(table::list().trim_end(), json!({"help": table::list()}))
            }
            Line::Help(Some(entry)) => {
                let text = format!("{}: {}", entry.usage(), entry.about);
                Shown::new(&*text, json!({ "help": text }))
            }
        })
    }

    fn go(&self, to: NodeId) -> Shown {
        let is_known = self.known.nodes().contains(&to);
        if !is_known && !output::is_json() {
            output::aside(format_args!(
                "{} is no node that is known by now",
                as_perl_shows(to.as_str())
            ));
        }
        self.known.go(to.clone());
        Shown::new("", json!({ "node": to }))
    }

    /// Has the node that the shell is on evaluate something.
    async fn evaluate(&self, code: &str) -> Result<Shown, Failure> {
        let current = self.known.current();
        let results = match current == *self.node.id() {
            true => Err("the shell's own node evaluates nothing: go to another with =NODE".into()),
            false => ask::evaluate(&self.node, &current, code).await,
        };
        match results {
            Ok(results) => Ok(Shown::list("results", &results)),
            // Maybe it was not meant to be evaluated.
            Err(error) => {
                let first = code.split_whitespace().next().unwrap_or_default();
                let like = line::like(first);
                Err(format!("{error}{}", did_you_mean(like)).into())
            }
        }
    }

    async fn wait(&self, limit: Duration) -> Result<Shown, Failure> {
        match self.watch.all_died(limit).await {
            true => Ok(Shown::nothing()),
            false => {
                let left = self.watch.monitored();
                let left: Vec<&str> = left.iter().map(PortId::as_str).collect();
                Err(format!("after {limit:?} there are {}", left.join(", ")).into())
            }
        }
    }

    fn kill(&self, port: &PortId, reason: Reason) -> Result<Shown, Failure> {
        if port.is_node_port() {
            return Err(format!("{port} is a node, and only ports can be killed").into());
        }
        self.node.kil(port, reason);
        self.known.forget(port);
        Ok(Shown::nothing())
    }

    /// Creates a port, and monitors it from when it is known to live.
    async fn spawn(&self, at: &NodeId, function: &str, args: &Args) -> Result<Shown, Failure> {
        let node = &self.node;
        let port = node.spawn(at, function, args)?;
        let (died, mut death) = tokio::sync::oneshot::channel();
        let monitor = node.mon(&port, move |reason| drop(died.send(reason)));
        // Its answer comes behind the death of a port that could not be made.
        let answered = ask::call::<Vec<Value>>(node, &at.node_port(), &("time",)).await;
        if let Ok(reason) = death.try_recv() {
            return Err(format!("{port} died: {}", told(&reason)).into());
        }
        answered?;
        self.known.meet(&port);
        self.watch.monitor(&port);
        monitor.stop();
        Ok(self.shown_port(&port).answer())
    }

    fn shown_port(&self, port: &PortId) -> Shown {
        Shown::new(as_perl_shows(port.as_str()), json!({ "port": port }))
    }

    fn register(&self, group: &str, port: &PortId) -> Result<Shown, Failure> {
        if !self.node.port_is_local(port) {
            return Err(format!("{port} is no port of this shell (see `port`)").into());
        }
        self.node.register(group, port);
        Ok(Shown::nothing())
    }

    fn nodes(&self) -> Shown {
        let stats = self.node.stats();
        let (mut text, mut all) = (String::new(), Vec::new());
        for id in self.known.nodes() {
            let link = stats.links.iter().find(|link| link.node == id);
            let is_own = id == *self.node.id();
            let what = match link {
                _ if is_own => "this shell".to_owned(),
                Some(link) => {
                    let provider = link.provider.as_deref().unwrap_or("AnyEvent::MP");
                    format!("connected, {provider}, generation {}", link.generation)
                }
                None => "not connected".to_owned(),
            };
            let end = if text.is_empty() { "" } else { "\n" };
            let _ = write!(text, "{end}{}: {what}", as_perl_shows(id.as_str()));
            all.push(json!({
                "node": id,
                "connected": link.is_some(),
                "own": is_own,
                "provider": link.and_then(|link| link.provider.clone()),
                "generation": link.map(|link| &link.generation),
            }));
        }
        Shown::new(text, json!({ "nodes": all }))
    }

    fn groups(&self) -> Shown {
        let groups: BTreeMap<String, Vec<PortId>> = self
            .node
            .groups()
            .into_iter()
            .map(|group| (group.clone(), self.node.members(&group)))
            .collect();
        let lines: Vec<String> = groups
            .iter()
            .map(|(group, ports)| {
                let ports = ports.iter().map(|port| as_perl_shows(port.as_str()));
                format!("{group}: {}", ports.collect::<Vec<_>>().join(" "))
            })
            .collect();
        Shown::new(lines.join("\n"), json!({ "groups": groups }))
    }

    /// The ports of a group; it may take a while until they are known.
    async fn group(&self, group: &str) -> Result<Shown, Failure> {
        let found = timeout(LIMIT, self.node.wait_for_member(group)).await;
        match found {
            Ok(member) => drop(member?),
            Err(_) => return Err(format!("{group}: nobody is in it after {LIMIT:?}").into()),
        }
        let ports = self.node.members(group);
        let names: Vec<&str> = ports.iter().map(PortId::as_str).collect();
        Ok(Shown::names("ports", &names))
    }

    /// The ports of a node. Perl's are asked; others tell nobody which ports they have.
    async fn ports(&self, of: &NodeId) -> Result<Shown, Failure> {
        if self.known.is_perl(of) {
            let found: Vec<PortId> = ask::evaluate(&self.node, of, PERL_PORTS).await?.args()?;
            found.iter().for_each(|port| self.known.meet(port));
            let names: Vec<&str> = found.iter().map(PortId::as_str).collect();
            return Ok(Shown::names("ports", &names).answer());
        }
        let known = self.known.ports();
        let own = known.iter().filter(|port| port.node() == of.as_str());
        Ok(Shown::names(
            "ports",
            &own.map(PortId::as_str).collect::<Vec<_>>(),
        ))
    }

    async fn family(&self, family: &str, key: Option<String>) -> Result<Shown, Failure> {
        let answer = timeout(LIMIT, self.node.db_family::<Box<RawValue>>(family)).await;
        let answer = answer.map_err(|_| {
            let why = format!("no global node has answered within {LIMIT:?}");
            ask::unreached(&self.node, why)
        })?;
        let mut values = answer?.all()?;
        if let Some(key) = key {
            let Some(value) = values.remove(&key) else {
                return Err(format!("{family} has no key {key}").into());
            };
            let json = format!("{{\"value\":{}}}", value.get());
            return Ok(Shown {
                json,
                ..Shown::new(value.get(), Value::Null).answer()
            });
        }
        let lines: Vec<String> = values
            .iter()
            .map(|(key, value)| format!("{}: {}", as_perl_shows(key), value.get()))
            .collect();
        Ok(Shown {
            json: format!("{{\"values\":{}}}", serde_json::to_string(&values)?),
            ..Shown::new(lines.join("\n"), Value::Null).answer()
        })
    }
}

/// What a command that shows the configuration shows, and the file stays as it is.
fn show(words: &[String]) -> Result<Shown, Failure> {
    let mut rc = RcFile::load(Environment::from_process().rc_path())?;
    let shown = settings::run(words, &mut rc)?;
    let json = serde_json::from_str(&shown).unwrap_or(Value::Object(Map::new()));
    Ok(Shown::new(shown.trim_end(), json))
}

/// A reason for who reads it.
fn told(reason: &Reason) -> String {
    match reason.is_normal() {
        true => "normal".to_owned(),
        false => reason.to_string(),
    }
}

/// What has come by itself.
pub(super) fn shown(told_of: &Told) -> Shown {
    match told_of {
        Told::Died(port, reason) => {
            let text = format!("{} died: {}", as_perl_shows(port.as_str()), told(reason));
            Shown::new(text, json!({"died": port, "reason": reason.values()}))
        }
        Told::Message(port, message) => Shown {
            text: format!("{} got {}", as_perl_shows(port.as_str()), bare(message)),
            json: format!(
                "{{\"port\":{},\"message\":{}}}",
                json!(port),
                message.to_json()
            ),
            ..Shown::default()
        },
    }
}
