//! The node that is attacked: a process of its own, and what it uses.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use tempfile::TempDir;

use crate::address::free_address;
use crate::peer::SECRET;

/// What every wait is limited by.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A node that runs; killed when dropped.
pub struct Victim {
    child: Child,
    id: String,
    address: String,
    folder: TempDir,
}

/// The command, with nothing of the user's own configuration.
pub fn command(way: &[&str], folder: &TempDir) -> Command {
    let own = cargo_bin("aemp");
    let mut command = match way {
        [] => Command::new(own),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(own);
            command
        }
    };
    command.env("PERL_ANYEVENT_MP_RC", folder.path().join("rc"));
    command.env("HOME", folder.path());
    command.env_remove("PERL_ANYEVENT_MP_WARNLEVEL");
    command.env_remove("PERL_ANYEVENT_MP_TRACE");
    command.stdin(Stdio::null());
    command
}

impl Victim {
    /// Starts a node of generation 1 with these further settings, and waits until it listens.
    pub fn start(id: &str, settings: &[&str]) -> Self {
        let given = settings.contains(&"generation");
        let generation: &[&str] = if given { &[] } else { &["generation", "1"] };
        Self::at(id, &free_address(), &[generation, settings].concat())
    }

    /// Starts a node that listens there.
    pub fn at(id: &str, address: &str, settings: &[&str]) -> Self {
        Self::with(id, address, settings, &[])
    }

    /// Starts a node of generation 1 that has one thread for everything.
    pub fn on_one_thread(id: &str) -> Self {
        let settings = ["generation", "1"];
        Self::with(
            id,
            &free_address(),
            &settings,
            &[("TOKIO_WORKER_THREADS", "1")],
        )
    }

    /// Starts a node of generation 1 that may have so many files open.
    pub fn with_files(id: &str, files: u32) -> Self {
        let address = free_address();
        let limit = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
        Self::by(
            &["sh", "-c", &limit],
            id,
            &address,
            &["generation", "1"],
            &[],
        )
    }

    /// Starts a node of generation 1 that logs every step.
    pub fn verbose(id: &str) -> Self {
        let level = [("PERL_ANYEVENT_MP_WARNLEVEL", "9")];
        Self::with(id, &free_address(), &["generation", "1"], &level)
    }

    /// Starts a node with that in its environment.
    fn with(id: &str, address: &str, settings: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::by(&[], id, address, settings, environment)
    }

    /// The same by way of another command, which gets ours as its arguments.
    fn by(
        way: &[&str],
        id: &str,
        address: &str,
        settings: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = command(way, &folder);
        command.args(["run", "nodeid", id, "secret", SECRET]);
        command.args(["binds", address]).args(settings);
        if !crate::attack::full() {
            // Small enough for floods in quick size to run over it.
            command.args(["max_memory", &(64 << 20).to_string()]);
        }
        command.envs(environment.iter().copied());
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut victim = Victim {
            child,
            id: id.to_owned(),
            address: address.to_owned(),
            folder,
        };
        victim.wait_until("it listens", |victim| {
            TcpStream::connect(&victim.address).is_ok()
        });
        victim
    }

    fn wait_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !done(self) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {ended:?}\n{}", self.log_text());
            assert!(started.elapsed() < LIMIT, "{}: not so: {what}", self.id);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its node ID.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether the process is there.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    fn proc(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// The most memory that it has had so far, in octets.
    pub fn peak(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        kib.map_or(0, |kib| kib.parse::<u64>().unwrap() * 1024)
    }

    /// The processor time that its threads have taken, in seconds.
    pub fn cpu(&self) -> f64 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let nanoseconds = threads.into_iter().flatten().flatten().map(|thread| {
            let spent = std::fs::read_to_string(thread.path().join("schedstat"));
            let spent = spent.unwrap_or_default();
            let first = spent.split_whitespace().next().unwrap_or("0");
            first.parse::<u64>().unwrap()
        });
        nanoseconds.sum::<u64>() as f64 / 1e9
    }

    /// How many connections it has, or tries to have, to that address.
    pub fn connections_to(&self, address: &str) -> usize {
        let (_, port) = address.rsplit_once(':').unwrap();
        let port = format!(":{:04X}", port.parse::<u16>().unwrap());
        let table = self.proc("net/tcp");
        // The columns: number, own address, other address, state: 01 connected, 02 trying.
        let open = table.lines().filter(|line| {
            let columns: Vec<&str> = line.split_whitespace().take(4).collect();
            matches!(columns[..], [_, _, other, "01" | "02"] if other.ends_with(&port))
        });
        open.count()
    }

    /// What it has logged, in octets.
    pub fn log_size(&self) -> u64 {
        self.log_file().metadata().unwrap().len()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// What it has logged.
    pub fn log(&self) -> Vec<u8> {
        std::fs::read(self.log_file()).unwrap()
    }

    /// The same as text.
    pub fn log_text(&self) -> String {
        String::from_utf8_lossy(&self.log()).into_owned()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
