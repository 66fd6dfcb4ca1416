//! Carrying out commands.

use std::collections::HashMap;
use std::time::Duration;

use aemp::{DbEntry, Monitor, Node, Port, PortId, Reason, Registration};
use serde_json::{Map, Value, json};

use crate::database::{self, Question};
use crate::stream::Stream;
use crate::watch::Watch;
use crate::{data, functions, output, ports};

#[derive(Default)]
pub struct Driver {
    node: Option<Node>,
    serial: u64,
    monitors: HashMap<u64, Monitor>,
    registrations: HashMap<u64, Registered>,
    watches: HashMap<u64, Watch>,
    streams: HashMap<u64, Stream>,
    /// The lines of other nodes, while they are caught.
    catch: Option<tokio::task::JoinHandle<()>>,
}

/// What `grp_unreg` ends.
enum Registered {
    Group(Registration),
    Key(DbEntry),
}

/// The arguments of a command.
struct Args(Map<String, Value>);

type Answer = Result<Value, String>;

impl Args {
    fn get(&self, key: &str) -> &Value {
        self.0.get(key).unwrap_or(&Value::Null)
    }

    fn text(&self, key: &str) -> Result<&str, String> {
        let text = self.get(key).as_str();
        text.ok_or_else(|| format!("the argument '{key}' is missing"))
    }

    fn port(&self, key: &str) -> Result<PortId, String> {
        self.text(key).map(PortId::from)
    }

    fn list(&self, key: &str) -> Vec<Value> {
        self.get(key).as_array().cloned().unwrap_or_default()
    }

    fn number(&self, key: &str) -> Result<u64, String> {
        let number = self.get(key).as_u64();
        number.ok_or_else(|| format!("the argument '{key}' is missing"))
    }

    /// A message with its destination in front.
    fn to_and_message(&self, key: &str) -> Result<(PortId, Vec<Value>), String> {
        let mut list = self.list(key);
        match (!list.is_empty()).then(|| list.remove(0)) {
            Some(Value::String(to)) => Ok((to.into(), list)),
            _ => Err(format!("the argument '{key}' names no port to send to")),
        }
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Driver {
    pub async fn command(&mut self, line: &str) {
        let request: Value = match serde_json::from_str(line) {
            Ok(request) => request,
            Err(error) => return output::fault(format_args!("bad command: {error}")),
        };
        let id = request["id"].as_u64().unwrap_or_default();
        let args = Args(request["args"].as_object().cloned().unwrap_or_default());
        let name = request["cmd"].as_str().unwrap_or_default();
        match name {
            "configure" => output::answer(id, self.configure(args).await),
            "log" => output::answer(id, log(&args)),
            "quit" => {
                output::answer(id, Ok(json!({})));
                if let Some(node) = &self.node {
                    node.shutdown().await;
                }
                std::process::exit(args.get("status").as_i64().unwrap_or(0) as i32);
            }
            "ping" => output::answer(id, Ok(json!({}))),
            _ => {
                let Some(node) = self.node.clone() else {
                    return output::answer(id, Err("not configured".to_owned()));
                };
                if let Some(question) = Question::of_command(name) {
                    return match args.text("family") {
                        Ok(family) => question.ask(node, id, family.to_owned()),
                        Err(error) => output::answer(id, Err(error)),
                    };
                }
                match name {
                    "cal" => cal(node, id, &args),
                    "cal_any" => cal_any(node, id, &args),
                    "snd_many" => snd_many(node, id, &args),
                    _ => output::answer(id, self.perform(&node, name, &args)),
                }
            }
        }
    }

    async fn configure(&mut self, args: Args) -> Answer {
        let mut builder = Node::builder();
        for (key, value) in args.0 {
            builder = builder.set(key, value);
        }
        let node = builder.start().await.map_err(text)?;
        functions::register(&node);
        let mut events = node.mon_nodes();
        for node in node.up_nodes() {
            output::fault(format_args!("{node} was up before it could be told"));
        }
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                output::node(&event);
            }
        });
        let ok = json!({ "nodeid": node.id(), "listeners": node.listeners() });
        self.node = Some(node);
        Ok(ok)
    }

    fn next(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn perform(&mut self, node: &Node, name: &str, args: &Args) -> Answer {
        let local = |key| -> Result<Port, String> {
            let port = args.port(key)?;
            let found = node.local_port(&port);
            found.ok_or_else(|| format!("{port} is no local port"))
        };
        match name {
            "listeners" => return Ok(json!({ "listeners": node.listeners() })),
            "port" => {
                let pause = args.get("pause").as_u64().map(Duration::from_millis);
                let expect = args.get("expect").as_u64();
                let port = ports::make(node, args.text("kind")?, expect, pause)?;
                return Ok(json!({ "port": port }));
            }
            "ports" => {
                let kind = args.text("kind")?;
                let make = |_| ports::make(node, kind, None, None);
                let made: Result<Vec<PortId>, String> =
                    (0..args.number("count")?).map(make).collect();
                return Ok(json!({ "ports": made? }));
            }
            "rcv" => {
                let port = local("port")?;
                match (args.get("action").as_str(), args.get("tag").as_str()) {
                    (Some(action), tag) => ports::act(&port, action, tag)?,
                    (None, Some(tag)) => drop(port.unrcv(tag)),
                    (None, None) => return Err("a default action can't be removed".to_owned()),
                }
            }
            "kil" => node.kil(args.port("port")?, Reason::from(args.list("reason"))),
            "in_port" => in_port(&local("port")?, args)?,
            "snd" => node
                .snd(args.port("to")?, &args.list("msg"))
                .map_err(text)?,
            "snd_big" => {
                let fill = args.get("fill").as_str().unwrap_or("x");
                let mut message = args.list("head");
                message.push(json!(fill.repeat(args.number("size")? as usize)));
                node.snd(args.port("to")?, &message).map_err(text)?;
            }
            "snd_to_func" => {
                let mut message = vec![json!(args.text("func")?)];
                message.extend(args.list("args"));
                node.snd(args.port("node")?, &message).map_err(text)?;
            }
            "spawn" => {
                let (at, function) = (args.port("node")?, args.text("func")?);
                let port = node.spawn(at, function, &args.list("args")).map_err(text)?;
                return Ok(json!({ "port": port }));
            }
            "after" => {
                let (to, message) = args.to_and_message("msg")?;
                let delay = args.get("seconds").as_f64().unwrap_or_default();
                let delay = Duration::from_secs_f64(delay);
                node.snd_after(delay, to, &message).map_err(text)?;
            }
            "mon" => return self.monitor(node, args),
            "unmon" => {
                if let Some(monitor) = self.monitors.remove(&args.number("mon")?) {
                    monitor.stop();
                }
            }
            "grp_reg" => {
                let registration = node.register(args.text("group")?, args.port("port")?);
                let serial = self.next();
                let registered = Registered::Group(registration);
                self.registrations.insert(serial, registered);
                return Ok(json!({ "reg": serial }));
            }
            "db_reg" => {
                let (family, port) = (args.text("family")?, args.port("port")?);
                let entry = node.db_reg(family, port, args.get("value")).map_err(text)?;
                let serial = self.next();
                self.registrations.insert(serial, Registered::Key(entry));
                return Ok(json!({ "reg": serial }));
            }
            "db_set" => {
                let (family, key) = (args.text("family")?, args.text("key")?);
                node.db_set(family, key, args.get("value")).map_err(text)?;
            }
            "db_del" => {
                let keys = args.list("keys");
                let keys = keys.iter().filter_map(Value::as_str);
                node.db_del(args.text("family")?, keys);
            }
            "db_mon" => {
                let family = args.text("family")?;
                let serial = self.next();
                let watch = database::follow(node, serial, family);
                self.watches.insert(serial, watch);
                return Ok(json!({ "watch": serial }));
            }
            "grp_unreg" => match self.registrations.remove(&args.number("reg")?) {
                Some(Registered::Group(registration)) => registration.unregister(),
                Some(Registered::Key(entry)) => entry.delete(),
                None => {}
            },
            "grp_get" => return Ok(json!({ "ports": node.members(args.text("group")?) })),
            "grp_mon" => {
                let group = args.text("group")?.to_owned();
                let mut changes = node.mon_group(&group);
                let serial = self.next();
                let watch = Watch::start(|gate| async move {
                    while let Some(change) = changes.next().await {
                        gate.tell(|| output::group(serial, &group, &change));
                    }
                });
                self.watches.insert(serial, watch);
                return Ok(json!({ "watch": serial }));
            }
            "grp_unmon" => {
                if let Some(watch) = self.watches.remove(&args.number("watch")?) {
                    watch.end();
                }
            }
            "stream" => {
                let serial = self.next();
                let stream = Stream::start(node.clone(), serial, args.port("to")?);
                self.streams.insert(serial, stream);
                return Ok(json!({ "stream": serial }));
            }
            "stream_stop" => {
                let stream = self.streams.remove(&args.number("stream")?);
                return stream.map(Stream::stop).ok_or("no such stream".to_owned());
            }
            "nodes" => {
                return Ok(json!({
                    "node": node.id(), "known": node.known_nodes(), "up": node.up_nodes(),
                }));
            }
            "counter" => return ports::counted(&args.port("port")?),
            "data_conn" => {
                let conn = self.next();
                let limit = args.get("timeout").as_f64().unwrap_or(10.0);
                let wanted = data::Wanted {
                    conn,
                    send: args.number("send")?,
                    receive: args.number("receive")?,
                };
                let (to, function) = (args.port("node")?, args.text("func")?.to_owned());
                let limit = Duration::from_secs_f64(limit);
                tokio::spawn(data::open(node.clone(), to, limit, function, wanted));
                return Ok(json!({ "conn": conn }));
            }
            "catch" => {
                if let Some(catch) = self.catch.take() {
                    catch.abort();
                }
                if let Some(level) = args.get("level").as_u64() {
                    let mut lines = node.catch_logs(level as u8);
                    self.catch = Some(tokio::spawn(async move {
                        while let Some(line) = lines.next().await {
                            output::log(&line);
                        }
                    }));
                }
            }
            "queued" => {
                let links = node.stats().links;
                let octets: usize = links.iter().map(|link| link.queued_octets).sum();
                return Ok(json!({ "octets": octets }));
            }
            name => return Err(format!("unknown command '{name}'")),
        }
        Ok(json!({}))
    }

    fn monitor(&mut self, node: &Node, args: &Args) -> Answer {
        let serial = self.next();
        let port = args.port("port")?;
        let monitor = match args.get("form").as_str().unwrap_or("call") {
            "call" => node.mon(port, move |reason| output::monitor(serial, &reason)),
            "kill" => node.mon_kil(port, args.port("target")?),
            "self" => {
                let target = args.port("target")?;
                let target = node.local_port(&target).ok_or("no local port")?;
                let mut monitor = None;
                target.peval(|cx| monitor = Some(cx.link(&port)));
                monitor.ok_or("the port is dead")?
            }
            "msg" => {
                let (to, message) = args.to_and_message("msg")?;
                node.mon_snd(port, to, &message).map_err(text)?
            }
            form => return Err(format!("unknown form of monitor '{form}'")),
        };
        self.monitors.insert(serial, monitor);
        Ok(json!({ "mon": serial }))
    }
}

/// Logs a line as programs do.
fn log(args: &Args) -> Answer {
    let text = args.text("text")?;
    match args.number("level")? {
        0..=1 => tracing::error!(target: "driver", "{text}"),
        2..=6 => tracing::warn!(target: "driver", "{text}"),
        7 => tracing::info!(target: "driver", "{text}"),
        level => return Err(format!("there is no level {level} here")),
    }
    Ok(json!({}))
}

/// Runs code in a port's context.
fn in_port(port: &Port, args: &Args) -> Result<(), String> {
    match args.text("do")? {
        "die" => {
            let text = args.text("text")?.to_owned();
            port.peval(|_| Err::<(), String>(text));
        }
        "snd" => {
            let (to, mut message) = args.to_and_message("msg")?;
            port.peval(|cx| {
                message.push(json!(cx.id()));
                cx.snd(to, &message)
            });
        }
        "kil" => {
            let reason = Reason::from(args.list("reason"));
            port.peval(|cx| cx.fail(reason));
        }
        other => return Err(format!("unknown 'do': {other}")),
    }
    Ok(())
}

fn cal(node: Node, id: u64, args: &Args) {
    let limit = args.get("timeout").as_f64().map(Duration::from_secs_f64);
    let (to, message) = (args.port("to"), args.list("msg"));
    tokio::spawn(async move {
        let answer = match to {
            Err(error) => Err(error),
            Ok(to) => match node.cal::<Vec<Value>>(to, &message, limit).await {
                Ok(reply) => Ok(json!({ "reply": reply })),
                Err(aemp::CalError::Died(_) | aemp::CalError::TimedOut(_)) => {
                    Ok(json!({ "reply": null }))
                }
                Err(error) => Err(error.to_string()),
            },
        };
        output::answer(id, answer);
    });
}

fn cal_any(node: Node, id: u64, args: &Args) {
    let retries = args.get("retries").as_u64().unwrap_or(0);
    let service = args.text("group").map(|group| {
        let service = node.service(group).balance(aemp::Balance::RoundRobin);
        service.retries(retries as u32)
    });
    let limit = args.get("timeout").as_f64().map(Duration::from_secs_f64);
    let message = args.list("msg");
    match service {
        Err(error) => output::answer(id, Err(error)),
        Ok(service) => drop(tokio::spawn(async move {
            let reply = service.cal_any::<Vec<Value>>(&message, limit).await;
            let answer = reply.map(|reply| json!({ "reply": reply }));
            output::answer(id, answer.map_err(|error| error.to_string()));
        })),
    }
}

fn snd_many(node: Node, id: u64, args: &Args) {
    let first = args.get("first").as_u64().unwrap_or(0);
    let (to, count) = match (args.port("to"), args.number("count")) {
        (Ok(to), Ok(count)) => (to, count),
        (Err(error), _) | (_, Err(error)) => return output::answer(id, Err(error)),
    };
    let (head, tail) = (args.list("head"), args.list("tail"));
    let waits = args.get("wait").as_bool().unwrap_or(false);
    tokio::spawn(async move {
        let last = first + count;
        for n in first..last {
            let mut message = head.clone();
            message.push(json!(n));
            message.extend_from_slice(&tail);
            let sent = match waits {
                true => node.snd_wait(&to, &message).await,
                false => node.snd(&to, &message),
            };
            if let Err(error) = sent {
                return output::answer(id, Err(error.to_string()));
            }
            if n % 200 == 199 {
                tokio::task::yield_now().await;
            }
        }
        output::answer(id, Ok(json!({ "next": last })));
    });
}
