//! NATS: two clients (async-nats) of a nats-server, which the receiving one starts.
//!
//! Messages are JSON by serde_json, as this crate's are. A NATS client publishes without a bound,
//! and a subscriber that is slower loses messages: so the receiver acknowledges, and the sender is
//! not too far ahead ([`rival::Window`]).

use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

use async_nats::{Client, ConnectOptions, Subject, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt as _;
use rival::message::{HASH, Hash, consume};
use rival::stats::Times;
use rival::{AHEAD, Arguments, Command, EACH, Failure, Role, Window};
use serde_json::Value;

const SINK: &str = "sink";
const ECHO: &str = "echo";

fn main() -> Result<(), Failure> {
    let arguments = Arguments::read()?;
    rival::run(async move {
        match arguments.role {
            Role::Server => serve(arguments).await,
            Role::Client => drive(&arguments.address).await,
            Role::Local => Err("there is no such figure".into()),
        }
    })
}

async fn connect(address: &str) -> Result<Client, Failure> {
    let options = ConnectOptions::new()
        // All that is not acknowledged has room, so that nothing is lost.
        .subscription_capacity(((AHEAD + 2) * EACH) as usize)
        .skip_subject_validation(true);
    Ok(options.connect(address).await?)
}

/// A server that ends with this.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The variant is the path of nats-server.
async fn serve(arguments: Arguments) -> Result<(), Failure> {
    let address = &arguments.address;
    let program = arguments.variant.as_deref().unwrap_or("nats-server");
    let port = arguments.port()?.to_string();
    let server = Process::new(program)
        .args(["--addr", "127.0.0.1", "--port", &port])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    let mut server = Server(server.map_err(|error| format!("{program}: {error}"))?);
    let client = loop {
        match connect(address).await {
            Ok(client) => break client,
            Err(error) => match server.0.try_wait()? {
                Some(status) => return Err(format!("nats-server: {status}: {error}").into()),
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            },
        }
    };
    let (sink, echo) = (client.subscribe(SINK).await?, client.subscribe(ECHO).await?);
    // The server has both when this has been answered.
    client.flush().await?;
    rival::ready(address, &[]);
    let (sinks, echoes) = (client.clone(), client);
    tokio::select! {
        end = take(sinks, sink) => end,
        end = send_back(echoes, echo) => end,
        () = rival::until_input_ends() => Ok(()),
    }
}

type Data<'a> = (&'a str, u64, &'a str, Hash);

/// Counts messages, and says how many there were to who wants to know.
async fn take(client: Client, mut sink: Subscriber) -> Result<(), Failure> {
    let mut count = 0;
    while let Some(message) = sink.next().await {
        let (_, n, text, hash): Data<'_> = serde_json::from_slice(&message.payload)?;
        count += consume((n, text, hash));
        if let Some(reply) = message.reply {
            client.publish(reply, count.to_string().into()).await?;
        }
    }
    Err("no more messages".into())
}

async fn send_back(client: Client, mut echo: Subscriber) -> Result<(), Failure> {
    while let Some(message) = echo.next().await {
        let (_, n): (&str, u64) = serde_json::from_slice(&message.payload)?;
        let reply = message.reply.ok_or("nobody to answer to")?;
        client.publish(reply, number("r", n)?).await?;
    }
    Err("no more messages".into())
}

fn number(tag: &str, n: u64) -> Result<Bytes, Failure> {
    Ok(serde_json::to_vec(&(tag, n))?.into())
}

/// The sending process.
struct Sender {
    client: Client,
    inbox: Subject,
    answers: Subscriber,
    /// What the receiver has counted when it has had all.
    sent: u64,
}

async fn drive(address: &str) -> Result<(), Failure> {
    let client = connect(address).await?;
    let inbox = Subject::from(client.new_inbox());
    let answers = client.subscribe(inbox.clone()).await?;
    client.flush().await?;
    let mut sender = Sender {
        client,
        inbox,
        answers,
        sent: 0,
    };
    let mut commands = rival::commands();
    while let Some(command) = commands.recv().await {
        rival::conclude(sender.carry_out(&command).await);
    }
    Ok(())
}

impl Sender {
    async fn carry_out(&mut self, command: &Command) -> Result<Value, Failure> {
        match command.what() {
            "connected" => Ok(Value::Null),
            "oneway" => self.oneway(command).await,
            "roundtrip" => self.roundtrip(command.count()?).await,
            "cal" => self.calls(command.count()?, command.callers()).await,
            _ => rival::unknown(command),
        }
    }

    async fn answer(&mut self) -> Result<Bytes, Failure> {
        Ok(self.answers.next().await.ok_or("no more answers")?.payload)
    }

    async fn oneway(&mut self, command: &Command) -> Result<Value, Failure> {
        let (count, text) = (command.count()?, command.message());
        let (mut window, start) = (Window::new(count), Instant::now());
        for n in 0..count {
            let payload = serde_json::to_vec(&("m", n, &text, HASH))?.into();
            self.sent += 1;
            if !window.next() {
                self.client.publish(SINK, payload).await?;
                continue;
            }
            let reply = self.inbox.clone();
            self.client.publish_with_reply(SINK, reply, payload).await?;
            if let Some(sent) = window.push(self.sent) {
                self.acknowledged(sent).await?;
            }
        }
        for sent in window.rest() {
            self.acknowledged(sent).await?;
        }
        Ok(rival::answer(count, start.elapsed()))
    }

    /// Waits until so many messages were counted, and sees to it that none was lost.
    async fn acknowledged(&mut self, sent: u64) -> Result<(), Failure> {
        let counted: u64 = serde_json::from_slice(&self.answer().await?)?;
        match counted == sent {
            true => Ok(()),
            false => Err(format!("of {sent} messages {counted} arrived").into()),
        }
    }

    async fn roundtrip(&mut self, count: u64) -> Result<Value, Failure> {
        let (mut times, all) = (Times::default(), Instant::now());
        for n in 0..count {
            let start = Instant::now();
            let (reply, payload) = (self.inbox.clone(), number("e", n)?);
            self.client.publish_with_reply(ECHO, reply, payload).await?;
            expect(n, &self.answer().await?)?;
            times.since(start);
        }
        Ok(times.answer(all.elapsed()))
    }

    async fn calls(&self, count: u64, callers: u64) -> Result<Value, Failure> {
        let start = Instant::now();
        let mut all = tokio::task::JoinSet::new();
        for caller in 0..callers {
            let client = self.client.clone();
            let count = count / callers + u64::from(caller < count % callers);
            all.spawn(async move {
                for n in 0..count {
                    let answer = client.request(ECHO, number("c", n)?).await?;
                    expect(n, &answer.payload)?;
                }
                Ok::<(), Failure>(())
            });
        }
        while let Some(done) = all.join_next().await {
            done??;
        }
        Ok(rival::answer(count, start.elapsed()))
    }
}

fn expect(n: u64, octets: &[u8]) -> Result<(), Failure> {
    match serde_json::from_slice::<(&str, u64)>(octets)?.1 == n {
        true => Ok(()),
        false => Err(format!("no answer to {n}").into()),
    }
}
