//! Finding an installed AnyEvent::MP, for the demonstration.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A Perl that can run AnyEvent::MP.
pub(crate) struct Perl {
    /// The release, as the module says it.
    pub(crate) release: String,
    library: Option<PathBuf>,
}

impl Perl {
    /// Looks into `AEMP_PERL_PEERS` (by default `~/aemp-peers`), newest release first, then into
    /// the perl's own modules.
    pub(crate) fn find() -> Result<Perl, String> {
        let peers = std::env::var_os("AEMP_PERL_PEERS").map(PathBuf::from);
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join("aemp-peers"));
        let mut libraries = Vec::new();
        if let Some(peers) = peers.or_else(home)
            && let Ok(folders) = std::fs::read_dir(peers)
        {
            for folder in folders.flatten() {
                let release = folder.file_name().to_string_lossy().parse::<f64>();
                for library in [folder.path(), folder.path().join("lib/perl5")] {
                    if library.join("AnyEvent/MP.pm").is_file() {
                        libraries.push((release.clone().unwrap_or(0.0), library));
                    }
                }
            }
        }
        // Generation 2 is another network; see PROTOCOL.md.
        libraries.retain(|(release, _)| *release < 2.0);
        libraries.sort_by(|a, b| b.0.total_cmp(&a.0));
        let candidates = libraries.into_iter().map(|(_, library)| Some(library));
        let mut why = "perl has no AnyEvent::MP".to_owned();
        for library in candidates.chain([None]) {
            match Self::probe(library) {
                Ok(perl) => return Ok(perl),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    fn probe(library: Option<PathBuf>) -> Result<Perl, String> {
        let mut perl = Perl {
            release: String::new(),
            library,
        };
        let mut command = perl.command();
        command.args(["-MAnyEvent::MP::Global", "-MDigest::HMAC_MD6", "-e"]);
        command.arg("print AnyEvent::MP->VERSION");
        let output = command.output().map_err(|error| format!("perl: {error}"))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            let first = text.lines().next().unwrap_or("perl failed");
            return Err(first.chars().take(100).collect());
        }
        perl.release = String::from_utf8_lossy(&output.stdout).into_owned();
        match perl.release.parse::<f64>() {
            Ok(release) if release < 2.0 => Ok(perl),
            _ => Err(format!("AnyEvent::MP {} is generation 2", perl.release)),
        }
    }

    /// A perl that finds this release's modules.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("perl");
        if let Some(library) = &self.library {
            command.arg("-I").arg(library);
        }
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        command
    }
}
