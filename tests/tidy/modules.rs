//! The modules of a crate, the paths in their code, and where each path leads.
//!
//! No compiler is asked: sources are read word by word, so that the test needs nothing but itself.
//! What that misses are names that only a macro puts together.

use std::collections::BTreeMap;

use crate::files::File;
use crate::source::{Literals, Token, attribute, blank, is_for_tests, item_end, tokens};

pub type Path = Vec<String>;

/// How many re-exports are followed, one to the next. Names that import each other would lead round
/// in a circle.
const DEEPEST: usize = 8;

/// A crate: its modules by their paths. The root's path is empty.
#[derive(Debug, Default)]
pub struct Crate {
    pub modules: BTreeMap<Path, Module>,
}

#[derive(Debug, Default)]
pub struct Module {
    /// Where it is written. An inline module is in the file of the one around it.
    pub file: String,
    pub for_tests: bool,
    pub mentions: Vec<Mention>,
    /// What `use` gives a name to, re-exports among them.
    names: BTreeMap<String, Path>,
    /// What `use path::*` names.
    globs: Vec<Path>,
    /// What is defined here.
    items: Vec<String>,
}

/// A path in the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    pub path: Path,
    pub line: usize,
    pub for_tests: bool,
    /// It passes something on (`pub use`), and asks for nothing itself.
    pub re_export: bool,
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A module of the crate, or an item in it; and the modules whose re-exports led there.
    Inside { module: Path, by: Vec<Path> },
    /// Another crate.
    Outside(Path),
}

impl Crate {
    /// Reads the files under `root` (such as `src/`), which is where `lib.rs` or `main.rs` is.
    pub fn new(root: &str, files: &[File]) -> Self {
        let mut found = Crate::default();
        // Short paths first: whether a file is for tests is said in the one above it.
        let mut files: Vec<_> = files
            .iter()
            .filter_map(|file| Some((module_path(file.path.strip_prefix(root)?)?, file)))
            .collect();
        files.sort_by_key(|(path, _)| path.len());
        let mut only_for_tests: Vec<Path> = Vec::new();
        for (path, file) in files {
            let for_tests = only_for_tests.iter().any(|above| path.starts_with(above));
            let tokens = tokens(&blank(&file.text, Literals::Go));
            let mut reader = Reader {
                file: &file.path,
                tokens: &tokens,
                found: &mut found,
                only_for_tests: &mut only_for_tests,
            };
            reader.module(path, 0..tokens.len(), for_tests);
        }
        found
    }

    /// Where `path` leads that is written in the module `from`.
    pub fn resolve(&self, from: &[String], path: &[String]) -> Target {
        self.follow(from, path, &mut Vec::new(), 0)
    }

    fn follow(&self, from: &[String], path: &[String], by: &mut Vec<Path>, depth: usize) -> Target {
        let mut at = from.to_vec();
        let mut rest = path;
        match path[0].as_str() {
            "crate" => (at, rest) = (Path::new(), &path[1..]),
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|word| word == "super") {
                    at.pop();
                    rest = &rest[1..];
                }
            }
            first => {
                let child = [from, &[first.to_owned()]].concat();
                let module = &self.modules[from];
                let known = self.modules.contains_key(&child)
                    || module.names.contains_key(first)
                    || module.items.iter().any(|item| item == first);
                if !known || depth > DEEPEST {
                    return Target::Outside(path.to_vec());
                }
            }
        }
        while let Some(word) = rest.first() {
            let child = [&at[..], std::slice::from_ref(word)].concat();
            if self.modules.contains_key(&child) {
                (at, rest) = (child, &rest[1..]);
                continue;
            }
            let Some(module) = self.modules.get(&at) else {
                break;
            };
            let glob = || {
                let mut globs = module.globs.iter();
                globs.find_map(|glob| self.through(&at, glob, word, depth))
            };
            let is_own = module.items.contains(word);
            let passed_on = module.names.get(word).cloned().filter(|_| !is_own);
            let passed_on = passed_on.or_else(|| (!is_own).then(glob)?);
            let Some(mut passed_on) = passed_on else {
                break;
            };
            // `use tokio;` leads out of the crate.
            if passed_on.first() == Some(word) && passed_on.len() == 1 || depth > DEEPEST {
                return Target::Outside(rest.to_vec());
            }
            if at != from {
                by.push(at.clone());
            }
            passed_on.extend_from_slice(&rest[1..]);
            return self.follow(&at, &passed_on, by, depth + 1);
        }
        let by = std::mem::take(by);
        Target::Inside { module: at, by }
    }

    /// The path of `word` through `use glob::*`, if it is there.
    fn through(&self, at: &[String], glob: &Path, word: &String, depth: usize) -> Option<Path> {
        if depth > DEEPEST {
            return None;
        }
        let Target::Inside { module, .. } = self.follow(at, glob, &mut Vec::new(), depth + 1)
        else {
            return None;
        };
        let inside = self.modules.get(&module)?;
        let child = [&module[..], std::slice::from_ref(word)].concat();
        let there = inside.items.contains(word)
            || inside.names.contains_key(word)
            || self.modules.contains_key(&child);
        there.then(|| [&["crate".to_owned()], &child[..]].concat())
    }
}

/// The module that a file is, by its path below the root.
fn module_path(file: &str) -> Option<Path> {
    let mut parts: Path = file
        .strip_suffix(".rs")?
        .split('/')
        .map(str::to_owned)
        .collect();
    let is_folders = parts.last().is_some_and(|last| last == "mod");
    if is_folders || parts == ["lib"] || parts == ["main"] {
        parts.pop();
    }
    Some(parts)
}

/// Words before a name that is defined.
const DEFINES: [&str; 9] = [
    "fn",
    "struct",
    "enum",
    "union",
    "trait",
    "type",
    "const",
    "static",
    "macro_rules",
];

struct Reader<'a> {
    file: &'a str,
    tokens: &'a [Token],
    found: &'a mut Crate,
    only_for_tests: &'a mut Vec<Path>,
}

impl Reader<'_> {
    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &token.text)
    }

    /// Reads one module, and those inline in it.
    fn module(&mut self, path: Path, range: std::ops::Range<usize>, for_tests: bool) {
        let mut module = Module {
            file: self.file.to_owned(),
            for_tests,
            ..Module::default()
        };
        let mut tests_until = 0;
        let mut at = range.start;
        while at < range.end {
            if let Some((words, end)) = attribute(self.tokens, at) {
                if is_for_tests(&words) {
                    tests_until = tests_until.max(item_end(self.tokens, end));
                }
                // Attributes name derives and lints, not modules.
                at = end;
                continue;
            }
            let for_tests = for_tests || at < tests_until;
            match self.text(at) {
                "mod" if self.text(at + 2) == "{" => {
                    let child = [&path[..], &[self.text(at + 1).to_owned()]].concat();
                    let end = item_end(self.tokens, at);
                    self.module(child, at + 3..end.saturating_sub(1), for_tests);
                    at = end;
                }
                "mod" if self.text(at + 2) == ";" => {
                    if for_tests {
                        let child = [&path[..], &[self.text(at + 1).to_owned()]].concat();
                        self.only_for_tests.push(child);
                    }
                    at += 3;
                }
                "pub" if self.text(at + 1) == "(" => {
                    // `pub(in crate::a)` imports nothing.
                    let end = (at + 1..range.end).find(|at| self.text(*at) == ")");
                    at = end.map_or(range.end, |end| end + 1);
                    if self.text(at) == "use" {
                        at = self.import(at, &mut module, for_tests, true);
                    }
                }
                "pub" if self.text(at + 1) == "use" => {
                    at = self.import(at + 1, &mut module, for_tests, true);
                }
                // `impl Trait + use<'a>` is no import.
                "use" if self.text(at + 1) != "<" => {
                    at = self.import(at, &mut module, for_tests, false);
                }
                // Not in `'static` and `*const`, which are types.
                word if DEFINES.contains(&word)
                    && !(at > 0 && matches!(self.text(at - 1), "'" | "*")) =>
                {
                    let name = at + 1 + usize::from(word == "macro_rules");
                    module.items.push(self.text(name).to_owned());
                    at = name;
                }
                _ => at = self.inline(at, &mut module, for_tests),
            }
        }
        self.found.modules.insert(path, module);
    }

    /// A path in an expression or a type.
    fn inline(&self, at: usize, module: &mut Module, for_tests: bool) -> usize {
        let mut end = at + 1;
        if !is_name(self.text(at)) || self.text(end) != "::" {
            return end;
        }
        let mut path = vec![self.text(at).to_owned()];
        while self.text(end) == "::" && is_name(self.text(end + 1)) {
            path.push(self.text(end + 1).to_owned());
            end += 2;
        }
        module.mentions.push(Mention {
            path,
            line: self.tokens[at].line,
            for_tests,
            re_export: false,
        });
        end
    }

    /// A `use`, with its groups.
    fn import(&self, at: usize, module: &mut Module, for_tests: bool, re_export: bool) -> usize {
        let end = item_end(self.tokens, at);
        let tokens = &self.tokens[at + 1..end.saturating_sub(1)];
        for (mut path, name, line) in tree(tokens) {
            if path.last().is_some_and(|last| last == "*") {
                path.pop();
                module.globs.push(path.clone());
            } else if let Some(name) = name {
                module.names.insert(name, path.clone());
            }
            module.mentions.push(Mention {
                path,
                line,
                for_tests,
                re_export,
            });
        }
        end
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The paths of a `use` tree, the name that each gets, and its line.
fn tree(tokens: &[Token]) -> Vec<(Path, Option<String>, usize)> {
    let mut found = Vec::new();
    let mut path = Path::new();
    let mut at = 0;
    while at < tokens.len() {
        match &*tokens[at].text {
            "{" => {
                let end = item_end(tokens, at);
                for part in split(&tokens[at + 1..end - 1]) {
                    for (below, name, line) in tree(part) {
                        // `a::{self}` is a.
                        let below = below.strip_prefix(&["self".to_owned()]).map_or(
                            below.clone(),
                            |rest| {
                                if path.is_empty() {
                                    below.clone()
                                } else {
                                    rest.to_vec()
                                }
                            },
                        );
                        let whole = [&path[..], &below[..]].concat();
                        let name = match name {
                            Some(name) if name == "self" => path.last().cloned(),
                            name => name,
                        };
                        found.push((whole, name, line));
                    }
                }
                return found;
            }
            "as" => {
                let name = tokens.get(at + 1).map(|token| token.text.clone());
                found.push((path, name.filter(|name| name != "_"), tokens[at].line));
                return found;
            }
            "::" => at += 1,
            word => {
                path.push(word.to_owned());
                at += 1;
            }
        }
    }
    if let Some(last) = tokens.last() {
        found.push((path.clone(), path.last().cloned(), last.line));
    }
    found
}

/// The parts between the commas of a group.
fn split(tokens: &[Token]) -> Vec<&[Token]> {
    let mut depth = 0usize;
    let parts = tokens.split(|token| {
        match &*token.text {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        depth == 0 && token.text == ","
    });
    parts.filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        match text {
            "" => Path::new(),
            text => text.split("::").map(str::to_owned).collect(),
        }
    }

    fn sample() -> Crate {
        Crate::new(
            "src/",
            &[
                File::new(
                    "src/lib.rs",
                    "mod a; mod b; pub use a::{Deep, deep::Other as Renamed};",
                ),
                File::new(
                    "src/a/mod.rs",
                    "mod deep;\npub use deep::*;\npub fn own() {}\n#[cfg(test)]\nmod tests;\n",
                ),
                File::new(
                    "src/a/deep.rs",
                    "pub struct Deep; pub struct Other; use tokio::time::{self, Instant};",
                ),
                File::new("src/a/tests.rs", "use super::*;"),
                File::new(
                    "src/b.rs",
                    "use crate::{a::{self, own}, Renamed};\nfn f() { a::deep::g(crate::Deep) }\nmod inner { use super::super::a as c; fn f() { c::own() } }",
                ),
            ],
        )
    }

    fn leads(from: &str, to: &str) -> String {
        match sample().resolve(&path(from), &path(to)) {
            Target::Inside { module, .. } => module.join("::"),
            Target::Outside(path) => format!("outside {}", path.join("::")),
        }
    }

    #[test]
    fn paths_lead_to_where_things_are_defined() {
        assert_eq!(leads("b", "crate::Deep"), "a::deep");
        assert_eq!(leads("b", "crate::Renamed"), "a::deep");
        assert_eq!(leads("b", "a::own"), "a");
        assert_eq!(leads("b", "super::a::deep::g"), "a::deep");
        assert_eq!(leads("b::inner", "c::Other"), "a::deep");
        assert_eq!(leads("a::tests", "super::own"), "a");
        assert_eq!(
            leads("a::deep", "Instant::now"),
            "outside tokio::time::Instant::now"
        );
        assert_eq!(
            leads("a::deep", "time::sleep"),
            "outside tokio::time::sleep"
        );
        assert_eq!(
            leads("a", "std::time::Instant"),
            "outside std::time::Instant"
        );
    }

    #[test]
    fn names_that_import_each_other_lead_nowhere() {
        let files = [
            File::new("lib.rs", "mod a; mod b;"),
            File::new("a.rs", "pub use crate::b::X; use crate::a::Y::*;"),
            File::new("b.rs", "pub use crate::a::X;"),
        ];
        let krate = Crate::new("", &files);
        for name in ["X", "Y", "Z"] {
            // That this ends is the test.
            krate.resolve(&path("b"), &path(&format!("crate::a::{name}")));
        }
    }

    #[test]
    fn every_path_is_found() {
        let sample = sample();
        let of = |module: &str| {
            let mentions = sample.modules[&path(module)].mentions.iter();
            let texts = mentions.map(|m| format!("{}:{}", m.line, m.path.join("::")));
            texts.collect::<Vec<_>>()
        };
        assert_eq!(
            of("b"),
            [
                "1:crate::a",
                "1:crate::a::own",
                "1:crate::Renamed",
                "2:a::deep::g",
                "2:crate::Deep"
            ]
        );
        assert_eq!(of("b::inner"), ["3:super::super::a", "3:c::own"]);
        assert_eq!(of("a::deep"), ["1:tokio::time", "1:tokio::time::Instant"]);
    }

    #[test]
    fn what_is_for_tests_is_known() {
        let sample = sample();
        assert!(sample.modules[&path("a::tests")].for_tests);
        assert!(!sample.modules[&path("a::deep")].for_tests);
        let inline = "fn a() {}\n#[cfg(test)]\nmod tests { use super::a; }\n#[cfg(test)] use b::c; use d::e;";
        let found = Crate::new("", &[File::new("lib.rs", inline)]);
        assert!(found.modules[&path("tests")].for_tests);
        let mentions = &found.modules[&path("")].mentions;
        assert!(
            mentions[0].for_tests && !mentions[1].for_tests,
            "{mentions:?}"
        );
    }

    #[test]
    fn what_is_passed_on_is_known() {
        let sample = sample();
        let mentions = &sample.modules[&path("")].mentions;
        assert!(mentions.iter().all(|mention| mention.re_export));
        let text = "pub(in crate::a) fn f() {} pub(crate) use macro_name;";
        let found = Crate::new("", &[File::new("lib.rs", text)]);
        assert_eq!(found.modules[&path("")].mentions.len(), 1);
    }
}
