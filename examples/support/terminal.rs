//! Lines in, lines out. At a terminal the line being typed stays whole while others arrive.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use rustyline_async::{Readline, ReadlineError, ReadlineEvent, SharedWriter};
use tokio::sync::mpsc;

use crate::text;

/// Where lines come from.
pub enum Input {
    /// A person types them.
    Terminal(Box<Readline>),
    /// A pipe or a file.
    Plain(mpsc::Receiver<Vec<u8>>),
}

/// Where lines go to.
#[derive(Clone)]
pub enum Output {
    /// Above the line that is being typed.
    Terminal(Arc<Mutex<SharedWriter>>),
    /// Standard output, as they are.
    Plain,
}

/// Opens standard input and output.
pub fn open() -> Result<(Input, Output), ReadlineError> {
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        let (mut readline, writer) = Readline::new("> ".to_owned())?;
        // What one says comes back from the server, with the others' lines in everyone's order.
        readline.should_print_line_on(false, false);
        let output = Output::Terminal(Arc::new(Mutex::new(writer)));
        return Ok((Input::Terminal(Box::new(readline)), output));
    }
    let (line, lines) = mpsc::channel(16);
    // A thread of its own, which may be left behind in the middle of a read.
    std::thread::spawn(move || {
        for read in io::stdin().lock().split(b'\n').map_while(Result::ok) {
            if line.blocking_send(read).is_err() {
                break;
            }
        }
    });
    Ok((Input::Plain(lines), Output::Plain))
}

impl Input {
    /// The next line; none at the end of input. Dropping the future loses nothing.
    pub async fn line(&mut self) -> Result<Option<Vec<u8>>, ReadlineError> {
        match self {
            Input::Plain(lines) => Ok(lines.recv().await),
            Input::Terminal(readline) => match readline.readline().await? {
                ReadlineEvent::Line(line) => {
                    readline.add_history_entry(line.clone());
                    Ok(Some(line.into_bytes()))
                }
                ReadlineEvent::Eof | ReadlineEvent::Interrupted => Ok(None),
            },
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        if let Input::Terminal(readline) = self {
            let _ = readline.flush();
        }
    }
}

impl Output {
    /// Shows a line. Output that nobody reads any more is no reason to stop.
    pub fn line(&self, line: &str) {
        let mut octets = text::octets(line);
        match self {
            Output::Plain => {
                octets.push(b'\n');
                let _ = io::stdout().write_all(&octets);
            }
            Output::Terminal(writer) => {
                // Whoever chats has no business to move the cursor.
                let text = String::from_utf8_lossy(&octets);
                let mut text = text.replace(char::is_control, "\u{fffd}");
                text.push('\n');
                let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = writer.write_all(text.as_bytes());
            }
        }
    }
}
