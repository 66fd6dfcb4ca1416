//! The proofs in PROTOCOL.md: every section with rules names one, and each one is there.
//!
//! The form is told in PROTOCOL.md under "Conventions"; this reads it.

use std::collections::{BTreeMap, BTreeSet};

use crate::files::{self, File, report};
use crate::markdown::{heading, lines};
use crate::source::{Literals, attribute, blank, tokens};

const DOCUMENT: &str = "PROTOCOL.md";

/// Sections without a proof of their own, and why. An entry whose section has one, or is gone, has
/// to go.
const WITHOUT: &[(&str, &str)] = &[
    (
        "The AEMP protocol, generations 0, 1 and 2",
        "says what the document is",
    ),
    ("Conventions", "says how the document is written"),
    ("Layers", "an overview of the sections that follow"),
    (
        "Constants",
        "the values of the sections before it once more, in one table",
    ),
    ("Traps", "each names the section that its proof is in"),
];

#[test]
fn every_rule_of_the_protocol_names_a_proof_that_is_there() {
    let mut files = files::ending(".rs");
    files.extend(files::ending(".py"));
    let repository = Repository::new(&files, &files::all());
    let text = files::read(DOCUMENT).text;
    report(
        "the rule that PROTOCOL.md names its proofs",
        faults(&text, &repository, WITHOUT),
    );
}

/// What can be named as a proof.
#[derive(Debug, Default)]
struct Repository {
    /// The tests of each file that has some.
    tests: BTreeMap<String, BTreeSet<String>>,
    scenarios: BTreeSet<String>,
    fixtures: BTreeSet<String>,
}

impl Repository {
    fn new(files: &[File], paths: &[String]) -> Self {
        let with_tests = files.iter().map(|file| (file.path.clone(), tests_of(file)));
        let scenarios = files
            .iter()
            .filter(|file| file.path.starts_with("interop/src/scenarios/"));
        let name = |line: &str| {
            Some(
                line.trim()
                    .strip_prefix("name: \"")?
                    .split('"')
                    .next()?
                    .to_owned(),
            )
        };
        let scenarios: BTreeSet<_> = scenarios
            .flat_map(|file| file.text.lines().filter_map(name))
            .collect();
        let is_fixture = |path: &&String| path.starts_with("fixtures/") && path.ends_with(".jsonl");
        Repository {
            tests: with_tests.filter(|(_, tests)| !tests.is_empty()).collect(),
            scenarios,
            fixtures: paths.iter().filter(is_fixture).cloned().collect(),
        }
    }

    /// The tests of the file of that name: a `.rs` or `.py` file by the end of its path, else a
    /// file of `tests/`, of the library or of the command.
    fn file(&self, name: &str) -> Result<&BTreeSet<String>, String> {
        let named = |path: &str| match is_path(name) {
            true => path == name || path.ends_with(&format!("/{name}")),
            false => {
                let path = path.strip_prefix("cli/").unwrap_or(path);
                path == format!("tests/{name}.rs") || path == format!("tests/{name}/main.rs")
            }
        };
        let found: Vec<_> = self.tests.iter().filter(|(path, _)| named(path)).collect();
        match found[..] {
            [(_, tests)] => Ok(tests),
            [] => Err(format!("there is no file `{name}` with tests")),
            _ => {
                let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
                Err(format!("`{name}` may be {}", paths.join(" or ")))
            }
        }
    }
}

/// Does it say itself what sort of file it is?
fn is_path(name: &str) -> bool {
    name.ends_with(".rs") || name.ends_with(".py")
}

/// The names of the tests in a file, in Python without the `test_` that all have.
fn tests_of(file: &File) -> BTreeSet<String> {
    if !file.path.ends_with(".py") {
        return test_names(&file.text);
    }
    let name = |line: &str| {
        let line = line.trim().trim_start_matches("async ");
        let (name, _) = line.strip_prefix("def test_")?.split_once('(')?;
        Some(name.to_owned())
    };
    file.text.lines().filter_map(name).collect()
}

/// The names of the functions that are tests.
fn test_names(text: &str) -> BTreeSet<String> {
    let tokens = tokens(&blank(text, Literals::Go));
    let mut found = BTreeSet::new();
    for start in 0..tokens.len() {
        let Some((words, mut at)) = attribute(&tokens, start) else {
            continue;
        };
        // `#[test]`, `#[tokio::test(..)]`
        if words[0] != "test" && words.get(2) != Some(&"test")
            || words.get(1).is_some_and(|word| *word != "::")
        {
            continue;
        }
        while let Some((_, end)) = attribute(&tokens, at) {
            at = end;
        }
        let words = tokens[at..].iter().map(|token| token.text.as_str());
        let name = words
            .skip_while(|word| ["pub", "async"].contains(word))
            .collect::<Vec<_>>();
        if let ["fn", name, ..] = name[..] {
            found.insert(name.to_owned());
        }
    }
    found
}

/// What is wrong with the proofs of the document.
fn faults(text: &str, repository: &Repository, without: &[(&str, &str)]) -> Vec<String> {
    let mut faults = Vec::new();
    // A section's name, line and whether it has text and proofs.
    let mut sections: Vec<(&str, usize, bool, bool)> = Vec::new();
    for line in lines(text) {
        if let Some(title) = heading(&line) {
            sections.push((title, line.number, false, false));
            continue;
        }
        let Some((_, _, has_text, has_proof)) = sections.last_mut() else {
            continue;
        };
        *has_text |= !line.text.trim().is_empty();
        for proof in brackets(line.text, &line.plain) {
            match proof {
                Ok(proof) => match check(proof.0, proof.1, repository) {
                    Ok(proves) => *has_proof |= proves,
                    Err(what) => faults.push(format!(
                        "{DOCUMENT}:{}: `[{}]`: {what}",
                        line.number, proof.0
                    )),
                },
                Err(what) => faults.push(format!("{DOCUMENT}:{}: {what}", line.number)),
            }
        }
    }
    for (title, line, has_text, has_proof) in &sections {
        let listed = without.iter().any(|(name, _)| name == title);
        match (has_text, has_proof, listed) {
            (true, false, false) => faults.push(format!(
                "{DOCUMENT}:{line}: \"{title}\" names no fixture, test or scenario: name one, or say in WITHOUT why there is none"
            )),
            (_, true, true) => faults.push(format!("{DOCUMENT}:{line}: \"{title}\" has a proof: take it out of WITHOUT")),
            _ => {}
        }
    }
    let is_there = |name: &str| sections.iter().any(|(title, ..)| *title == name);
    let gone = without.iter().filter(|(name, _)| !is_there(name));
    faults.extend(gone.map(|(name, _)| {
        format!("{DOCUMENT}: there is no section \"{name}\": take it out of WITHOUT")
    }));
    faults
}

/// The proofs of a line, each with and without what is in its code spans. A link is none.
fn brackets<'a>(text: &'a str, plain: &'a str) -> Vec<Result<(&'a str, &'a str), String>> {
    let mut found = Vec::new();
    for (open, _) in plain.match_indices('[') {
        let inside = &plain[open + 1..];
        let mut words = inside.split([' ', ']', ':', ',', ';']);
        let first = words.next().unwrap_or("");
        let is_recording = first.len() > 1
            && first.starts_with(['F', 'M'])
            && first.as_bytes()[1].is_ascii_digit();
        if !is_recording && !["T", "I", "P"].contains(&first) {
            continue;
        }
        match inside.find(']') {
            Some(end) if inside[end + 1..].starts_with('(') => {}
            Some(end) => found.push(Ok((&text[open + 1..][..end], &inside[..end]))),
            None => found.push(Err(format!("`[{inside}` does not end in its line"))),
        }
    }
    found
}

/// Whether what is named in a bracket proves something. `plain` is the same without what is in code
/// spans.
fn check(text: &str, plain: &str, repository: &Repository) -> Result<bool, String> {
    let mut proves = false;
    let mut at = 0;
    for part in plain.split(';') {
        let whole = &text[at..at + part.len()];
        at += part.len() + 1;
        // Behind a colon there are remarks.
        let named = part.find(": ").map_or(part.len(), |end| end);
        let (whole, part) = (whole[..named].trim(), part[..named].trim());
        let spans: Vec<_> = whole.split('`').skip(1).step_by(2).collect();
        match part.split(' ').next().unwrap_or("") {
            "P" => continue,
            "T" | "I" if spans.is_empty() => {
                return Err(format!("`{part}` names nothing in backticks"));
            }
            "T" => check_tests(&spans, repository)?,
            "I" => {
                let unknown = spans
                    .iter()
                    .find(|name| !repository.scenarios.contains(**name));
                if let Some(name) = unknown {
                    return Err(format!("there is no scenario `{name}`"));
                }
            }
            kind if kind.starts_with(['F', 'M']) => {
                for name in whole.split(", ") {
                    check_recording(name, repository)?;
                }
            }
            kind => return Err(format!("`{kind}` is no sort of proof: P, T, I, F or M")),
        }
        proves = true;
    }
    Ok(proves)
}

/// `FILE: TEST`, `FILE`, or a further `TEST` of the file before it.
fn check_tests(spans: &[&str], repository: &Repository) -> Result<(), String> {
    let mut last: Option<&str> = None;
    for span in spans {
        let (file, test) = match span.split_once(": ") {
            Some((file, test)) => (file, Some(test)),
            None => match (repository.file(span), last) {
                (Err(_), Some(last)) if !is_path(span) => (last, Some(*span)),
                _ => (*span, None),
            },
        };
        let tests = repository.file(file)?;
        if let Some(test) = test
            && !tests.contains(test)
        {
            return Err(format!("there is no test `{test}` in `{file}`"));
        }
        last = Some(file);
    }
    Ok(())
}

/// `F1.30`, `F1.30s`, `M1.30`, `F2`, `F2 NAME`.
fn check_recording(name: &str, repository: &Repository) -> Result<(), String> {
    let begin = match name.split_once(' ').unwrap_or((name, "")) {
        ("F2", "") => "fixtures/perl-2.02/".to_owned(),
        ("F2", name) => {
            let alone = format!("fixtures/perl-2.02/{name}.jsonl");
            match repository.fixtures.contains(&alone) {
                true => alone,
                false => format!("fixtures/perl-2.02/{name}--"),
            }
        }
        (release, "") => {
            let (kind, release) = release.split_at(1);
            let kind = if kind == "F" { "peer" } else { "mesh" };
            match release.strip_suffix('s') {
                Some(release) => format!("fixtures/perl-{release}/{kind}-storable.jsonl"),
                None => format!("fixtures/perl-{release}/{kind}-json.jsonl"),
            }
        }
        (first, _) => {
            return Err(format!(
                "what is said of {first} has to stand behind a colon"
            ));
        }
    };
    match repository
        .fixtures
        .iter()
        .any(|path| path.starts_with(&begin))
    {
        true => Ok(()),
        false => Err(format!("there is no fixture {begin}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> Repository {
        let file = File::new;
        let files = [
            file(
                "tests/network.rs",
                "#[tokio::test(flavor = \"x\")]\n#[ignore]\nasync fn up() {}\n#[test] fn down() {}",
            ),
            file("tests/tidy/main.rs", "#[test] fn a() {}"),
            file(
                "src/proto/id.rs",
                "mod tests { proptest! { #[test] fn a(b in 0..1) {} } fn helper() {} }",
            ),
            file("src/a/tests.rs", "#[test] fn a() {}"),
            file("src/b/tests.rs", "#[test] fn b() {}"),
            file("src/b.rs", "#[test_only] fn b() {}"),
            file("interop/src/scenarios/echo.rs", "    name: \"echo\",\n"),
            file(
                "interop/python/tests/test_x.py",
                "class X:\n    async def test_a(self):\n    def test_b(self):\n    def c(self):\n",
            ),
        ];
        let paths = [
            "1.30/peer-json",
            "1.30/peer-storable",
            "1.30/mesh-json",
            "2.02/db--x",
            "2.02/pair",
        ];
        Repository::new(
            &files,
            &paths.map(|path| format!("fixtures/perl-{path}.jsonl")),
        )
    }

    fn of(line: &str) -> Vec<String> {
        faults(&format!("# A\n{line}"), &repository(), &[])
    }

    #[test]
    fn what_is_there_proves() {
        for good in [
            "Rule. [T `network: up`]",
            "[T `network: up`, `down`, `src/proto/id.rs: a`]",
            "[T `network`: all of them, of any size; I `echo`]",
            "[T `a/tests.rs`, `tidy: a`]",
            "[P 1.0, seen; I `echo` with 2.02]",
            "[F1.30, F1.30s, M1.30: `at`, I think]",
            "[F2 pair, F2 db: `a;b ]`; P]",
            "[F2] and [list], [a link](#T), [Text]",
            "[T `test_x.py: a`, `b`, `tidy: a`]",
        ] {
            assert_eq!(of(good), [] as [&str; 0], "{good}");
        }
    }

    #[test]
    fn a_dead_proof_is_found() {
        for bad in [
            "[T `network: sideways`]",
            "[T `network: up`, `sideways`]",
            "[T `nowhere`]",
            "[T `src/b.rs`]",
            "[T `tests.rs: a`]",
            "[T `src/proto/id.rs: helper`]",
            "[T `test_x.py: c`]",
            "[T network]",
            "[T `network: up`, I `echo`]",
            "[I `echoes`]",
            "[I echo]",
            "[F1.31]",
            "[F2 gone]",
            "[M2.02]",
            "[F1.30 at the start]",
            "[F1.30; X]",
            "[T `network: up`",
        ] {
            let text = format!("[F1.30] {bad}");
            assert_eq!(of(&text).len(), 1, "{bad}: {:?}", of(&text));
        }
        assert!(of("[F1.30]\n\n[I `gone`]")[0].starts_with("PROTOCOL.md:4: "));
    }

    #[test]
    fn a_section_without_a_proof_is_found() {
        assert_eq!(of("A node MUST.").len(), 1);
        assert_eq!(of("What Perl does is no proof. [P 1.0]").len(), 1);
        assert_eq!(of("```\n[F1.30]\n```\n`[F1.30]`").len(), 1);
        let text = "# A\n[F1.30]\n## B\nA rule.\n## C\n\n## D\n[F2]";
        let found = faults(text, &repository(), &[]);
        assert!(found.len() == 1 && found[0].contains("\"B\""), "{found:?}");
        assert_eq!(
            faults(text, &repository(), &[("B", "why")]),
            [] as [&str; 0]
        );
        let stale = [("B", "why"), ("D", "why"), ("E", "why")];
        assert_eq!(faults(text, &repository(), &stale).len(), 2);
    }
}
