//! Draws what a command shows in a terminal, as SVG, for the documentation: see scripts/pictures.
//!
//! ```text
//! terminal_picture COLUMNS ROWS STEP.. -- COMMAND ARGS.. > picture.svg
//! ```
//!
//! A step is `until:TEXT`, which waits until that is shown, `gone:TEXT`, until it is not,
//! `press:KEYS`, or `end`, which waits until the command has ended. Then the terminal is drawn,
//! down to its last line that is not empty.

#[path = "../tests/support/terminal.rs"]
#[allow(dead_code)]
mod terminal;

use std::fmt::Write as _;
use std::process::{Command, ExitCode};
use std::time::Duration;

use terminal::Terminal;
use vt100::{Cell, Color, Screen};

/// A step may take so long.
const LIMIT: Duration = Duration::from_secs(60);

/// The size of a cell, and what is around all of them.
const WIDTH: f64 = 8.0;
const HEIGHT: f64 = 18.0;
const MARGIN: f64 = 14.0;

const BACK: &str = "#14181c";
const FRONT: &str = "#e4e8ec";
const DIM: &str = "#9aa5b0";

/// The colours that have a number, dark and then light; each is read well on the background.
const COLOURS: [&str; 16] = [
    "#5c6670", "#ff7b72", "#56d364", "#e3b341", "#79b8ff", "#d2a8ff", "#56c8d8", "#e4e8ec",
    "#8a949e", "#ffa198", "#7ee787", "#f2cc60", "#a5d0ff", "#e2c5ff", "#8adbe6", "#ffffff",
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut parts = words.splitn(2, |word| word == "--");
    let (Some([columns, rows, steps @ ..]), Some([program, arguments @ ..])) =
        (parts.next(), parts.next())
    else {
        eprintln!("terminal_picture COLUMNS ROWS STEP.. -- COMMAND ARGS..");
        return ExitCode::from(2);
    };
    let (Ok(columns), Ok(rows)) = (columns.parse(), rows.parse()) else {
        eprintln!("COLUMNS and ROWS are numbers");
        return ExitCode::from(2);
    };
    let mut command = Command::new(program);
    command.args(arguments);
    let terminal = Terminal::start(&command, (columns, rows), LIMIT);
    let mut terminal = terminal.expect("there is no terminal");
    for step in steps {
        match step.split_once(':') {
            Some(("until", text)) => {
                drop(terminal.until_text(text, |shown| shown.contains(text)));
            }
            Some(("gone", text)) => {
                drop(terminal.until_text("anything else", |shown| !shown.contains(text)));
            }
            Some(("press", keys)) => terminal.press(keys),
            None if step == "end" => {
                terminal.ends();
            }
            _ => {
                eprintln!("{step} is no step");
                return ExitCode::from(2);
            }
        }
    }
    print!("{}", terminal.look(draw));
    ExitCode::SUCCESS
}

/// How a run of cells looks.
#[derive(Clone, PartialEq)]
struct Look {
    front: &'static str,
    back: Option<&'static str>,
    is_bold: bool,
}

impl Look {
    fn of(cell: &Cell) -> Self {
        let front = match colour(cell.fgcolor()) {
            None if cell.dim() => DIM,
            None => FRONT,
            Some(colour) => colour,
        };
        let (front, back) = match (cell.inverse(), colour(cell.bgcolor())) {
            (true, back) => (back.unwrap_or(BACK), Some(front)),
            (false, back) => (front, back),
        };
        Look {
            front,
            back,
            is_bold: cell.bold(),
        }
    }
}

fn colour(colour: Color) -> Option<&'static str> {
    match colour {
        Color::Idx(number) => COLOURS.get(usize::from(number)).copied(),
        _ => None,
    }
}

/// The whole picture.
fn draw(screen: &Screen) -> String {
    let (rows, columns) = screen.size();
    let is_used = |row: &u16| {
        let cells = (0..columns).filter_map(|column| screen.cell(*row, column));
        cells
            .into_iter()
            .any(|cell| cell.contents().trim() != "" || cell.inverse())
    };
    let used = (0..rows).rev().find(is_used).map_or(1, |row| row + 1);
    let width = f64::from(columns) * WIDTH + 2.0 * MARGIN;
    let height = f64::from(used) * HEIGHT + 2.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, \
         Consolas, monospace\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACK}\"/>\n"
    );
    for row in 0..used {
        let mut column = 0;
        while column < columns {
            let (text, look, end) = run(screen, row, column, columns);
            write_run(&mut svg, (row, column, end), &text, &look);
            column = end;
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// The cells from this one on that look alike: their text, how, and where it ends.
fn run(screen: &Screen, row: u16, from: u16, columns: u16) -> (String, Look, u16) {
    let blank = Look {
        front: FRONT,
        back: None,
        is_bold: false,
    };
    let look_at = |column| {
        screen
            .cell(row, column)
            .map_or_else(|| blank.clone(), Look::of)
    };
    let look = look_at(from);
    let mut text = String::new();
    let mut end = from;
    while end < columns && look_at(end) == look {
        match screen.cell(row, end) {
            Some(cell) if cell.is_wide_continuation() => {}
            Some(cell) if cell.has_contents() => text.push_str(cell.contents()),
            _ => text.push(' '),
        }
        end += 1;
    }
    (text, look, end)
}

fn write_run(svg: &mut String, (row, from, to): (u16, u16, u16), text: &str, look: &Look) {
    let (x, y) = (
        f64::from(from) * WIDTH + MARGIN,
        f64::from(row) * HEIGHT + MARGIN,
    );
    if let Some(back) = look.back {
        let width = f64::from(to - from) * WIDTH;
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{HEIGHT}\" fill=\"{back}\"/>"
        );
    }
    // Blanks between words are many: what is far apart is written by itself.
    let mut column = from;
    for (at, part) in text.split("  ").enumerate() {
        if at > 0 {
            column += 2;
        }
        let length = u16::try_from(part.chars().count()).unwrap_or(0);
        let word = part.trim();
        if !word.is_empty() {
            let before = part.chars().take_while(|letter| *letter == ' ').count();
            let x = f64::from(column + u16::try_from(before).unwrap_or(0)) * WIDTH + MARGIN;
            let width = f64::from(u16::try_from(word.chars().count()).unwrap_or(0)) * WIDTH;
            let weight = if look.is_bold {
                " font-weight=\"bold\""
            } else {
                ""
            };
            let _ = writeln!(
                svg,
                "<text x=\"{x}\" y=\"{}\" textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\" \
                 fill=\"{}\"{weight}>{}</text>",
                y + 13.0,
                look.front,
                escape(word)
            );
        }
        column += length;
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
