//! The screen: the nodes above, and below them links, groups, deaths or losses.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table as Widget};
use unicode_width::UnicodeWidthStr as _;

use super::state::{Panel, State};
use super::tables::{self, Sorting, Table};
use crate::view::View;

const KEYS: &str = "q end  s S sort  r reverse  Tab next  ↑ ↓ scroll  Enter where  p pause";

/// A column that is wider than that makes room for others.
const WIDEST: usize = 40;

/// Draws it; of what is scrolled over at least the last row is left.
pub(super) fn draw(frame: &mut Frame<'_>, view: &View, trouble: &str, state: &mut State) {
    let nodes = tables::nodes(view, state.sorting);
    let height = u16::try_from(nodes.rows.len().max(1) + 1).unwrap_or(u16::MAX);
    // The nodes have what they need, up to half of it.
    let room = frame.area().height.saturating_sub(6);
    let upper = height.min(room.div_ceil(2)).max(2);
    let [head, above, tabs, below, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(upper),
        Constraint::Length(2),
        Constraint::Min(2),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(header(view, trouble, state), head);
    table(
        frame,
        above,
        &nodes,
        Some(state.sorting),
        &mut state.above[0],
    );
    frame.render_widget(tab_line(state), tabs);
    let lower = match state.panel {
        Panel::Links => tables::links(view),
        Panel::Groups => tables::groups(view),
        Panel::Deaths => tables::deaths(view),
        Panel::Losses => tables::losses(view),
    };
    table(frame, below, &lower, None, &mut state.above[1]);
    let keys = Style::new().add_modifier(Modifier::DIM);
    frame.render_widget(Line::styled(KEYS, keys), foot);
}

fn header(view: &View, trouble: &str, state: &State) -> Paragraph<'static> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut line = vec![Span::styled("aemp top", bold)];
    // Without the day.
    let time = view.time.split('T').next_back().unwrap_or_default();
    let time = time.split('.').next().unwrap_or_default();
    line.push(Span::raw(format!("  {time}  {}", tables::summary(view))));
    if state.is_paused {
        line.push(Span::styled("  paused", bold));
    }
    let style = bold.fg(Color::Red);
    let trouble = Line::styled(aemp::log::printable(trouble), style);
    Paragraph::new(vec![Line::from(line), trouble])
}

/// The titles of the panels, with their numbers, and the one that is shown.
fn tab_line(state: &State) -> Paragraph<'static> {
    let mut line = Vec::new();
    for (at, panel) in Panel::ALL.into_iter().enumerate() {
        let style = match panel == state.panel {
            true => Style::new().add_modifier(Modifier::REVERSED),
            false => Style::new(),
        };
        line.push(Span::styled(
            format!(" {} {} ", at + 1, panel.title()),
            style,
        ));
        line.push(Span::raw(" "));
    }
    Paragraph::new(vec![Line::default(), Line::from(line)])
}

/// Draws a table, as far as there is room.
fn table(
    frame: &mut Frame<'_>,
    area: Rect,
    table: &Table,
    sorting: Option<Sorting>,
    above: &mut usize,
) {
    if table.rows.is_empty() {
        let dim = Style::new().add_modifier(Modifier::DIM);
        frame.render_widget(Line::styled(table.none, dim), area);
        return;
    }
    *above = (*above).min(table.rows.len() - 1);
    let last = table.columns.len() - 1;
    let widths: Vec<Constraint> = (0..=last)
        .map(|at| {
            let cells = table.rows.iter().map(|row| row.cells[at].width());
            let title = table.columns[at].title.width() + 1;
            let width = cells.fold(title, usize::max);
            let width = u16::try_from(width.min(WIDEST)).unwrap_or(u16::MAX);
            match at == last {
                // What is last may be as long as there is room.
                true if !table.columns[at].is_figure => Constraint::Fill(1),
                _ => Constraint::Length(width),
            }
        })
        .collect();
    let align = |at: usize, text: String| {
        let line = Line::from(text);
        match table.columns[at].is_figure {
            true => Cell::from(line.right_aligned()),
            false => Cell::from(line),
        }
    };
    let titles = table.columns.iter().enumerate().map(|(at, column)| {
        let mark = match sorting.filter(|sorting| sorting.by == at) {
            Some(sorting) if sorting.is_reversed => "▲",
            Some(_) => "▼",
            None => "",
        };
        align(at, format!("{}{mark}", column.title))
    });
    let titles = Row::new(titles).style(Style::new().fg(Color::Cyan));
    let rows = table.rows.iter().skip(*above).map(|row| {
        let cells = row.cells.iter().enumerate();
        let line = Row::new(cells.map(|(at, text)| align(at, text.clone())));
        match row.is_bad {
            true => line.style(Style::new().fg(Color::Red)),
            false => line,
        }
    });
    let widget = Widget::new(rows, widths).header(titles).column_spacing(2);
    frame.render_widget(widget, area);
}

#[cfg(test)]
pub(super) mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::view::{GroupView, LinkView, NodeView, Rate};

    fn rate(messages: f64) -> Option<Rate> {
        Some(Rate {
            messages,
            octets: messages * 100.0,
        })
    }

    /// A node that says everything, one of Perl's, and one that is silent.
    pub(in super::super) fn example() -> View {
        let names = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        View {
            node: "anon".into(),
            time: "now".into(),
            total: Rate {
                messages: 120.0,
                octets: 12_000.0,
            },
            nodes: vec![
                NodeView {
                    node: "hub".into(),
                    provider: Some("aemp-rs-0.1.0".into()),
                    roles: vec!["seed", "global"],
                    round_trip_seconds: Some(0.0012),
                    links: 2,
                    ports: Some(12),
                    sends: rate(100.0),
                    receives: rate(20.0),
                    queued: Some(17),
                    unwritten_octets: Some(0),
                    deaths: Some(3),
                    ..NodeView::default()
                },
                NodeView {
                    node: "perl".into(),
                    provider: Some("AE-1.30".into()),
                    links: 1,
                    ports: Some(120),
                    ..NodeView::default()
                },
                NodeView {
                    node: "quiet".into(),
                    silent: Some("no answer".into()),
                    links: 1,
                    ..NodeView::default()
                },
            ],
            links: vec![
                LinkView {
                    nodes: names("hub", "quiet"),
                    about: "generation 2, cbor".into(),
                    ..LinkView::default()
                },
                LinkView {
                    nodes: names("hub", "perl"),
                    about: "generation 1b, json".into(),
                    there: rate(100.0),
                    back: rate(20.0),
                    unwritten_octets: [Some(5), None],
                    reconnects: Some(1),
                },
            ],
            missing: vec![names("perl", "quiet")],
            groups: vec![GroupView {
                group: "workers".into(),
                count: 2,
                members: vec!["hub#1".into(), "perl#2".into()],
            }],
            deaths: vec![crate::view::DeathView {
                seconds_ago: 75.0,
                port: "hub#9".into(),
                reason: "die oops".into(),
            }],
            ..View::default()
        }
    }

    fn drawn(view: &View, state: &mut State) -> Vec<String> {
        drawn_on(view, state, 120, 24)
    }

    fn drawn_on(view: &View, state: &mut State, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let draw = |frame: &mut Frame<'_>| super::draw(frame, view, "", state);
        terminal.draw(draw).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |y| {
            (0..width)
                .map(|x| buffer[(x, y)].symbol())
                .collect::<String>()
        };
        (0..height).map(|y| row(y).trim_end().to_owned()).collect()
    }

    /// The names in the table of the nodes.
    fn names(lines: &[String]) -> Vec<&str> {
        let rows = lines[3..6].iter();
        rows.filter_map(|line| line.split(' ').next()).collect()
    }

    #[test]
    fn everything_has_its_place() {
        let mut state = State::new();
        let lines = drawn(&example(), &mut state);
        let all = lines.join("\n");
        assert!(lines[0].starts_with("aemp top  now  3 nodes, 2 links, 1 missing, 120 messages/s"));
        assert!(lines[2].starts_with("NODE▼ "), "{all}");
        assert_eq!(names(&lines), ["hub", "perl", "quiet"]);
        assert!(lines[3].contains(" 1.2 ms "), "{all}");
        assert!(lines[7].contains(" 1 links   2 groups "), "{all}");
        // The busiest is the first.
        assert!(lines[9].starts_with("hub – perl "), "{all}");
        assert!(lines[9].ends_with("generation 1b, json"), "{all}");
        assert!(
            lines[11].ends_with("missing, though both know of each other"),
            "{all}"
        );
        assert!(lines[23].starts_with("q end"), "{all}");
        state.panel = Panel::Deaths;
        let lines = drawn(&example(), &mut state);
        assert!(lines[9].contains("1 min  hub#9 "), "{lines:#?}");
        state.panel = Panel::Groups;
        let lines = drawn(&example(), &mut state);
        assert!(lines[9].starts_with("workers "), "{lines:#?}");
        state.panel = Panel::Losses;
        let lines = drawn(&example(), &mut state);
        assert_eq!(lines[8], "no link was lost");
    }

    #[test]
    fn nodes_are_sorted_by_any_column_and_scrolled() {
        let mut state = State::new();
        let by = |title: &str| {
            let view = example();
            let table = tables::nodes(&view, Sorting::FIRST);
            table.columns.iter().position(|c| c.title == title).unwrap()
        };
        for (title, is_reversed, wanted) in [
            ("NODE", true, ["quiet", "perl", "hub"]),
            ("PORTS", false, ["perl", "hub", "quiet"]),
            ("PORTS", true, ["quiet", "hub", "perl"]),
            ("QUEUED", false, ["hub", "perl", "quiet"]),
        ] {
            let by = by(title);
            state.sorting = Sorting { by, is_reversed };
            let lines = drawn(&example(), &mut state);
            assert_eq!(names(&lines), wanted, "{title}");
        }
        state.sorting = Sorting::FIRST;
        state.above[0] = 1;
        assert_eq!(
            names(&drawn(&example(), &mut state))[..2],
            ["perl", "quiet"]
        );
        // The last row stays.
        state.above[0] = 1000;
        assert_eq!(names(&drawn(&example(), &mut state))[0], "quiet");
        assert_eq!(state.above[0], 2);
    }

    #[test]
    fn any_size_will_do() {
        for (width, height) in [(1, 1), (10, 3), (40, 8), (300, 100)] {
            drawn_on(&example(), &mut State::new(), width, height);
            drawn_on(&View::default(), &mut State::new(), width, height);
        }
    }
}
