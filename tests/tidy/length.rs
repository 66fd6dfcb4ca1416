//! How long files are.

use crate::files::{self, File, report};
use crate::source::{Literals, attribute, blank, is_for_tests, item_end, tokens};

/// The most lines of code in a file. Who reads one should be able to keep its subject in mind.
const MOST: usize = 500;

/// Longer files, and why they may be. An entry whose file is short enough has to go.
const LONGER: &[(&str, &str)] = &[];

#[test]
fn files_are_of_one_subject() {
    let files = files::ending(".rs");
    report(
        "the rule that files are short",
        too_long(&files, MOST, LONGER),
    );
}

/// The most columns of a line of documentation, its indentation included.
const COLUMNS: usize = 100;

#[test]
fn paragraphs_are_wrapped() {
    let files = files::ending(".rs");
    report(
        "the rule that paragraphs of comments are wrapped",
        too_wide(&files),
    );
}

/// Lines of comments that are too long. Code in them, tables and addresses can't be wrapped.
fn too_wide(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files {
        let mut in_code = false;
        for (n, line) in file.text.lines().enumerate() {
            let comment = line.trim_start();
            let Some(text) = comment.strip_prefix("//") else {
                in_code = false;
                continue;
            };
            let text = text.trim_start_matches(['/', '!']);
            if text.trim_start().starts_with("```") {
                in_code = !in_code;
            }
            let can_not = in_code
                || text.trim_start().starts_with(['|', '#'])
                || text.starts_with("     ")
                || text.contains("://");
            let columns = line.chars().count();
            if columns > COLUMNS && !can_not {
                let (path, n) = (&file.path, n + 1);
                faults.push(format!(
                    "{path}:{n}: {columns} columns, and {COLUMNS} are the most: wrap the paragraph"
                ));
            }
        }
    }
    faults
}

#[test]
fn long_lines_of_comments_are_seen() {
    let of = |text: String| {
        let path = "src/a.rs".to_owned();
        too_wide(&[File { path, text }]).len()
    };
    let long = "word ".repeat(21);
    assert_eq!(
        of(format!("/// {long}\n    // {long}\nlet a = \"{long}\";\n")),
        2
    );
    assert_eq!(
        of(format!(
            "/// ```\n/// {long}\n/// ```\n/// | {long} |\n//! http://{long}\n"
        )),
        0
    );
    assert_eq!(of(format!("/// {}\n", "x".repeat(96))), 0);
}

fn too_long(files: &[File], most: usize, longer: &[(&str, &str)]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files {
        let lines = lines_of_code(&file.text);
        let listed = longer.iter().any(|(path, _)| *path == file.path);
        let path = &file.path;
        match lines > most {
            true if !listed => faults.push(format!(
                "{path}:1: {lines} lines of code, and {most} are the most: move a subject to a file of its own, or say in LONGER why not"
            )),
            false if listed => faults.push(format!("{path}:1: {lines} lines of code are not too many: take it out of LONGER")),
            _ => {}
        }
    }
    let is_there = |path: &str| files.iter().any(|file| file.path == path);
    let gone = longer.iter().filter(|(path, _)| !is_there(path));
    faults.extend(
        gone.map(|(path, _)| format!("{path}: there is no such file: take it out of LONGER")),
    );
    faults
}

/// Lines that are not blank, not comments, and not in an inline module of tests.
fn lines_of_code(text: &str) -> usize {
    let tokens = tokens(&blank(text, Literals::Go));
    let mut in_tests = Vec::new();
    for at in 0..tokens.len() {
        let Some((words, end)) = attribute(&tokens, at) else {
            continue;
        };
        if is_for_tests(&words) && tokens.get(end).is_some_and(|token| token.text == "mod") {
            let last = item_end(&tokens, end) - 1;
            in_tests.push(tokens[at].line..=tokens[last].line);
        }
    }
    let code = blank(text, Literals::Stay);
    let is_code = |(line, text): &(usize, &str)| {
        !text.trim().is_empty() && !in_tests.iter().any(|tests| tests.contains(&(line + 1)))
    };
    code.lines().enumerate().filter(is_code).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_counts() {
        let text = "//! What.\n\nfn a() { // why\n}\n/* b\n\n c */\nconst D: &str = \"e\nf\";\n#[cfg(test)]\nmod tests {\n    fn g() {}\n}\nfn h() {}\n";
        assert_eq!(lines_of_code(text), 5);
    }

    #[test]
    fn a_long_file_is_found() {
        let long = File::new("long.rs", &"fn a() {}\n".repeat(6));
        let short = File::new("short.rs", &"fn a() {}\n// b\n".repeat(5));
        let files = [long, short];
        let faults = too_long(&files, 5, &[]);
        assert!(
            faults.len() == 1 && faults[0].starts_with("long.rs:1: 6 lines"),
            "{faults:?}"
        );
        assert_eq!(too_long(&files, 5, &[("long.rs", "why")]), [] as [&str; 0]);
        let listed = too_long(
            &files,
            5,
            &[("long.rs", "why"), ("short.rs", "why"), ("gone.rs", "why")],
        );
        assert_eq!(listed.len(), 2, "{listed:?}");
    }
}
