//! Real Perl nodes for tests of the command.

use std::io::Write as _;

pub use super::peers::release;
use super::*;

/// A Perl node, and its first listener.
pub struct PerlNode {
    process: Child,
    pub listener: String,
    lines: std::sync::mpsc::Receiver<Value>,
    /// What it has said and nobody has asked for yet.
    unasked: Vec<Value>,
    input: std::process::ChildStdin,
    last: u64,
}

impl PerlNode {
    pub fn start(home: &Home, modules: &PathBuf, settings: &Value) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../interop/perl/node.pl");
        let mut command = Command::new("perl");
        command.arg(script).env("PERL5LIB", modules);
        command.env("PERL_ANYEVENT_MP_RC", home.rc());
        // Older releases look for the file there, and nowhere else.
        let folder = home.folder.path();
        std::fs::copy(home.rc(), folder.join(".perl-anyevent-mp")).unwrap();
        command.env("HOME", folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        let (tell, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in output.map_while(Result::ok) {
                // Nobody may be interested any more, but it must be read.
                let _ = tell.send(serde_json::from_str(&line).unwrap());
            }
        });
        let mut node = PerlNode {
            process,
            listener: String::new(),
            lines,
            unasked: Vec::new(),
            input,
            last: 0,
        };
        let configured = node.ask("configure", settings);
        let listener = configured["listeners"][0].as_str();
        node.listener = listener.unwrap_or_default().to_owned();
        node
    }

    /// Has it do something, and gives the answer.
    pub fn ask(&mut self, command: &str, args: &Value) -> Value {
        self.last += 1;
        let id = self.last;
        let request = json!({"id": id, "cmd": command, "args": args});
        writeln!(self.input, "{request}").unwrap();
        let answer = self.said(|line| line["id"] == id);
        assert!(answer.get("err").is_none(), "{answer}");
        answer["ok"].clone()
    }

    /// Waits until it has said such a thing.
    pub fn said(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.unasked.iter().position(&wanted) {
            return self.unasked.remove(at);
        }
        let until = Instant::now() + LIMIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if wanted(&line) => return line,
                Ok(line) => self.unasked.push(line),
                Err(_) => panic!("it says other things: {:?}", self.unasked),
            }
        }
    }

    /// Waits until another node is up.
    pub fn up(&mut self, node: &str) {
        self.said(|line| line["ev"] == "node" && line["node"] == node && line["up"] == true);
    }
}

impl Drop for PerlNode {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
