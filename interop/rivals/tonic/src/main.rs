//! gRPC by tonic: a stream of messages one way, a stream both ways for round trips and calls, and
//! with the variant `unary` a call of its own for each of these. Messages are protobuf by prost.

use std::pin::Pin;
use std::time::{Duration, Instant};

use rival::message::HASH;
use rival::stats::Times;
use rival::{Arguments, Command, Failure, Role};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{TcpListenerStream, UnboundedReceiverStream};
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

/// What tonic-build makes of the service.
#[allow(missing_docs, clippy::all)]
mod service {
    include!(concat!(env!("OUT_DIR"), "/rival.Rival.rs"));
}

use service::rival_client::RivalClient;
use service::rival_server::{Rival, RivalServer};

/// The message that is measured. To whom it goes and what it is say the service and the method.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Message {
    /// Its number.
    #[prost(uint64, tag = "1")]
    pub n: u64,
    /// Its text.
    #[prost(string, tag = "2")]
    pub text: String,
    /// Its last element.
    #[prost(message, optional, tag = "3")]
    pub hash: Option<Hash>,
}

/// Three small numbers.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Hash {
    /// The numbers.
    #[prost(uint32, repeated, tag = "1")]
    pub k: Vec<u32>,
}

/// A number that is answered with itself.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Number {
    /// The number.
    #[prost(uint64, tag = "1")]
    pub n: u64,
}

/// How many octets of a stream are on their way, in place of 64 KiB.
const WINDOW: u32 = 1024 * 1024;

fn main() -> Result<(), Failure> {
    let arguments = Arguments::read()?;
    rival::run(async move {
        match arguments.role {
            Role::Server => serve(&arguments.address).await,
            Role::Client => drive(arguments).await,
            Role::Local => Err("there is no such figure".into()),
        }
    })
}

/// The serving process.
struct Service;

#[tonic::async_trait]
impl Rival for Service {
    type EchoStream = Pin<Box<dyn Stream<Item = Result<Number, Status>> + Send>>;

    async fn sink(
        &self,
        messages: Request<Streaming<Message>>,
    ) -> Result<Response<Number>, Status> {
        let (mut messages, mut n) = (messages.into_inner(), 0);
        while let Some(message) = messages.message().await? {
            std::hint::black_box(message);
            n += 1;
        }
        Ok(Response::new(Number { n }))
    }

    async fn echo(
        &self,
        numbers: Request<Streaming<Number>>,
    ) -> Result<Response<Self::EchoStream>, Status> {
        Ok(Response::new(Box::pin(numbers.into_inner())))
    }

    async fn call(&self, number: Request<Number>) -> Result<Response<Number>, Status> {
        Ok(Response::new(number.into_inner()))
    }
}

async fn serve(address: &str) -> Result<(), Failure> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    let connections = TcpListenerStream::new(listener).map(|stream| {
        let stream = stream?;
        // As tonic does for those that it accepts itself.
        stream.set_nodelay(true)?;
        Ok::<_, std::io::Error>(stream)
    });
    let served = Server::builder()
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .add_service(RivalServer::new(Service))
        .serve_with_incoming(connections);
    rival::ready(address, &[]);
    tokio::select! {
        end = served => Ok(end?),
        () = rival::until_input_ends() => Ok(()),
    }
}

async fn drive(arguments: Arguments) -> Result<(), Failure> {
    let channel = Endpoint::from_shared(format!("http://{}", arguments.address))?
        .tcp_nodelay(true)
        .connect_timeout(Duration::from_secs(5))
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .connect()
        .await?;
    let client = RivalClient::new(channel);
    let unary = arguments.variant.as_deref() == Some("unary");
    let mut commands = rival::commands();
    while let Some(command) = commands.recv().await {
        rival::conclude(match (command.what(), unary) {
            ("connected", _) => Ok(Value::Null),
            ("oneway", _) => oneway(client.clone(), &command).await,
            ("roundtrip", false) => roundtrip(client.clone(), command.count()?).await,
            ("roundtrip", true) => call_after_call(client.clone(), command.count()?).await,
            ("cal", false) => pipelined(client.clone(), &command).await,
            ("cal", true) => calls(&client, &command).await,
            _ => rival::unknown(&command),
        });
    }
    Ok(())
}

type Client = RivalClient<Channel>;

async fn oneway(mut client: Client, command: &Command) -> Result<Value, Failure> {
    let (count, text) = (command.count()?, command.message());
    let start = Instant::now();
    let messages = tokio_stream::iter((0..count).map(move |n| Message {
        n,
        text: text.clone(),
        hash: Some(Hash { k: HASH.k.to_vec() }),
    }));
    let counted = client.sink(messages).await?.into_inner().n;
    let elapsed = start.elapsed();
    match counted == count {
        true => Ok(rival::answer(count, elapsed)),
        false => Err(format!("of {count} messages {counted} arrived").into()),
    }
}

/// A stream both ways.
struct Echo {
    out: mpsc::UnboundedSender<Number>,
    back: Streaming<Number>,
}

impl Echo {
    async fn open(mut client: Client) -> Result<Self, Failure> {
        let (out, numbers) = mpsc::unbounded_channel();
        let back = client.echo(UnboundedReceiverStream::new(numbers)).await?;
        Ok(Self {
            out,
            back: back.into_inner(),
        })
    }

    async fn expect(&mut self, n: u64) -> Result<(), Failure> {
        expect(n, self.back.message().await?)
    }
}

fn expect(n: u64, number: Option<Number>) -> Result<(), Failure> {
    match number == Some(Number { n }) {
        true => Ok(()),
        false => Err(format!("no answer to {n}").into()),
    }
}

async fn roundtrip(client: Client, count: u64) -> Result<Value, Failure> {
    let mut echo = Echo::open(client).await?;
    let (mut times, all) = (Times::default(), Instant::now());
    for n in 0..count {
        let start = Instant::now();
        echo.out.send(Number { n })?;
        echo.expect(n).await?;
        times.since(start);
    }
    Ok(times.answer(all.elapsed()))
}

/// So many at a time on one stream: each answer sends the next one.
async fn pipelined(client: Client, command: &Command) -> Result<Value, Failure> {
    let (count, callers) = (command.count()?, command.callers());
    let mut echo = Echo::open(client).await?;
    let (mut sent, start) = (0, Instant::now());
    for answered in 0..count {
        while sent < count.min(answered + callers) {
            echo.out.send(Number { n: sent })?;
            sent += 1;
        }
        echo.expect(answered).await?;
    }
    Ok(rival::answer(count, start.elapsed()))
}

async fn call_after_call(mut client: Client, count: u64) -> Result<Value, Failure> {
    let (mut times, all) = (Times::default(), Instant::now());
    for n in 0..count {
        let start = Instant::now();
        expect(n, Some(client.call(Number { n }).await?.into_inner()))?;
        times.since(start);
    }
    Ok(times.answer(all.elapsed()))
}

async fn calls(client: &Client, command: &Command) -> Result<Value, Failure> {
    let (count, callers) = (command.count()?, command.callers());
    let start = Instant::now();
    let mut all = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let mut client = client.clone();
        let count = count / callers + u64::from(caller < count % callers);
        all.spawn(async move {
            for n in 0..count {
                expect(n, Some(client.call(Number { n }).await?.into_inner()))?;
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(done) = all.join_next().await {
        done??;
    }
    Ok(rival::answer(count, start.elapsed()))
}
