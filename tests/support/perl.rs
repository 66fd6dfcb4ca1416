//! What the tests have in common that compare a framing with Perl's own: the process, random
//! values, and messages of either side on their way to the other.

#![allow(dead_code)]

use std::fmt::Display;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use aemp::proto::framing::FramingError;
use serde_json::{Map, Value};

/// A Perl process that answers a line with a line.
pub struct Perl {
    process: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Perl {
    /// Starts Perl with `values.pl` and a script behind it. It says `ready VERSION` once it has
    /// what it needs, and then answers each line with `ok ..` or what went wrong. Or why there is
    /// none; `modules` is what it needs.
    fn start(script: &str, modules: &str) -> Result<Self, String> {
        let script = format!("{}{script}", include_str!("values.pl"));
        let mut process = Command::new("perl")
            .args(["-e", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("perl does not start: {e}"))?;
        let to = process.stdin.take();
        let from = BufReader::new(process.stdout.take().expect("is piped"));
        let mut perl = Self { process, to, from };
        let greeting = perl.line();
        match greeting.strip_prefix("ready ") {
            Some(version) => {
                eprintln!("{modules} {version}");
                Ok(perl)
            }
            None => Err(format!("perl lacks {modules}, see its message above")),
        }
    }

    /// The other side of the comparison `what`, and random values. Without Perl or a module there
    /// is none, and that is said; with `CI` set it is a failure. `AEMP_SEED` sets the seed of all
    /// that is random, on both sides.
    pub fn to_compare(what: &str, script: &str, modules: &str) -> Option<(Self, Random)> {
        let mut perl = match Perl::start(script, modules) {
            Ok(perl) => perl,
            Err(why) if std::env::var_os("CI").is_some() => panic!("{why}"),
            Err(why) => {
                eprintln!("NOT RUN: comparison of {what}: {why}");
                return None;
            }
        };
        let seed = match std::env::var("AEMP_SEED") {
            Ok(seed) => seed.parse().expect("AEMP_SEED is a number"),
            Err(_) => 4040,
        };
        eprintln!("AEMP_SEED={seed}");
        perl.tells_differences();
        perl.ask(&format!("seed {}", seed & 0x7fff_ffff)).unwrap();
        Some((perl, Random(seed)))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).expect("perl can be read");
        line.trim_end().to_owned()
    }

    /// The answer, or what went wrong on the other side.
    pub fn ask(&mut self, request: &str) -> Result<String, String> {
        let to = self.to.as_mut().expect("is open until dropped");
        writeln!(to, "{request}").expect("perl listens");
        let answer = self.line();
        match answer.strip_prefix("ok") {
            Some(rest) => Ok(rest.trim_start().to_owned()),
            None => Err(answer),
        }
    }

    /// Panics unless Perl finds no difference; `shown` is the message that it was asked about.
    pub fn agrees(&mut self, request: &str, shown: impl Display) {
        assert_eq!(self.ask(request), Ok(String::new()), "{shown}");
    }

    /// Who found no difference anywhere would agree with everything.
    fn tells_differences(&mut self) {
        for (one, other) in [
            (r#"["a",1]"#, r#"["a",2]"#),
            (r#"["a","b"]"#, r#"["a","c"]"#),
            (r#"["a",1.5]"#, r#"["a",1.6]"#),
            (r#"["a",true]"#, r#"["a",false]"#),
            (r#"["a",null]"#, r#"["a",""]"#),
            (r#"["a",[1]]"#, r#"["a",[1,2]]"#),
            (r#"["a",{"b":1}]"#, r#"["a",{"c":1}]"#),
            (r#"["a",{"b":[1]}]"#, r#"["a",{"b":[2]}]"#),
        ] {
            let mut differ = |one: &str, other: &str| {
                let request = format!("differ {} {}", hex(one.as_bytes()), hex(other.as_bytes()));
                self.ask(&request)
            };
            let found = differ(one, other);
            let is_told = |error: &String| error.starts_with("err message[1]");
            assert!(
                found.as_ref().is_err_and(is_told),
                "{one}, {other}: {found:?}"
            );
            assert_eq!(differ(one, one), Ok(String::new()), "{one}");
        }
    }
}

/// A message of Perl's in what has come so far.
pub struct Written<'a> {
    /// Which of those that were made.
    pub number: usize,
    /// Its octets, as Perl wrote them.
    pub octets: &'a [u8],
    /// What has come and was not taken. It begins with the message, but the end may be missing.
    pub came: &'a [u8],
}

/// Has what Perl writes read: 250 times ten messages, in one stream that is cut into chunks of any
/// size. `read` compares the message at the beginning of what came and says how many octets it
/// took, or nothing as long as it is not complete.
pub fn read_streams<S>(
    perl: &mut Perl,
    random: &mut Random,
    scanner: impl Fn() -> S,
    mut read: impl FnMut(&mut Perl, &mut S, &Written<'_>) -> Option<usize>,
) {
    for _ in 0..250 {
        let messages = perl.ask("make 10").unwrap();
        let messages: Vec<_> = messages.split(' ').map(unhex).collect();
        let stream = messages.concat();
        let mut scanner = scanner();
        let (mut rest, mut came, mut number) = (&stream[..], Vec::new(), 0);
        while !rest.is_empty() {
            let most = random.pick(&[1, 10, 100, 1000]);
            let (chunk, later) = rest.split_at(rest.len().min(1 + random.below(most)));
            came.extend_from_slice(chunk);
            rest = later;
            loop {
                // Behind the last one there is nothing more to find, which the scanner has to see
                // as well.
                let octets = messages.get(number).map_or(&[][..], Vec::as_slice);
                let written = Written {
                    number,
                    octets,
                    came: &came,
                };
                let Some(taken) = read(perl, &mut scanner, &written) else {
                    break;
                };
                number += 1;
                came.drain(..taken);
            }
        }
        assert_eq!((number, came.len()), (messages.len(), 0));
    }
}

/// What a scanner finds: how many messages, where the last one ends, and how it goes on from there.
/// `next` gives the end of the next one.
pub fn scan(
    octets: &[u8],
    mut next: impl FnMut(&[u8]) -> Result<Option<usize>, FramingError>,
) -> (usize, usize, Result<(), FramingError>) {
    let (mut count, mut at) = (0, 0);
    loop {
        match next(&octets[at..]) {
            Ok(Some(end)) => {
                count += 1;
                at += end;
            }
            Ok(None) => return (count, at, Ok(())),
            Err(error) => return (count, at, Err(error)),
        }
    }
}

/// Has random messages judged, most of them bent by `mutate`, and sees to it that enough of them
/// are still whole and enough are not.
pub fn judge_bent(
    random: &mut Random,
    rounds: usize,
    encoded: impl Fn(&Value) -> Vec<u8>,
    mutate: impl Fn(&mut Random, &mut Vec<u8>),
    mut is_accepted: impl FnMut(&[u8]) -> bool,
) {
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..rounds {
        let mut octets = Vec::new();
        for _ in 0..1 + random.below(2) {
            octets.extend(encoded(&random.message()));
        }
        for _ in 0..random.below(3) {
            mutate(random, &mut octets);
        }
        match is_accepted(&octets) {
            true => accepted += 1,
            false => refused += 1,
        }
    }
    eprintln!("{accepted} accepted as one message, {refused} not, by both");
    assert!(accepted > 400 && refused > 400, "one-sided");
}

/// Has the streams judged that fuzzers of `target` found to lead somewhere: those in the
/// repository, and those of a longer run in the folder `TARGET` of `AEMP_FUZZ_CORPUS`. The octets
/// in front say how such a stream is cut, and in which limits.
pub fn judge_corpus(target: &str, mut judge: impl FnMut(&[u8])) {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let longer = std::env::var_os("AEMP_FUZZ_CORPUS").map(PathBuf::from);
    let mut count = 0;
    for folder in [Some(own), longer].into_iter().flatten() {
        let folder = folder.join(target);
        let files = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder:?}: {e}"));
        for file in files {
            let input = std::fs::read(file.unwrap().path()).unwrap();
            if let Some(stream) = input.get(3..) {
                judge(stream);
                count += 1;
            }
        }
    }
    eprintln!("{count} streams of the fuzzers' corpora judged the same by both");
    assert!(count > 50, "{target} has hardly a corpus");
}

impl Drop for Perl {
    fn drop(&mut self) {
        self.to = None;
        let _ = self.process.wait();
    }
}

pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

pub fn unhex(text: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).expect("perl sends hex") as u8;
    let pairs = text.as_bytes().chunks_exact(2);
    pairs
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

/// Knuth's MMIX generator.
pub struct Random(pub u64);

impl Random {
    pub fn word(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 32
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.word() as usize % n
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub fn string(&mut self) -> String {
        let ascii = self.below(2) == 0;
        let mut char = || loop {
            let most = match ascii {
                true => 0x80,
                false => [0x20, 0x80, 0x100, 0x800, 0x1_0000, 0x11_0000][self.below(6)],
            };
            if let Some(c) = char::from_u32(self.below(most) as u32) {
                return c;
            }
        };
        let chars: String = (0..24).map(|_| char()).collect();
        let len = self.below(25);
        chars.chars().take(len).collect()
    }

    pub fn number(&mut self) -> Value {
        let bits = (self.word() << 32 | self.word()) >> self.below(64);
        let scale = 10f64.powi(self.below(60) as i32 - 30);
        match self.below(6) {
            0 => bits.into(),
            1 => (bits as i64).into(),
            2 => (-((bits >> 1) as i64)).into(),
            3 => (bits as f64 / (1u64 << 40) as f64).into(),
            4 => (self.word() as f64 / self.word().max(1) as f64 * scale).into(),
            _ => self.pick(&[0.0, -0.0, 1e20, 1.0, -1e-7, 1e300]).into(),
        }
    }

    pub fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth > 4 { 8 } else { 12 }) {
            0 => Value::Null,
            1 => (self.below(2) == 0).into(),
            2..=4 => self.number(),
            5..=7 => self.string().into(),
            8 | 9 => (0..self.below(6)).map(|_| self.value(depth + 1)).collect(),
            _ => {
                let pair = |_| (self.string(), self.value(depth + 1));
                Map::from_iter((0..4).map(pair).collect::<Vec<_>>()).into()
            }
        }
    }

    pub fn message(&mut self) -> Value {
        if self.below(20) == 0 {
            return Value::Array(vec![]);
        }
        let mut message = vec![match self.below(10) {
            0 => self.number(),
            _ => self.string().into(),
        }];
        message.extend(
            (0..self.below(5))
                .map(|_| self.value(0))
                .collect::<Vec<_>>(),
        );
        message.into()
    }
}
