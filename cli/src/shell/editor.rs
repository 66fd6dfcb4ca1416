//! Lines that are typed at a terminal: edited, completed and remembered. While one is typed, all
//! that is shown goes above it.

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aemp::{NodeId, PortId};
use anstream::{AutoStream, ColorChoice};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use parking_lot::Mutex;
use reedline::{
    ColumnarMenu, Emacs, ExternalPrinter, FileBackedHistory, KeyCode, KeyModifiers, MenuBuilder as _,
    Prompt, PromptEditMode, PromptHistorySearch, Reedline, ReedlineEvent, ReedlineMenu, Signal, Span,
    Suggestion, default_emacs_keybindings,
};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::complete::{self, Offers};
use super::history;
use super::known::Known;
use crate::{Failure, output};

/// How many lines are remembered.
const REMEMBERED: usize = 1000;

/// How many texts may wait to be shown while a line is typed. The editor looks for them every now
/// and then.
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
    /// How the terminal was before.
    before: Option<Termios>,
}

impl Editor {
    /// Starts it. From now on all output is shown by it, until it is dropped.
    pub(super) fn start(known: &Arc<Known>) -> Result<Self, Failure> {
        let before = tcgetattr(io::stdin()).ok();
        let screen = Arc::new(Screen::new());
        let completer = Completer {
            known: known.clone(),
            runtime: Handle::current(),
        };
        let editor = reedline(completer, screen.printer.clone());
        let (prompts, asked) = std::sync::mpsc::channel();
        let (to, typed) = mpsc::channel(1);
        output::divert(Some(screen.clone()));
        std::thread::Builder::new()
            .name("editor".to_owned())
            .spawn(move || run(editor, &screen, &asked, &to))?;
        Ok(Editor {
            prompts,
            typed,
            before,
        })
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
        // It may be in the middle of a line, and what was typed is to be seen again afterwards.
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, before);
        }
    }
}

fn reedline(completer: Completer, printer: ExternalPrinter<String>) -> Reedline {
    let mut keys = default_emacs_keybindings();
    let tab = ReedlineEvent::UntilFound(vec![
        ReedlineEvent::Menu(MENU.to_owned()),
        ReedlineEvent::MenuNext,
    ]);
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, tab);
    keys.add_binding(KeyModifiers::SHIFT, KeyCode::BackTab, ReedlineEvent::MenuPrevious);
    let menu = ColumnarMenu::default().with_name(MENU);
    let editor = Reedline::create()
        .with_completer(Box::new(completer))
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
        .with_quick_completions(true)
        .with_partial_completions(true)
        .with_edit_mode(Box::new(Emacs::new(keys)))
        .with_ansi_colors(has_colours())
        .with_history_exclusion_prefix(Some(" ".to_owned()))
        .with_external_printer(printer)
        .with_poll_interval(LOOK);
    match remembered() {
        Ok(Some(history)) => editor.with_history(Box::new(history)),
        Ok(None) => editor,
        Err(error) => {
            output::complain(format_args!("lines are not remembered: {error}"));
            editor
        }
    }
}

fn remembered() -> Result<Option<FileBackedHistory>, Failure> {
    let file = history::file()?;
    let open = |file| FileBackedHistory::with_file(REMEMBERED, file);
    Ok(file.map(open).transpose()?)
}

/// Reads a line for each prompt.
fn run(
    mut editor: Reedline,
    screen: &Screen,
    asked: &std::sync::mpsc::Receiver<String>,
    to: &mpsc::Sender<Typed>,
) {
    while let Ok(prompt) = asked.recv() {
        screen.give_up();
        let read = editor.read_line(&Line(prompt));
        screen.take_back();
        let typed = match read {
            Ok(Signal::Success(line)) => {
                // Whoever starts another shell finds it. If it can't be written, it is no reason to
                // end.
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

fn has_colours() -> bool {
    AutoStream::choice(&io::stdout()) != ColorChoice::Never
}

/// The terminal, which is the editor's while a line is typed.
struct Screen {
    printer: ExternalPrinter<String>,
    /// A line is being typed.
    is_typing: Mutex<bool>,
    lost: AtomicU64,
    has_colours: bool,
}

impl Screen {
    fn new() -> Self {
        Screen {
            printer: ExternalPrinter::new(MOST_WAITING),
            is_typing: Mutex::new(false),
            lost: AtomicU64::new(0),
            has_colours: has_colours(),
        }
    }

    /// From now on it is the editor's.
    fn give_up(&self) {
        *self.is_typing.lock() = true;
    }

    /// It is ours again; what the editor has not shown yet is shown.
    fn take_back(&self) {
        let mut is_typing = self.is_typing.lock();
        *is_typing = false;
        while let Some(lines) = self.printer.get_line() {
            let _ = write(&lines);
        }
        match self.lost.swap(0, Ordering::Relaxed) {
            0 => {}
            lost => drop(write(&format!("{lost} texts came faster than can be shown\n"))),
        }
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
        let is_typing = self.is_typing.lock();
        if !*is_typing {
            return write(&lines);
        }
        if self.printer.sender().try_send(lines.into_owned()).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
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
