//! Rust source without what is no code.

/// What becomes of string and character literals.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Literals {
    /// They stay: a line of a literal is a line of code.
    Stay,
    /// They become `""` and `''`: what stands in them names nothing.
    Go,
}

/// The source with blanks in place of comments, so that lines and columns stay what they were.
pub fn blank(text: &str, literals: Literals) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let (end, shown) = match rest {
            ['/', '/', ..] => (line_end(rest), false),
            ['/', '*', ..] => (comment_end(rest), false),
            _ => match literal_end(rest, at.checked_sub(1).map(|before| chars[before])) {
                Some(end) => (end, literals == Literals::Stay),
                None => (1, true),
            },
        };
        let is_literal = end > 1 && !matches!(rest, ['/', '/' | '*', ..]);
        for (i, &c) in rest[..end].iter().enumerate() {
            out.push(match c {
                '\n' => '\n',
                c if shown => c,
                // Something has to be there: `a("x", b)` is a call with two arguments.
                _ if is_literal && (i == 0 || i + 1 == end) => '"',
                _ => ' ',
            });
        }
        at += end;
    }
    out
}

fn line_end(rest: &[char]) -> usize {
    rest.iter().position(|c| *c == '\n').unwrap_or(rest.len())
}

/// Block comments nest.
fn comment_end(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// How long the literal is that begins here, if one does.
fn literal_end(rest: &[char], before: Option<char>) -> Option<usize> {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    // The prefixes b, c, r, br, cr belong to the literal, unless they end a word.
    let prefix = match rest {
        _ if in_word => 0,
        ['b' | 'c', 'r', '"' | '#', ..] => 2,
        ['r', '"' | '#', ..] | ['b' | 'c', '"', ..] | ['b', '\'', ..] => 1,
        _ => 0,
    };
    let raw = prefix > 0 && rest[prefix - 1] == 'r';
    let body = &rest[prefix..];
    if raw {
        let hashes = body.iter().take_while(|c| **c == '#').count();
        if body.get(hashes) != Some(&'"') {
            return None; // r#name
        }
        let close = |at: &usize| {
            body[*at] == '"' && body[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes
        };
        let end = (hashes + 1..body.len()).find(close)?;
        return Some(prefix + end + 1 + hashes);
    }
    match body {
        ['"', ..] => Some(prefix + quoted_end(body, '"')),
        ['\'', '\\', ..] => Some(prefix + quoted_end(body, '\'')),
        // 'a' is a character, 'a without an end a lifetime.
        ['\'', _, '\'', ..] => Some(prefix + 3),
        _ => None,
    }
}

fn quoted_end(body: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < body.len() {
        match body[at] {
            '\\' => at += 2,
            c if c == quote => return at + 1,
            _ => at += 1,
        }
    }
    body.len()
}

/// A word or a sign of the source, and its line from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

/// Words, `::`, and single signs. Takes what [`blank`] leaves without literals.
pub fn tokens(blanked: &str) -> Vec<Token> {
    let mut found = Vec::new();
    for (line, text) in blanked.lines().enumerate() {
        let chars: Vec<char> = text.chars().collect();
        let mut at = 0;
        while at < chars.len() {
            let is_word = |c: &char| c.is_alphanumeric() || *c == '_';
            let len = match &chars[at..] {
                [':', ':', ..] => 2,
                rest => rest.iter().take_while(|c| is_word(c)).count().max(1),
            };
            let text: String = chars[at..at + len].iter().collect();
            at += len;
            if !text.trim().is_empty() {
                let line = line + 1;
                found.push(Token { text, line });
            }
        }
    }
    found
}

/// Where the item ends that begins at `from`: behind its block, or behind its `;`, whichever comes
/// first.
pub fn item_end(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match &*token.text {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token.text == "}" {
                    // `use a::{b};` goes on to its semicolon.
                    let more = tokens.get(at + 1).is_some_and(|next| next.text == ";");
                    return at + 1 + usize::from(more);
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// The attribute that begins at `at`, if one does: the words in it and where it ends.
pub fn attribute(tokens: &[Token], at: usize) -> Option<(Vec<&str>, usize)> {
    let text = |at: usize| tokens.get(at).map(|token| &*token.text);
    if text(at) != Some("#") || text(at + 1) != Some("[") {
        return None;
    }
    let mut depth = 0usize;
    for end in at + 1..tokens.len() {
        match &*tokens[end].text {
            "[" => depth += 1,
            "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let words = tokens[at + 2..end].iter().map(|token| &*token.text);
            return Some((words.collect(), end + 1));
        }
    }
    None
}

/// Whether an attribute keeps its item for tests: `#[cfg(test)]`, and `test` in any but
/// `not(test)`.
pub fn is_for_tests(attribute: &[&str]) -> bool {
    let test = attribute.iter().position(|word| *word == "test");
    attribute.first() == Some(&"cfg") && test.is_some_and(|at| at < 2 || attribute[at - 2] != "not")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_go() {
        let text = "a /* b /* c */ d */ e // f\n\"g // \\\" h\" i 'j' '\\'' 'k: &'static l r#\"m\"n\"# o b'p' br\"q\\\" r#s";
        let words = |literals| {
            let tokens = tokens(&blank(text, literals));
            let words = tokens.into_iter().map(|token| token.text);
            words
                .filter(|word| word.chars().all(char::is_alphanumeric))
                .collect::<String>()
        };
        assert_eq!(words(Literals::Go), "aeikstaticlors");
        assert!(words(Literals::Stay).contains("ghijkstaticlr"));
    }

    #[test]
    fn lines_stay() {
        let text = "/* a\n b */ c\n\"d\n e\" f\n";
        let tokens = tokens(&blank(text, Literals::Go));
        let line = |word: &str| tokens.iter().find(|token| token.text == word).unwrap().line;
        assert_eq!((line("c"), line("f")), (2, 4));
    }

    #[test]
    fn items_end_where_they_end() {
        let ends = |text: &str| {
            let tokens = tokens(text);
            tokens[item_end(&tokens, 0)..]
                .iter()
                .map(|t| &*t.text)
                .collect::<String>()
        };
        assert_eq!(ends("fn a(b: [u8; 3]) { c; { d } } e"), "e");
        assert_eq!(ends("use a::{b, c}; e"), "e");
        assert_eq!(ends("mod a; e"), "e");
    }

    #[test]
    fn what_is_for_tests() {
        let is = |text: &str| is_for_tests(&attribute(&tokens(text), 0).unwrap().0);
        assert!(is("#[cfg(test)]") && is("#[cfg(all(test, unix))]"));
        assert!(!is("#[cfg(not(test))]") && !is("#[cfg(unix)]") && !is("#[test]"));
    }
}
