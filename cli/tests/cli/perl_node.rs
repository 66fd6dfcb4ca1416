//! Real Perl nodes for tests of the command: `$AEMP_PERL_PEERS`, or else `~/aemp-peers`, has a
//! folder for each release.

use std::io::Write as _;

use super::*;

/// The modules of a release, if it is there; else that is said.
pub fn release(version: &str) -> Option<PathBuf> {
    let peers = std::env::var_os("AEMP_PERL_PEERS").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join("aemp-peers"));
    let folder = peers.or_else(home)?.join(version);
    let found = [folder.clone(), folder.join("lib/perl5")];
    let found = found
        .into_iter()
        .find(|folder| folder.join("AnyEvent/MP.pm").is_file());
    if found.is_none() {
        eprintln!("NOT RUN: there is no AnyEvent::MP {version} in AEMP_PERL_PEERS");
    }
    found
}

/// A Perl node, and its first listener.
pub struct PerlNode {
    process: Child,
    pub listener: String,
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
        let request = json!({"id": 1, "cmd": "configure", "args": settings});
        // It ends when this is closed.
        let mut input = process.stdin.take().unwrap();
        writeln!(input, "{request}").unwrap();
        process.stdin = Some(input);
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let listener = lines.find_map(|line| {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            (line["id"] == 1).then(|| line["ok"]["listeners"][0].as_str().unwrap().to_owned())
        });
        // What else it says is not read, so that it must not end the process.
        std::thread::spawn(move || lines.for_each(drop));
        PerlNode {
            process,
            listener: listener.unwrap(),
        }
    }
}

impl Drop for PerlNode {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
