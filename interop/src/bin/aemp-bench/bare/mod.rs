//! The same work without a node: what the machine, TCP and serde_json can do, or this crate's CBOR.
//!
//! The sender serialises each message with serde_json into a buffer that is written when it holds
//! 64 KiB. The receiver reads into one reused buffer and deserialises each message from it with
//! serde_json, into the types that the node's handler has, borrowing the strings; the parser itself
//! finds the message's end. Both run on tokio, as the node does. In CBOR all is the same with the
//! crate's own `Serializer` and `Deserializer`. With a certificate all octets go through rustls.

mod stream;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use aemp::proto::Limits;
use aemp::proto::framing::cbor;
use serde::{Deserialize as _, Serialize as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::failure::Failure;
use crate::message::{HASH, Hash, consume, text};
use crate::node::{commands, say};
use crate::stats::Times;
use stream::Stream;
pub use stream::Transport;

/// How the client connects.
#[derive(Debug, clap::Args)]
pub struct ClientOptions {
    /// Where the server listens
    #[arg(long)]
    seed: String,
    /// How many connections
    #[arg(long, default_value_t = 1)]
    links: usize,
    /// The framing of what is sent
    #[arg(long, default_value = "json")]
    framing: String,
    /// A key and certificates in PEM: everything goes through TLS
    #[arg(long, value_name = "PEM", allow_hyphen_values = true)]
    cert: Option<String>,
}

/// What the server is told.
#[derive(Debug, clap::Args)]
pub struct ServerOptions {
    /// The framing of what is received
    #[arg(long, default_value = "json")]
    framing: String,
    /// A key and certificates in PEM: everything goes through TLS
    #[arg(long, value_name = "PEM", allow_hyphen_values = true)]
    cert: Option<String>,
}

/// The buffer that is read into, in octets.
const READ: usize = 256 * 1024;
/// A buffer of so many octets is written.
const WRITE: usize = 64 * 1024;

/// Takes connections: the first message says what is measured on it.
pub async fn serve(options: ServerOptions) -> Result<(), Failure> {
    let cbor = options.framing == "cbor";
    let transport = Transport::new(options.cert.as_deref())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let ports: Vec<String> = (0..10_000)
        .map(|n| format!("server#Hk1iaV1cSu.{n}"))
        .collect();
    let echo = TcpListener::bind("127.0.0.1:0").await?;
    let data = TcpListener::bind("127.0.0.1:0").await?;
    say(&json!({
        "ready": true,
        "echo": echo.local_addr()?.to_string(),
        "data": data.local_addr()?.to_string(),
        "address": listener.local_addr()?.to_string(),
        "sink": ports,
    }));
    let local = tokio::task::LocalSet::new();
    let count = Rc::new(Cell::new(0));
    let echoes = async {
        loop {
            let (stream, _) = echo.accept().await?;
            let transport = transport.clone();
            local.spawn_local(async move {
                if let Ok(stream) = transport.accept(stream).await {
                    send_back(stream).await;
                }
            });
        }
    };
    let octets = async {
        loop {
            let (stream, _) = data.accept().await?;
            let transport = transport.clone();
            local.spawn_local(async move {
                if let Ok(stream) = transport.accept(stream).await {
                    let _ = crate::data::take(stream).await;
                }
            });
        }
    };
    let accept = async {
        loop {
            let (stream, _) = listener.accept().await?;
            let (transport, count) = (transport.clone(), count.clone());
            local.spawn_local(async move {
                let taken = match transport.accept(stream).await {
                    Ok(stream) => take(stream, &count, cbor).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = taken {
                    eprintln!("bare server: {error}");
                }
            });
        }
    };
    tokio::select! {
        end = local.run_until(async { tokio::select! { end = accept => end, end = echoes => end, end = octets => end } }) => end,
        () = until_input_ends() => Ok(()),
    }
}

/// Writes back what is read, as it is.
async fn send_back(mut stream: Stream) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        if write(&mut stream, &buffer[..read]).await.is_err() {
            break;
        }
    }
}

/// Writes all of it. What goes through TLS may be held back by rustls, without a flush.
async fn write(stream: &mut Stream, octets: &[u8]) -> std::io::Result<()> {
    stream.write_all(octets).await?;
    stream.flush().await
}

async fn until_input_ends() {
    let mut lines = commands();
    while lines.recv().await.is_some() {}
}

type Data<'a> = (&'a str, &'a str, u64, &'a str, Hash);

/// What stands at the start of some octets.
enum First {
    /// A message of so many octets that was counted.
    Data(usize),
    /// A request, with its answer.
    Request(usize, Value),
    /// Nothing complete.
    Nothing,
}

fn first_json(octets: &[u8], count: &Cell<u64>) -> Result<First, Failure> {
    let mut messages = serde_json::Deserializer::from_slice(octets).into_iter::<Data>();
    match messages.next() {
        Some(Ok((_, _, n, text, hash))) => {
            count.set(count.get() + consume((n, text, hash)));
            Ok(First::Data(messages.byte_offset()))
        }
        None => Ok(First::Nothing),
        Some(Err(error)) if error.is_eof() => Ok(First::Nothing),
        Some(Err(_)) => {
            // No data: a request, which is answered.
            let mut all = serde_json::Deserializer::from_slice(octets);
            let request = Value::deserialize(&mut all)?;
            let len = request.to_string().len();
            let answer = match request[1].as_str() {
                Some("count") => json!(["counted", count.get()]),
                _ => request,
            };
            Ok(First::Request(len, answer))
        }
    }
}

fn first_cbor(octets: &[u8], count: &Cell<u64>) -> Result<First, Failure> {
    let mut message = cbor::Deserializer::new(octets);
    if let Ok((_, _, n, text, hash)) = Data::deserialize(&mut message) {
        count.set(count.get() + consume((n, text, hash)));
        return Ok(First::Data(message.position()));
    }
    Ok(
        match cbor::CborScanner::new(Limits::default()).next(octets)? {
            Some(frame) => First::Request(frame.end, json!(["counted", count.get()])),
            None => First::Nothing,
        },
    )
}

async fn take(mut stream: Stream, count: &Cell<u64>, cbor: bool) -> Result<(), Failure> {
    let mut buffer = vec![0; READ];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let mut at = 0;
        while at < filled {
            let octets = &buffer[at..filled];
            let first = match cbor {
                false => first_json(octets, count)?,
                true => first_cbor(octets, count)?,
            };
            match first {
                First::Data(len) => at += len,
                First::Nothing => break,
                First::Request(len, answer) => {
                    at += len;
                    write(&mut stream, answer.to_string().as_bytes()).await?;
                }
            }
        }
        buffer.copy_within(at..filled, 0);
        filled -= at;
        if filled == buffer.len() {
            buffer.resize(2 * filled, 0);
        }
    }
}

/// Carries out commands.
pub async fn drive(options: ClientOptions) -> Result<(), Failure> {
    let transport = Transport::new(options.cert.as_deref())?;
    let mut streams = Vec::new();
    for _ in 0..options.links {
        streams.push(transport.connect(&options.seed).await?);
    }
    let mut lines = commands();
    while let Some(command) = lines.recv().await {
        let answer = match command["do"].as_str() {
            Some("connected") => Ok(json!({"connected": true, "tls": streams[0].tls()})),
            Some("oneway") => oneway(&mut streams, &command, options.framing == "cbor").await,
            Some("data") => data(&transport, &command).await,
            Some("roundtrip") => roundtrip(&transport, &command).await,
            _ => Ok(json!({"unsupported": "there is no bare limit of this"})),
        };
        say(&answer.unwrap_or_else(|error| json!({"error": error.to_string()})));
    }
    Ok(())
}

async fn oneway(streams: &mut [Stream], command: &Value, cbor: bool) -> Result<Value, Failure> {
    let total = command["count"].as_u64().ok_or("no count")?;
    let size = command["size"].as_u64().unwrap_or(0) as usize;
    let ports = command["ports"].as_array().ok_or("no ports")?;
    let ports: Vec<&str> = ports.iter().filter_map(Value::as_str).collect();
    let (text, links) = (text(size), streams.len() as u64);
    let before = counted(&mut streams[0], cbor).await?;
    let start = Instant::now();
    let mut sending = Vec::new();
    for (link, stream) in (0..links).zip(streams.iter_mut()) {
        let count = total / links + u64::from(link < total % links);
        sending.push(send(stream, count, &ports, &text, cbor));
    }
    for done in futures_all(sending).await {
        done?;
    }
    let mut after = before;
    while after < before + total {
        after = counted(&mut streams[0], cbor).await?;
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok(json!({"seconds": seconds, "count": total}))
}

async fn send(
    stream: &mut Stream,
    count: u64,
    ports: &[&str],
    text: &str,
    cbor: bool,
) -> Result<(), Failure> {
    let mut out = Vec::with_capacity(2 * WRITE + text.len());
    let mut names = ports
        .iter()
        .map(|port| port.split_once('#').map_or(*port, |p| p.1))
        .cycle();
    for n in 0..count {
        let name = names.next().ok_or("no ports")?;
        let message = (name, "m", n, text, HASH);
        match cbor {
            false => serde_json::to_writer(&mut out, &message)?,
            true => message.serialize(cbor::Serializer::new(&mut out))?,
        }
        if out.len() >= WRITE {
            stream.write_all(&out).await?;
            out.clear();
        }
    }
    write(stream, &out).await?;
    Ok(())
}

/// Runs all to their ends, side by side.
async fn futures_all<F: Future>(all: Vec<F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.into_iter().map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(move |cx| {
        let mut pending = false;
        for (future, output) in &mut all {
            if output.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(value) => *output = Some(value),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        match pending {
            true => std::task::Poll::Pending,
            false => std::task::Poll::Ready(
                all.iter_mut()
                    .filter_map(|(_, output)| output.take())
                    .collect(),
            ),
        }
    })
    .await
}

async fn counted(stream: &mut Stream, cbor: bool) -> Result<u64, Failure> {
    let request = match cbor {
        false => &br#"["","count"]"#[..],
        true => b"\x82\x40\x45count",
    };
    write(stream, request).await?;
    let mut answer = [0; 256];
    let read = stream.read(&mut answer).await?;
    let answer: Value = serde_json::from_slice(&answer[..read])?;
    Ok(answer[1].as_u64().ok_or("no count")?)
}

/// As many octets as a node sends by a data connection, which is opened for them as well.
async fn data(transport: &Transport, command: &Value) -> Result<Value, Failure> {
    let address = command["data"].as_str().ok_or("no address")?;
    let octets = command["octets"].as_u64().ok_or("no octets")?;
    let mut stream = transport.connect(address).await?;
    crate::data::send(&mut stream, octets).await
}

/// One message in flight, of as many octets as a node's has; nothing is parsed at either end.
async fn roundtrip(transport: &Transport, command: &Value) -> Result<Value, Failure> {
    let address = command["echo"].as_str().ok_or("no address")?;
    let mut stream = transport.connect(address).await?;
    let count = command["count"].as_u64().ok_or("no count")?;
    let message = br#"["Hk1iaV1cSu.ab","e","client#Hk1iaV1cSu.b",12345]"#;
    let mut answer = [0; 256];
    let mut times = Times::default();
    let all = Instant::now();
    for _ in 0..count {
        let start = Instant::now();
        write(&mut stream, message).await?;
        let mut read = 0;
        while read < message.len() {
            match stream.read(&mut answer[read..]).await? {
                0 => return Err("the connection ended".into()),
                n => read += n,
            }
        }
        times.since(start);
    }
    Ok(times.answer(all.elapsed()))
}
