//! Our command and Perl's, of the same file: every line of the manual of Perl's, run by both on a
//! copy of the same file. Files and output are compared as data, and whether it went well.
//!
//! Needs a release of AnyEvent::MP that has the command; what is not run without one is said.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::{Home, LIMIT, peers};

/// Perl's command of one release.
struct Perl {
    library: PathBuf,
    program: PathBuf,
}

impl Perl {
    /// The newest release that has the command, and all that it needs.
    fn find() -> Option<Perl> {
        let mut releases = peers::releases().into_iter().rev();
        let perl = releases.find_map(|(_, library)| {
            // It stands beside the modules, or where `cpanm -l` puts it.
            let mut places = library
                .ancestors()
                .map(|place| place.join("bin/aemp"))
                .take(3);
            let program = places.find(|program| program.is_file())?;
            Some(Perl { library, program })
        });
        let runs = |perl: &Perl| {
            let mut command = perl.command(&Home::new());
            let output = command.arg("showconfig").output();
            output.is_ok_and(|output| output.status.success())
        };
        let perl = perl.filter(runs);
        if perl.is_none() {
            println!("NOT RUN: no release of AnyEvent::MP with its command (set AEMP_PERL_PEERS)");
        }
        perl
    }

    fn command(&self, home: &Home) -> Command {
        let mut command = Command::new("perl");
        command.arg("-I").arg(&self.library).arg(&self.program);
        home.surround(&mut command);
        command
    }

    /// The subcommands that the manual names.
    fn manual(&self) -> BTreeSet<String> {
        let source = std::fs::read_to_string(&self.program).unwrap();
        let mut names = BTreeSet::new();
        for line in source
            .lines()
            .take_while(|line| *line != "=head1 DESCRIPTION")
        {
            let Some(line) = line.strip_prefix("   aemp ") else {
                continue;
            };
            let name = line.split_whitespace().next().unwrap();
            match name.strip_prefix("[set|del]") {
                Some(key) => names.extend([format!("set{key}"), format!("del{key}")]),
                None => drop(names.insert(name.to_owned())),
            }
        }
        // The name of the command itself, and what stands for all.
        names.remove("-");
        names.remove("command");
        names
    }
}

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    /// What is in the file afterwards.
    File,
    /// What is on standard output.
    Output,
    /// Whether the status is 0. (If not, Perl's is whatever `die` makes of it.)
    Success,
}
use Part::{File, Output, Success};

/// A line, and in what it differs on purpose, with the reason.
type Line = (&'static [&'static str], &'static [(Part, &'static str)]);

const RANDOM: &[(Part, &str)] = &[(File, "it is random")];
const LEAVE_OUT: &[(Part, &str)] = &[(
    File,
    "Perl leaves an empty list where there was none; of binds, that means: no listeners",
)];
const OWN_DEFAULTS: &[(Part, &str)] = &[(
    Output,
    "framing_format: a node of ours offers cbor in place of storable; auth_offer and auth_accept: in \
     `auto` the methods of all generations, and tls_anon has to be asked for",
)];
const REFUSED: &[(Part, &str)] = &[
    (File, "no node could use the value, so it is refused"),
    (Success, "it is refused"),
];

#[rustfmt::skip]
const LINES: &[Line] = &[
    (&["setnodeid", "ruth"], &[]),
    (&["nodeid", "anon/"], &[]),
    (&["delnodeid"], &[]),
    (&["gensecret"], RANDOM),
    (&["setsecret", "geheim"], &[]),
    (&["setsecret", "\u{fc}\u{df}"], &[]),
    (&["delsecret"], &[]),
    (&["gencert"], RANDOM),
    (&["setcert", concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/tls/perl.pem")], &[]),
    (&["setcert", "/dev/null"], REFUSED),
    (&["delcert"], &[]),
    (&["setseeds", "doomed"], &[]),
    (&["setseeds", "doomed:4040,10.0.0.1:5000"], &[]),
    (&["setseeds", ""], &[]),
    (&["delseeds"], &[]),
    (&["addseed", "c:3"], &[]),
    (&["addseed", "a:1"], &[]),
    (&["delseed", "a:1"], &[]),
    (&["delseed", "none"], &[]),
    (&["setbinds", "*"], &[]),
    (&["setbinds", "*:*"], &[]),
    (&["setbinds", "doomed.mydomain:4040"], &[]),
    (&["setbinds", "[\"*:4040\",\"*:4041\"]"], &[]),
    (&["setbinds", "xx:99999"], REFUSED),
    (&["delbinds"], &[]),
    (&["addbind", "*:4040"], &[]),
    (&["delbind", "*:4040"], LEAVE_OUT),
    (&["setservices", "AnyEvent::MP::Global::"], &[]),
    (&["setservices", "[[\"mymod::myfun\",1,2,3]]"], &[]),
    (&["delservices"], &[]),
    (&["addservice", "mymod::service::"], &[]),
    (&["addservice", "A::"], &[]),
    (&["delservice", "A::"], &[]),
    (&["profile", "server", "nodeid", "anon/", "seeds", "doomed,10.0.0.2:5000", "binds", "*:*"], &[]),
    (&["profile", "seed", "delbinds"], &[]),
    (&["profile", "empty"], &[]),
    (&["setparent", "server"], &[]),
    (&["profile", "doomed", "setparent", "server"], &[]),
    (&["profile", "kid", "delparent"], &[]),
    (&["delparent"], &[]),
    (&["delprofile", "seed"], &[]),
    (&["delprofile", "none"], &[]),
    (&["showprofile", "seed"], &[]),
    (&["showprofile", "kid"], &[]),
    (&["showprofile", "none"], &[(Output, "it is an error"), (Success, "Perl shows an empty profile")]),
    (&["showconfig"], OWN_DEFAULTS),
    (&["showconfig", "kid"], OWN_DEFAULTS),
    (&["showconfig", "kid", "monitor_timeout", "9", "nodeid", "x"], OWN_DEFAULTS),
    (&["showconfig", "none"], &[(Output, "it is an error"), (Success, "Perl shows what a node without a profile would use")]),
    (&["setmonitor_timeout", "5"], &[]),
    (&["monitor_timeout", "0.5"], &[]),
    (&["monitor_timeout", "soon"], REFUSED),
    (&["delmonitor_timeout"], &[]),
    (&["setconnect_interval", "2"], &[]),
    (&["delconnect_interval"], &[]),
    (&["setframing_format", "[\"My::Personal::Format\",\"json\",\"storable\"]"], &[]),
    (&["setframing_format", "json,storable"], &[(File, "a text with commas is kept as a list; Perl's nodes could not use the text")]),
    (&["delframing_format"], &[]),
    (&["setauth_offer", "[\"tls_md6_64_256\",\"hmac_md6_64_256\"]"], &[]),
    (&["delauth_offer"], &[]),
    (&["setauth_accept", "[\"hmac_md6_64_256\",\"tls_anon\",\"cleartext\"]"], &[]),
    (&["delauth_accept"], &[]),
    (&["setautocork", "1"], &[]),
    (&["delautocork"], &[]),
    (&["setnodelay", "0"], &[]),
    (&["delnodelay"], &[]),
    (&["gensecret", "setsecret", "x", "profile", "xyzzy", "binds", "4040,4041", "nodeid", "anon/"], &[]),
    (&["[\"setnodeid\",\"x\"]"], &[]),
    (&["[\"setbinds\",[\"*:4040\"],\"monitor_timeout\",5,\"secret\",\"\u{fc}\"]"], &[]),
    (&["nodeid", "\"[x\""], &[]),
    (&["nodeid", "a b"], REFUSED),
    (&["nodeid"], &[]),
    (&["setbinds"], &[]),
    (&["profile"], &[]),
    (&["frobnicate"], &[]),
    (&["nodeid", "changed", "frobnicate"], &[(File, "a line that fails changes nothing; Perl keeps what came before")]),
    (&["_resolve", "127.0.0.1:4040,127.0.0.2:*,127.0.0.1:4040"], &[]),
];

/// Subcommands that these lines leave out.
const ELSEWHERE: &[(&str, &str)] = &[
    ("snd", "below, with a node"),
    ("cal", "below, with a node"),
    ("mon", "below, with a node"),
    ("eval", "below, with a node"),
    ("trace", "below, with a node"),
    (
        "run",
        "scripts/interop has Perl's command talk to our nodes",
    ),
    ("shell", "scripts/interop has each on nodes of both"),
    ("restart", "scripts/interop has each restart nodes of both"),
];

fn start() -> Value {
    json!({
        "version": 1, "secret": "s", "nodeid": "n", "seeds": ["a:1", "b:2"], "parent": "x",
        "services": ["A::", "B::", "A::"], "monitor_timeout": "7", "connect_interval": "3",
        "framing_format": ["json"], "auth_offer": ["hmac_md6_64_256"], "autocork": "1",
        "auth_accept": ["hmac_md6_64_256"], "nodelay": "1", "cert": "c",
        "profile": {
            "seed": {"nodeid": "seed", "binds": ["*:4040"], "monitor_timeout": 9},
            "kid": {"parent": "seed", "seeds": []},
        },
    })
}

/// A file without what has defaults.
fn without_defaults() -> Value {
    let mut file = start();
    let keys = [
        "monitor_timeout",
        "connect_interval",
        "framing_format",
        "auth_offer",
        "auth_accept",
    ];
    for key in keys {
        file.as_object_mut().unwrap().remove(key);
    }
    file
}

/// What came of a line.
#[derive(Debug)]
struct Outcome {
    file: Value,
    output: Value,
    success: bool,
}

/// As data if it is JSON, else as text.
fn read(octets: &[u8]) -> Value {
    serde_json::from_slice(octets).unwrap_or_else(|_| String::from_utf8_lossy(octets).into())
}

fn outcome(home: &Home, mut command: Command, words: &[&str]) -> Outcome {
    command.args(words);
    let output = assert_cmd::Command::from_std(command)
        .timeout(LIMIT)
        .output()
        .unwrap();
    Outcome {
        file: std::fs::read(home.rc()).map_or(Value::Null, |octets| read(&octets)),
        output: read(&output.stdout),
        success: output.status.success(),
    }
}

/// In what the outcomes of a line differ.
fn differences(ours: &Outcome, theirs: &Outcome) -> Vec<Part> {
    let equal = [
        (File, ours.file == theirs.file),
        (Output, ours.output == theirs.output),
        (Success, ours.success == theirs.success),
    ];
    equal
        .into_iter()
        .filter(|(_, equal)| !equal)
        .map(|(part, _)| part)
        .collect()
}

#[test]
fn every_line_of_the_manual() {
    let Some(perl) = Perl::find() else { return };
    let mut wrong = Vec::new();
    for (words, known) in LINES {
        let (ours, theirs) = (Home::new(), Home::new());
        let file = match words {
            ["showconfig", ..] => without_defaults(),
            _ => start(),
        };
        ours.write(&file.to_string());
        theirs.write(&file.to_string());
        let our = outcome(&ours, ours.command(), words);
        let their = outcome(&theirs, perl.command(&theirs), words);
        let found = differences(&our, &their);
        let wanted: Vec<Part> = known.iter().map(|(part, _)| *part).collect();
        if found != wanted {
            wrong.push(format!(
                "{words:?} differs in {found:?}, not {wanted:?}:\n  ours {our:?}\n  Perl {their:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("compared with Perl: {} lines", LINES.len());
}

#[test]
fn no_subcommand_is_left_out() {
    let Some(perl) = Perl::find() else { return };
    let compared = LINES.iter().flat_map(|(words, _)| words.iter().copied());
    let known: BTreeSet<&str> = compared
        .chain(ELSEWHERE.iter().map(|(name, _)| *name))
        .collect();
    let manual = perl.manual();
    assert!(manual.len() > 40, "{manual:?}");
    let missing: Vec<_> = manual
        .iter()
        .filter(|name| !known.contains(&***name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The defaults of each generation, of which nobody has set one.
#[test]
fn the_same_defaults() {
    let Some(perl) = Perl::find() else { return };
    let (ours, theirs) = (Home::new(), Home::new());
    let their = outcome(&theirs, perl.command(&theirs), &["showconfig"]).output;
    let generation = |number: &str| {
        let words = [
            "showconfig",
            &aemp::config::node_name(),
            "generation",
            number,
        ];
        outcome(&ours, ours.command(), &words).output
    };
    let old = generation("1");
    for key in [
        "monitor_timeout",
        "connect_interval",
        "auth_offer",
        "version",
    ] {
        assert_eq!(old[key], their[key], "{key}");
    }
    // What differs, and has to.
    assert_eq!(their["framing_format"], json!(["json", "storable"]));
    assert_eq!(old["framing_format"], json!(["cbor", "json"]));
    let accepted: Vec<_> = their["auth_accept"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| *it != "tls_anon")
        .collect();
    assert_eq!(old["auth_accept"], json!(accepted));
    assert_eq!(generation("0")["monitor_timeout"], 15);
    assert_eq!(
        generation("2")["auth_offer"],
        json!(["tls_sha3_512", "hmac_sha3_512"])
    );
    // The layout is the same, too, but for the order.
    let lines = |mut command: Command| -> BTreeSet<String> {
        let output = command.arg("showconfig").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text
            .lines()
            .filter(|line| line.contains("_timeout") || line.contains("interval"));
        lines
            .map(|line| line.trim_end_matches(',').to_owned())
            .collect()
    };
    assert_eq!(lines(ours.command()), lines(perl.command(&theirs)));
}

/// The commands that talk to a node, all at once: a node of ours is asked by both.
#[test]
fn the_lines_that_talk_to_a_node() {
    let Some(perl) = Perl::find() else { return };
    let home = Home::new();
    home.network("127.0.0.1:1");
    let node = home.run("doomed");
    home.network(&node.listener);
    let lines: &[Line] = &[
        (&["snd", "doomed", "devnull", "1"], &[]),
        (
            &["snd", "doomed#none", "x"],
            &[
                (Output, "the reason is an error"),
                (Success, "it was not delivered"),
            ],
        ),
        (&["cal", "doomed", "info"], &[]),
        (
            &["mon", "doomed#none"],
            &[(Success, "it did not end normally")],
        ),
        (&["eval", "doomed", "1", "+", "1"], &[]),
        (&["trace", "doomed"], &[]),
    ];
    for (words, known) in lines {
        let ours = outcome(&home, home.command(), words);
        let theirs = outcome(&home, perl.command(&home), words);
        let wanted: Vec<Part> = known.iter().map(|(part, _)| *part).collect();
        assert_eq!(
            differences(&ours, &theirs),
            wanted,
            "{words:?}: {ours:?}, {theirs:?}"
        );
    }
    for command in [home.command(), perl.command(&home)] {
        let time = outcome(&home, command, &["cal", "doomed", "time"]).output;
        assert!(time.as_f64().unwrap() > 1.7e9, "{time}");
    }
}

/// Fifty writers of each kind. Perl's know no lock, and each writes at its end what it read at its
/// start: so two of them at once lose what one has written, and are run one after the other here.
/// One that read before one of ours wrote, and writes after it, undoes that: nothing that we do can
/// keep it from that. But ours lose nothing, neither of each other nor of Perl's.
#[test]
fn many_writers_at_once() {
    let home = Home::new();
    home.write("{\"version\": 1}");
    let Some(perl) = Perl::find() else { return };
    let run = |mut command: Command, name: String| {
        let status = command
            .args(["profile", &name, "nodeid", &name])
            .status()
            .unwrap();
        assert!(status.success(), "{name}");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..50 {
                run(perl.command(&home), format!("perl-{n}"));
            }
        });
        // As many at a time as make sense, again and again, while Perl's are at work.
        for writer in 0..5 {
            let (run, home) = (&run, &home);
            scope.spawn(move || {
                for n in 0..10 {
                    run(home.command(), format!("ours-{writer}-{n}"));
                }
            });
        }
    });
    let config = home.config();
    let written = |kind: &str| {
        let profiles = config["profile"].as_object().unwrap();
        profiles
            .keys()
            .filter(|name| name.starts_with(kind))
            .count()
    };
    assert_eq!(written("perl-"), 50);
    println!(
        "of 50 of ours, Perl's have undone {}",
        50 - written("ours-")
    );
}
