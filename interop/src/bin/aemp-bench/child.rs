//! The processes of a measurement: started, asked, and stopped when dropped.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use aemp_interop::peers::{Release, perl5lib};
use aemp_interop::process::Process;
use serde_json::{Value, json};

use crate::Failure;

/// Nothing takes longer than this.
const LIMIT: Duration = Duration::from_secs(30);

/// The secret of all networks here.
pub const SECRET: &str = "bench";

/// Who does the work.
#[derive(Debug, Clone)]
pub enum Who {
    /// A node of this crate.
    Rust,
    /// The same work without a node.
    Bare,
    /// A real Perl node, as its release comes.
    Perl(Arc<Release>),
    /// One that gathers what it writes (`autocork`), which 1.24 and later can be told to.
    Autocork(Arc<Release>),
}

impl Who {
    /// The name in the table.
    pub fn name(&self) -> String {
        match self {
            Who::Rust => "rust".to_owned(),
            Who::Bare => "bare".to_owned(),
            Who::Perl(release) | Who::Autocork(release) => release.to_string(),
        }
    }

    /// Whether it is a Perl node.
    pub fn is_perl(&self) -> bool {
        matches!(self, Who::Perl(_) | Who::Autocork(_))
    }

    /// Starts one of its processes; the arguments are the same for all.
    pub fn start(&self, role: &str, arguments: &[String]) -> Result<Child, Failure> {
        self.start_on(None, role, arguments)
    }

    /// Starts a process that is bound to one processor.
    pub fn start_on(
        &self,
        cpu: Option<usize>,
        role: &str,
        arguments: &[String],
    ) -> Result<Child, Failure> {
        let program = match self {
            _ if self.is_perl() => "perl".into(),
            _ => std::env::current_exe()?,
        };
        let mut command = match cpu {
            None => Command::new(program),
            Some(cpu) => {
                let mut command = Command::new("taskset");
                command.arg("-c").arg(cpu.to_string()).arg(program);
                command
            }
        };
        match self {
            Who::Rust => drop(command.arg(role)),
            Who::Bare => drop(command.arg(format!("bare-{role}"))),
            Who::Perl(release) | Who::Autocork(release) => {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("perl/bench.pl");
                command.arg(script).arg(role);
                if let Some(include) = &release.include {
                    command.env("PERL5LIB", perl5lib(include));
                }
                command
                    .args(["--secret", SECRET, "--life", "900"])
                    .env("HOME", "/nonexistent")
                    .env("PERL_ANYEVENT_MP_RC", "/nonexistent/rc")
                    .env("PERL_ANYEVENT_MP_WARNLEVEL", "1");
            }
        }
        if matches!(self, Who::Autocork(_)) {
            command.args(["--autocork", "1"]);
        }
        command.args(arguments);
        Child::start(command)
    }
}

/// A process that is asked in lines of JSON.
pub struct Child {
    input: ChildStdin,
    lines: mpsc::Receiver<String>,
    log: File,
    process: Process,
}

impl Child {
    fn start(command: Command) -> Result<Self, Failure> {
        let log = tempfile::tempfile()?;
        let mut process = Process::start(command, log.try_clone()?)?;
        let input = process.child().stdin.take().ok_or("no standard input")?;
        let output = process.child().stdout.take().ok_or("no standard output")?;
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || read_lines(output, &tell));
        Ok(Self {
            input,
            lines,
            log,
            process,
        })
    }

    /// The process's number.
    pub fn id(&mut self) -> u32 {
        self.process.child().id()
    }

    /// The next line.
    pub fn line(&mut self) -> Result<Value, Failure> {
        let line = self.lines.recv_timeout(LIMIT);
        let line = line.map_err(|_| {
            let mut text = String::new();
            let read = self
                .log
                .rewind()
                .and_then(|()| self.log.read_to_string(&mut text));
            let last = read
                .ok()
                .and_then(|_| text.lines().last())
                .unwrap_or("nothing");
            format!(
                "a process of the measurement ended or was silent; its last line of log: {last}"
            )
        })?;
        let value: Value = serde_json::from_str(&line)?;
        match &value["error"] {
            Value::Null => Ok(value),
            error => Err(format!("a process of the measurement failed: {error}").into()),
        }
    }

    /// Writes a line.
    pub fn tell(&mut self, line: &str) -> Result<(), Failure> {
        Ok(writeln!(self.input, "{line}")?)
    }

    /// Asks for something and waits for the answer.
    pub fn ask(&mut self, command: &Value) -> Result<Value, Failure> {
        self.tell(&command.to_string())?;
        self.line()
    }
}

fn read_lines(output: ChildStdout, tell: &mpsc::Sender<String>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if tell.send(line).is_err() {
            break;
        }
    }
}

/// Two processes with a link: who listens, who connects.
pub struct Pair {
    /// Holds the ports; kept until the pair goes.
    _server: Child,
    /// Sends.
    client: Child,
    /// What the server said of itself.
    pub ready: Value,
}

impl Pair {
    /// Starts both and waits for the link. `sinks`: how many ports take messages; `links`: how many nodes connect.
    pub fn start(who: &Who, sinks: usize, links: usize) -> Result<Self, Failure> {
        Self::start_with(None, None, who, sinks, links)
    }

    /// The same with links of a framing; without one, Rust nodes use JSON, and Perl nodes what they like best.
    pub fn start_in(framing: &str, who: &Who) -> Result<Self, Failure> {
        Self::start_with(Some(framing), None, who, 1, 1)
    }

    /// The same with both bound to one processor.
    pub fn start_on(
        cpu: Option<usize>,
        who: &Who,
        sinks: usize,
        links: usize,
    ) -> Result<Self, Failure> {
        Self::start_with(None, cpu, who, sinks, links)
    }

    fn start_with(
        framing: Option<&str>,
        cpu: Option<usize>,
        who: &Who,
        sinks: usize,
        links: usize,
    ) -> Result<Self, Failure> {
        let framing: Vec<String> = framing
            .map(|name| vec!["--framing".to_owned(), name.to_owned()])
            .unwrap_or_default();
        let reserved = aemp_interop::reserved::Reserved::new()?;
        let mut listen = match who {
            Who::Bare => vec![],
            _ => vec![
                "--nodeid".to_owned(),
                "server".to_owned(),
                "--port".to_owned(),
                reserved.address().port().to_string(),
                "--ports".to_owned(),
                sinks.to_string(),
            ],
        };
        listen.extend(framing.iter().cloned());
        let mut server = who.start_on(cpu, "server", &listen)?;
        let ready = server.line()?;
        let address = ready["address"].as_str().ok_or("no address")?;
        let mut connect = vec!["--seed".to_owned(), address.to_owned()];
        match who.is_perl() {
            false => connect.extend(["--links".to_owned(), links.to_string()]),
            true => connect.extend(["--nodeid".to_owned(), "client".to_owned()]),
        }
        connect.extend(framing);
        let mut client = who.start_on(cpu, "client", &connect)?;
        client.ask(&json!({"do": "connected"}))?;
        Ok(Self {
            _server: server,
            client,
            ready,
        })
    }

    /// Asks the client for something, with the server's ports.
    pub fn ask(&mut self, mut command: Value) -> Result<Value, Failure> {
        for (key, from) in [("ports", "sink"), ("echo", "echo"), ("control", "control")] {
            command[key] = match (&self.ready[from], command["sinks"].as_u64()) {
                (Value::Array(all), Some(some)) => all[..all.len().min(some as usize)].into(),
                (from, _) => from.clone(),
            };
        }
        self.client.ask(&command)
    }
}
