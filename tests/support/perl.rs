//! What the tests have in common that compare with Perl modules: the process and random values.

#![allow(dead_code)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Map, Value};

/// A Perl process that answers a line with a line.
pub struct Perl {
    process: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Perl {
    /// Starts Perl with a script that says `ready VERSION` once it has what it needs, and then answers
    /// each line with `ok ..` or what went wrong. Or why there is none; `modules` is what it needs.
    pub fn start(script: &str, modules: &str) -> Result<Self, String> {
        let mut process = Command::new("perl")
            .args(["-e", script])
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
