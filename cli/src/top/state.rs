//! What is looked at, and what keys do to that.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::tables::Sorting;

/// What is in the lower half of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Panel {
    Links,
    Groups,
    Deaths,
    Losses,
}

impl Panel {
    pub(super) const ALL: [Panel; 4] = [Panel::Links, Panel::Groups, Panel::Deaths, Panel::Losses];

    pub(super) fn title(self) -> &'static str {
        match self {
            Panel::Links => "links",
            Panel::Groups => "groups",
            Panel::Deaths => "ports that died",
            Panel::Losses => "links that were lost",
        }
    }
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Go,
    End,
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) sorting: Sorting,
    pub(super) panel: Panel,
    /// So many rows are scrolled over: of the nodes, and of the panel.
    pub(super) above: [usize; 2],
    /// Whether the panel is scrolled, and not the nodes.
    pub(super) is_below: bool,
    pub(super) is_paused: bool,
}

impl State {
    pub(super) fn new() -> Self {
        State {
            sorting: Sorting::FIRST,
            panel: Panel::Links,
            above: [0, 0],
            is_below: false,
            is_paused: false,
        }
    }

    /// A key was pressed.
    pub(super) fn key(&mut self, key: KeyEvent) -> Next {
        let with_control = key.modifiers.contains(KeyModifiers::CONTROL);
        let columns = Sorting::COLUMNS;
        match key.code {
            KeyCode::Char('c') if with_control => return Next::End,
            KeyCode::Char('q') | KeyCode::Esc => return Next::End,
            KeyCode::Char('s') => self.sorting.by = (self.sorting.by + 1) % columns,
            KeyCode::Char('S') => self.sorting.by = (self.sorting.by + columns - 1) % columns,
            KeyCode::Char('r') => self.sorting.is_reversed = !self.sorting.is_reversed,
            KeyCode::Char('p') => self.is_paused = !self.is_paused,
            KeyCode::Char(digit @ '1'..='4') => {
                let at = usize::from(digit as u8 - b'1');
                self.show(Panel::ALL[at]);
            }
            KeyCode::Tab | KeyCode::Right => self.turn(1),
            KeyCode::BackTab | KeyCode::Left => self.turn(Panel::ALL.len() - 1),
            KeyCode::Enter => self.is_below = !self.is_below,
            KeyCode::Up => self.scroll(|above| above.saturating_sub(1)),
            KeyCode::Down => self.scroll(|above| above + 1),
            KeyCode::PageUp => self.scroll(|above| above.saturating_sub(10)),
            KeyCode::PageDown => self.scroll(|above| above + 10),
            KeyCode::Home => self.scroll(|_| 0),
            _ => {}
        }
        Next::Go
    }

    fn turn(&mut self, by: usize) {
        let at = Panel::ALL.iter().position(|panel| *panel == self.panel);
        let at = (at.unwrap_or(0) + by) % Panel::ALL.len();
        self.show(Panel::ALL[at]);
    }

    fn show(&mut self, panel: Panel) {
        self.panel = panel;
        self.above[1] = 0;
    }

    fn scroll(&mut self, change: impl FnOnce(usize) -> usize) {
        let above = &mut self.above[usize::from(self.is_below)];
        *above = change(*above);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pressed(state: &mut State, code: KeyCode) -> Next {
        state.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn keys_do_what_the_help_says() {
        let mut state = State::new();
        pressed(&mut state, KeyCode::Char('S'));
        assert_eq!(state.sorting.by, Sorting::COLUMNS - 1);
        pressed(&mut state, KeyCode::Char('s'));
        pressed(&mut state, KeyCode::Char('s'));
        pressed(&mut state, KeyCode::Char('r'));
        assert_eq!((state.sorting.by, state.sorting.is_reversed), (1, true));
        pressed(&mut state, KeyCode::BackTab);
        assert_eq!(state.panel, Panel::Losses);
        pressed(&mut state, KeyCode::Tab);
        assert_eq!(state.panel, Panel::Links);
        pressed(&mut state, KeyCode::Char('3'));
        assert_eq!(state.panel, Panel::Deaths);
        pressed(&mut state, KeyCode::PageDown);
        pressed(&mut state, KeyCode::Enter);
        pressed(&mut state, KeyCode::Down);
        assert_eq!(state.above, [10, 1]);
        pressed(&mut state, KeyCode::Up);
        pressed(&mut state, KeyCode::Up);
        assert_eq!(state.above, [10, 0]);
        pressed(&mut state, KeyCode::Char('p'));
        assert!(state.is_paused);
        assert_eq!(pressed(&mut state, KeyCode::Char('c')), Next::Go);
        assert_eq!(pressed(&mut state, KeyCode::Char('q')), Next::End);
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(state.key(control_c), Next::End);
    }
}
