//! The command at a pseudo terminal, whose screen is looked at.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use serde_json::{Value, json};

pub const LIMIT: Duration = Duration::from_secs(20);

const SIZE: PtySize = PtySize {
    rows: 24,
    cols: 80,
    pixel_width: 0,
    pixel_height: 0,
};

/// A home with a configuration, and what is kept from one time to the next.
pub struct Home(pub tempfile::TempDir);

impl Home {
    /// One whose commands find this seed.
    pub fn new(seed: &str) -> Home {
        let home = Home(tempfile::tempdir().unwrap());
        let aemp = json!({"binds": [], "seeds": [seed]});
        let profiles = json!({"aemp": aemp, "till": {}});
        let rc = json!({"version": 1, "secret": "geheim", "profile": profiles});
        home.write_rc(&rc);
        home
    }

    fn write_rc(&self, rc: &Value) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(self.rc(), rc.to_string()).unwrap();
        std::fs::set_permissions(self.rc(), PermissionsExt::from_mode(0o600)).unwrap();
    }

    pub fn rc(&self) -> PathBuf {
        self.0.path().join("rc")
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A terminal with a command, which ends with it.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    /// Held, so that there is a terminal.
    _master: Box<dyn MasterPty + Send>,
    input: Arc<Mutex<Box<dyn Write + Send>>>,
    screen: Arc<(Mutex<vt100::Parser>, Condvar)>,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Terminal {
    /// Starts `aemp` with these arguments.
    pub fn start(home: &Home, arguments: &[&str]) -> Terminal {
        let pair = native_pty_system().openpty(SIZE).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_aemp"));
        command.args(arguments);
        command.env("PERL_ANYEVENT_MP_RC", home.rc());
        command.env("XDG_STATE_HOME", home.path().join("state"));
        command.env("HOME", home.path());
        command.env("TERM", "xterm");
        command.env("PERL_ANYEVENT_MP_WARNLEVEL", "7");
        for variable in ["PERL_ANYEVENT_MP_TRACE", "RUST_LOG", "NO_COLOR"] {
            command.env_remove(variable);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        let output = pair.master.try_clone_reader().unwrap();
        let input = Arc::new(Mutex::new(pair.master.take_writer().unwrap()));
        let parser = vt100::Parser::new(SIZE.rows, SIZE.cols, 0);
        let screen = Arc::new((Mutex::new(parser), Condvar::new()));
        let (to, keys) = (screen.clone(), input.clone());
        std::thread::spawn(move || draw(output, &to, &keys));
        Terminal {
            child,
            _master: pair.master,
            input,
            screen,
        }
    }

    /// Presses keys.
    pub fn keys(&self, keys: &str) {
        let mut input = self.input.lock().unwrap();
        input.write_all(keys.as_bytes()).unwrap();
        input.flush().unwrap();
    }

    /// The lines of the screen, without blanks at their ends, down to the last that has something.
    pub fn lines(&self) -> Vec<String> {
        lines(&self.screen.0.lock().unwrap())
    }

    /// Waits until the screen is as wanted.
    pub fn until(&self, what: &str, good: impl Fn(&[String]) -> bool) -> Vec<String> {
        let deadline = Instant::now() + LIMIT;
        let mut parser = self.screen.0.lock().unwrap();
        loop {
            let lines = lines(&parser);
            if good(&lines) {
                return lines;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what} is not on the screen: {lines:#?}");
            parser = self.screen.1.wait_timeout(parser, left).unwrap().0;
        }
    }

    /// Waits until the last line is this.
    pub fn until_last(&self, wanted: &str) -> Vec<String> {
        self.until(wanted, |lines| {
            lines.last().is_some_and(|last| last == wanted)
        })
    }

    /// Waits for the end, and gives the status.
    pub fn ends(&mut self) -> u32 {
        let begun = Instant::now();
        while begun.elapsed() < LIMIT {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            std::thread::sleep(Duration::from_millis(5)); // a look again, not a wait
        }
        panic!("it does not end: {:#?}", self.lines());
    }

    pub fn id(&self) -> u32 {
        self.child.process_id().unwrap()
    }
}

fn lines(parser: &vt100::Parser) -> Vec<String> {
    let rows = parser.screen().rows(0, SIZE.cols);
    let mut lines: Vec<String> = rows.map(|row| row.trim_end().to_owned()).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

/// Draws what comes, and says where the cursor is when it is asked for, as terminals do.
fn draw(
    mut output: Box<dyn Read + Send>,
    screen: &(Mutex<vt100::Parser>, Condvar),
    keys: &Mutex<Box<dyn Write + Send>>,
) {
    const WHERE: &[u8] = b"\x1b[6n";
    let mut octets = [0; 4096];
    let mut rest: Vec<u8> = Vec::new();
    while let Ok(count @ 1..) = output.read(&mut octets) {
        rest.extend_from_slice(&octets[..count]);
        while let Some(at) = rest.windows(WHERE.len()).position(|part| part == WHERE) {
            let before: Vec<u8> = rest.drain(..at + WHERE.len()).collect();
            let mut parser = screen.0.lock().unwrap();
            parser.process(&before[..at]);
            let (row, column) = parser.screen().cursor_position();
            drop(parser);
            let answer = format!("\x1b[{};{}R", row + 1, column + 1);
            let _ = keys.lock().unwrap().write_all(answer.as_bytes());
        }
        // The beginning of a question may be all that has come by now.
        let kept = (1..WHERE.len())
            .rev()
            .find(|n| rest.ends_with(&WHERE[..*n]));
        let whole = rest.len() - kept.unwrap_or(0);
        let whole: Vec<u8> = rest.drain(..whole).collect();
        screen.0.lock().unwrap().process(&whole);
        screen.1.notify_all();
    }
}
