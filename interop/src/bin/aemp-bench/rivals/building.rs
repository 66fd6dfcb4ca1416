//! How the rivals' programs are found and built.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;

/// Why there is no program.
pub enum Unbuilt {
    /// Something that is needed is not there.
    Missing(String),
    /// All is there.
    Failed(String),
}

/// Where a program is: in the folders of `PATH`, or among those for the administrator, where
/// servers are.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from);
    let folders = std::env::split_paths(&path).chain(more);
    folders
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// Where sources are, and where programs get built.
pub struct Place {
    /// The rivals' workspace.
    pub sources: PathBuf,
    built: PathBuf,
    /// Whether the crates are there, once that was asked for.
    crates: Option<Result<(), String>>,
}

impl Place {
    /// Beside this program's own folder: Cargo's artifacts of another workspace are not mixed with
    /// those of this one.
    pub fn new() -> Result<Self, Failure> {
        let own = std::env::current_exe()?;
        let target = own.ancestors().nth(2).ok_or("a program without a folder")?;
        Ok(Self {
            sources: Path::new(env!("CARGO_MANIFEST_DIR")).join("rivals"),
            built: target.join("rivals"),
            crates: None,
        })
    }

    /// The folder of what erlc has compiled.
    pub fn compiled(&self) -> PathBuf {
        self.built.join("erlang")
    }

    /// Compiles the Erlang module, and gives what runs it.
    pub fn erlang(&self) -> Result<PathBuf, Unbuilt> {
        let folder = self.compiled();
        std::fs::create_dir_all(&folder).map_err(|error| Unbuilt::Failed(error.to_string()))?;
        let mut erlc = Command::new("erlc");
        erlc.arg("-o").arg(&folder);
        output(erlc.arg(self.sources.join("erlang/rival.erl"))).map_err(Unbuilt::Failed)?;
        Ok("erl".into())
    }

    /// Builds a package of the rivals' workspace, and gives its program.
    pub fn cargo(&mut self, package: &str) -> Result<PathBuf, Unbuilt> {
        let manifest = self.sources.join("Cargo.toml");
        let mut fetch = Command::new("cargo");
        fetch.args(["fetch", "--quiet", "--locked", "--manifest-path"]);
        let crates = self
            .crates
            .get_or_insert_with(|| output(fetch.arg(&manifest)));
        crates.clone().map_err(|error| {
            Unbuilt::Missing(format!(
                "the crates that it needs can't be fetched: {error}"
            ))
        })?;
        let mut build = Command::new("cargo");
        build.args([
            "build",
            "--quiet",
            "--locked",
            "--release",
            "--package",
            package,
        ]);
        build.arg("--manifest-path").arg(&manifest);
        build.arg("--target-dir").arg(&self.built);
        output(&mut build).map_err(Unbuilt::Failed)?;
        Ok(self.built.join("release").join(package))
    }
}

/// Runs it; what it says of an error is its last line.
fn output(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.output();
    let done = done.map_err(|error| format!("{name}: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    let said = [done.stdout, done.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    eprint!("{said}");
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    Err(format!("{name}: {}", last.unwrap_or("it failed").trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_badly_is_told_by_its_last_line() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo first; echo last >&2; echo; exit 3"]);
        assert_eq!(output(&mut command), Err("sh: last".to_owned()));
        assert_eq!(output(&mut Command::new("true")), Ok(()));
        assert!(output(&mut Command::new("/nonexistent")).is_err());
    }
}
