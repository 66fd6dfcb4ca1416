//! Text as it may be shown: nothing that controls a terminal, nothing without end.
//!
//! What comes from other nodes is text of their choice. In a log it must neither begin a line of
//! its own nor reorder, hide or colour what stands around it, and a name of 30 MB must not cost 30
//! MB again. So each line and each field passes through here, and nothing else writes to the log.

use std::fmt::{self, Write};

/// The most characters of one line or field of the log.
pub(crate) const LINE: usize = 1024;

/// The most characters of a line that shows a message.
pub(crate) const MESSAGE: usize = 64 * 1024;

/// Shows what it holds with control characters escaped, and at most so many characters of it.
pub(crate) struct Shown<T>(pub(crate) T, pub(crate) usize);

impl<T: fmt::Display> fmt::Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut clip = Clip {
            out: f,
            left: self.1,
            failed: false,
        };
        let written = write!(clip, "{}", self.0);
        match (written, clip.failed, clip.left) {
            (Ok(()), ..) => Ok(()),
            // What is shown said no itself: it was full.
            (Err(_), false, 0) => f.write_str(" [...]"),
            (Err(error), ..) => Err(error),
        }
    }
}

impl<T: fmt::Display> fmt::Debug for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Writes what is harmless, and fails when it is full, so that what is behind is not even made.
struct Clip<'a, W> {
    out: &'a mut W,
    left: usize,
    failed: bool,
}

impl<W: Write> Write for Clip<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // What is harmless is written in one piece.
        let mut from = 0;
        for (at, char) in text.char_indices() {
            if self.left == 0 {
                self.put(&text[from..at])?;
                return Err(fmt::Error);
            }
            self.left -= 1;
            if controls(char) {
                self.put(&text[from..at])?;
                from = at + char.len_utf8();
                let escaped = write!(self.out, "{}", char.escape_default());
                self.failed |= escaped.is_err();
                escaped?;
            }
        }
        self.put(&text[from..])
    }
}

impl<W: Write> Clip<'_, W> {
    fn put(&mut self, text: &str) -> fmt::Result {
        let written = self.out.write_str(text);
        self.failed |= written.is_err();
        written
    }
}

/// Whether a character does something else than show itself: the control characters, what ends a
/// line, what turns the direction of the text, and what has no width.
fn controls(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// A text with everything escaped that would control a terminal, as the log shows it; all of it.
///
/// ```
/// assert_eq!(aemp::log::printable("a\u{1b}[2J\nb\u{202e}"), r"a\u{1b}[2J\nb\u{202e}");
/// assert_eq!(aemp::log::printable("größer"), "größer");
/// ```
pub fn printable(text: &str) -> String {
    Shown(text, usize::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;

    fn line(text: &str) -> String {
        Shown(text, LINE).to_string()
    }

    #[test]
    fn nothing_controls_the_terminal() {
        assert_eq!(line("a\nb\r\tc\x1b[31m"), r"a\nb\r\tc\u{1b}[31m");
        assert_eq!(line("\u{9b}2J\u{7f}\0"), r"\u{9b}2J\u{7f}\u{0}");
        assert_eq!(
            line("\u{202e}x\u{2066}\u{feff}"),
            r"\u{202e}x\u{2066}\u{feff}"
        );
        assert_eq!(line("größer 東京 \\ \"'"), "größer 東京 \\ \"'");
    }

    #[test]
    fn what_is_too_long_is_not_even_made() {
        struct Long<'a>(&'a Cell<usize>);
        impl fmt::Display for Long<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (0..1_000_000).try_for_each(|_| {
                    self.0.set(self.0.get() + 1);
                    f.write_str("xyz")
                })
            }
        }
        let made = Cell::new(0);
        let shown = Shown(Long(&made), 300).to_string();
        assert_eq!(shown, format!("{} [...]", "xyz".repeat(100)));
        assert_eq!(made.get(), 101);
        assert_eq!(Shown("xyz", 3).to_string(), "xyz");
        assert_eq!(Shown("\n\n\n", 2).to_string(), r"\n\n [...]");
    }

    proptest! {
        /// However a text is cut in pieces, the same is shown of it, in bounds.
        #[test]
        fn pieces_do_not_matter(pieces in prop::collection::vec(any::<String>(), 0..8), most in 0..60_usize) {
            struct Pieces<'a>(&'a [String]);
            impl fmt::Display for Pieces<'_> {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.0.iter().try_for_each(|piece| f.write_str(piece))
                }
            }
            let whole = pieces.concat();
            let shown = Shown(Pieces(&pieces), most).to_string();
            prop_assert_eq!(&shown, &Shown(&whole, most).to_string());
            prop_assert!(!shown.chars().any(controls));
            let all = whole.chars().count() <= most;
            prop_assert_eq!(!shown.ends_with(" [...]"), all || whole.ends_with(" [...]"));
            prop_assert!(shown.len() <= most * 10 + 6);
        }
    }
}
