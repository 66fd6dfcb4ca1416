//! Which room of the crate may import which, what pure rooms keep away from, and circles of files
//! within a room.

use std::collections::{BTreeMap, BTreeSet};

use crate::files::{self, File, report};
use crate::modules::{Crate, Mention, Module, Target};
use crate::source::{Literals, blank, tokens};

/// A room, that is a file or folder of `src/`, and what it may import.
#[derive(Debug, Clone, Copy)]
struct Room {
    name: &'static str,
    /// The rooms that it may import, each of which stands further up in the table.
    imports: &'static [&'static str],
    pure: bool,
}

/// A pure room has rules only: inputs go in, effects come out. So it is tested, replayed and fuzzed
/// without a network, and the same inputs always have the same effects.
const PURE: bool = true;
/// A shell carries out what the rules say, so it has to do with sockets, tasks and the clock.
const SHELL: bool = false;

/// The house, from the bottom up. A room that is not there (any more, or yet) breaks no rule.
#[rustfmt::skip]
const ROOMS: &[Room] = &[
    room("proto",     &[],                                                                       PURE),
    room("rights",    &[],                                                                       PURE),
    room("log",       &["proto"],                                                                SHELL),
    room("trace",     &["proto", "log"],                                                         SHELL),
    room("config",    &["proto", "rights", "log"],                                               SHELL),
    room("mesh",      &["proto"],                                                                PURE),
    room("peering",   &["proto"],                                                                PURE),
    room("net",       &["proto", "log", "config"],                                               SHELL),
    room("node",      &["proto", "rights", "log", "trace", "config", "mesh", "peering", "net"],  SHELL),
    room("supervise", &["proto", "log", "node"],                                                 SHELL),
    room("bridge",    &["proto", "log", "mesh", "net", "node"],                                  SHELL),
    room("builder",   &["proto", "log", "trace", "config", "mesh", "peering", "net", "node", "bridge"], SHELL),
    room("testing",   &["proto", "net", "node", "builder"],                                      SHELL),
    room("fuzz",      &["proto", "config", "mesh", "peering", "node"],                           SHELL),
    room("guide",     &[],                                                                       SHELL),
];

/// Pure parts of rooms that are not pure as a whole.
const PURE_PARTS: &[&str] = &["supervise::core"];

const fn room(name: &'static str, imports: &'static [&'static str], pure: bool) -> Room {
    Room {
        name,
        imports,
        pure,
    }
}

/// The root of the crate, which puts the rooms together and is free to import all of them.
const ROOT: &str = "src/lib.rs";

/// What pure code keeps away from: the beginnings of paths.
const IMPURE: &[(&str, &str)] = &[
    ("tokio", "a runtime"),
    ("tokio_util", "a runtime"),
    ("socket2", "sockets"),
    ("std::net", "sockets"),
    ("std::fs", "files"),
    ("std::process", "processes"),
    ("std::thread", "threads"),
    ("std::env", "the environment"),
    ("rand", "randomness"),
    ("chrono", "a clock"),
];

/// What is no more than a value, though it stands among what pure code keeps away from.
const VALUES: &[&str] = &[
    "std::net::IpAddr",
    "std::net::Ipv4Addr",
    "std::net::Ipv6Addr",
    "std::net::SocketAddr",
];

/// Calls of pure code that read a clock, wherever the type comes from: the ends of paths.
const CLOCKS: &[&str] = &["Instant::now", "SystemTime::now"];

/// What test code may all the same: file, what it imports, why.
const IN_TESTS: &[(&str, &str, &str)] = &[
    (
        "src/mesh/database/tests/recordings.rs",
        "std::fs",
        "the recordings that are replayed are files",
    ),
    (
        "src/proto/framing/cbor/tests/typed.rs",
        "std::thread",
        "deep nesting is read on a small stack, which only a thread of its own has",
    ),
    (
        "src/rights/mod.rs",
        "Instant::now",
        "the time that many rules take is compared with that of one",
    ),
    (
        "src/peering/schedule.rs",
        "Instant::now",
        "a model's time goes on from some instant, and only the clock gives one",
    ),
    (
        "src/peering/tests/mod.rs",
        "std::fs",
        "the seeds of schedules that failed once are kept in a file",
    ),
    (
        "src/peering/tests/mod.rs",
        "std::env",
        "who searches longer for a failure says how many schedules",
    ),
    (
        "src/peering/tests/mod.rs",
        "std::thread",
        "a hundred thousand schedules are run on all processors",
    ),
    (
        "src/peering/world/mod.rs",
        "Instant::now",
        "a model's time goes on from some instant, and only the clock gives one",
    ),
    (
        "src/peering/world/chance.rs",
        "rand",
        "a schedule is drawn at random, from a seed that makes it again",
    ),
    (
        "src/peering/world/mod.rs",
        "rand",
        "a schedule is drawn at random, from a seed that makes it again",
    ),
    (
        "src/peering/world/connections.rs",
        "rand",
        "a schedule is drawn at random, from a seed that makes it again",
    ),
    (
        "src/peering/world/program.rs",
        "rand",
        "a schedule is drawn at random, from a seed that makes it again",
    ),
    (
        "src/peering/world/room.rs",
        "rand",
        "a schedule is drawn at random, from a seed that makes it again",
    ),
    (
        "src/peering/world/shell.rs",
        "rand",
        "a schedule is drawn at random, from a seed that makes it again",
    ),
    (
        "src/bridge/tests.rs",
        "builder",
        "a bridge is built as a program builds it, together with nodes on both sides",
    ),
];

/// Imports that break the table, to be mended: file, what it imports. An entry whose break is gone
/// has to go as well.
const NOT_YET: &[(&str, &str)] = &[];

/// Circles of files, to be opened: all files of each. An entry whose circle is gone, or has other
/// files, has to go as well.
const CIRCLES_NOT_YET: &[&[&str]] = &[];

/// The room that may be tangled: the handle, ports and links know each other.
const TANGLED: &str = "node";

#[test]
fn rooms_import_only_what_stands_below_them() {
    let files = files::ending(".rs");
    let krate = Crate::new("src/", &library(&files));
    let mut breaches = forbidden(&krate, ROOMS, PURE_PARTS);
    breaches.extend(clocks_read(&krate, &files, ROOMS, PURE_PARTS));
    let breaches = without(breaches, IN_TESTS);
    report(
        "the order of the rooms (see ROOMS in tests/tidy/rooms.rs)",
        judge(&breaches, NOT_YET),
    );
}

#[test]
fn files_of_a_room_import_each_other_in_no_circle() {
    let files = files::ending(".rs");
    let krate = Crate::new("src/", &library(&files));
    let faults = circle_faults(&circles(&krate, Within::Rooms), CIRCLES_NOT_YET);
    report(
        "the rule that files of a room import each other in no circle",
        faults,
    );
}

#[test]
fn files_of_the_harness_import_each_other_in_no_circle() {
    const ROOT: &str = "interop/src/";
    let mut files = files::ending(".rs");
    // The programs are crates of their own, which import this one.
    files.retain(|file| {
        let path = file.path.strip_prefix(ROOT);
        path.is_some_and(|path| !path.starts_with("bin/") && path != "main.rs" && path != "lib.rs")
    });
    let found = circles(&Crate::new(ROOT, &files), Within::Crate);
    report(
        "the rule that files of the harness import each other in no circle",
        circle_faults(&found, &[]),
    );
}

#[test]
fn the_command_takes_nothing_but_the_public_api() {
    let mut faults = Vec::new();
    for file in files::ending(".rs") {
        faults.extend(ways_around_the_api(&file));
    }
    report("the rule that the command uses the public API only", faults);
}

#[test]
fn the_table_is_in_order() {
    for (i, room) in ROOMS.iter().enumerate() {
        for import in room.imports {
            let below = ROOMS[..i].iter().any(|below| below.name == *import);
            assert!(
                below,
                "{} may import {import}, which does not stand below it",
                room.name
            );
        }
    }
}

/// The files of the library.
fn library(files: &[File]) -> Vec<File> {
    let is_librarys = |file: &&File| file.path.starts_with("src/");
    files.iter().filter(is_librarys).cloned().collect()
}

/// An import that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Breach {
    file: String,
    line: usize,
    /// A room, or the path of [`IMPURE`].
    import: String,
    for_tests: bool,
    text: String,
}

/// All imports that break the table.
fn forbidden(krate: &Crate, rooms: &[Room], pure_parts: &[&str]) -> Vec<Breach> {
    let mut found = Vec::new();
    for (path, module) in &krate.modules {
        let Some(name) = path.first().filter(|_| module.file != ROOT) else {
            continue;
        };
        let Some(room) = rooms.iter().find(|room| room.name == name) else {
            found.push(Breach {
                file: module.file.clone(),
                line: 1,
                import: name.clone(),
                for_tests: false,
                text: format!(
                    "the room `{name}` is not in the table: say there what it may import"
                ),
            });
            continue;
        };
        let pure = is_pure(path, room, pure_parts);
        for mention in &module.mentions {
            let written = mention.path.join("::");
            // `use a::b; b::c()` is one import, and not two.
            let is_whole = |path: &[String]| mention.path == path;
            let from_here = ["crate", "super", "self"].contains(&&*mention.path[0]);
            match krate.resolve(path, &mention.path) {
                Target::Inside { module: target, by } if from_here => {
                    let all: BTreeSet<_> = by.iter().chain([&target]).map(|m| m.first()).collect();
                    for other in all {
                        // What the root passes on is judged by where it comes from.
                        let other = match other {
                            Some(other) => other.as_str(),
                            None if target.is_empty() => "lib.rs",
                            None => continue,
                        };
                        if other != name && !room.imports.contains(&other) {
                            let allowed = match room.imports {
                                [] => "nothing of the crate".to_owned(),
                                some => format!("only {}", some.join(", ")),
                            };
                            let text = format!(
                                "`{written}` is of `{other}`, and `{name}` imports {allowed}: have it handed in, or move the code up"
                            );
                            found.push(breach(module, mention, other, text));
                        }
                    }
                }
                Target::Outside(path) if pure => {
                    if let Some((import, what)) = impure(&path.join("::"), is_whole(&path)) {
                        let text = format!(
                            "`{written}` is {what}, and `{name}` is pure: hand in what it tells, or have the shell do it"
                        );
                        found.push(breach(module, mention, import, text));
                    }
                }
                Target::Inside { .. } | Target::Outside(_) => {}
            }
        }
    }
    found
}

fn is_pure(path: &[String], room: &Room, pure_parts: &[&str]) -> bool {
    let part = path.join("::");
    let is_part = |pure: &&str| part == *pure || part.starts_with(&format!("{pure}::"));
    room.pure || pure_parts.iter().any(is_part)
}

fn breach(module: &Module, mention: &Mention, import: &str, text: String) -> Breach {
    Breach {
        file: module.file.clone(),
        line: mention.line,
        import: import.to_owned(),
        for_tests: module.for_tests || mention.for_tests,
        text,
    }
}

/// What of [`IMPURE`] and [`CLOCKS`] a path is. `is_whole`: it was written so, and not by a name
/// that was imported before.
fn impure(path: &str, is_whole: bool) -> Option<(&'static str, &'static str)> {
    let under = |above: &str| path == above || path.starts_with(&format!("{above}::"));
    let begins = IMPURE
        .iter()
        .find(|(above, _)| is_whole && under(above) && !VALUES.iter().any(|value| under(value)))
        .copied();
    let is_clock = |clock: &&&str| path == **clock || path.ends_with(&format!("::{clock}"));
    begins.or_else(|| Some((CLOCKS.iter().find(is_clock)?, "a clock")))
}

/// `.elapsed()` in pure code reads a clock without any path.
fn clocks_read(krate: &Crate, files: &[File], rooms: &[Room], pure_parts: &[&str]) -> Vec<Breach> {
    let mut found = Vec::new();
    for (path, module) in &krate.modules {
        let room = rooms
            .iter()
            .find(|room| path.first().is_some_and(|name| name == room.name));
        let file = files.iter().find(|file| file.path == module.file);
        let (Some(room), Some(file)) = (room, file) else {
            continue;
        };
        // Inline modules are in the file of the one around them.
        let is_inline = krate
            .modules
            .get(&path[..path.len() - 1])
            .is_some_and(|above| above.file == module.file);
        if is_inline || !is_pure(path, room, pure_parts) {
            continue;
        }
        let tokens = tokens(&blank(&file.text, Literals::Go));
        for call in tokens.windows(3) {
            if call[0].text == "." && call[1].text == "elapsed" && call[2].text == "(" {
                found.push(Breach {
                    file: file.path.clone(),
                    line: call[1].line,
                    import: "elapsed".to_owned(),
                    for_tests: module.for_tests,
                    text: "`.elapsed()` reads the clock, and the room is pure: have the time handed in".to_owned(),
                });
            }
        }
    }
    found
}

/// Without what tests may do; with a fault for what they do not do any more.
fn without(breaches: Vec<Breach>, allowed: &[(&str, &str, &str)]) -> Vec<Breach> {
    let is = |breach: &Breach, (file, import, _): &(&str, &str, &str)| {
        breach.for_tests && breach.file == *file && breach.import == *import
    };
    let stale = allowed
        .iter()
        .filter(|entry| !breaches.iter().any(|breach| is(breach, entry)));
    let stale: Vec<_> = stale
        .map(|(file, import, _)| Breach {
            file: (*file).to_owned(),
            line: 1,
            import: (*import).to_owned(),
            for_tests: true,
            text: "IN_TESTS allows this, and no test does it: take the entry out".to_owned(),
        })
        .collect();
    let is_allowed = |breach: &Breach| allowed.iter().any(|entry| is(breach, entry));
    breaches
        .into_iter()
        .filter(|breach| !is_allowed(breach))
        .chain(stale)
        .collect()
}

/// What is wrong: breaches that are not in the list, and entries of the list without a breach.
fn judge(breaches: &[Breach], not_yet: &[(&str, &str)]) -> Vec<String> {
    let is = |breach: &Breach, (file, import): &(&str, &str)| {
        breach.file == *file && breach.import == *import
    };
    let new = breaches
        .iter()
        .filter(|breach| !not_yet.iter().any(|entry| is(breach, entry)));
    let new = new.map(|breach| format!("{}:{}: {}", breach.file, breach.line, breach.text));
    let stale = not_yet
        .iter()
        .filter(|entry| !breaches.iter().any(|breach| is(breach, entry)));
    let stale = stale.map(|(file, import)| {
        format!("{file}: it does not import `{import}` any more: take the entry out of NOT_YET")
    });
    new.chain(stale).collect()
}

/// Files that import each other in a circle, and what ties them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Circle {
    files: Vec<String>,
    ties: Vec<String>,
}

/// Where circles are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    /// In each room by itself, but for the one that is [tangled](TANGLED).
    Rooms,
    /// Among all files.
    Crate,
}

/// The circles of files. Test code counts for nothing here: it may build what it tests out
/// of what stands above it.
fn circles(krate: &Crate, within: Within) -> Vec<Circle> {
    let mut arrows: BTreeMap<(&str, &str), Vec<(usize, String)>> = BTreeMap::new();
    for (path, module) in &krate.modules {
        let room = path.first();
        if within == Within::Rooms && room.is_none_or(|room| room == TANGLED) {
            continue;
        }
        for mention in &module.mentions {
            // A re-export asks for nothing: who asks for what it passes on has an arrow to where
            // that is.
            if module.for_tests || mention.for_tests || mention.re_export {
                continue;
            }
            let Target::Inside { module: target, .. } = krate.resolve(path, &mention.path) else {
                continue;
            };
            let Some(there) = krate.modules.get(&target) else {
                continue;
            };
            let counts = within == Within::Crate || target.first() == room;
            if counts && there.file != module.file {
                let ties = arrows.entry((&module.file, &there.file)).or_default();
                ties.push((mention.line, mention.path.join("::")));
            }
        }
    }
    let reach = reach(arrows.keys().copied());
    let mut circles: BTreeSet<Vec<&str>> = BTreeSet::new();
    for (file, reached) in &reach {
        let back = |other: &&&str| reach.get(**other).is_some_and(|back| back.contains(file));
        let circle: Vec<&str> = reached.iter().filter(back).copied().collect();
        if !circle.is_empty() {
            circles.insert(circle);
        }
    }
    let ties = |circle: &Vec<&str>| {
        let within = arrows
            .iter()
            .filter(|((from, to), _)| circle.contains(from) && circle.contains(to));
        within
            .map(|((from, to), ties)| tie(from, to, ties))
            .collect()
    };
    let circle = |circle: &Vec<&str>| Circle {
        files: circle.iter().map(|&file| file.to_owned()).collect(),
        ties: ties(circle),
    };
    circles.iter().map(circle).collect()
}

/// What `from` asks `to` for, as one line. The first places will do to find the others.
fn tie(from: &str, to: &str, ties: &[(usize, String)]) -> String {
    let shown: Vec<_> = ties
        .iter()
        .take(4)
        .map(|(_, path)| format!("`{path}`"))
        .collect();
    let more = if ties.len() > shown.len() { " .." } else { "" };
    format!("{from}:{}: {}{more} of {to}", ties[0].0, shown.join(", "))
}

/// Which files each file leads to, over any number of arrows.
fn reach<'a>(
    arrows: impl Iterator<Item = (&'a str, &'a str)>,
) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (from, to) in arrows {
        next.entry(from).or_default().insert(to);
    }
    let from = |start: &&'a str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![*start]);
        while let Some(file) = open.pop() {
            let new = next
                .get(file)
                .into_iter()
                .flatten()
                .filter(|file| seen.insert(**file));
            open.extend(new.copied().collect::<Vec<_>>());
        }
        (*start, seen)
    };
    next.keys().map(from).collect()
}

fn circle_faults(circles: &[Circle], not_yet: &[&[&str]]) -> Vec<String> {
    let is = |circle: &Circle, files: &[&str]| circle.files == files;
    let new = circles
        .iter()
        .filter(|circle| !not_yet.iter().any(|files| is(circle, files)));
    let new = new.map(|circle| {
        format!(
            "{} import each other in a circle; move what ties them to a file below all of them:\n    {}",
            circle.files.join(", "),
            circle.ties.join("\n    ")
        )
    });
    let stale = not_yet
        .iter()
        .filter(|files| !circles.iter().any(|circle| is(circle, files)));
    let stale = stale.map(|files| {
        let files = files.join(", ");
        format!("{files}: this circle is gone, or has other files by now: take the entry out of CIRCLES_NOT_YET")
    });
    new.chain(stale).collect()
}

/// The compiler sees to it that the command has nothing of the library that is not public, unless a
/// file of the library is compiled into the command.
fn ways_around_the_api(file: &File) -> Vec<String> {
    if !file.path.starts_with("cli/src/") {
        return Vec::new();
    }
    let lines = blank(&file.text, Literals::Stay);
    let lines = lines.lines().enumerate();
    let around = lines.filter(|(_, line)| {
        (line.contains("#[path") || line.contains("include!")) && line.contains("..")
    });
    let fault = |line: usize| {
        format!(
            "{}:{line}: compiles a file of the library into the command: make it public, or do without",
            file.path
        )
    };
    around.map(|(line, _)| fault(line + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Room] = &[
        room("rules", &[], PURE),
        room("shell", &["rules"], SHELL),
        room("top", &["shell"], SHELL),
    ];

    fn krate(files: &[(&str, &str)]) -> Crate {
        let lib = (
            "src/lib.rs",
            "mod rules; mod shell; mod top; pub use shell::Handle; pub struct Root;",
        );
        let files = files
            .iter()
            .chain([&lib])
            .map(|(path, text)| File::new(path, text));
        Crate::new("src/", &files.collect::<Vec<_>>())
    }

    fn breaches(files: &[(&str, &str)]) -> Vec<Breach> {
        forbidden(&krate(files), TABLE, &["shell::core"])
    }

    fn imports(files: &[(&str, &str)]) -> Vec<(usize, String)> {
        breaches(files)
            .into_iter()
            .map(|breach| (breach.line, breach.import))
            .collect()
    }

    fn one(line: usize, import: &str) -> Vec<(usize, String)> {
        vec![(line, import.to_owned())]
    }

    #[test]
    fn a_forbidden_import_is_found() {
        let shell = (
            "src/shell/mod.rs",
            "pub struct Handle; pub use crate::rules::Rule;",
        );
        let rules = |text| [("src/rules.rs", text), shell];
        assert_eq!(imports(&rules("pub struct Rule;")), []);
        // However it is written.
        for text in [
            "\nuse crate::shell::Handle;",
            "\nuse crate::{shell::{Handle as H}, rules::Rule};",
            "\nuse super::shell;",
            "\nfn f(h: &crate::shell::Handle) {}",
            "\nfn f(h: &crate::Handle) {}",
            "\n#[cfg(test)] mod tests { use super::super::shell::*; }",
        ] {
            assert_eq!(imports(&rules(text)), one(2, "shell"), "{text}");
        }
        // What is no import.
        for text in [
            "/// See [`Handle`](crate::shell::Handle).\nfn f() {}",
            "fn f() -> &'static str { \"crate::shell::Handle\" }",
            "/* use crate::shell; */ mod shell {} use shell::x;",
        ] {
            assert_eq!(imports(&rules(text)), [], "{text}");
        }
        assert_eq!(imports(&rules("use crate::Root;")), one(1, "lib.rs"));
    }

    #[test]
    fn what_another_room_passes_on_is_an_import_of_that_room() {
        let shell = ("src/shell.rs", "pub use crate::rules::Rule;");
        let files = [("src/rules.rs", "pub struct Rule;"), shell];
        assert_eq!(imports(&files), []);
        let top = ("src/top.rs", "use crate::shell::Rule;");
        // The room that it comes from is one, too.
        assert_eq!(imports(&[files[0], shell, top]), one(1, "rules"));
        let rules = (
            "src/rules.rs",
            "pub struct Rule; use crate::shell::Rule as Again;",
        );
        assert_eq!(imports(&[rules, shell]), one(1, "shell"));
    }

    #[test]
    fn pure_rooms_keep_away_from_the_world() {
        let is = |text, import: &str| {
            assert_eq!(
                imports(&[("src/rules/a.rs", text)]),
                one(1, import),
                "{text}"
            )
        };
        is("use tokio::sync::watch;", "tokio");
        is("fn f() { rand::random::<u8>() }", "rand");
        is("use std::net::TcpStream;", "std::net");
        is("use std::{fmt, net::UdpSocket};", "std::net");
        is("use std::net; fn f(a: net::IpAddr) {}", "std::net");
        is("use std::net::SocketAddrs;", "std::net");
        is(
            "use std::time::Instant as I; fn f() { I::now() }",
            "Instant::now",
        );
        is("fn f() { std::time::SystemTime::now() }", "SystemTime::now");
        for value in [
            "use std::time::{Duration, Instant};",
            "use std::net::{IpAddr, SocketAddr};",
            "fn f(a: std::net::Ipv6Addr) { std::net::Ipv6Addr::from(0) }",
        ] {
            assert_eq!(imports(&[("src/rules/a.rs", value)]), [], "{value}");
        }
        assert_eq!(
            imports(&[("src/shell/a.rs", "use tokio::sync::watch;")]),
            []
        );
        assert_eq!(
            imports(&[("src/shell/core.rs", "use tokio::sync::watch;")]),
            one(1, "tokio")
        );
        let file = [File::new("src/rules/a.rs", "fn f(t: T) { t.elapsed() }")];
        assert_eq!(
            clocks_read(&Crate::new("src/", &file), &file, TABLE, &[]).len(),
            1
        );
    }

    #[test]
    fn rooms_are_in_the_table() {
        assert_eq!(imports(&[("src/other.rs", "fn f() {}")]), one(1, "other"));
    }

    #[test]
    fn lists_are_exact() {
        let breaches = breaches(&[
            ("src/rules.rs", "use crate::shell; use tokio::x;"),
            ("src/shell.rs", ""),
        ]);
        assert_eq!(judge(&breaches, &[]).len(), 2);
        let both = [("src/rules.rs", "shell"), ("src/rules.rs", "tokio")];
        assert_eq!(judge(&breaches, &both), [] as [&str; 0]);
        let stale = judge(&breaches[..1], &both);
        assert!(
            stale.len() == 1 && stale[0].contains("take the entry out"),
            "{stale:?}"
        );
    }

    #[test]
    fn tests_may_do_what_is_listed_and_only_they() {
        let list = [("src/rules.rs", "std::fs", "why")];
        let tests = breaches(&[("src/rules.rs", "#[cfg(test)] mod tests { use std::fs; }")]);
        assert_eq!(without(tests, &list), []);
        let code = breaches(&[("src/rules.rs", "use std::fs;")]);
        assert_eq!(without(code, &list).len(), 2, "a breach and a stale entry");
    }

    fn found(files: &[(&str, &str)]) -> Vec<Circle> {
        circles(&krate(files), Within::Rooms)
    }

    #[test]
    fn a_circle_is_found() {
        let parent = (
            "src/shell/mod.rs",
            "mod a; mod b; mod c; pub use a::A; pub use b::B;",
        );
        let a = ("src/shell/a.rs", "use super::B; pub struct A;");
        let b = ("src/shell/b.rs", "use super::c::C; pub struct B;");
        let open = ("src/shell/c.rs", "pub struct C;");
        assert_eq!(found(&[parent, a, b, open]), []);
        let closed = ("src/shell/c.rs", "fn f() { super::A::new() }");
        let circles = found(&[parent, a, b, closed]);
        assert_eq!(circles.len(), 1);
        assert_eq!(circles[0].files, [a.0, b.0, closed.0]);
        assert!(
            circles[0]
                .ties
                .iter()
                .any(|tie| tie.starts_with("src/shell/c.rs:1: `super::A::new`"))
        );
        let in_tests = (
            "src/shell/c.rs",
            "#[cfg(test)] mod tests { use super::super::A; }",
        );
        assert_eq!(found(&[parent, a, b, in_tests]), []);
        let in_node = [
            ("src/node/a.rs", "use super::b::B;"),
            ("src/node/b.rs", "use super::a::A;"),
        ];
        assert_eq!(found(&in_node), []);

        assert_eq!(circle_faults(&circles, &[]).len(), 1);
        assert_eq!(
            circle_faults(&circles, &[&[a.0, b.0, closed.0]]),
            [] as [&str; 0]
        );
        assert_eq!(
            circle_faults(&circles, &[&[a.0, b.0]]).len(),
            2,
            "a circle and a stale entry"
        );
        assert_eq!(circle_faults(&[], &[&[a.0, b.0, closed.0]]).len(), 1);
    }

    #[test]
    fn the_api_has_no_way_around() {
        let faults = |path, text| ways_around_the_api(&File::new(path, text)).len();
        assert_eq!(
            faults(
                "cli/src/main.rs",
                "#[path = \"../../src/net/mod.rs\"]\nmod net;"
            ),
            1
        );
        assert_eq!(
            faults("cli/src/main.rs", "include!(\"../../src/net/mod.rs\");"),
            1
        );
        assert_eq!(
            faults(
                "cli/src/main.rs",
                "#[path = \"settings_tests.rs\"]\nmod tests;"
            ),
            0
        );
        assert_eq!(faults("src/node/mod.rs", "include!(\"../net/mod.rs\");"), 0);
    }
}
