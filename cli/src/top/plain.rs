//! What is seen as text, for whoever has no terminal.

use unicode_width::UnicodeWidthStr as _;

use super::tables::{self, Sorting, Table};
use crate::view::View;

/// All of it.
pub(super) fn text(view: &View) -> String {
    let mut text = format!("{} {}\n", view.time, tables::summary(view));
    for (title, table) in [
        ("", tables::nodes(view, Sorting::FIRST)),
        ("", tables::links(view)),
        ("", tables::groups(view)),
        ("ports that died:", tables::deaths(view)),
        ("links that were lost:", tables::losses(view)),
    ] {
        if table.rows.is_empty() {
            continue;
        }
        text.push('\n');
        if !title.is_empty() {
            text.push_str(title);
            text.push('\n');
        }
        write(&mut text, &table);
    }
    text
}

fn write(text: &mut String, table: &Table) {
    let titles: Vec<String> = table.columns.iter().map(|c| c.title.to_owned()).collect();
    let lines = || std::iter::once(&titles).chain(table.rows.iter().map(|row| &row.cells));
    let widths: Vec<usize> = (0..titles.len())
        .map(|at| lines().map(|cells| cells[at].width()).max().unwrap_or(0))
        .collect();
    for cells in lines() {
        let mut line = String::new();
        for (at, cell) in cells.iter().enumerate() {
            let room = " ".repeat(widths[at].saturating_sub(cell.width()));
            let (before, after) = match table.columns[at].is_figure {
                true => (&*room, ""),
                false => ("", &*room),
            };
            line.push_str(before);
            line.push_str(cell);
            line.push_str(after);
            line.push_str("  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::super::screen::tests::example;
    use super::*;

    #[test]
    fn figures_are_aligned_at_the_right_and_names_at_the_left() {
        let text = text(&example());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "now 3 nodes, 2 links, 1 missing, 120 messages/s, 12 kB/s"
        );
        let at = |line: &str, word: &str| line.find(word).map(|at| at + word.len());
        let (titles, hub) = (lines[2], lines[3]);
        assert!(
            titles.starts_with("NODE ") && hub.starts_with("hub "),
            "{text}"
        );
        assert_eq!(at(titles, "QUEUED"), at(hub, " 17"), "{text}");
        assert!(text.contains("\nperl   AE-1.30"), "{text}");
        assert!(text.contains("ports that died:\n"), "{text}");
        assert!(!text.contains("links that were lost"), "{text}");
    }

    #[test]
    fn nothing_controls_the_terminal() {
        let mut view = example();
        view.groups[0].group = "\u{202e}evil\u{1b}[31m".to_owned();
        let text = text(&view);
        assert!(!text.contains(['\u{202e}', '\u{1b}']), "{text:?}");
    }
}
