//! A terminal: the command runs in it, and what it shows there can be looked at. Nothing of the
//! test process's own terminal is touched.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};

/// What runs in a terminal; it ends with its test.
pub struct Terminal {
    child: Child,
    input: File,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Terminal {
    /// Starts a command in a new terminal of that size. `setsid` makes it the terminal that the
    /// process belongs to: without that, a process looks at the one of whoever runs the tests.
    pub fn start(command: &Command, columns: u16, rows: u16) -> io::Result<Terminal> {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pair = openpty(Some(&size), None)?;
        let mut with_terminal = Command::new("setsid");
        with_terminal.arg("--ctty").arg(command.get_program());
        with_terminal
            .args(command.get_args())
            .env("TERM", "xterm-256color");
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => with_terminal.env(key, value),
                None => with_terminal.env_remove(key),
            };
        }
        with_terminal
            .stdin(Stdio::from(pair.slave.try_clone()?))
            .stdout(Stdio::from(pair.slave.try_clone()?))
            .stderr(Stdio::from(pair.slave));
        let child = with_terminal.spawn()?;
        // Else the end of the process would not be the end of what is read.
        drop(with_terminal);
        let input = File::from(pair.master);
        let mut output = input.try_clone()?;
        let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0)));
        let shown = screen.clone();
        std::thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut block) {
                shown.lock().unwrap().process(&block[..read]);
            }
        });
        Ok(Terminal {
            child,
            input,
            screen,
        })
    }

    pub fn press(&mut self, keys: &str) {
        self.input.write_all(keys.as_bytes()).unwrap();
    }

    /// Looks at what is shown.
    pub fn look<T>(&self, at: impl FnOnce(&vt100::Screen) -> T) -> T {
        at(self.screen.lock().unwrap().screen())
    }

    pub fn text(&self) -> String {
        self.look(vt100::Screen::contents)
    }

    /// Waits until what is shown is as wanted.
    pub fn until(&self, limit: Duration, wanted: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let text = self.text();
            if wanted(&text) {
                return text;
            }
            assert!(begun.elapsed() < limit, "the terminal stays\n{text}");
            std::thread::sleep(Duration::from_millis(10)); // a look again, not a wait
        }
    }

    /// Waits until it has ended.
    pub fn ends(&mut self, limit: Duration) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < limit, "it does not end:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(10)); // a look again, not a wait
        }
    }
}
