//! A chat client but for how it talks to its server.

use std::time::{Duration, Instant};

use aemp::{Node, Octets, Port, PortId, Reason, SendError};
use tokio::sync::{oneshot, watch};

use crate::{stop, terminal};

/// A connection with a server.
#[derive(Clone)]
struct Session {
    server: PortId,
    client: Port,
}

/// Runs a client until its input ends, or it is interrupted.
///
/// Servers are found in `group`; `connect` connects the client's port with one of them, under a
/// nickname, and returns the port to talk to; `say` says a line to that.
pub async fn run<C, S>(group: &str, connect: C, say: S) -> Result<(), Box<dyn std::error::Error>>
where
    C: Fn(&Node, &PortId, &Port, &Octets) -> Result<PortId, SendError> + Send + 'static,
    S: Fn(&Node, &PortId, &Octets, &Octets) -> Result<(), SendError>,
{
    aemp::log::init_from_env();
    let nick = std::env::args_os().nth(1);
    let nick = Octets(
        nick.ok_or("which nickname? it is the only argument")?
            .into_encoded_bytes(),
    );
    let node = Node::builder().start().await?;
    let mut stop = std::pin::pin!(stop::asked());

    let (mut input, output) = terminal::open()?;
    let (session, connected) = watch::channel(None::<Session>);
    let (home, name) = (node.clone(), nick.clone());
    let connect = move |server: &PortId, client: &Port| connect(&home, server, client, &name);
    let (group, screen) = (group.to_owned(), output.clone());
    let supervisor = tokio::spawn(supervise(node.clone(), group, connect, screen, session));

    loop {
        let line = tokio::select! {
            line = input.line() => line?,
            done = &mut stop => done.map(|()| None)?,
        };
        let Some(line) = line.map(Octets) else { break };
        let server = connected.borrow().as_ref().map(|to| to.server.clone());
        match server {
            Some(server) => say(&node, &server, &nick, &line)?,
            None => output.line("not connected: nobody has heard that"),
        }
    }
    drop(input);

    supervisor.abort();
    let last = connected.borrow().clone();
    if let Some(session) = last {
        // Everyone sees why.
        session.client.kil(Reason::new(["bye"]));
    }
    node.shutdown().await;
    Ok(())
}

/// The supervisor: sees to it that there is a connection with a server, always.
async fn supervise(
    node: Node,
    group: String,
    connect: impl Fn(&PortId, &Port) -> Result<PortId, SendError>,
    screen: terminal::Output,
    session: watch::Sender<Option<Session>>,
) {
    const LASTING: Duration = Duration::from_secs(10);
    let mut backoff = Backoff::default();
    while let Some(member) = find(&node, &group, &screen).await {
        screen.line("connecting...");
        let begun = Instant::now();
        let show = screen.clone();
        let client = node.port_with(move |_, message| {
            // A list of values shows like a reason: with blanks between them.
            show.line(&Reason::from(message.values()).to_string());
        });
        let (died, end) = oneshot::channel();
        node.mon(&client, move |reason| {
            let _ = died.send(reason);
        });
        match connect(&member, &client) {
            Ok(server) => {
                client.peval(|context| {
                    context.link(&server);
                });
                session.send_replace(Some(Session { server, client }));
            }
            Err(error) => client.kil(Reason::die(error)),
        }
        let Ok(reason) = end.await else { return };
        session.send_replace(None);
        screen.line(&format!("disconnected {reason}"));

        if begun.elapsed() > LASTING {
            backoff = Backoff::default();
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

/// Waits for a member of a group; says so when there is none for long. None when the node has
/// stopped.
async fn find(node: &Node, group: &str, screen: &terminal::Output) -> Option<PortId> {
    let mut members = node.mon_group(group);
    let mut patience = Duration::from_secs(10);
    loop {
        tokio::select! {
            change = members.next() => {
                if let Some(first) = change?.members.into_iter().next() {
                    return Some(first);
                }
            }
            () = tokio::time::sleep(patience) => {
                screen.line(&format!("no server in {group} yet; still looking"));
                patience *= 3;
            }
        }
    }
}

/// How long to wait before the next try: a little at first, twice as long each time, up to a
/// bound, and never quite the same, lest all clients come at once.
struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Backoff(Duration::from_millis(200))
    }
}

impl Backoff {
    fn next(&mut self) -> Duration {
        const LONGEST: Duration = Duration::from_secs(10);
        let most = self.0;
        self.0 = LONGEST.min(most * 2);
        most.mul_f64(0.5 + 0.5 * fraction())
    }
}

/// Some number from 0 to 1.
fn fraction() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    f64::from(now.unwrap_or_default().subsec_nanos() % 1000) / 1000.0
}
