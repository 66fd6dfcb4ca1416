//! What runs on each node: ports, senders of numbered messages, monitors, calls, supervisors.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use aemp::supervise::{Child, Intensity, on_node};
use aemp::{
    CalError, Context, DbEntry, Monitor, Node, Port, PortId, Reason, SendError, Supervisor,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::follow::{self, Followed};
use crate::record::{Event, Life, Record};

/// What other nodes spawn ports by.
pub const SPAWNED: &str = "Simulation::port";

/// What other nodes have children by on this one. They are given the node that supervises them, and
/// end with it.
pub const CHILD: &str = "Simulation::child";

/// What other nodes ask this one by whether it is there. The time, which every node tells when it
/// is asked for it, is another one in each run.
pub const ASKED: &str = "Simulation::who";

/// Numbers that are given once in a run: of monitors, flows and calls.
#[derive(Clone, Default)]
pub struct Serials(Arc<AtomicU64>);

impl Serials {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// The program of one life of a node.
pub struct Program {
    pub life: Life,
    pub node: Node,
    record: Record,
    serials: Serials,
    over: AtomicBool,
    keeps_monitors: bool,
    flows: Mutex<HashMap<PortId, Arc<Mutex<Flow>>>>,
    /// What may be ended again: monitors by their port.
    monitors: Mutex<BTreeMap<PortId, Vec<(u64, Monitor)>>>,
    pub entries: Mutex<BTreeMap<(u64, u64), (u64, DbEntry)>>,
    pub supervisors: Mutex<Vec<Supervisor>>,
    pub followed: Arc<Mutex<Followed>>,
}

/// Numbered messages to one port.
struct Flow {
    serial: u64,
    /// The monitor that covers what is sent, if it has not fired.
    monitor: Option<u64>,
    /// The number of the next message behind it.
    next: u64,
    /// What is still to be sent each time that it fires: messages, and how many times.
    insist: (u64, u64),
}

/// Which message of a flow it is.
struct Number {
    flow: u64,
    monitor: u64,
    n: u64,
}

impl Program {
    pub fn new(
        life: Life,
        node: Node,
        record: Record,
        serials: Serials,
        keeps_monitors: bool,
    ) -> Arc<Self> {
        node.function(ASKED, |context, (reply,): (PortId,)| {
            context.snd(&reply, &(context.node().id(),))
        });
        node.function(CHILD, |context, (supervisor,): (PortId,)| {
            context
                .this()
                .rcv("call", |_, (reply,): (PortId,)| drop(reply));
            context.mon_kil(&supervisor, context.id());
        });
        record.push(Event::Begun(life));
        let program = Arc::new(Program {
            life,
            node,
            record,
            serials,
            over: AtomicBool::new(false),
            keeps_monitors,
            flows: Mutex::default(),
            monitors: Mutex::default(),
            entries: Mutex::default(),
            supervisors: Mutex::default(),
            followed: Arc::default(),
        });
        let owner = Arc::downgrade(&program);
        program
            .node
            .function(SPAWNED, move |context, (ms,): (u64,)| {
                serve(&context.this(), &owner, ms);
            });
        program
    }

    /// Follows what changes: nodes, groups, and the database if the node has it.
    pub fn follow(&self, database: bool) {
        let (node, followed) = (&self.node, &self.followed);
        tokio::spawn(follow::nodes(
            node.mon_nodes(),
            followed.clone(),
            self.record.clone(),
        ));
        for group in 0..3 {
            let changes = node.mon_group(&format!("g{group}"));
            tokio::spawn(follow::group(
                group,
                changes,
                followed.clone(),
                self.record.clone(),
            ));
        }
        for family in (0..2).filter(|_| database) {
            let changes = node.db_mon(&format!("f{family}"));
            tokio::spawn(follow::family(
                family,
                changes,
                followed.clone(),
                self.record.clone(),
            ));
        }
    }

    /// What the program does from here on does not count: it is about to end.
    pub fn over(&self, how: &'static str) {
        self.over.store(true, Ordering::Relaxed);
        self.record.push(Event::Over(self.life, how));
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// A new port.
    pub fn open(self: &Arc<Self>, port: u64, ms: u64) -> PortId {
        let new = self.node.port();
        serve(&new, &Arc::downgrade(self), ms);
        let (id, owner) = (new.id().clone(), self.life);
        self.record.push(Event::Opened {
            port,
            id: id.clone(),
            owner,
        });
        id
    }

    /// Has another node make a port.
    pub fn spawn(&self, port: u64, on: Life) -> PortId {
        let id = self.node.spawn(format!("n{}", on.node), SPAWNED, &(0,));
        let id = id.expect("a number is a message");
        self.record.push(Event::Opened {
            port,
            id: id.clone(),
            owner: on,
        });
        id
    }

    pub fn kill(&self, id: &PortId) {
        self.record.push(Event::Killed {
            id: id.clone(),
            by: self.life,
        });
        self.node.kil(id, Reason::new(["killed"]));
    }

    /// Sets a monitor, and does something when it fires.
    fn monitor(&self, id: &PortId, fired: impl FnOnce() + Send + 'static) -> (u64, Monitor) {
        let monitor = self.serials.next();
        self.record.push(Event::Watched {
            monitor,
            id: id.clone(),
            by: self.life,
            by_message: false,
        });
        let record = self.record.clone();
        let set = self.node.mon(id, move |reason| {
            record.push(Event::Fired { monitor, reason });
            fired();
        });
        (monitor, set)
    }

    pub fn watch(&self, id: &PortId) {
        let set = self.monitor(id, || {});
        let mut monitors = self.monitors.lock().unwrap();
        monitors.entry(id.clone()).or_default().push(set);
    }

    /// Has a port of its own be told when another one dies, and end with that.
    pub fn notify(&self, id: &PortId) {
        let monitor = self.serials.next();
        self.record.push(Event::Watched {
            monitor,
            id: id.clone(),
            by: self.life,
            by_message: true,
        });
        let (told, record) = (self.node.port(), self.record.clone());
        told.rcv("died", move |context, mut values: Vec<Value>| {
            assert_eq!(values.remove(0), Value::from(monitor));
            let reason = Reason::new(values);
            record.push(Event::Fired { monitor, reason });
            context.end();
        });
        let set = self.node.mon_snd(id, told.id(), &("died", monitor));
        set.expect("a text and a number are a message");
    }

    /// Ends a monitor that was set by [`watch`](Self::watch) and may have fired.
    pub fn unwatch(&self, id: &PortId) {
        let mut monitors = self.monitors.lock().unwrap();
        let last = monitors.get_mut(id).and_then(Vec::pop);
        if let Some((monitor, set)) = last {
            if !self.keeps_monitors {
                set.stop();
            }
            self.record.push(Event::Unwatched { monitor });
        }
    }

    /// Has one port die with the other. That is a monitor as well, but not one that is counted.
    pub fn link(&self, id: &PortId, with: &PortId) {
        self.node.mon_kil(id, with);
    }

    /// Sends numbered messages behind a monitor.
    pub fn send(self: &Arc<Self>, id: &PortId, count: u64, size: u64) {
        let flow = self.flow(id);
        self.send_in(&flow, id, count, size);
    }

    /// The same, and more whenever the monitor fires.
    pub fn insist(self: &Arc<Self>, id: &PortId, count: u64, times: u64) {
        let flow = self.flow(id);
        flow.lock().unwrap().insist = (count, times);
        self.send_in(&flow, id, count, 0);
    }

    /// Sends numbered messages behind a monitor, for each of which the port sends one back.
    pub fn echo(self: &Arc<Self>, id: &PortId, back: &PortId, count: u64) {
        let flow = self.flow(id);
        for _ in 0..count {
            let Number { flow, monitor, n } = self.next(&flow, id);
            let sent = self.node.snd(id, &("e", flow, monitor, n, back));
            is_message(sent);
        }
    }

    /// Sends numbered messages behind a monitor of their own, each when there is room.
    pub fn pour(self: &Arc<Self>, id: &PortId, count: u64, size: u64) {
        let (program, id) = (self.clone(), id.clone());
        let padding = "x".repeat(size as usize);
        tokio::spawn(async move {
            let flow = program.new_flow();
            for _ in 0..count {
                let number = program.next(&flow, &id);
                let Number {
                    flow: serial,
                    monitor,
                    n,
                } = number;
                let message = ("n", serial, monitor, n, &padding);
                let sent = program.node.snd_wait(&id, &message).await;
                is_message(sent);
                if flow.lock().unwrap().monitor != Some(monitor) {
                    program.record.push(Event::Adrift { monitor, n });
                }
                if program.is_over() {
                    break;
                }
            }
        });
    }

    fn new_flow(&self) -> Arc<Mutex<Flow>> {
        Arc::new(Mutex::new(Flow {
            serial: self.serials.next(),
            monitor: None,
            next: 0,
            insist: (0, 0),
        }))
    }

    fn flow(&self, id: &PortId) -> Arc<Mutex<Flow>> {
        let mut flows = self.flows.lock().unwrap();
        flows
            .entry(id.clone())
            .or_insert_with(|| self.new_flow())
            .clone()
    }

    /// The number of the next message to a port, which is monitored from now on if it was not.
    fn next(self: &Arc<Self>, flow: &Arc<Mutex<Flow>>, id: &PortId) -> Number {
        let mut now = flow.lock().unwrap();
        let monitor = now.monitor.unwrap_or_else(|| {
            let (program, which) = (Arc::downgrade(self), Arc::downgrade(flow));
            let port = id.clone();
            let (monitor, _) = self.monitor(id, move || fired(&program, &which, &port));
            (now.monitor, now.next) = (Some(monitor), 0);
            monitor
        });
        let (flow, n) = (now.serial, now.next);
        now.next += 1;
        self.record.push(Event::Sent { flow, monitor, n });
        Number { flow, monitor, n }
    }

    fn send_in(self: &Arc<Self>, flow: &Arc<Mutex<Flow>>, id: &PortId, count: u64, size: u64) {
        let padding = "x".repeat(size as usize);
        for _ in 0..count {
            let Number { flow, monitor, n } = self.next(flow, id);
            let sent = self.node.snd(id, &("n", flow, monitor, n, &padding));
            is_message(sent);
        }
    }

    /// Calls a port.
    pub fn call(&self, id: &PortId, ms: u64) {
        let call = self.serials.next();
        let (id, by) = (id.clone(), self.life);
        self.record.push(Event::Called {
            call,
            id: id.clone(),
            by,
        });
        let (node, record) = (self.node.clone(), self.record.clone());
        tokio::spawn(async move {
            let limit = (ms > 0).then(|| Duration::from_millis(ms));
            let how = match node.cal::<(String,)>(&id, &("call",), limit).await {
                Ok((from,)) if from == id.as_str() => "answered".to_owned(),
                Ok((from,)) => format!("answered by {from}"),
                Err(CalError::Died(reason)) => format!("died: {reason}"),
                Err(error) => error.to_string(),
            };
            record.push(Event::Answered { call, how });
        });
    }

    pub fn supervise(&self, children: u64) {
        self.supervise_those(children, |name| {
            Child::local(name, |context| {
                let port = context.port();
                port.rcv("call", |_, (reply,): (PortId,)| drop(reply));
                port
            })
        });
    }

    /// The same with children on another node.
    pub fn employ(&self, on: usize, children: u64) {
        let own = self.node.id().node_port();
        self.supervise_those(children, |name| {
            Child::spawn(name, on_node(format!("n{on}")), CHILD, &(&own,))
        });
    }

    fn supervise_those(&self, children: u64, child: impl Fn(String) -> Child) {
        let mut supervisors = self.supervisors.lock().unwrap();
        let name = format!("{}.{}", self.life, supervisors.len());
        let mut builder =
            Supervisor::builder(name).intensity(Intensity::new(1_000, Duration::from_secs(1)));
        for n in 0..children {
            builder = builder.child(child(format!("child{n}")));
        }
        supervisors.push(builder.start(&self.node).expect("the names differ"));
    }

    /// The supervisors, to be stopped.
    pub fn take_supervisors(&self) -> Vec<Supervisor> {
        std::mem::take(&mut *self.supervisors.lock().unwrap())
    }

    /// Kills a child of a supervisor.
    pub fn shoot(&self, child: u64) {
        let supervisors = self.supervisors.lock().unwrap();
        let all = supervisors.iter().flat_map(Supervisor::children);
        let ports: Vec<PortId> = all.filter_map(|child| child.port).collect();
        if !ports.is_empty() {
            self.node
                .kil(&ports[child as usize % ports.len()], Reason::new(["shot"]));
        }
    }
}

/// The monitor of a flow has fired: what is sent from now on is behind another one.
fn fired(program: &Weak<Program>, flow: &Weak<Mutex<Flow>>, id: &PortId) {
    let (Some(program), Some(flow)) = (program.upgrade(), flow.upgrade()) else {
        return;
    };
    let count = {
        let mut now = flow.lock().unwrap();
        now.monitor = None;
        let (count, times) = now.insist;
        now.insist.1 = times.saturating_sub(1);
        if times > 0 { count } else { 0 }
    };
    if count > 0 && !program.is_over() {
        program.send_in(&flow, id, count, 0);
    }
}

/// What a port does: writes numbered messages down, some of which have it send one itself, and
/// answers calls. Each keeps it busy for so long.
fn serve(port: &Port, program: &Weak<Program>, ms: u64) {
    let busy = Duration::from_millis(ms);
    let owner = program.clone();
    receive(
        port,
        busy,
        "n",
        move |context, numbered: (u64, u64, u64, String)| {
            let (flow, monitor, n, _) = numbered;
            got(&owner, context, Number { flow, monitor, n });
        },
    );
    let owner = program.clone();
    receive(
        port,
        busy,
        "e",
        move |context, numbered: (u64, u64, u64, PortId)| {
            let (flow, monitor, n, back) = numbered;
            got(&owner, context, Number { flow, monitor, n });
            if let Some(program) = owner.upgrade().filter(|program| !program.is_over()) {
                program.send(&back, 1, 0);
            }
        },
    );
    receive(port, busy, "call", |context, (reply,): (PortId,)| {
        let sent = context.snd(&reply, &(context.id(),));
        is_message(sent);
    });
}

fn got(program: &Weak<Program>, context: &Context, number: Number) {
    let Number { flow, monitor, n } = number;
    let at = context.id().clone();
    if let Some(program) = program.upgrade() {
        program.record.push(Event::Got {
            at,
            flow,
            monitor,
            n,
        });
    }
}

/// Takes messages that keep a port busy for a while.
fn receive<A: DeserializeOwned + Send + 'static>(
    port: &Port,
    busy: Duration,
    tag: &str,
    code: impl Fn(&Context, A) + Send + Sync + 'static,
) {
    if busy.is_zero() {
        port.rcv(tag, move |context, args: A| code(context, args));
        return;
    }
    let code = Arc::new(code);
    port.rcv_async(tag, move |context, args: A| {
        let code = code.clone();
        async move {
            code(&context, args);
            tokio::time::sleep(busy).await;
        }
    });
}

/// What was sent is a message; its node may have stopped by then.
fn is_message(sent: Result<(), SendError>) {
    assert!(matches!(sent, Ok(()) | Err(SendError::Stopped)), "{sent:?}");
}
