//! Child processes that never outlive the harness.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A child process; dropping it kills it (SIGKILL) and waits for its end.
#[derive(Debug)]
pub struct Process {
    child: Child,
    status: Option<ExitStatus>,
    /// It has a process group of its own.
    is_group: bool,
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// The most memory at a time, in octets.
    pub peak: u64,
    /// The memory that it has now, in octets.
    pub memory: u64,
    /// Processor time, in seconds.
    pub processor: f64,
}

impl Process {
    /// Starts `command` with piped standard input and output, and standard error going to `log`.
    pub fn start(mut command: Command, log: File) -> io::Result<Self> {
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        Ok(Self {
            child,
            status: None,
            is_group: false,
        })
    }

    /// The same with all that it starts, which are a process group, and end together.
    pub fn start_group(mut command: Command, log: File) -> io::Result<Self> {
        command.process_group(0);
        let mut process = Self::start(command, log)?;
        process.is_group = true;
        Ok(process)
    }

    /// The child, to take its pipes from.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends a signal; a process that has ended already is no error.
    pub fn signal(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.child.id())
            && self.status.is_none()
        {
            // not waited for yet, so the ID is still this child's
            let pid = if self.is_group { -pid } else { pid };
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// What it has used so far. None if it has ended, or if this system does not tell.
    pub fn usage(&mut self) -> Option<Usage> {
        if self.ended().is_some() {
            return None;
        }
        let read = |file| std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id()));
        let (status, stat) = (read("status").ok()?, read("stat").ok()?);
        let octets = |name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
            Some(kib * 1024)
        };
        // Behind the name, which may hold anything, come the state as field 3, and user and system
        // time as fields 14 and 15, in ticks of a hundredth of a second.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |n: usize| fields.get(n - 3)?.parse::<u32>().ok();
        Some(Usage {
            peak: octets("VmHWM:")?,
            memory: octets("VmRSS:")?,
            processor: f64::from(ticks(14)? + ticks(15)?) / 100.0,
        })
    }

    /// The exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }

    /// Waits for the end, at most `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.signal(Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}
