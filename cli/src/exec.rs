//! `aemp exec`: a node with one program on it, whose port it prints.

use std::ffi::OsString;

use aemp::Message;
use tokio::sync::oneshot::error::RecvError;
use tokio::task::JoinSet;

use crate::Failure;
use crate::output::{self, Status};
use crate::program::{Ended, Program};
use crate::run::Running;
use crate::system;

pub(crate) const HELP: &str = "\
The program is a port: each message comes as a line of JSON, an array, on its standard input. Each \
line of its standard output is a request, an array too:
  [\"snd\", PORT, ARGS..]              send a message
  [\"mon\", PORT], [\"unmon\", PORT]     be told of a port's death, or no more:
                                     {\"died\": PORT, \"reason\": [..]}
  [\"kil\", PORT, REASON..]            kill a port; null for PORT, or [\"kil\"]
                                     alone, is the program's own
  [\"reg\", GROUP], [\"unreg\", GROUP]   register its port in a group, or no more
  [\"grp\", GROUP]                     be told of its ports, now and when they
                                     change: {\"group\": GROUP, \"ports\": [..]}
  [\"spawn\", NODE, FUNCTION, ARGS..]  create a port:
                                     {\"spawned\": PORT, \"function\": FUNCTION}
  [\"cal\", ID, PORT, ARGS..]          send with a reply port behind it:
                                     {\"reply\": ID, \"args\": [..]}, or
                                     {\"lost\": ID, \"reason\": [..]}

What is told is an object, a message is an array. AEMP_PORT and AEMP_NODE are its port's and its \
node's ID; AEMP_FUNCTION and AEMP_ARGS (JSON) are what a service was spawned by, which has the \
arguments on its command line as well. What it writes to standard error is logged (level 5).

Its end is the port's death: normal with status 0, else `exit`, STATUS or `signal`, NAME. When the \
port is killed, its standard input ends; a second later it is sent SIGTERM, after two more SIGKILL. \
The node ends with the program, with its status. With --instances it ends with the last of them, and \
the status is that of the first that failed.

Examples:
  aemp exec -- sh examples/programs/ping.sh
  aemp exec nodeid rusty seeds perlhost:4040 -- python3 counter.py";

pub(crate) async fn exec(
    arguments: Vec<String>,
    command: Vec<OsString>,
    instances: u16,
) -> Result<(), Failure> {
    let mut words = command.into_iter();
    let command = words.next().ok_or("the program is missing")?;
    let name = command.to_string_lossy().into_owned();
    let args: Vec<OsString> = words.collect();
    let running = Running::start(arguments).await?;
    let mut printed = Ok(());
    let mut programs = JoinSet::new();
    let mut ports = Vec::new();
    for _ in 0..instances {
        let port = running.node.port();
        let program = Program {
            command: command.clone(),
            args: args.clone(),
            function: String::new(),
            given: Message::from_values(&[]),
        };
        match running.programs.attach(&running.node, &port, program) {
            Ok(ended) => drop(programs.spawn(ended)),
            Err(error) => {
                running.until(async {}).await.1?;
                return Err(format!("{name} can't be run: {error}").into());
            }
        }
        printed = printed.and_then(|()| output::line(port.id()));
        ports.push(port);
    }
    if printed.is_err() {
        for port in &ports {
            port.kil(aemp::Reason::normal());
        }
    }
    let (ended, node) = running.until(all_ended(programs)).await;
    printed?;
    node?;
    // Nothing, if they were ended with the node.
    ended.unwrap_or(Ok(()))
}

/// Waits until all of them have ended. Fails as the first that failed.
async fn all_ended(mut programs: JoinSet<Result<Ended, RecvError>>) -> Result<(), Failure> {
    let progress = match programs.len() {
        0 | 1 => None,
        many => Some(output::progress("programs", many.try_into().ok())),
    };
    let mut failed = Ok(());
    while let Some(ended) = programs.join_next().await {
        // One that was ended with the node has nothing to say.
        let Ok(Ok(ended)) = ended else { continue };
        let result = end(ended);
        if let Some(progress) = &progress {
            match result {
                Ok(()) => progress.done(),
                Err(_) => progress.failed(),
            }
        }
        failed = failed.and(result);
    }
    failed
}

/// Ends as the program has.
fn end(ended: Ended) -> Result<(), Failure> {
    match ended.status {
        Some(status) => match u8::try_from(system::code(status)) {
            Ok(0) => Ok(()),
            Ok(code) => Err(Status(code).into()),
            Err(_) => Err(Status(1).into()),
        },
        None if ended.reason.is_normal() => Ok(()),
        None => Err(format!("the port died: {}", ended.reason).into()),
    }
}
