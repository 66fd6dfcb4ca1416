//! What is found, and which of it is known.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::Failure;

/// What a node did that it should not have done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fault {
    /// Its process ended.
    Ended(String),
    /// It keeps the connection, and answers nothing on it any more.
    Deaf,
    /// It answers an honest node no more.
    NotServed,
    /// An honest node does not get in any more.
    NotLetIn(&'static str),
    /// A monitor on it does not fire.
    Monitor,
    /// It took so much memory for this, in octets, or so much time.
    Memory(u64),
    Processor(Duration),
}

impl Fault {
    /// One word.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Fault::Ended(_) => "ended",
            Fault::Deaf => "deaf",
            Fault::NotServed => "not-served",
            Fault::NotLetIn(_) => "not-let-in",
            Fault::Monitor => "monitor",
            Fault::Memory(_) => "memory",
            Fault::Processor(_) => "processor",
        }
    }

    /// Whether it is that something did not come in time. A machine that stood still for a while
    /// looks like that, too.
    pub(super) fn is_silence(&self) -> bool {
        match self {
            Fault::Deaf | Fault::NotServed | Fault::NotLetIn(_) | Fault::Monitor => true,
            Fault::Ended(_) | Fault::Memory(_) | Fault::Processor(_) => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.kind())?;
        match self {
            Fault::Ended(how) => write!(f, "the node ended ({how})"),
            Fault::Deaf => f.write_str("the node keeps the connection and is deaf on it"),
            Fault::NotServed => f.write_str("another, honest link is not served any more"),
            Fault::NotLetIn(why) => write!(f, "an honest node does not get in any more: {why}"),
            Fault::Monitor => f.write_str("a monitor of a port that does not exist does not fire"),
            Fault::Memory(octets) => write!(f, "that took {} MiB of memory", octets >> 20),
            Fault::Processor(time) => {
                write!(f, "that took {:.1} s of processor time", time.as_secs_f64())
            }
        }
    }
}

/// Findings to be passed over.
#[derive(Debug, Default)]
pub(super) struct Known(Vec<(String, String)>);

impl Known {
    /// Reads a file: in each line a pattern (`*` stands for anything) for the line that tells of a
    /// finding, then ` # ` and the reason. Empty lines, and those that begin with `#`, are none.
    ///
    /// # Errors
    ///
    /// The file can't be read, or a line has no reason.
    pub(super) fn load(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).map_err(|error| format!("{}: {error}", path.display()).into())
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut all = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let parts = line.split_once(" # ");
            let parts = parts.map(|(pattern, reason)| (pattern.trim(), reason.trim()));
            let Some((pattern, reason)) = parts.filter(|(_, reason)| !reason.is_empty()) else {
                let at = at + 1;
                return Err(format!("line {at} gives no reason: PATTERN # REASON"));
            };
            all.push((pattern.to_owned(), reason.to_owned()));
        }
        Ok(Known(all))
    }

    /// Why a finding that is told by this line is passed over, if it is.
    pub(super) fn reason(&self, line: &str) -> Option<&str> {
        let found = self.0.iter().find(|(pattern, _)| matches(pattern, line));
        found.map(|(_, reason)| reason.as_str())
    }
}

/// Whether a text is like a pattern.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_findings_have_reasons() {
        let known =
            Known::parse("# list\n\ndeaf: * # Perl nodes are\n*_exit* # by design\n").unwrap();
        assert_eq!(
            known.reason(&format!("{} (x)", Fault::Deaf)),
            Some("Perl nodes are")
        );
        assert_eq!(
            known.reason(r#"ended: x ["","POSIX::_exit",3]"#),
            Some("by design")
        );
        assert_eq!(known.reason("monitor: x"), None);
        for without in ["deaf", "deaf # ", "deaf #x"] {
            let error = Known::parse(without).unwrap_err();
            assert_eq!(error, "line 1 gives no reason: PATTERN # REASON");
        }
    }

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, is) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("*b", "ba", false),
            ("a*c*e", "abcde", true),
            ("a*c*e", "aecd", false),
            ("a*a", "a", false),
            ("**", "", true),
        ] {
            assert_eq!(matches(pattern, text), is, "{pattern} {text}");
        }
    }
}
