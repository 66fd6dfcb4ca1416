//! Markdown, as far as the rules look into it.

/// A line that is no code block, with its number from 1. Code spans are blanked in `plain` and left
/// in `text`.
#[derive(Debug)]
pub struct Line<'a> {
    pub number: usize,
    pub text: &'a str,
    pub plain: String,
}

/// The lines without fenced code blocks.
pub fn lines(text: &str) -> Vec<Line<'_>> {
    let mut fence: Option<&str> = None;
    let mut found = Vec::new();
    for (i, text) in text.lines().enumerate() {
        let start = text.trim_start();
        let mark = ["```", "~~~"]
            .into_iter()
            .find(|mark| start.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (Some(_), _) => {}
            (None, None) => found.push(Line {
                number: i + 1,
                text,
                plain: without_spans(text),
            }),
        }
    }
    found
}

/// The text with blanks in place of what stands in code spans, octet by octet.
fn without_spans(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('`') {
        let ticks = rest[open..].len() - rest[open..].trim_start_matches('`').len();
        let (before, span) = rest.split_at(open + ticks);
        plain.push_str(before);
        let Some(close) = closing(span, ticks) else {
            rest = span;
            continue;
        };
        plain.extend(std::iter::repeat_n(' ', close));
        plain.push_str(&span[close..close + ticks]);
        rest = &span[close + ticks..];
    }
    plain + rest
}

/// Where the run of as many backticks begins that closes a span.
fn closing(span: &str, ticks: usize) -> Option<usize> {
    let mut at = 0;
    loop {
        let start = at + span[at..].find('`')?;
        let run = span[start..].len() - span[start..].trim_start_matches('`').len();
        if run == ticks {
            return Some(start);
        }
        at = start + run;
    }
}

/// The text of a heading, if the line is one.
pub fn heading<'a>(line: &Line<'a>) -> Option<&'a str> {
    let rest = line.text.trim_start_matches('#');
    let level = line.text.len() - rest.len();
    ((1..=6).contains(&level) && rest.starts_with(' ')).then(|| rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_no_text() {
        let text = "a `b]` c\n```sh\n# d\n```\n# E `f`\n``g ` h`` i";
        let lines = lines(text);
        let plain: Vec<_> = lines
            .iter()
            .map(|line| (line.number, &*line.plain))
            .collect();
        assert_eq!(plain, [(1, "a `  ` c"), (5, "# E ` `"), (6, "``     `` i")]);
        assert_eq!(heading(&lines[0]), None);
        assert_eq!(heading(&lines[1]), Some("E `f`"));
    }
}
