//! Lines that are typed at a terminal: edited, completed and remembered.
//!
//! While one is typed, all that is shown goes above it. For that the editor is interrupted, its
//! line taken off the screen, and another one begun below, with what was typed by then. (It has a
//! printer of its own, which takes every text for one row of the screen.) The single steps that
//! could be undone are forgotten by that, as by every interruption of the editor: Undo takes back
//! what was typed by then at once.

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aemp::{NodeId, PortId};
use anstream::{AutoStream, ColorChoice};
use crossterm::cursor::MoveUp;
use crossterm::terminal::{self, Clear, ClearType};
use crossterm::{QueueableCommand as _, style::Print};
use parking_lot::Mutex;
use reedline::{
    ColumnarMenu, EditCommand, Emacs, FileBackedHistory, KeyCode, KeyModifiers, MenuBuilder as _,
    Prompt, PromptEditMode, PromptHistorySearch, Reedline, ReedlineEvent, ReedlineMenu, Signal,
    Span, Suggestion, default_emacs_keybindings,
};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use unicode_width::UnicodeWidthStr as _;

use super::complete::{self, Offers};
use super::history;
use super::known::Known;
use crate::{Failure, output};

/// How many lines are remembered.
const REMEMBERED: usize = 1000;

/// How many texts may wait to be shown while a line is typed, and how long they wait at the most.
const MOST_WAITING: usize = 4096;
const LOOK: Duration = Duration::from_millis(40);

/// What the menu of completions is called.
const MENU: &str = "completions";

/// What was typed.
#[derive(Debug)]
pub(super) enum Typed {
    Line(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D.
    End,
    Failed(String),
}

/// The editor. It runs on a thread of its own.
pub(super) struct Editor {
    prompts: std::sync::mpsc::Sender<String>,
    typed: mpsc::Receiver<Typed>,
}

impl Editor {
    /// Starts it. From now on all output is shown by it, until it is dropped.
    pub(super) fn start(known: &Arc<Known>) -> Result<Self, Failure> {
        let completer = Completer {
            known: known.clone(),
            runtime: Handle::current(),
        };
        let history = match history::file() {
            Ok(file) => file,
            Err(error) => {
                output::complain(format_args!("lines are not remembered: {error}"));
                None
            }
        };
        let screen = Arc::new(Screen::default());
        let (prompts, asked) = std::sync::mpsc::channel();
        let (to, typed) = mpsc::channel(1);
        output::divert(Some(screen.clone()));
        let reader = Reader {
            completer,
            history,
            screen,
        };
        std::thread::Builder::new()
            .name("editor".to_owned())
            .spawn(move || reader.run(&asked, &to))?;
        Ok(Editor { prompts, typed })
    }

    /// Asks for a line.
    pub(super) fn ask(&self, prompt: String) -> Result<(), Failure> {
        let sent = self.prompts.send(prompt);
        sent.map_err(|_| "the editor has ended".into())
    }

    /// What was typed, once it was asked for. Nothing is lost if this is not waited for.
    pub(super) async fn typed(&mut self) -> Typed {
        let typed = self.typed.recv().await;
        typed.unwrap_or_else(|| Typed::Failed("the editor has ended".to_owned()))
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        output::divert(None);
        // It may be in the middle of a line, and what is typed afterwards is to be seen.
        let _ = terminal::disable_raw_mode();
    }
}

/// The thread that reads.
struct Reader {
    completer: Completer,
    history: Option<PathBuf>,
    screen: Arc<Screen>,
}

impl Reader {
    /// Reads a line for each prompt.
    fn run(&self, asked: &std::sync::mpsc::Receiver<String>, to: &mpsc::Sender<Typed>) {
        let mut editor = self.editor();
        while let Ok(prompt) = asked.recv() {
            let prompt = Line(prompt);
            let read = loop {
                self.screen.give_up();
                match editor.read_line(&prompt) {
                    Ok(Signal::ExternalBreak(typed)) => {
                        let at = editor.current_insertion_point();
                        if let Err(error) = self.screen.show_above(&prompt.0, &typed[..at]) {
                            break Err(error);
                        }
                        // This one would go on where it was, on top of what was shown.
                        editor = self.editor();
                        let go_on = EditCommand::MoveToPosition {
                            position: at,
                            select: false,
                        };
                        editor.run_edit_commands(&[EditCommand::InsertString(typed), go_on]);
                    }
                    read => break read,
                }
            };
            self.screen.take_back();
            let typed = match read {
                Ok(Signal::Success(line)) => {
                    // Whoever starts another shell finds it. If it can't be written, it is no
                    // reason to end.
                    let _ = editor.sync_history();
                    Typed::Line(line)
                }
                Ok(Signal::CtrlD) => Typed::End,
                Ok(_) => Typed::Interrupted,
                Err(error) => Typed::Failed(format!("the terminal can't be used: {error}")),
            };
            if to.blocking_send(typed).is_err() {
                return;
            }
        }
    }

    fn editor(&self) -> Reedline {
        let mut keys = default_emacs_keybindings();
        let tab = ReedlineEvent::UntilFound(vec![
            ReedlineEvent::Menu(MENU.to_owned()),
            ReedlineEvent::MenuNext,
        ]);
        keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, tab);
        let back = ReedlineEvent::MenuPrevious;
        keys.add_binding(KeyModifiers::SHIFT, KeyCode::BackTab, back);
        let menu = ColumnarMenu::default().with_name(MENU).with_marker("");
        let editor = Reedline::create()
            .with_completer(Box::new(self.completer.clone()))
            .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
            .with_quick_completions(true)
            .with_partial_completions(true)
            .with_edit_mode(Box::new(Emacs::new(keys)))
            .with_ansi_colors(self.screen.has_colours)
            .with_history_exclusion_prefix(Some(" ".to_owned()))
            .with_break_signal(self.screen.interrupt.clone())
            .with_poll_interval(LOOK);
        let file = self.history.clone();
        let history = file.map(|file| FileBackedHistory::with_file(REMEMBERED, file));
        match history {
            Some(Ok(history)) => editor.with_history(Box::new(history)),
            Some(Err(_)) | None => editor,
        }
    }
}

/// The terminal, which is the editor's while a line is typed.
struct Screen {
    state: Mutex<State>,
    /// Interrupts the editor.
    interrupt: Arc<AtomicBool>,
    has_colours: bool,
}

#[derive(Default)]
struct State {
    /// A line is being typed.
    is_typing: bool,
    /// What is to be shown, each with the ends of its lines.
    waiting: Vec<String>,
    /// How many texts there was no room for.
    lost: u64,
}

impl Default for Screen {
    fn default() -> Self {
        Screen {
            state: Mutex::default(),
            interrupt: Arc::default(),
            has_colours: AutoStream::choice(&io::stdout()) != ColorChoice::Never,
        }
    }
}

impl Screen {
    /// From now on it is the editor's.
    fn give_up(&self) {
        self.state.lock().is_typing = true;
    }

    /// It is ours again; what was not shown yet is shown.
    fn take_back(&self) {
        let mut state = self.state.lock();
        state.is_typing = false;
        self.interrupt.store(false, Ordering::Relaxed);
        // If nobody can be shown anything, the next prompt fails.
        let _ = write(&state.take());
    }

    /// Shows what waits in the place of the line that is being typed, with the cursor behind this
    /// part of it. It is taken off the screen.
    fn show_above(&self, prompt: &str, typed: &str) -> io::Result<()> {
        // What is typed meanwhile is the editor's.
        terminal::enable_raw_mode()?;
        let (columns, _) = terminal::size()?;
        let texts = self.state.lock().take();
        let mut out = io::stdout().lock();
        match rows_above(prompt, typed, columns.max(1).into()) {
            0 => {}
            rows => drop(out.queue(MoveUp(rows))?),
        }
        out.queue(Print("\r"))?;
        out.queue(Clear(ClearType::FromCursorDown))?;
        out.queue(Print(texts.replace('\n', "\r\n")))?;
        out.flush()
    }
}

/// How many rows of the screen are above that of the cursor, which stands behind these.
fn rows_above(prompt: &str, typed: &str, columns: usize) -> u16 {
    let lines = typed.split('\n').enumerate();
    let rows = lines.map(|(n, line)| match n {
        0 => (prompt.width() + line.width()) / columns,
        _ => line.width() / columns + 1,
    });
    u16::try_from(rows.sum::<usize>()).unwrap_or(u16::MAX)
}

impl State {
    fn take(&mut self) -> String {
        let mut texts = std::mem::take(&mut self.waiting).concat();
        if let lost @ 1.. = std::mem::take(&mut self.lost) {
            texts.push_str(&format!("{lost} texts came faster than can be shown\n"));
        }
        texts
    }
}

fn write(lines: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(lines.as_bytes())?;
    out.flush()
}

impl output::Screen for Screen {
    fn show(&self, lines: &str) -> io::Result<()> {
        let lines = match self.has_colours {
            true => Cow::Borrowed(lines),
            false => Cow::Owned(anstream::adapter::strip_str(lines).to_string()),
        };
        let mut state = self.state.lock();
        if !state.is_typing {
            return write(&lines);
        }
        match state.waiting.len() {
            0..MOST_WAITING => state.waiting.push(lines.into_owned()),
            _ => state.lost += 1,
        }
        self.interrupt.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// A prompt.
struct Line(String);

impl Prompt for Line {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0)
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        Cow::Owned(format!("(search: {}) ", search.term))
    }
}

/// Answers Tab.
#[derive(Clone)]
struct Completer {
    known: Arc<Known>,
    runtime: Handle,
}

impl reedline::Completer for Completer {
    fn complete(&mut self, line: &str, at: usize) -> Vec<Suggestion> {
        let (begin, found) = complete::complete(&line[..at], self);
        let suggestion = |value| Suggestion {
            value,
            span: Span::new(begin, at),
            ..Suggestion::default()
        };
        found.into_iter().map(suggestion).collect()
    }
}

impl Offers for Completer {
    fn current(&self) -> NodeId {
        self.known.current()
    }

    fn nodes(&self) -> Vec<NodeId> {
        self.known.nodes().into_iter().collect()
    }

    fn ports(&self) -> Vec<PortId> {
        self.known.ports().into_iter().collect()
    }

    fn monitored(&self) -> Vec<PortId> {
        self.known.monitored()
    }

    fn groups(&self) -> Vec<String> {
        self.known.groups()
    }

    fn profiles(&self) -> Vec<String> {
        self.known.profiles()
    }

    fn functions(&self, node: &NodeId, begin: &str) -> Vec<String> {
        self.known.functions_soon(&self.runtime, node, begin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_taken_off_the_screen() {
        for (prompt, typed, rows) in [
            ("a> ", "", 0),
            ("a> ", "123456", 0),
            ("a> ", "1234567", 1),
            ("a> ", "123456789012345678", 2),
            ("a> ", "\u{4e2d}\u{4e2d}\u{4e2d}\u{4e2d}", 1),
            ("a> ", "1\n2", 1),
            ("a> ", "1\n12345678901", 2),
        ] {
            assert_eq!(rows_above(prompt, typed, 10), rows, "{typed}");
        }
    }

    #[test]
    fn what_waits_is_bounded() {
        use output::Screen as _;
        let screen = Screen::default();
        screen.give_up();
        for _ in 0..MOST_WAITING + 3 {
            screen.show("x\n").unwrap();
        }
        assert!(screen.interrupt.load(Ordering::Relaxed));
        let texts = screen.state.lock().take();
        assert!(texts.ends_with("x\n3 texts came faster than can be shown\n"));
        assert_eq!(screen.state.lock().take(), "");
    }
}
