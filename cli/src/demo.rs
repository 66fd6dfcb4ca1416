//! `aemp demo`: the tutorial, played on 127.0.0.1 and checked step by step.

use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aemp::config::RcFile;
use aemp::{Mailbox, Node, NodeEvent, NodeEvents, PortId, Reason};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::time::timeout_at;

use crate::Failure;
use crate::output::{self, OutputError};
use crate::perl::Perl;
use crate::progress::Progress;

/// The whole must fit in here.
const LIMIT: Duration = Duration::from_millis(9500);

/// So many steps there are, and so many more with a receiver in Perl.
const STEPS: u64 = 8;
const PERL_STEPS: u64 = 2;

/// Says what happens, and what failed.
struct Stage {
    started: Instant,
    progress: Arc<Progress>,
}

impl Stage {
    fn say(&self, text: impl std::fmt::Display) -> Result<(), OutputError> {
        let seconds = self.started.elapsed().as_secs_f64();
        output::line(format_args!("{seconds:5.2}s  {text}"))
    }

    /// Waits for a step's end; running out of time fails it.
    async fn step<T>(
        &mut self,
        what: &str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.progress.doing(what);
        let end = tokio::time::Instant::from_std(self.started + LIMIT);
        match timeout_at(end, work).await {
            Ok(Ok(result)) => {
                self.say(format_args!("ok: {what}"))?;
                self.progress.done();
                Ok(result)
            }
            Ok(Err(error)) => Err(format!("the step failed: {what}: {error}").into()),
            Err(_) => Err(format!("the step failed: {what}: it took too long").into()),
        }
    }
}

/// One of the demonstration's nodes: its secret and addresses come from us, not from any file.
async fn start(id: &str, secret: &str, bind: &str, seed: Option<&str>) -> Result<Node, Failure> {
    let node = Node::builder()
        .no_rc()
        .nodeid(id)
        .secret(secret)
        .binds([bind]);
    Ok(node.seeds(seed).start().await?)
}

/// The tutorial's receiver: what it receives lands in the mailbox.
async fn receiver(secret: &str, seed: &str) -> Result<(Node, Mailbox), Failure> {
    let node = start("eg_receiver", secret, "127.0.0.1:0", Some(seed)).await?;
    let inbox = node.mailbox();
    node.register("eg_receivers", inbox.id());
    Ok((node, inbox))
}

async fn until_up(events: &mut NodeEvents, id: &str) -> Result<(), Failure> {
    until(events, |event| event.is_up() && *event.node() == id).await?;
    Ok(())
}

async fn until(
    events: &mut NodeEvents,
    wanted: impl Fn(&NodeEvent) -> bool,
) -> Result<NodeEvent, Failure> {
    while let Some(event) = events.next().await {
        if wanted(&event) {
            return Ok(event);
        }
    }
    Err("the node stopped".into())
}

/// Waits until a member of the group is on the node.
async fn member(node: &Node, group: &str, on: &str) -> Result<PortId, Failure> {
    let mut changes = node.mon_group(group);
    while let Some(change) = changes.next().await {
        if let Some(port) = change.members.into_iter().find(|port| port.node() == on) {
            return Ok(port);
        }
    }
    Err("the node stopped".into())
}

pub(crate) async fn demo() -> Result<(), Failure> {
    let mut stage = Stage {
        started: Instant::now(),
        progress: output::progress("demo", Some(STEPS)),
    };
    play(&mut stage).await?;
    Ok(stage.say("all steps succeeded")?)
}

async fn play(stage: &mut Stage) -> Result<(), Failure> {
    let secret = &aemp::config::alnumbits(&rand::random::<[u8; 24]>());

    let seed = start("seed", secret, "127.0.0.1:0", None).await?;
    let address = seed.listeners().first().cloned().ok_or("no listener")?;
    stage.say(format_args!("the seed listens on {address}"))?;

    let mut perl = match PerlReceiver::start(secret, &address) {
        Ok(perl) => {
            stage.say(format_args!(
                "a receiver in Perl starts, too: AnyEvent::MP {}",
                perl.release
            ))?;
            stage.progress.set_steps(STEPS + PERL_STEPS);
            Some(perl)
        }
        Err(why) => {
            stage.say(format_args!("without a receiver in Perl: {why}"))?;
            None
        }
    };

    let sender = start("eg_sender", secret, "127.0.0.1:0", Some(&address)).await?;
    let mut events = sender.mon_nodes();
    let (first, mut inbox) = receiver(secret, &address).await?;
    let joined = until_up(&mut events, "eg_receiver");
    stage
        .step(
            "the sender and the receiver find each other through the seed",
            joined,
        )
        .await?;

    let found = member(&sender, "eg_receivers", "eg_receiver");
    let port = stage
        .step("the sender finds the receiver's port by its group", found)
        .await?;
    stage.say(format_args!("the port is {port}"))?;

    sender.snd(&port, &("test", 1_251_555_874))?;
    let received = async { Ok(inbox.recv_tag("test").await?.args::<u64>()?) };
    let data = stage.step("the message arrives", received).await?;
    stage.say(format_args!("Received data: {data}"))?;

    if let Some(perl) = &mut perl {
        let found = member(&sender, "eg_receivers", PerlReceiver::ID);
        let step = "the sender finds the Perl receiver's port by its group";
        let port = stage.step(step, found).await?;
        sender.snd(&port, &("test", 1_251_555_875))?;
        let line = perl.line();
        let line = stage.step("the Perl receiver receives", line).await?;
        if line != "received 1251555875" {
            return Err(format!("the Perl receiver said: {line}").into());
        }
    }

    let (died, reason) = tokio::sync::oneshot::channel();
    sender.mon(&port, move |reason| drop(died.send(reason)));
    let mut members = sender.mon_group("eg_receivers");
    // A round trip, so that the monitor is in place.
    let _: (f64,) = sender.cal("eg_receiver", &("time",), Some(LIMIT)).await?;
    first.kil(&port, Reason::new(["demo", "over"]));
    let fired = async { Ok(reason.await?) };
    let reason = stage
        .step("the port is killed and its monitor fires", fired)
        .await?;
    if reason != Reason::new(["demo", "over"]) {
        return Err(format!("the monitor got the reason {reason}").into());
    }
    let left = async {
        while sender.members("eg_receivers").contains(&port) {
            members.next().await.ok_or("the node stopped")?;
        }
        Ok(())
    };
    stage.step("the port leaves its group", left).await?;

    drop(inbox);
    first.shutdown().await;
    let down = until(&mut events, |e| !e.is_up() && *e.node() == "eg_receiver");
    let event = stage.step("the receiver's node is lost", down).await?;
    if let NodeEvent::Down { reason, .. } = event {
        stage.say(format_args!("eg_receiver is down ({reason})"))?;
    }

    let (second, mut inbox) = receiver(secret, &address).await?;
    let found = async {
        until_up(&mut events, "eg_receiver").await?;
        member(&sender, "eg_receivers", "eg_receiver").await
    };
    let port = stage
        .step("it comes back, and its new port is found", found)
        .await?;
    sender.snd(&port, &("test", "again"))?;
    let received = async { Ok(inbox.recv_tag("test").await?.args::<String>()?) };
    stage.step("messages arrive again", received).await?;

    for node in [sender, second, seed] {
        node.shutdown().await;
    }
    Ok(())
}

/// A real AnyEvent::MP node. It is killed when this is dropped, and stops by itself in any case.
struct PerlReceiver {
    release: String,
    child: Child,
    lines: Lines<BufReader<tokio::process::ChildStdout>>,
    _home: HomeDir,
}

impl PerlReceiver {
    const ID: &str = "eg_perl_receiver";

    fn start(secret: &str, seed: &str) -> Result<Self, String> {
        let perl = Perl::find()?;
        let home = HomeDir::new(secret).map_err(|error| error.to_string())?;
        let mut command = perl.command();
        command.args(["-e", include_str!("demo_receiver.pl"), Self::ID, seed]);
        command.env("HOME", &home.0);
        command.env_remove("PERL_ANYEVENT_MP_RC");
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let out = child.stdout.take().ok_or("no standard output")?;
        let out = tokio::process::ChildStdout::from_std(out).map_err(|e| e.to_string())?;
        Ok(PerlReceiver {
            release: perl.release,
            child,
            lines: BufReader::new(out).lines(),
            _home: home,
        })
    }

    async fn line(&mut self) -> Result<String, Failure> {
        let line = self.lines.next_line().await?;
        Ok(line.ok_or("the Perl receiver ended")?)
    }
}

impl Drop for PerlReceiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A home directory with nothing but the configuration that the Perl receiver needs.
struct HomeDir(std::path::PathBuf);

impl HomeDir {
    fn new(secret: &str) -> Result<Self, Failure> {
        let name = format!(
            "aemp-demo-{}-{:x}",
            std::process::id(),
            rand::random::<u64>()
        );
        let home = HomeDir(std::env::temp_dir().join(name));
        std::fs::create_dir(&home.0)?;
        // Saved as the command saves its own, so that only we can read the secret.
        let mut rc = RcFile::load(home.0.join(".perl-anyevent-mp"))?;
        rc.root_mut().insert("secret".to_owned(), secret.into());
        rc.save()?;
        Ok(home)
    }
}

impl Drop for HomeDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
