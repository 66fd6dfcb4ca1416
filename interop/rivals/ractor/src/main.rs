//! ractor_cluster: two nodes, and messages to an actor of the other one; and ractor alone, for
//! messages to an actor of the same process, which are moved and not serialised.
//!
//! Mailboxes and what waits to be written have no bound: so the receiver acknowledges, and the
//! sender is not too far ahead ([`rival::Window`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, concurrency, pg};
use ractor_cluster::{NodeServer, RactorClusterMessage};
use rival::message::HASH;
use rival::stats::Times;
use rival::{AHEAD, Arguments, Command, EACH, Failure, Role, Window};
use serde_json::Value;
use tokio::sync::oneshot;

/// The group that the actor of the server is in, by which the client finds it.
const GROUP: &str = "rival";

/// What is said to the actor.
#[derive(RactorClusterMessage)]
enum Said {
    /// The message that is measured; the three numbers are a part of it, as `ractor_cluster` has no
    /// form for a struct.
    Numbered(u64, String, Vec<u32>),
    /// How many there were?
    #[rpc]
    Count(RpcReplyPort<u64>),
    /// A number that is answered with itself.
    #[rpc]
    Echo(u64, RpcReplyPort<u64>),
}

/// Counts messages.
struct Sink(Arc<AtomicU64>);

impl Actor for Sink {
    type Msg = Said;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Said>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Said>,
        said: Said,
        _: &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match said {
            Said::Numbered(n, text, k) => {
                std::hint::black_box((n, text, k));
                self.0.fetch_add(1, Ordering::Relaxed);
            }
            Said::Count(reply) => reply.send(self.0.load(Ordering::Relaxed))?,
            Said::Echo(n, reply) => reply.send(n)?,
        }
        Ok(())
    }
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::read()?;
    rival::run(async move {
        match arguments.role {
            Role::Server => serve(arguments).await,
            Role::Client => drive(arguments).await,
            Role::Local => local().await,
        }
    })
}

async fn node(
    port: u16,
    name: &str,
) -> Result<ActorRef<ractor_cluster::NodeServerMessage>, Failure> {
    let (cookie, host) = ("bench".to_owned(), "127.0.0.1".to_owned());
    let server = NodeServer::new(port, cookie, name.to_owned(), host, None, None)
        .with_listen_addr([127, 0, 0, 1].into());
    Ok(Actor::spawn(None, server, ()).await?.0)
}

async fn sink() -> Result<(ActorRef<Said>, Arc<AtomicU64>), Failure> {
    let count = Arc::default();
    let sink = Actor::spawn(None, Sink(Arc::clone(&count)), ()).await?.0;
    Ok((sink, count))
}

async fn serve(arguments: Arguments) -> Result<(), Failure> {
    let _node = node(arguments.port()?, "server").await?;
    let (sink, _) = sink().await?;
    pg::join(GROUP.to_owned(), vec![sink.get_cell()]);
    rival::ready(&arguments.address, &[]);
    rival::until_input_ends().await;
    Ok(())
}

async fn drive(arguments: Arguments) -> Result<(), Failure> {
    let node = node(0, "client").await?;
    ractor_cluster::client_connect(&node, &arguments.address).await?;
    let sink = loop {
        let members = pg::get_members(&GROUP.to_owned());
        match members
            .into_iter()
            .find(|member| !member.get_id().is_local())
        {
            Some(member) => break ActorRef::<Said>::from(member),
            // The nodes tell each other of their groups in their own time.
            None => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    };
    let mut commands = rival::commands();
    while let Some(command) = commands.recv().await {
        rival::conclude(match command.what() {
            "connected" => Ok(Value::Null),
            "oneway" => oneway(&sink, &command).await,
            "roundtrip" => roundtrip(&sink, command.count()?).await,
            "cal" => calls(&sink, command.count()?, command.callers()).await,
            _ => rival::unknown(&command),
        });
    }
    Ok(())
}

fn message(n: u64, text: &str) -> Said {
    Said::Numbered(n, text.to_owned(), HASH.k.to_vec())
}

/// Asks, and does not wait for the answer yet.
fn ask(
    sink: &ActorRef<Said>,
    what: impl FnOnce(RpcReplyPort<u64>) -> Said,
) -> Result<oneshot::Receiver<u64>, Failure> {
    let (reply, answer) = concurrency::oneshot();
    sink.cast(what(reply.into()))?;
    Ok(answer)
}

async fn oneway(sink: &ActorRef<Said>, command: &Command) -> Result<Value, Failure> {
    /// The nodes' own work is done in between, on the same thread.
    const AT_ONCE: u64 = 256;
    let (count, text) = (command.count()?, command.message());
    let before = ask(sink, Said::Count)?.await?;
    let (mut window, start) = (Window::new(count), Instant::now());
    for n in 0..count {
        sink.cast(message(n, &text))?;
        if window.next()
            && let Some((answer, sent)) = window.push((ask(sink, Said::Count)?, n + 1))
        {
            expect(before + sent, answer.await?)?;
        }
        if n % AT_ONCE == 0 {
            tokio::task::yield_now().await;
        }
    }
    for (answer, sent) in window.rest() {
        expect(before + sent, answer.await?)?;
    }
    Ok(rival::answer(count, start.elapsed()))
}

async fn roundtrip(sink: &ActorRef<Said>, count: u64) -> Result<Value, Failure> {
    let (mut times, all) = (Times::default(), Instant::now());
    for n in 0..count {
        let start = Instant::now();
        expect(n, ask(sink, |reply| Said::Echo(n, reply))?.await?)?;
        times.since(start);
    }
    Ok(times.answer(all.elapsed()))
}

async fn calls(sink: &ActorRef<Said>, count: u64, callers: u64) -> Result<Value, Failure> {
    let start = Instant::now();
    let mut all = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let sink = sink.clone();
        let count = count / callers + u64::from(caller < count % callers);
        all.spawn(async move {
            for n in 0..count {
                expect(n, ask(&sink, |reply| Said::Echo(n, reply))?.await?)?;
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(done) = all.join_next().await {
        done??;
    }
    Ok(rival::answer(count, start.elapsed()))
}

fn expect(n: u64, answer: u64) -> Result<(), Failure> {
    match answer == n {
        true => Ok(()),
        false => Err(format!("{answer} in place of {n}").into()),
    }
}

async fn local() -> Result<(), Failure> {
    let (sink, taken) = sink().await?;
    let mut commands = rival::commands();
    while let Some(command) = commands.recv().await {
        rival::conclude(match command.what() {
            "local" => within(&sink, &taken, &command).await,
            _ => rival::unknown(&command),
        });
    }
    Ok(())
}

async fn within(
    sink: &ActorRef<Said>,
    taken: &AtomicU64,
    command: &Command,
) -> Result<Value, Failure> {
    let (count, text) = (command.count()?, command.message());
    let (before, start) = (taken.load(Ordering::Relaxed), Instant::now());
    for n in 0..count {
        sink.cast(message(n, &text))?;
        while n - (taken.load(Ordering::Relaxed) - before) > AHEAD * EACH {
            tokio::task::yield_now().await;
        }
    }
    while taken.load(Ordering::Relaxed) < before + count {
        tokio::task::yield_now().await;
    }
    Ok(rival::answer(count, start.elapsed()))
}
