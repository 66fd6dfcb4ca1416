//! The command, running, and a network of its own for each test.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use aemp::{Builder, Node};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const LIMIT: Duration = Duration::from_secs(20);

/// A file of this repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A folder with a configuration file.
pub struct Home(pub TempDir);

impl Home {
    /// One with a secret, and these settings besides.
    pub fn new(settings: Value) -> Home {
        let home = Home(tempfile::tempdir().unwrap());
        home.configure(settings);
        home
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Named as it is in a home: Perl 1.0 looks for it nowhere else.
    pub fn rc(&self) -> PathBuf {
        self.path(".perl-anyevent-mp")
    }

    /// Writes the file anew.
    pub fn configure(&self, settings: Value) {
        let mut all = json!({"version": 1, "secret": "geheim"});
        let more = settings.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(more);
        // Whoever reads it meanwhile gets the old one.
        let new = self.path("rc.new");
        std::fs::write(&new, all.to_string()).unwrap();
        std::fs::set_permissions(&new, PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::rename(new, self.rc()).unwrap();
    }

    /// An executable file below the folder.
    pub fn program(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    }

    pub fn command(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aemp"));
        command
            .args(arguments)
            .env("PERL_ANYEVENT_MP_RC", self.rc());
        for variable in [
            "PERL_ANYEVENT_MP_WARNLEVEL",
            "PERL_ANYEVENT_MP_TRACE",
            "PERL_ANYEVENT_MP_SERVICES",
            "NOTIFY_SOCKET",
            "RUST_LOG",
        ] {
            command.env_remove(variable);
        }
        command.stdin(Stdio::null());
        command
    }

    /// Starts the command.
    pub fn start(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(arguments))
    }
}

/// A process that ends with its test.
pub struct Running {
    process: Child,
    output: mpsc::Receiver<String>,
    errors: mpsc::Receiver<String>,
    /// What it has started ends with it.
    is_group: bool,
    /// Lines of the log that nobody asked for.
    seen: RefCell<Vec<String>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_group {
            // Not waited for yet, so the ID is its own.
            let group = format!("-{}", self.id());
            let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn lines(of: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (to, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(of).lines().map_while(Result::ok) {
            let _ = to.send(line);
        }
    });
    lines
}

impl Running {
    pub fn start(mut command: Command) -> Running {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        Running {
            output: lines(process.stdout.take().unwrap()),
            errors: lines(process.stderr.take().unwrap()),
            process,
            is_group: false,
            seen: RefCell::default(),
        }
    }

    /// The same as a process group of its own, all of which ends with its test.
    pub fn start_group(mut command: Command) -> Running {
        command.process_group(0);
        let mut running = Running::start(command);
        running.is_group = true;
        running
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Types a line, if its standard input is piped.
    pub fn types(&mut self, line: &str) {
        let input = self.process.stdin.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
    }

    /// Ends its standard input.
    pub fn types_no_more(&mut self) {
        drop(self.process.stdin.take());
    }

    /// The next line of its output.
    pub fn prints(&self) -> String {
        let line = self.output.recv_timeout(LIMIT);
        line.unwrap_or_else(|_| panic!("nothing is printed: {:?}", self.rest()))
    }

    /// Waits for a line in the log with these words, and gives it, once.
    pub fn says(&self, words: &str) -> String {
        let mut seen = self.seen.borrow_mut();
        if let Some(at) = seen.iter().position(|line| line.contains(words)) {
            return seen.remove(at);
        }
        loop {
            match self.errors.recv_timeout(LIMIT) {
                Ok(line) if line.contains(words) => return line,
                Ok(line) => seen.push(line),
                Err(_) => panic!("no line with {words:?} but {seen:#?}"),
            }
        }
    }

    /// What else is in the log so far.
    pub fn rest(&self) -> Vec<String> {
        let mut seen = self.seen.borrow_mut();
        seen.extend(self.errors.try_iter());
        seen.clone()
    }

    /// Where it listens, as the line at its start says.
    pub fn address(&self) -> String {
        let line = self.says("listens on ");
        let (_, after) = line.split_once("listens on ").unwrap();
        after.split([',', ' ']).next().unwrap().to_owned()
    }

    pub fn signal(&self, signal: &str) {
        send(self.id(), signal);
    }

    /// Waits until it has ended.
    pub fn ends(&mut self) -> ExitStatus {
        let begun = Instant::now();
        while begun.elapsed() < LIMIT {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5)); // a look again, not a wait
        }
        panic!("it does not end: {:#?}", self.rest());
    }
}

pub fn send(process: u32, signal: &str) {
    let sent = Command::new("kill")
        .args([signal, &process.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// A node of the test's own.
pub fn builder(id: &str) -> Builder {
    let node = Node::builder().no_rc().nodeid(id).secret("geheim");
    node.binds([""; 0])
}

/// The same, which knows that address.
pub async fn node(id: &str, seed: &str) -> Node {
    builder(id).seeds([seed]).start().await.unwrap()
}

/// What a port dies of.
pub fn death(node: &Node, port: &aemp::PortId) -> impl Future<Output = aemp::Reason> + use<> {
    let (tell, reason) = tokio::sync::oneshot::channel();
    node.mon(port, move |reason| drop(tell.send(reason)));
    async {
        let reason = tokio::time::timeout(LIMIT, reason).await;
        reason.expect("the port does not die").unwrap()
    }
}

/// Whether a port died because it was refused to have it spawned: which of the two is known depends
/// on what came first there, the refusal or the monitor.
pub fn is_refused(reason: &aemp::Reason) -> bool {
    matches!(reason.kind(), Some("refused" | "no_such_port"))
}

/// The next message, which has to come.
pub async fn next(inbox: &mut aemp::Mailbox) -> Value {
    let message = inbox.recv_timeout(LIMIT).await.unwrap();
    Value::Array(message.values())
}

/// Waits until a group has so many members.
pub async fn members(node: &Node, group: &str, count: usize) -> Vec<aemp::PortId> {
    let mut changes = node.mon_group(group);
    let found = async {
        loop {
            let members = node.members(group);
            if members.len() == count {
                return members;
            }
            changes.next().await;
        }
    };
    let found = tokio::time::timeout(LIMIT, found).await;
    found.unwrap_or_else(|_| panic!("{group} has not {count} members"))
}
