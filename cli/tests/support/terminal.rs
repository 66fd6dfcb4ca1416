//! A terminal: a command runs in it, and what it shows there can be looked at. Nothing of the test
//! process's own terminal is touched.

use std::io::{Read, Write};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// A terminal with a command, which ends with it.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    /// Held, so that there is a terminal.
    _master: Box<dyn MasterPty + Send>,
    input: Arc<Mutex<Box<dyn Write + Send>>>,
    screen: Arc<(Mutex<vt100::Parser>, Condvar)>,
    limit: Duration,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Terminal {
    /// Starts a command in a new terminal of that size. Whatever is waited for has to come within
    /// the limit.
    pub fn start(
        command: &Command,
        (columns, rows): (u16, u16),
        limit: Duration,
    ) -> Result<Terminal, Box<dyn std::error::Error>> {
        let size = PtySize {
            rows,
            cols: columns,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size)?;
        let mut with_terminal = CommandBuilder::new(command.get_program());
        with_terminal.args(command.get_args());
        with_terminal.cwd(std::env::current_dir()?);
        with_terminal.env("TERM", "xterm-256color");
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => with_terminal.env(key, value),
                None => with_terminal.env_remove(key),
            }
        }
        let child = pair.slave.spawn_command(with_terminal)?;
        let output = pair.master.try_clone_reader()?;
        let input = Arc::new(Mutex::new(pair.master.take_writer()?));
        let parser = vt100::Parser::new(rows, columns, 0);
        let screen = Arc::new((Mutex::new(parser), Condvar::new()));
        let (to, keys) = (screen.clone(), input.clone());
        std::thread::spawn(move || draw(output, &to, &keys));
        Ok(Terminal {
            child,
            _master: pair.master,
            input,
            screen,
            limit,
        })
    }

    /// Presses keys.
    pub fn press(&self, keys: &str) {
        let mut input = self.input.lock().unwrap();
        input.write_all(keys.as_bytes()).unwrap();
        input.flush().unwrap();
    }

    /// Looks at what is shown.
    pub fn look<T>(&self, at: impl FnOnce(&vt100::Screen) -> T) -> T {
        at(self.screen.0.lock().unwrap().screen())
    }

    /// Waits until the screen is as wanted: its lines, without blanks at their ends, down to the
    /// last that has something.
    pub fn until(&self, what: &str, good: impl Fn(&[String]) -> bool) -> Vec<String> {
        let deadline = Instant::now() + self.limit;
        let mut parser = self.screen.0.lock().unwrap();
        loop {
            let lines = lines(parser.screen());
            if good(&lines) {
                return lines;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what} is not on the screen: {lines:#?}");
            parser = self.screen.1.wait_timeout(parser, left).unwrap().0;
        }
    }

    /// Waits until all that is shown, as one text, is as wanted.
    pub fn until_text(&self, what: &str, good: impl Fn(&str) -> bool) -> String {
        self.until(what, |lines| good(&lines.join("\n"))).join("\n")
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
        while begun.elapsed() < self.limit {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            std::thread::sleep(Duration::from_millis(5)); // a look again, not a wait
        }
        panic!("it does not end: {:#?}", self.look(lines));
    }

    /// The ID of the process.
    pub fn id(&self) -> u32 {
        self.child.process_id().unwrap()
    }
}

fn lines(screen: &vt100::Screen) -> Vec<String> {
    let (_, columns) = screen.size();
    let rows = screen.rows(0, columns);
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
