//! ZeroMQ: PUSH to PULL one way, DEALER to ROUTER and back; libzmq by the `zmq` crate.
//!
//! Messages are JSON by serde_json, as this crate's are; with the variant `raw` they are as many
//! octets that nobody writes or reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rival::message::{HASH, Hash, consume};
use rival::stats::Times;
use rival::{Arguments, Command, Failure, Role};
use serde_json::Value;
use zmq::{Context, Message, Socket, SocketType};

/// How many messages wait at each end before a sender does, in place of 1,000.
const WAITING: i32 = 10_000;

fn main() -> Result<(), Failure> {
    let arguments = Arguments::read()?;
    let form = Form {
        raw: arguments.variant.as_deref() == Some("raw"),
    };
    match arguments.role {
        Role::Server => serve(&arguments.address, form),
        Role::Client => drive(&arguments.address, form),
        Role::Local => Err("there is no such figure".into()),
    }
}

/// How messages are written.
#[derive(Debug, Clone, Copy)]
struct Form {
    raw: bool,
}

type Data<'a> = (&'a str, u64, &'a str, Hash);

impl Form {
    /// Writes the message that is measured.
    fn write(self, n: u64, text: &str, out: &mut Vec<u8>) -> Result<(), Failure> {
        if !self.raw || out.is_empty() {
            out.clear();
            serde_json::to_writer(&mut *out, &("m", n, text, HASH))?;
        }
        Ok(())
    }

    /// Reads it.
    fn read(self, octets: &[u8]) -> Result<u64, Failure> {
        if self.raw {
            std::hint::black_box(octets);
            return Ok(1);
        }
        let (_, n, text, hash): Data<'_> = serde_json::from_slice(octets)?;
        Ok(consume((n, text, hash)))
    }

    /// Writes a number with its tag.
    fn write_number(self, tag: &str, n: u64, out: &mut Vec<u8>) -> Result<(), Failure> {
        out.clear();
        match self.raw {
            true => out.extend_from_slice(&n.to_le_bytes()),
            false => serde_json::to_writer(&mut *out, &(tag, n))?,
        }
        Ok(())
    }

    /// Reads a number.
    fn read_number(self, octets: &[u8]) -> Result<u64, Failure> {
        Ok(match self.raw {
            true => u64::from_le_bytes(octets.try_into()?),
            false => serde_json::from_slice::<(&str, u64)>(octets)?.1,
        })
    }
}

fn socket(context: &Context, kind: SocketType) -> Result<Socket, Failure> {
    let socket = context.socket(kind)?;
    socket.set_sndhwm(WAITING)?;
    socket.set_rcvhwm(WAITING)?;
    socket.set_linger(0)?;
    Ok(socket)
}

/// A thread whose failure ends the process, so that nothing is measured that did not happen.
fn thread(work: impl FnOnce() -> Result<(), Failure> + Send + 'static) {
    std::thread::spawn(move || {
        if let Err(error) = work() {
            eprintln!("zeromq: {error}");
            std::process::exit(1);
        }
    });
}

fn serve(address: &str, form: Form) -> Result<(), Failure> {
    let context = Context::new();
    let pull = socket(&context, zmq::PULL)?;
    pull.bind(&format!("tcp://{address}"))?;
    let router = socket(&context, zmq::ROUTER)?;
    router.bind("tcp://127.0.0.1:*")?;
    let echo = router.get_last_endpoint()?;
    let echo = echo.map_err(|_| "an address that is no text")?;
    let count = Arc::new(AtomicU64::new(0));
    let counted = count.clone();
    thread(move || {
        let mut message = Message::new();
        loop {
            pull.recv(&mut message, 0)?;
            count.fetch_add(form.read(&message)?, Ordering::Relaxed);
        }
    });
    thread(move || answer(&router, form, &counted));
    rival::ready(address, &[("echo", &echo)]);
    for line in std::io::stdin().lines() {
        line?;
    }
    Ok(())
}

/// Sends back what comes, and how many messages were counted where nothing comes.
fn answer(router: &Socket, form: Form, counted: &AtomicU64) -> Result<(), Failure> {
    let (mut who, mut message, mut out) = (Message::new(), Message::new(), Vec::new());
    loop {
        router.recv(&mut who, 0)?;
        router.recv(&mut message, 0)?;
        let (tag, n) = match message.is_empty() {
            true => ("counted", counted.load(Ordering::Relaxed)),
            false => ("r", form.read_number(&message)?),
        };
        form.write_number(tag, n, &mut out)?;
        router.send(&*who, zmq::SNDMORE)?;
        router.send(&out[..], 0)?;
    }
}

/// The sending process.
struct Client {
    context: Context,
    push: Socket,
    dealer: Option<Socket>,
    form: Form,
}

fn drive(address: &str, form: Form) -> Result<(), Failure> {
    let context = Context::new();
    let push = socket(&context, zmq::PUSH)?;
    push.connect(&format!("tcp://{address}"))?;
    let mut client = Client {
        context,
        push,
        dealer: None,
        form,
    };
    let mut commands = rival::commands();
    while let Some(command) = commands.blocking_recv() {
        rival::conclude(client.carry_out(&command));
    }
    Ok(())
}

impl Client {
    fn carry_out(&mut self, command: &Command) -> Result<Value, Failure> {
        if self.dealer.is_none() && command.what() != "connected" {
            let dealer = socket(&self.context, zmq::DEALER)?;
            dealer.connect(command.text("echo"))?;
            self.dealer = Some(dealer);
        }
        match command.what() {
            "connected" => Ok(Value::Null),
            "oneway" => self.oneway(command),
            "roundtrip" => self.roundtrip(command.count()?),
            "cal" => self.calls(command.count()?, command.callers()),
            _ => rival::unknown(command),
        }
    }

    fn dealer(&self) -> Result<&Socket, Failure> {
        Ok(self.dealer.as_ref().ok_or("not connected")?)
    }

    fn counted(&self, message: &mut Message) -> Result<u64, Failure> {
        self.dealer()?.send(&b""[..], 0)?;
        self.dealer()?.recv(message, 0)?;
        self.form.read_number(message)
    }

    fn oneway(&self, command: &Command) -> Result<Value, Failure> {
        let (count, text) = (command.count()?, command.message());
        let (mut out, mut message) = (Vec::new(), Message::new());
        let before = self.counted(&mut message)?;
        let start = Instant::now();
        for n in 0..count {
            self.form.write(n, &text, &mut out)?;
            self.push.send(&out[..], 0)?;
        }
        while self.counted(&mut message)? < before + count {}
        Ok(rival::answer(count, start.elapsed()))
    }

    fn roundtrip(&self, count: u64) -> Result<Value, Failure> {
        let (mut out, mut message) = (Vec::new(), Message::new());
        let (mut times, all) = (Times::default(), Instant::now());
        for n in 0..count {
            let start = Instant::now();
            self.form.write_number("e", n, &mut out)?;
            self.dealer()?.send(&out[..], 0)?;
            self.dealer()?.recv(&mut message, 0)?;
            self.expect(n, &message)?;
            times.since(start);
        }
        Ok(times.answer(all.elapsed()))
    }

    /// So many at a time, by one socket: each answer sends the next one.
    fn calls(&self, count: u64, callers: u64) -> Result<Value, Failure> {
        let (mut out, mut message) = (Vec::new(), Message::new());
        let start = Instant::now();
        let mut sent = 0;
        for answered in 0..count {
            while sent < count.min(answered + callers) {
                self.form.write_number("c", sent, &mut out)?;
                self.dealer()?.send(&out[..], 0)?;
                sent += 1;
            }
            self.dealer()?.recv(&mut message, 0)?;
            self.expect(answered, &message)?;
        }
        Ok(rival::answer(count, start.elapsed()))
    }

    fn expect(&self, n: u64, message: &Message) -> Result<(), Failure> {
        match self.form.read_number(message)? == n {
            true => Ok(()),
            false => Err(format!("no answer to {n}").into()),
        }
    }
}
