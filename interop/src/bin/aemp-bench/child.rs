//! The processes of a measurement: started, asked, and stopped when dropped.
//!
//! They may be of another build than this program, of an older one as well. So the arguments that
//! they are given, the commands and the answers are a protocol between builds: something new may be
//! added for a new figure, and what is there keeps its name and its meaning.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use aemp_interop::peers::{Release, perl5lib};
use aemp_interop::process::Process;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::rivals::rival::Rival;
use crate::stats;

/// Nothing takes longer than this.
const LIMIT: Duration = Duration::from_secs(30);

/// The secret of all networks here.
pub const SECRET: &str = "bench";

/// A build of this program, whose children are nodes of that build of the crate.
#[derive(Debug)]
pub struct Build {
    /// Its name in the results.
    pub name: String,
    /// The executable.
    pub program: PathBuf,
}

/// Who does the work.
#[derive(Debug, Clone)]
pub enum Who {
    /// A node of this crate, in one of its builds.
    Rust(Arc<Build>),
    /// The same work without a node.
    Bare,
    /// A real Perl node, as its release comes.
    Perl(Arc<Release>),
    /// One that gathers what it writes (`autocork`), which 1.24 and later can be told to.
    Autocork(Arc<Release>),
    /// Another system (see [`crate::rivals`]), in processes that know these commands.
    Rival(Arc<Rival>),
}

/// Perl takes about so many times longer.
const PERL_SLOWER: u64 = 25;

impl Who {
    /// A node of the build that this is.
    pub fn own() -> Result<Self, Failure> {
        Ok(Self::Rust(Arc::new(Build {
            name: "rust".to_owned(),
            program: std::env::current_exe()?,
        })))
    }

    /// The name in the results.
    pub fn name(&self) -> String {
        match self {
            Who::Rust(build) => build.name.clone(),
            Who::Bare => "bare".to_owned(),
            Who::Perl(release) | Who::Autocork(release) => release.to_string(),
            Who::Rival(rival) => rival.name.clone(),
        }
    }

    /// Whether it is a Perl node.
    pub fn is_perl(&self) -> bool {
        matches!(self, Who::Perl(_) | Who::Autocork(_))
    }

    /// Whether it is a node of this crate.
    pub fn is_rust(&self) -> bool {
        matches!(self, Who::Rust(_))
    }

    /// So many messages take it about as long as `count` take a node of this crate.
    pub fn count(&self, count: u64) -> u64 {
        match self.is_perl() {
            true => (count / PERL_SLOWER).max(100),
            false => count,
        }
    }

    /// Whether its processes understand this argument of this role. Builds from before it do not.
    pub fn knows(&self, role: &str, argument: &str) -> bool {
        let Who::Rust(build) = self else {
            return true;
        };
        let help = Command::new(&build.program).args([role, "--help"]).output();
        help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains(argument))
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
            Who::Rust(build) => build.program.clone(),
            Who::Bare => std::env::current_exe()?,
            Who::Perl(_) | Who::Autocork(_) => "perl".into(),
            Who::Rival(rival) => rival.program.clone(),
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
            Who::Rust(_) => drop(command.arg(role)),
            Who::Bare => drop(command.arg(format!("bare-{role}"))),
            // All that it is told is in the arguments.
            Who::Rival(_) => {}
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
        // A rival's process may have a server of its own, or be a script's.
        let start = match self {
            Who::Rival(_) => Process::start_group,
            _ => Process::start,
        };
        Child::start(command, start)
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
    fn start(
        command: Command,
        start: impl FnOnce(Command, File) -> std::io::Result<Process>,
    ) -> Result<Self, Failure> {
        let log = tempfile::tempfile()?;
        let mut process = start(command, log.try_clone()?)?;
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
        self.line_within(LIMIT)
    }

    /// The next line, if it comes in this time.
    pub fn line_within(&mut self, limit: Duration) -> Result<Value, Failure> {
        let line = self.lines.recv_timeout(limit);
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

/// The rate in an answer, in events a second.
pub fn rate(answer: &Value) -> Option<f64> {
    Some(answer["count"].as_f64()? / answer["seconds"].as_f64()?)
}

/// The median time in an answer, in microseconds.
pub fn median_us(answer: &Value) -> Option<f64> {
    answer["median_us"].as_f64()
}

/// The figure of this name in an answer that must have it.
pub fn number(answer: &Value, name: &str) -> Result<f64, Failure> {
    let number = answer[name].as_f64();
    number.ok_or_else(|| format!("an answer without {name}").into())
}

/// How two linked processes are started.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// How many ports take messages.
    pub sinks: usize,
    /// How many nodes connect.
    pub links: usize,
    /// The framing of the links; without one, Rust nodes use JSON, and Perl nodes what they like
    /// best.
    pub framing: Option<&'static str>,
    /// The processor that both are bound to.
    pub cpu: Option<usize>,
    /// A key and certificates in PEM, of both: everything goes through TLS.
    pub cert: Option<&'static str>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            sinks: 1,
            links: 1,
            framing: None,
            cpu: None,
            cert: None,
        }
    }
}

impl Setup {
    /// The arguments of who listens, for a node on this port of the machine.
    pub fn listen(&self, who: &Who, port: u16) -> Vec<String> {
        let (port, sinks) = (port.to_string(), self.sinks.to_string());
        let node = ["--nodeid", "server", "--port", &port, "--ports", &sinks];
        let mut arguments: Vec<String> = match who {
            Who::Rival(rival) => return rival.arguments("server", &format!("127.0.0.1:{port}")),
            Who::Bare => vec![],
            _ => node.map(str::to_owned).to_vec(),
        };
        self.common(&mut arguments);
        arguments
    }

    /// The arguments of who connects.
    pub fn connect(&self, who: &Who, address: &str) -> Vec<String> {
        if let Who::Rival(rival) = who {
            return rival.arguments("client", address);
        }
        let links = self.links.to_string();
        let more = match who.is_perl() {
            false => ["--links", &links],
            true => ["--nodeid", "client"],
        };
        let mut arguments = ["--seed", address].map(str::to_owned).to_vec();
        arguments.extend(more.map(str::to_owned));
        self.common(&mut arguments);
        arguments
    }

    fn common(&self, arguments: &mut Vec<String>) {
        let given = [("--framing", self.framing), ("--cert", self.cert)];
        for (name, value) in given {
            arguments.extend(
                value
                    .into_iter()
                    .flat_map(|value| [name, value].map(str::to_owned)),
            );
        }
    }
}

/// Two processes with a link: who listens, who connects.
pub struct Linked {
    /// Holds the ports.
    server: Child,
    /// Sends.
    client: Child,
    /// What the server said of itself.
    pub ready: Value,
}

impl Linked {
    /// Starts both and waits for the link.
    pub fn start(who: &Who, setup: Setup) -> Result<Self, Failure> {
        let reserved = aemp_interop::reserved::Reserved::new()?;
        let listen = setup.listen(who, reserved.address().port());
        let mut server = who.start_on(setup.cpu, "server", &listen)?;
        let ready = server.line()?;
        let address = ready["address"].as_str().ok_or("no address")?;
        let connect = setup.connect(who, address);
        let mut client = who.start_on(setup.cpu, "client", &connect)?;
        client.ask(&json!({"do": "connected"}))?;
        Ok(Self {
            server,
            client,
            ready,
        })
    }

    /// Asks the client for something, with the server's ports. The processor time that both have
    /// used meanwhile is added to the answer.
    pub fn ask(&mut self, mut command: Value) -> Result<Value, Failure> {
        let named = [
            ("ports", "sink"),
            ("echo", "echo"),
            ("control", "control"),
            ("slow", "slow"),
            ("forms", "forms"),
            ("data", "data"),
            ("node", "node"),
        ];
        for (key, from) in named {
            command[key] = match (&self.ready[from], command["sinks"].as_u64()) {
                (Value::Array(all), Some(some)) => all[..all.len().min(some as usize)].into(),
                (from, _) => from.clone(),
            };
        }
        let before = self.processor_seconds();
        let mut answer = self.client.ask(&command)?;
        answer["processor_seconds"] = json!(self.processor_seconds() - before);
        Ok(answer)
    }

    /// Whether the server has a port, or ports, of that name. Builds from before it have not.
    pub fn has(&self, port: &str) -> bool {
        !self.ready[port].is_null()
    }

    /// The most memory that either has had at a time, in MB.
    pub fn peak(&mut self) -> Option<f64> {
        let both = [&mut self.server, &mut self.client];
        let peaks = both.map(|child| Some(child.process.usage()?.peak as f64 / 1e6));
        Some(peaks[0]?.max(peaks[1]?))
    }

    fn processor_seconds(&mut self) -> f64 {
        let both = [&mut self.server, &mut self.client];
        both.map(|child| stats::processor_seconds(child.id()))
            .iter()
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A child of an earlier build knows these and no others; see also the test of what a child
    /// understands.
    #[test]
    fn arguments_of_linked_nodes() {
        let build = Build {
            name: "before".to_owned(),
            program: "aemp-bench".into(),
        };
        let who = Who::Rust(Arc::new(build));
        let usual = Setup::default();
        let listen = "--nodeid server --port 4711 --ports 1";
        assert_eq!(usual.listen(&who, 4711).join(" "), listen);
        let connect = "--seed 127.0.0.1:4711 --links 1";
        assert_eq!(usual.connect(&who, "127.0.0.1:4711").join(" "), connect);
        let other = Setup {
            sinks: 10,
            links: 64,
            framing: Some("cbor"),
            cpu: None,
            cert: None,
        };
        let listen = "--nodeid server --port 4711 --ports 10 --framing cbor";
        assert_eq!(other.listen(&who, 4711).join(" "), listen);
        let connect = "--seed 127.0.0.1:4711 --links 64 --framing cbor";
        assert_eq!(other.connect(&who, "127.0.0.1:4711").join(" "), connect);
    }
}
