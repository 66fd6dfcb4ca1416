//! The terminal: what is seen is drawn anew when there is something new, or a key was pressed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aemp::Node;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::screen;
use super::state::{Next, State};
use crate::Failure;
use crate::ask::unreached;
use crate::system::Signals;
use crate::view::{Place, View, Watch};

/// Shows it until somebody ends it. The terminal is as it was then, also after a panic.
pub(super) async fn run(node: &Node, interval: Duration) -> Result<(), Failure> {
    let mut terminal = ratatui::try_init()?;
    let result = show(&mut terminal, node, interval).await;
    ratatui::restore();
    result
}

async fn show(
    terminal: &mut ratatui::DefaultTerminal,
    node: &Node,
    interval: Duration,
) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let mut keys = Keys::new();
    let mut seen = looks(node, interval);
    let mut state = State::new();
    let mut view = View::default();
    let mut trouble = "looking for nodes ..".to_owned();
    loop {
        terminal.draw(|frame| screen::draw(frame, &view, &trouble, &mut state))?;
        tokio::select! {
            _ = signals.end() => return Ok(()),
            event = keys.events.recv() => match event {
                Some(Event::Key(key)) if key.kind != KeyEventKind::Release => {
                    if state.key(key) == Next::End {
                        return Ok(());
                    }
                }
                // Another size, for example.
                Some(_) => {}
                None => return Err("the terminal can't be read any more".into()),
            },
            changed = seen.changed() => {
                changed?;
                if !state.is_paused {
                    view = seen.borrow_and_update().clone();
                    trouble = match view.nodes.is_empty() {
                        true => unreached(node, "no node is reached").to_string(),
                        false => String::new(),
                    };
                }
            }
        }
    }
}

/// Looks again and again, as long as somebody wants to know.
fn looks(node: &Node, interval: Duration) -> watch::Receiver<View> {
    let (tell, told) = watch::channel(View::default());
    let mut watch = Watch::new(node, Place::Observer);
    tokio::spawn(async move {
        while !tell.is_closed() {
            let look = watch.look().await;
            let nobody = look.view.nodes.is_empty();
            tell.send_replace(look.view);
            // The first node is there soon.
            sleep(if nobody {
                interval.min(QUICK)
            } else {
                interval
            })
            .await;
        }
    });
    told
}

/// From one look to the next while there is nobody to be seen.
const QUICK: Duration = Duration::from_millis(100);

/// What comes from the terminal. Reading it blocks, so a thread does.
struct Keys {
    events: mpsc::Receiver<Event>,
    is_over: Arc<AtomicBool>,
}

impl Keys {
    fn new() -> Self {
        let (tell, events) = mpsc::channel(16);
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                match event::poll(Duration::from_millis(50)) {
                    Ok(false) => {}
                    Ok(true) => match event::read().map(|event| tell.blocking_send(event)) {
                        Ok(Ok(())) => {}
                        _ => return,
                    },
                    Err(_) => return,
                }
            }
        });
        Keys { events, is_over }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}
