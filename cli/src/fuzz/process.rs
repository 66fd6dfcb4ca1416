//! The process of the node that is tried, as far as it is known: what it uses, and starting it.

use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Failure;

/// What a process has used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Used {
    /// The memory that it has now, in octets.
    pub(super) memory: u64,
    /// The processor time that it has taken.
    pub(super) processor: Duration,
}

/// The node's process.
pub(super) enum Process {
    /// Nothing is known of it.
    Unknown,
    /// One that runs.
    Of(u32),
    /// One that we start.
    Started {
        command: String,
        child: Option<Child>,
    },
}

/// How long a node may take to listen once it is started.
const STARTING: Duration = Duration::from_secs(30);

impl Process {
    /// Starts the node, if that is ours to do and it does not run, and waits until it listens.
    ///
    /// # Errors
    ///
    /// It can't be started, ended at once, or does not listen.
    pub(super) fn start(&mut self, address: SocketAddr) -> Result<(), Failure> {
        if self.has_ended().is_none()
            && let Process::Started { child: Some(_), .. } = self
        {
            return Ok(());
        }
        if let Process::Started { command, child } = self {
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(format!("exec {command}"));
            shell.stdin(Stdio::null()).stdout(Stdio::null());
            *child = Some(shell.spawn()?);
        }
        let begun = Instant::now();
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            if let Some(how) = self.has_ended() {
                return Err(format!("the node ended before it listened: {how}").into());
            }
            if begun.elapsed() > STARTING {
                return Err(format!("nobody listens at {address}").into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Ends the node, if we have started it: the next one begins from nothing.
    pub(super) fn stop(&mut self) {
        if let Process::Started { child, .. } = self
            && let Some(mut child) = child.take()
        {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Whether it can be started anew.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self, Process::Started { .. })
    }

    /// How it has ended, if it has and that is known.
    pub(super) fn has_ended(&mut self) -> Option<String> {
        match self {
            Process::Unknown => None,
            Process::Of(pid) => {
                let there = cfg!(not(target_os = "linux")) || stat(*pid).is_some();
                (!there).then(|| format!("there is no process {pid} any more"))
            }
            Process::Started { child, .. } => {
                let status = child.as_mut()?.try_wait().ok()??;
                Some(status.to_string())
            }
        }
    }

    /// What it has used, if that can be known.
    pub(super) fn used(&self) -> Option<Used> {
        let pid = match self {
            Process::Unknown => return None,
            Process::Of(pid) => *pid,
            Process::Started { child, .. } => child.as_ref()?.id(),
        };
        stat(pid)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Reads `/proc/PID/stat`.
fn stat(pid: u32) -> Option<Used> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may have spaces and parentheses in it.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    if fields.first() == Some(&"Z") {
        return None;
    }
    // Ticks have been a hundredth of a second for as long as there has been /proc; pages of memory
    // are mostly of 4 KiB.
    Some(Used {
        memory: number(21)? * 4096,
        processor: Duration::from_millis((number(11)? + number(12)?) * 10),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[cfg(target_os = "linux")]
    #[test]
    fn what_this_process_uses_is_known() {
        let used = Process::Of(std::process::id()).used().unwrap();
        assert!(used.memory > 1 << 20);
        assert!(Process::Of(std::process::id()).has_ended().is_none());
        assert!(Process::Of(u32::MAX).has_ended().is_some());
        assert_eq!(Process::Unknown.used(), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_command_is_started_again_when_it_has_ended() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut process = Process::Started {
            command: "sleep 60".to_owned(),
            child: None,
        };
        process.start(address).unwrap();
        assert!(process.has_ended().is_none() && process.used().is_some());
        process.stop();
        process.start(address).unwrap();
        assert!(process.has_ended().is_none());
        drop(listener);
        let mut process = Process::Started {
            command: "false".to_owned(),
            child: None,
        };
        let error = process.start(address).unwrap_err().to_string();
        assert!(
            error.starts_with("the node ended before it listened: "),
            "{error}"
        );
    }
}
