//! `aemp logs`: the log lines of a whole network.

use std::io::Write as _;

use aemp::LogLine;
use aemp::log::printable;
use chrono::{DateTime, Local};

use crate::Failure;
use crate::client::join;
use crate::output;
use crate::system::Signals;

/// Prints them until a signal comes.
pub(crate) async fn logs(level: u8) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let node = join().await?;
    let mut lines = node.catch_logs(level);
    loop {
        tokio::select! {
            _ = signals.end() => break,
            line = lines.next() => match line {
                Some(line) => output::line(shown(&line))?,
                None => break,
            }
        }
        let lost = lines.lost();
        if lost > 0 {
            let _ = writeln!(
                std::io::stderr().lock(),
                "aemp: {lost} lines came faster than they could be written"
            );
        }
    }
    node.shutdown().await;
    Ok(())
}

/// As Perl's log catcher shows a line. One that comes without a time has that of its arrival.
fn shown(line: &LogLine) -> String {
    let time: DateTime<Local> = line.time.map_or_else(Local::now, DateTime::from);
    format!(
        "{} [{}] <{}> {}",
        time.format("%Y-%m-%d %H:%M:%S"),
        printable(line.node.as_str()),
        line.level,
        printable(&line.text)
    )
}
