//! What a scenario has at hand.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::driver::Node;
use crate::expected::Expected;
use crate::fault::{Fault, Result};
use crate::pairing::{Impl, Pairing, Side};
use crate::peers::{Generation, Release, perl5lib};
use crate::proxy::Proxy;
use crate::python::Python;
use crate::reserved::Reserved;
use crate::spec::Spec;
use crate::transcript::Transcript;

/// What is the same for all cells.
#[derive(Debug, Clone)]
pub struct Env {
    /// The Rust driver, if there is one.
    pub rust_driver: Option<PathBuf>,
    /// The Python node, if there is one.
    pub python: Option<Arc<Python>>,
    /// Where failed cells leave their logs; also for what runs.
    pub folder: PathBuf,
    /// Where recordings are to go, if anywhere.
    pub record: Option<PathBuf>,
    /// How long a wait lasts.
    pub limit: Duration,
    /// After how many seconds a driver ends by itself.
    pub life: u64,
    /// Keep the folders of passed cells too.
    pub keep: bool,
    /// Nodes log little and no wire is recorded: for what runs long.
    pub quiet: bool,
    /// Seeds of the fault schedules.
    pub schedules: std::ops::Range<u64>,
    /// All releases that were found, oldest first, for scenarios with more than one.
    pub releases: Vec<Arc<Release>>,
    /// The cells that are known to fail.
    pub expected: Expected,
}

/// What a scenario has at hand.
#[derive(Debug)]
pub struct Ctx {
    /// The name of the scenario.
    scenario: &'static str,
    /// Who plays whom.
    pub pairing: Pairing,
    /// The releases that played besides those of the pairing.
    others: Vec<String>,
    env: Arc<Env>,
    secret: String,
    dir: PathBuf,
    transcript: Transcript,
    step: String,
    started: HashMap<String, usize>,
    /// Kept here too, so that a proxy lasts as long as the scenario whoever drops it.
    proxies: Vec<Arc<Proxy>>,
    reserved: Vec<Reserved>,
}

/// The two nodes of a pair, connected through a proxy.
#[derive(Debug)]
pub struct Pair {
    /// Listens (side A); node ID `alice`.
    pub alice: Node,
    /// Has no listener and alice as its seed (side B); node ID `bob`.
    pub bob: Node,
    /// Between them.
    pub proxy: Arc<Proxy>,
}

/// Has a perl use the release, and log as the others do.
fn said_by(release: &Release, command: &mut Command) {
    if let Some(include) = &release.include {
        command.env("PERL5LIB", perl5lib(include));
    }
    if release.generation == Generation::G2 {
        // these log by way of AnyEvent::Log
        command.env("AE_VERBOSE", "9");
    }
}

/// Where a process lives.
struct Home {
    /// The name it plays, made unique.
    unique: String,
    folder: PathBuf,
    rc_file: PathBuf,
    log: File,
    quiet: bool,
}

impl Home {
    /// Has the command live here.
    fn enter(&self, command: &mut Command) {
        command
            .env("HOME", &self.folder)
            .env("PERL_ANYEVENT_MP_RC", &self.rc_file);
        if self.quiet {
            command.env("PERL_ANYEVENT_MP_WARNLEVEL", "1");
            command.env("AE_VERBOSE", "1");
        } else {
            command.env("PERL_ANYEVENT_MP_WARNLEVEL", "9");
            command.env("PERL_ANYEVENT_MP_TRACE", "1");
        }
    }
}

impl Ctx {
    /// Prepares a cell's folder. Nodes share `secret` unless the scenario wants otherwise. Each
    /// cell has its own: an address of a node that is gone may be another cell's by now, and nobody
    /// must find itself in a foreign network.
    pub fn new(
        scenario: &'static str,
        pairing: &Pairing,
        env: &Arc<Env>,
        folder: &Path,
        secret: String,
    ) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Fault::io(folder.display().to_string()))?;
        Ok(Self {
            scenario,
            pairing: pairing.clone(),
            others: Vec::new(),
            env: Arc::clone(env),
            secret,
            dir: folder.to_owned(),
            transcript: Transcript::create(&folder.join("transcript.jsonl"))?,
            step: "start".to_owned(),
            started: HashMap::new(),
            proxies: Vec::new(),
            reserved: Vec::new(),
        })
    }

    /// The step that was announced last.
    pub fn current_step(&self) -> &str {
        &self.step
    }

    /// Adds a line to the transcript.
    pub fn note(&self, what: &str, value: &Value) {
        self.transcript.write("-", what, value);
    }

    /// Announces the next step; a failure names it.
    pub fn step(&mut self, name: impl Into<String>) {
        self.step = name.into();
        self.transcript.write("-", "step", &json!(self.step));
    }

    /// How long a wait lasts.
    pub fn limit(&self) -> Duration {
        self.env.limit
    }

    /// Seeds of the fault schedules to play.
    pub fn schedules(&self) -> std::ops::Range<u64> {
        self.env.schedules.clone()
    }

    /// The secret that the nodes share.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Where what nodes say is written down.
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// A folder for files of this cell.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The implementation that plays a side.
    pub fn side(&self, side: Side) -> &Impl {
        self.pairing.side(side)
    }

    /// Has the side played by another release from now on: the newest one of the generations that
    /// `wanted` agrees to of which the manifest does not say that it fails here.
    pub fn switch(&mut self, side: Side, wanted: impl Fn(Generation) -> bool) -> Result<()> {
        let with = |release: &Arc<Release>| {
            let mut pairing = self.pairing.clone();
            match side {
                Side::A => pairing.a = Impl::Perl(Arc::clone(release)),
                Side::B => pairing.b = Impl::Perl(Arc::clone(release)),
            }
            pairing
        };
        let mut fault = None;
        let mut found = self.env.releases.iter().rev();
        let found = found.find_map(|release| {
            if !wanted(release.generation) {
                return None;
            }
            let pairing = with(release);
            let name = pairing.cell(self.scenario);
            match self.env.expected.of(&name) {
                None => Some((release, pairing)),
                Some(known) => {
                    fault.get_or_insert_with(|| format!("{release} fails here: {}", known.reason));
                    None
                }
            }
        });
        let Some((release, pairing)) = found else {
            let missing = || "the other releases that this needs are not here".to_owned();
            return Err(Fault::NotHere(fault.unwrap_or_else(missing)));
        };
        let name = release.to_string();
        if !self.others.contains(&name) {
            self.others.push(name.clone());
        }
        self.pairing = pairing;
        self.note("plays as well", &json!(name));
        Ok(())
    }

    /// The releases that played besides those of the pairing.
    pub fn others(&self) -> &[String] {
        &self.others
    }

    /// An address for a node that must know it beforehand or have it again; nobody else gets it
    /// until the scenario ends.
    pub fn address(&mut self) -> Result<SocketAddr> {
        let reserved = Reserved::new().map_err(Fault::io("a free address"))?;
        let address = reserved.address();
        self.reserved.push(reserved);
        Ok(address)
    }

    /// Starts a proxy to `target`, given as an address. It lasts to the end of the scenario.
    pub fn proxy(&mut self, target: &str) -> Result<Arc<Proxy>> {
        let address: SocketAddr = target
            .parse()
            .map_err(|_| Fault::unexpected(format!("not an address: {target}")))?;
        let record = self
            .dir
            .join(format!("wire-{}.jsonl", self.proxies.len() + 1));
        let record = (!self.env.quiet).then_some(&*record);
        let proxy = Arc::new(Proxy::start(address, record)?);
        self.proxies.push(Arc::clone(&proxy));
        Ok(proxy)
    }

    /// The command that starts a node of this side: `perl SCRIPT ARGS` or `aemp-driver ARGS`, with
    /// a home of its own and the given secret, or the shared one, and certificate.
    pub fn command(
        &mut self,
        side: Side,
        name: &str,
        known: (Option<&str>, Option<&Value>),
        script: (&str, &str),
        args: &[&str],
    ) -> Result<(Command, File)> {
        let (secret, cert) = known;
        let secret = secret.unwrap_or(&self.secret);
        let mut rc = json!({ "version": 1, "secret": secret });
        if let Some(cert) = cert {
            rc["cert"] = cert.clone();
        }
        let home = self.home(name, &rc)?;

        let mut command = match self.pairing.side(side) {
            Impl::Perl(release) => {
                let path = self.dir.join(script.0);
                fs::write(&path, script.1).map_err(Fault::io("perl script"))?;
                let mut command = Command::new("perl");
                command.arg(path);
                said_by(release, &mut command);
                command
            }
            Impl::Rust => {
                let driver = self.env.rust_driver.as_ref();
                Command::new(driver.ok_or_else(|| Fault::NotHere("no Rust driver".to_owned()))?)
            }
            Impl::Python => {
                let python = self.env.python.as_ref();
                let missing = || Fault::NotHere("no python3".to_owned());
                python.ok_or_else(missing)?.command()
            }
        };
        command.args(args);
        home.enter(&mut command);
        Ok((command, home.log))
    }

    /// The command that starts one of the tutorial's programs, as this side has it: from the
    /// release's `eg/`, or the example of that name. It configures itself by the host's profile,
    /// which is what `spec` says. Also returns its log, and the log's name for [`Ctx::log`].
    pub fn program(
        &mut self,
        side: Side,
        spec: &Spec,
        program: &str,
        args: &[&str],
    ) -> Result<(Command, File, String)> {
        let mut command = match self.pairing.side(side) {
            Impl::Perl(release) => {
                let script = release.eg().map(|eg| eg.join(program));
                let script = script.filter(|s| s.is_file()).ok_or_else(|| {
                    Fault::NotHere(format!("{release} comes without eg/{program}"))
                })?;
                let mut command = Command::new("perl");
                // unbuffered, to see at once what it prints; and it does not outlive a harness that
                // was killed
                command.arg(format!("-MIO::Handle;$|=1;alarm {}", self.env.life));
                command.arg(script);
                said_by(release, &mut command);
                command
            }
            Impl::Rust => {
                let driver = self.env.rust_driver.as_ref();
                // Where cargo builds them, or where it installs them.
                let places = driver.map(|driver| {
                    [format!("examples/{program}"), program.to_owned()]
                        .map(|place| driver.with_file_name(place))
                });
                let mut places = places.into_iter().flatten();
                let example = places.find(|place| place.is_file()).ok_or_else(|| {
                    Fault::NotHere(
                        "the examples are not beside the driver (cargo build --release \
                         --examples, or cargo install --examples: interop/README.md)"
                            .to_owned(),
                    )
                })?;
                let mut command = Command::new(example);
                command.env("AEMP_LIFE", self.env.life.to_string());
                command
            }
            Impl::Python => {
                let reason = format!("the Python node comes without {program}");
                return Err(Fault::NotHere(reason));
            }
        };
        let secret = spec.secret.as_deref().unwrap_or(&self.secret);
        let mut profile = serde_json::Map::new();
        profile.insert(aemp::config::node_name(), spec.args());
        let rc = json!({ "version": 1, "secret": secret, "profile": profile });
        let home = self.home(&spec.name, &rc)?;
        command.args(args);
        home.enter(&mut command);
        Ok((command, home.log, home.unique))
    }

    /// The command `aemp` of this side with these arguments, and its log with its name for
    /// [`Ctx::log`]; it ends by itself, with all that it starts. It finds `settings` in its
    /// configuration, and the secret.
    pub fn aemp(
        &mut self,
        side: Side,
        name: &str,
        settings: &Value,
        args: &[&str],
    ) -> Result<(Command, File, String)> {
        // Perl's starts a process besides, which an alarm would not end.
        let mut command = Command::new("timeout");
        command.args(["--kill-after=1", &self.env.life.to_string()]);
        match self.pairing.side(side) {
            Impl::Perl(release) => {
                let script = release.beside("bin/aemp");
                let script = script.ok_or_else(|| {
                    Fault::NotHere(format!("{release} comes without its command, bin/aemp"))
                })?;
                command.arg("perl").arg(script);
                said_by(release, &mut command);
            }
            Impl::Rust => {
                let driver = self.env.rust_driver.as_ref();
                let ours = driver.map(|driver| driver.with_file_name("aemp"));
                let ours = ours.filter(|ours| ours.is_file()).ok_or_else(|| {
                    Fault::NotHere(
                        "the command is not built (cargo build --release -p aemp-cli)".to_owned(),
                    )
                })?;
                command.arg(ours);
            }
            Impl::Python => {
                let reason = "the Python node comes without a command".to_owned();
                return Err(Fault::NotHere(reason));
            }
        }
        let mut rc = settings.clone();
        rc["version"] = json!(1);
        rc["secret"] = json!(self.secret);
        let home = self.home(name, &rc)?;
        command.args(args);
        home.enter(&mut command);
        Ok((command, home.log, home.unique))
    }

    /// Prepares a home folder with this configuration, and a log, for a process that plays `name`.
    fn home(&mut self, name: &str, rc: &Value) -> Result<Home> {
        let count = self.started.entry(name.to_owned()).or_default();
        *count += 1;
        let unique = if *count == 1 {
            name.to_owned()
        } else {
            format!("{name}-{count}")
        };
        let folder = self.dir.join(format!("home-{unique}"));
        fs::create_dir_all(&folder).map_err(Fault::io("home folder"))?;
        let rc_file = folder.join(".perl-anyevent-mp");
        private(&rc_file)
            .and_then(|mut file| file.write_all(rc.to_string().as_bytes()))
            .map_err(Fault::io("rc file"))?;
        let log =
            File::create(self.dir.join(format!("{unique}.log"))).map_err(Fault::io("log file"))?;
        Ok(Home {
            unique,
            folder,
            rc_file,
            log,
            quiet: self.env.quiet,
        })
    }

    /// Starts a driver without configuring it.
    pub fn driver(&mut self, side: Side, spec: &Spec) -> Result<Node> {
        let life = self.env.life.to_string();
        let known = (spec.secret.as_deref(), spec.cert.as_ref());
        let script = ("node.pl", include_str!("../perl/node.pl"));
        let (command, log) = self.command(side, &spec.name, known, script, &["--life", &life])?;
        let node = Node::start(&spec.name, command, log, &self.transcript, self.env.limit)?;
        // a Python node speaks one generation, which it has to be told
        let python = *self.side(side) == Impl::Python;
        let generation = self.pairing.generation().filter(|_| python);
        Ok(node.speaking(generation))
    }

    /// Starts a node and configures it.
    pub fn node(&mut self, side: Side, spec: &Spec) -> Result<Node> {
        let node = self.driver(side, spec)?;
        node.configure(spec)?;
        Ok(node)
    }

    /// Starts alice and bob and waits until each sees the other.
    pub fn pair(&mut self) -> Result<Pair> {
        self.pair_with(|_| {}, |_| {})
    }

    /// [`Ctx::pair`] with changes to the two configurations.
    pub fn pair_with(
        &mut self,
        alice: impl FnOnce(&mut Spec),
        bob: impl FnOnce(&mut Spec),
    ) -> Result<Pair> {
        self.step("two nodes connect");
        let (mut a, mut b) = (Spec::new("alice").listen(), Spec::new("bob"));
        alice(&mut a);
        let alice = self.node(Side::A, &a)?;
        let proxy = self.proxy(&alice.listener()?)?;
        b = b.seed(proxy.address());
        bob(&mut b);
        let bob = self.node(Side::B, &b)?;
        alice.up("bob")?;
        bob.up("alice")?;
        Ok(Pair { alice, bob, proxy })
    }

    /// The text of a node's log so far.
    pub fn log(&self, name: &str) -> String {
        fs::read(self.dir.join(format!("{name}.log")))
            .map(|octets| String::from_utf8_lossy(&octets).into_owned())
            .unwrap_or_default()
    }
}

/// A new file that nobody else can read: nodes warn of secrets that others can.
fn private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)
}
