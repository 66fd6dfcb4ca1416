//! Links of the Markdown files to files and headings of the repository.

use std::collections::BTreeMap;

use crate::files::{self, File, report};
use crate::markdown::{Line, heading, lines};

#[test]
fn no_link_is_dead() {
    let documents = files::ending(".md");
    report(
        "the rule that links lead somewhere",
        dead(&documents, &files::all()),
    );
}

/// The folders whose files documents name in code spans.
const NAMED: &[&str] = &[
    "src/",
    "tests/",
    "cli/",
    "interop/",
    "docs/",
    "fixtures/",
    "scripts/",
];

#[test]
fn documents_name_files_that_exist() {
    let documents = files::ending(".md");
    report(
        "the rule that files are named as they are called",
        gone(&documents, &files::all()),
    );
}

/// Code spans that are paths, as far as such a file or folder is not there.
fn gone(documents: &[File], paths: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    for document in documents {
        for line in lines(&document.text) {
            for span in line.text.split('`').skip(1).step_by(2) {
                let is_path = NAMED.iter().any(|folder| span.starts_with(folder))
                    && !span.contains([' ', '*', '{', '<', ':'])
                    && !span.contains("VERSION");
                let path = span.trim_end_matches('/');
                let below = format!("{path}/");
                let is_there = |other: &String| other == path || other.starts_with(&below);
                if is_path && !paths.iter().any(is_there) {
                    let place = format!("{}:{}", document.path, line.number);
                    faults.push(format!("{place}: there is no `{span}`"));
                }
            }
        }
    }
    faults
}

#[test]
fn files_that_are_gone_are_seen() {
    let of = |text: &str| {
        let (path, text) = ("docs/a.md".to_owned(), text.to_owned());
        gone(&[File { path, text }], &["src/a/b.rs".to_owned()]).len()
    };
    assert_eq!(
        of("`src/a/b.rs`, `src/a/`, `src/a`, `b.rs`, `cargo test src/x`"),
        0
    );
    assert_eq!(of("`src/b.rs` and `src/a/b`"), 2);
}

/// The dead links of the documents. `paths` are those of all files.
fn dead(documents: &[File], paths: &[String]) -> Vec<String> {
    let anchors: BTreeMap<&str, Vec<String>> = documents
        .iter()
        .map(|document| (&*document.path, anchors(&document.text)))
        .collect();
    let mut faults = Vec::new();
    for document in documents {
        for line in lines(&document.text) {
            for target in targets(&line) {
                if let Err(what) = check(target, &document.path, paths, &anchors) {
                    let place = format!("{}:{}", document.path, line.number);
                    faults.push(format!("{place}: the link to `{target}` is dead: {what}"));
                }
            }
        }
    }
    faults
}

fn check(
    target: &str,
    from: &str,
    paths: &[String],
    anchors: &BTreeMap<&str, Vec<String>>,
) -> Result<(), String> {
    let (file, anchor) = target
        .split_once('#')
        .map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let path = match file {
        "" => from.to_owned(),
        file => joined(from, file).ok_or("it leads out of the repository")?,
    };
    let folder = format!("{path}/");
    let is_there = path.is_empty()
        || paths
            .iter()
            .any(|other| *other == path || other.starts_with(&folder));
    if !is_there {
        return Err(format!("there is no {path}"));
    }
    // In a file that is no document, what is behind `#` is for a viewer: a line.
    match (anchor, anchors.get(&*path)) {
        (Some(anchor), Some(anchors)) if !anchors.iter().any(|other| other == anchor) => {
            Err(format!("{path} has no heading for `#{anchor}`"))
        }
        _ => Ok(()),
    }
}

/// The path from the root that `link` is in the file `from`.
fn joined(from: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Where the links of a line lead within the repository: `[text](target "title")` and `[name]:
/// target`.
fn targets<'a>(line: &Line<'a>) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = line.plain[at..].find("](").map(|open| at + open + 2) {
        let end = line.plain[open..]
            .find(')')
            .map_or(line.plain.len(), |end| open + end);
        found.push(&line.text[open..end]);
        at = end;
    }
    if line.plain.starts_with('[')
        && let Some(colon) = line.plain.find("]: ")
    {
        found.push(&line.text[colon + 3..]);
    }
    let target = |text: &'a str| text.split_whitespace().next().unwrap_or("");
    let targets = found
        .into_iter()
        .map(target)
        .map(|target| target.trim_matches(['<', '>']));
    // `https:`, `mailto:`: not ours.
    targets
        .filter(|target| {
            !target
                .split(['/', '#'])
                .next()
                .is_some_and(|first| first.contains(':'))
        })
        .collect()
}

/// The anchors that GitHub gives a document's headings, and those that it has itself.
fn anchors(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in lines(text) {
        if let Some(title) = heading(&line) {
            let anchor = anchor(title);
            let mut unique = anchor.clone();
            let mut n = 0;
            while found.contains(&unique) {
                n += 1;
                unique = format!("{anchor}-{n}");
            }
            found.push(unique);
        }
        for mark in ["<a id=\"", "<a name=\""] {
            let ids = line
                .plain
                .split(mark)
                .skip(1)
                .filter_map(|rest| rest.split('"').next());
            found.extend(ids.map(str::to_owned));
        }
    }
    found
}

/// GitHub's rule: in lower case, without marks, with `-` for blanks. Of a link it is the text.
fn anchor(title: &str) -> String {
    let mut text = title.to_owned();
    while let Some((before, rest)) = text.split_once('[')
        && let Some((name, rest)) = rest.split_once("](")
        && let Some((_, after)) = rest.split_once(')')
    {
        text = format!("{before}{name}{after}");
    }
    let kept = text.to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let other = "# Other\n## A `b`: [c](d), e_f - é!\n## Twice\n## Twice\n```\n# Code\n```\n";
        let documents = [File::new("docs/a.md", text), File::new("README.md", other)];
        let paths = ["README.md", "docs/a.md", "src/lib.rs"].map(str::to_owned);
        let dead = dead(&documents, &paths).into_iter();
        dead.filter(|fault| fault.starts_with("docs/")).collect()
    }

    #[test]
    fn a_dead_link_is_found() {
        for text in [
            "[a](gone.md)",
            "[a](../src/gone.rs)",
            "[a](../../README.md)",
            "a\n\n[b](#gone)",
            "[a](../README.md#code)",
            "[a](../README.md#twice-2)",
            "[`a`](gone.md) and [b](a.md)",
            "[a](<gone.md> \"title\")",
            "[a]: gone.md",
            "![a](gone.png)",
        ] {
            assert_eq!(faults(text).len(), 1, "{text}: {:?}", faults(text));
        }
        assert!(faults("a\n[b](gone.md)")[0].starts_with("docs/a.md:2: "));
    }

    #[test]
    fn what_leads_somewhere_is_none() {
        for text in [
            "[a](a.md), [b](../README.md), [c](../src), [d](../src/lib.rs#L3), [e](../)",
            "# Here it is\n[a](#here-it-is)",
            "[a](../README.md#a-b-c-e_f---é)",
            "[a](../README.md#twice) [b](../README.md#twice-1)",
            "[a](https://example.org/gone.md) [b](mailto:a@example.org)",
            "`[a](gone.md)`\n```\n[a](gone.md)\n```",
            "<a id=\"mark\"></a>[a](#mark)",
            "list[0] (gone)",
        ] {
            assert_eq!(faults(text), [] as [&str; 0], "{text}");
        }
    }
}
