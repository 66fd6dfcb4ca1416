//! Programs as ports: a child process that is given the messages to a port as lines of JSON on its
//! standard input, and whose lines on standard output are requests to us.
//!
//! ```text
//! port's mailbox -> JSON lines -> standard input    [ program ]    standard output -> requests -> node
//! ```
//!
//! A message comes as the array that it is, one a line. What a program is told besides (the death
//! of a port that it monitors, the reply to a call) is a JSON object, which no message is. It comes
//! through the port's mailbox too, so in order with the messages.
//!
//! How the program ends is how its port dies; who kills the port ends the program. While the
//! program does not read, messages wait in the mailbox, whose bounds are those of any port; while
//! what it sends to has no room, its output is not read.

mod input;
mod lines;
mod path;
mod process;
mod request;
mod running;

pub(crate) use path::{Found, ServicesPath};

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::sync::Arc;

use aemp::{Context, Message, Node, Port, Reason};
use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use running::Running;

/// The programs of a node.
#[derive(Clone)]
pub(crate) struct Programs(Arc<Shared>);

struct Shared {
    /// The most octets of a line that a program may write.
    max_line: usize,
    path: RwLock<ServicesPath>,
    /// Services of the configuration that have failed, and of what.
    failed: Mutex<BTreeMap<String, String>>,
    /// They are to end.
    ending: CancellationToken,
    running: TaskTracker,
}

/// What to run.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) command: OsString,
    pub(crate) args: Vec<OsString>,
    /// The name of the function that was asked for, if one was.
    pub(crate) function: String,
    /// What it was called with.
    pub(crate) given: Message,
}

/// How a program has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// What its port died of.
    pub(crate) reason: Reason,
    /// Its status, if it ended by itself.
    pub(crate) status: Option<std::process::ExitStatus>,
}

impl Programs {
    pub(crate) fn new(path: ServicesPath, max_line: usize) -> Self {
        Programs(Arc::new(Shared {
            max_line,
            path: RwLock::new(path),
            failed: Mutex::default(),
            ending: CancellationToken::new(),
            running: TaskTracker::new(),
        }))
    }

    /// Looks for services in these folders from now on.
    pub(crate) fn set_path(&self, path: ServicesPath) {
        *self.0.path.write() = path;
    }

    /// Has the node find its services among the programs of the path.
    pub(crate) fn serve(&self, node: &Node) {
        let programs = self.clone();
        node.set_function_loader(move |name: &str| {
            let found = programs.0.path.read().find(name)?;
            let (programs, name) = (programs.clone(), name.to_owned());
            Some(move |context: &Context, args: Message| {
                programs.start(context, &found, &name, args)
            })
        });
    }

    /// Begins a service, in the port that was spawned for it. A function that is called, rather
    /// than spawned, has none: it gets one of its own.
    fn start(
        &self,
        context: &Context,
        found: &Found,
        name: &str,
        given: Message,
    ) -> io::Result<()> {
        let is_spawned = !context.id().is_node_port();
        let port = match is_spawned {
            true => context.this(),
            false => context.port(),
        };
        let program = Program {
            command: found.program.clone().into(),
            args: given.values().iter().map(as_argument).collect(),
            function: name.to_owned(),
            given,
        };
        let began = self.attach(context.node(), &port, program);
        if let Err(error) = &began {
            let path = found.program.display();
            let error = io::Error::new(error.kind(), format!("{path} can't be run: {error}"));
            if !is_spawned {
                port.kil(Reason::normal());
            }
            return Err(error);
        }
        // Nobody else has called it: it is one of `services`.
        if let (false, None, Ok(ended)) = (is_spawned, context.source(), began) {
            let (programs, name) = (self.clone(), name.to_owned());
            self.0.running.spawn(async move {
                let ended = ended.await;
                if let Ok(Ended { reason, .. }) = ended
                    && !reason.is_normal()
                {
                    programs.0.failed.lock().insert(name, reason.to_string());
                }
            });
        }
        Ok(())
    }

    /// The services of the configuration that have failed, and of what their ports died.
    #[cfg(feature = "http")]
    pub(crate) fn failed_services(&self) -> Vec<(String, String)> {
        let failed = self.0.failed.lock();
        let pairs = failed.iter();
        pairs
            .map(|(name, why)| (name.clone(), why.clone()))
            .collect()
    }

    /// Runs a program as this port, whatever that was before. How it ends is told to who waits for
    /// that.
    pub(crate) fn attach(
        &self,
        node: &Node,
        port: &Port,
        program: Program,
    ) -> io::Result<oneshot::Receiver<Ended>> {
        let running = Running::begin(node, port, program, self.0.max_line)?;
        let (tell, ended) = oneshot::channel();
        let ending = self.0.ending.child_token();
        self.0.running.spawn(async move {
            // Nobody may be waiting.
            let _ = tell.send(running.run(ending).await);
        });
        Ok(ended)
    }

    /// Ends all of them, and waits until they have ended.
    pub(crate) async fn end(&self) {
        self.0.ending.cancel();
        self.0.running.close();
        self.0.running.wait().await;
    }
}

/// A text as it is, anything else as JSON.
fn as_argument(value: &Value) -> OsString {
    match value {
        Value::String(text) => text.into(),
        other => other.to_string().into(),
    }
}
