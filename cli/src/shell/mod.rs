//! `aemp shell`: a node that one talks to the network with, line by line.
//!
//! ```text
//! a terminal      -> editor ─┐
//!                            ├─ lines -> line -> session -> what is shown
//! standard input  ───────────┘                     watch -> what comes by itself
//! ```
//!
//! At a terminal, lines are edited, completed and remembered, and what comes by itself is shown
//! above the line that is being typed. Otherwise the lines of standard input are run one after
//! another, and the status says whether all went well.

mod complete;
mod editor;
mod history;
mod known;
mod line;
mod session;
mod table;
mod watch;
mod words;

pub(crate) use table::help;

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::time::Duration;

use aemp::log::printable;
use aemp::{Node, NodeId};
use anstyle::Style;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use crate::Failure;
use crate::ask::{LIMIT, typed, unreached};
use crate::client::join;
use crate::output::{self, OutputError, Status};
use crate::settings::as_perl_shows;
use crate::system::{self, How, Signals};
use editor::{Editor, Typed};
use known::Known;
use session::{Session, Shown};
use watch::{Told, Watch};

/// Runs lines until there are no more, or one says that it is the last.
pub(crate) async fn shell(on: Option<String>) -> Result<(), Failure> {
    let node = join().await?;
    let (watch, told) = Watch::new(&node);
    let current = on.map_or_else(|| node.id().clone(), |on| typed(on).node_id());
    let known = Arc::new(Known::new(&node, &watch, current));
    let shell = Shell {
        session: Session::new(&node, &watch, &known),
        node: node.clone(),
        watch,
        told,
        known,
        is_terminal: is_terminal(),
        is_over: false,
    };
    let result = match shell.is_terminal {
        true => shell.converse().await,
        false => shell.run_all().await,
    };
    node.shutdown().await;
    result
}

/// Whether somebody types, at something that can do more than print.
fn is_terminal() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    io::stdin().is_terminal() && io::stdout().is_terminal() && !is_dumb
}

struct Shell {
    node: Node,
    session: Session,
    watch: Watch,
    told: mpsc::Receiver<Told>,
    known: Arc<Known>,
    is_terminal: bool,
    /// This process was told to end while something was being done.
    is_over: bool,
}

impl Shell {
    /// Runs the lines of standard input.
    async fn run_all(mut self) -> Result<(), Failure> {
        settle(&self.node).await;
        let mut lines = BufReader::new(tokio::io::stdin()).split(b'\n');
        let (mut number, mut all_good) = (0u64, true);
        loop {
            let line = loop {
                tokio::select! {
                    biased;
                    Some(told) = self.told.recv() => self.tell(&told)?,
                    line = lines.next_segment() => break line?,
                }
            };
            let Some(line) = line else { break };
            number += 1;
            let done = match String::from_utf8(line) {
                Ok(line) => self.perform(&line, None).await?,
                Err(_) => Err("it is not UTF-8".into()),
            };
            match done {
                Ok(shown) => {
                    self.show(&shown, Some(number))?;
                    if shown.is_end {
                        break;
                    }
                }
                Err(failure) => {
                    all_good = false;
                    complain(&failure, number)?;
                }
            }
        }
        self.tell_all()?;
        match all_good {
            true => Ok(()),
            false => Err(Status(1).into()),
        }
    }

    /// Runs the lines that are typed at a terminal.
    async fn converse(mut self) -> Result<(), Failure> {
        let mut signals = Signals::new()?;
        let mut editor = Editor::start(&self.known)?;
        output::aside(format_args!(
            "this is node {}; `help` lists the commands, Ctrl-D ends",
            self.node.id()
        ));
        tokio::spawn(say_when_settled(self.node.clone()));
        loop {
            editor.ask(format!(
                "{}> ",
                as_perl_shows(self.known.current().as_str())
            ))?;
            let typed = loop {
                tokio::select! {
                    biased;
                    Some(told) = self.told.recv() => self.tell(&told)?,
                    typed = editor.typed() => break typed,
                    // The terminal gives Ctrl-C as a key.
                    system::Told::End(How::Terminate) = signals.next() => break Typed::End,
                }
            };
            let line = match typed {
                Typed::Line(line) => line,
                Typed::Interrupted => continue,
                Typed::End => return Ok(()),
                Typed::Failed(error) => return Err(error.into()),
            };
            let begun = Instant::now();
            match self.perform(&line, Some(&mut signals)).await? {
                Ok(shown) => {
                    self.show(&shown, None)?;
                    if shown.is_answer && !output::is_json() {
                        let (dim, seconds) = (Style::new().dimmed(), begun.elapsed().as_secs_f64());
                        output::aside(format_args!("{dim}  {seconds:.3} s{dim:#}"));
                    }
                    if shown.is_end {
                        return Ok(());
                    }
                }
                Err(_) if self.is_over => return Ok(()),
                Err(failure) => output::complain(failure),
            }
        }
    }

    /// Carries out a line, and tells meanwhile what comes by itself.
    async fn perform(
        &mut self,
        line: &str,
        signals: Option<&mut Signals>,
    ) -> Result<Result<Shown, Failure>, OutputError> {
        let interrupted = async {
            match signals {
                Some(signals) => signals.end().await,
                None => std::future::pending().await,
            }
        };
        let done = {
            let mut interrupted = std::pin::pin!(interrupted);
            let mut work = std::pin::pin!(self.session.perform(line));
            loop {
                tokio::select! {
                    biased;
                    Some(told) = self.told.recv() => {
                        show(&session::shown(&told), None, self.is_terminal)?;
                    }
                    how = &mut interrupted => {
                        self.is_over = how == How::Terminate;
                        // The terminal has shown the key.
                        output::print("\n")?;
                        break Err("interrupted".into());
                    }
                    done = &mut work => break done,
                }
            }
        };
        self.tell_all()?;
        Ok(done)
    }

    /// Tells what has come by now.
    fn tell_all(&mut self) -> Result<(), OutputError> {
        while let Ok(told) = self.told.try_recv() {
            self.tell(&told)?;
        }
        Ok(())
    }

    fn tell(&self, told: &Told) -> Result<(), OutputError> {
        self.show(&session::shown(told), None)?;
        match self.watch.lost() {
            0 => {}
            lost => output::complain(format_args!("{lost} more came faster than can be shown")),
        }
        Ok(())
    }

    fn show(&self, shown: &Shown, line: Option<u64>) -> Result<(), OutputError> {
        show(shown, line, self.is_terminal)
    }
}

/// Shows what has come of a line, or by itself.
fn show(shown: &Shown, line: Option<u64>, is_terminal: bool) -> Result<(), OutputError> {
    if output::is_json() {
        return match &*shown.json {
            "" => Ok(()),
            json => output::line(numbered(line, json)),
        };
    }
    match (&*shown.text, is_terminal) {
        ("", _) => Ok(()),
        // Other nodes have no business to move the cursor.
        (text, true) => text
            .lines()
            .try_for_each(|line| output::line(printable(line))),
        (text, false) => output::line(text),
    }
}

/// An object, with the number of its line.
fn numbered(line: Option<u64>, json: &str) -> String {
    match line {
        None => json.to_owned(),
        Some(line) => match json {
            "{}" => format!("{{\"line\":{line}}}"),
            json => format!("{{\"line\":{line},{}", &json[1..]),
        },
    }
}

fn complain(failure: &Failure, line: u64) -> Result<(), OutputError> {
    match output::is_json() {
        true => {
            let json = serde_json::json!({ "error": failure.to_string() });
            output::line(numbered(Some(line), &json.to_string()))
        }
        false => {
            output::complain(format_args!("line {line}: {failure}"));
            Ok(())
        }
    }
}

/// Waits until a seed is connected and has told what it knows of the network, or until it is known
/// that none can be reached. Gives the seed.
async fn settle(node: &Node) -> Option<NodeId> {
    const LOOK_AGAIN: Duration = Duration::from_millis(100);
    let mut events = node.mon_nodes();
    let connected = async {
        loop {
            let seeds = node.seeds();
            let up = seeds.iter().filter_map(|seed| seed.node.as_ref());
            if let Some(seed) = up.into_iter().find(|id| node.node_is_up(id)) {
                return Some(seed.clone());
            }
            if seeds.iter().all(|seed| seed.last_failure.is_some()) {
                return None;
            }
            tokio::select! {
                _ = events.next() => {}
                () = sleep(LOOK_AGAIN) => {}
            }
        }
    };
    let seed = timeout(LIMIT, connected).await.ok()??;
    // What either side asked the other for at the beginning is answered in front of these.
    for _ in 0..2 {
        node.round_trip(&seed, LIMIT).await.ok()?;
    }
    Some(seed)
}

async fn say_when_settled(node: Node) {
    match settle(&node).await {
        Some(seed) => output::aside(format_args!(
            "{} is connected",
            as_perl_shows(seed.as_str())
        )),
        None => output::complain(unreached(&node, "no seed is connected by now")),
    }
}
