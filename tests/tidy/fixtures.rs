//! Every recorded conversation is replayed, and said what it is of.

use crate::files::{self, File, report};
use crate::markdown::lines;

/// Replays every `.jsonl` in a folder of `fixtures/`, with the `.json` beside it.
const REPLAYS_FOLDERS: &str = "tests/captures.rs";

/// Says what each conversation is of.
const README: &str = "fixtures/README.md";

#[test]
fn every_fixture_is_used() {
    let paths = files::all();
    let users = files::ending(".rs");
    report(
        "the rule that every fixture is used",
        unused(&paths, &users),
    );
}

#[test]
fn every_fixture_is_described() {
    let readme = files::read(README);
    report(
        "the rule that fixtures/README.md describes every fixture",
        undescribed(&files::all(), &readme),
    );
}

fn fixtures(paths: &[String]) -> impl Iterator<Item = &str> {
    let paths = paths.iter().map(String::as_str);
    paths.filter(|path| path.starts_with("fixtures/") && *path != README)
}

fn unused(paths: &[String], users: &[File]) -> Vec<String> {
    let replays = |file: &File| {
        file.path == REPLAYS_FOLDERS
            && file.text.contains("\"fixtures\"")
            && file.text.contains("\"jsonl\"")
    };
    let are_replayed = users.iter().any(replays);
    let is_replayed =
        |path: &str| are_replayed && path.ends_with(".jsonl") && path.split('/').count() == 3;
    // The name alone, as a test need not write the whole path in one piece. This test is no user.
    let is_named = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        let mut users = users
            .iter()
            .filter(|file| !file.path.starts_with("tests/tidy/"));
        users.any(|file| file.text.contains(name))
    };
    let is_used = |path: &&str| {
        let of = path
            .strip_suffix(".json")
            .map(|stem| format!("{stem}.jsonl"));
        match of {
            Some(of) => paths.contains(&of) && is_replayed(&of) || is_named(path),
            None => is_replayed(path) || is_named(path),
        }
    };
    let unused = fixtures(paths).filter(|path| !is_used(path));
    unused
        .map(|path| {
            format!("{path}: nobody reads it: conversations are replayed that are `fixtures/FOLDER/NAME.jsonl`, what else is there has to be named by a test")
        })
        .collect()
}

/// Conversations that are not in the README, and names in it that are none. There `…` stands for
/// the rest of a name.
fn undescribed(paths: &[String], readme: &File) -> Vec<String> {
    let mut names = Vec::new();
    for line in lines(&readme.text)
        .iter()
        .filter(|line| line.plain.starts_with('|'))
    {
        let first = line.plain[1..]
            .find('|')
            .map_or("", |end| &line.text[1..end + 1]);
        let spans = first.split('`').skip(1).step_by(2);
        names.extend(spans.map(|name| (line.number, name)));
    }
    let is = |name: &str, path: &str| {
        let path = path.strip_prefix("fixtures/").unwrap_or(path);
        match name.strip_suffix('…') {
            Some(begin) => path.starts_with(begin),
            None => path == name,
        }
    };
    let conversations: Vec<_> = fixtures(paths)
        .filter(|path| path.ends_with(".jsonl"))
        .collect();
    let missing = conversations
        .iter()
        .filter(|path| !names.iter().any(|(_, name)| is(name, path)));
    let missing = missing.map(|path| format!("{path}: it is not in the tables of {README}"));
    let dead = names
        .iter()
        .filter(|(_, name)| !conversations.iter().any(|path| is(name, path)));
    let dead =
        dead.map(|(line, name)| format!("{README}:{line}: there is no conversation `{name}`"));
    missing.chain(dead).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<String> {
        names
            .iter()
            .map(|name| format!("fixtures/{name}"))
            .collect()
    }

    #[test]
    fn an_unused_fixture_is_found() {
        let captures = File::new(REPLAYS_FOLDERS, "join(\"fixtures\"); end == \"jsonl\"");
        let other = File::new("tests/other.rs", "read(\"named.bin\")");
        let users = [captures, other];
        let good = paths(&[
            "README.md",
            "perl-1.0/a.jsonl",
            "perl-1.0/a.json",
            "perl-1.0/named.bin",
        ]);
        assert_eq!(unused(&good, &users), [] as [&str; 0]);
        for bad in [
            "a.jsonl",
            "perl-1.0/deep/a.jsonl",
            "perl-1.0/b.json",
            "perl-1.0/a.bin",
        ] {
            let all = [&good[..], &paths(&[bad])].concat();
            let faults = unused(&all, &users);
            assert!(
                faults.len() == 1 && faults[0].contains(bad),
                "{bad}: {faults:?}"
            );
        }
        assert_eq!(unused(&good, &users[1..]).len(), 2, "nobody replays them");
    }

    #[test]
    fn an_undescribed_fixture_is_found() {
        let all = paths(&[
            "perl-1.0/a.jsonl",
            "perl-1.0/b--x.jsonl",
            "perl-1.0/b--x.json",
        ]);
        let faults = |text: &str| undescribed(&all, &File::new(README, text));
        assert_eq!(
            faults("| `perl-1.0/a.jsonl`, `perl-1.0/b--…` | `what` |"),
            [] as [&str; 0]
        );
        assert_eq!(faults("| `perl-1.0/b--…` | x |").len(), 1);
        assert_eq!(
            faults("`perl-1.0/a.jsonl` in a sentence\n| `perl-1.0/b--…` | x |").len(),
            1
        );
        let dead =
            faults("| `perl-1.0/a.jsonl`, `perl-1.0/b--…` | x |\n| `perl-1.0/c.jsonl` | x |");
        assert!(
            dead.len() == 1 && dead[0].starts_with("fixtures/README.md:2: "),
            "{dead:?}"
        );
    }
}
