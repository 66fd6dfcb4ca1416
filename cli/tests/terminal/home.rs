//! Where the command finds its settings.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::terminal::Terminal;

/// Whatever is waited for has to come within that time.
const LIMIT: Duration = Duration::from_secs(20);

/// A home with a configuration, and what is kept from one time to the next.
pub struct Home(pub tempfile::TempDir);

impl Home {
    /// One whose commands find this seed.
    pub fn new(seed: &str) -> Home {
        let home = Home(tempfile::tempdir().unwrap());
        let aemp = json!({"binds": [], "seeds": [seed]});
        let profiles = json!({"aemp": aemp, "till": {}});
        let rc = json!({"version": 1, "secret": "geheim", "profile": profiles});
        home.write_rc(&rc);
        home
    }

    fn write_rc(&self, rc: &Value) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(self.rc(), rc.to_string()).unwrap();
        std::fs::set_permissions(self.rc(), PermissionsExt::from_mode(0o600)).unwrap();
    }

    pub fn rc(&self) -> PathBuf {
        self.0.path().join("rc")
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Starts `aemp` with these arguments, in a terminal.
    pub fn start(&self, arguments: &[&str]) -> Terminal {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aemp"));
        command
            .args(arguments)
            .env("PERL_ANYEVENT_MP_RC", self.rc())
            .env("XDG_STATE_HOME", self.path().join("state"))
            .env("HOME", self.path())
            .env("PERL_ANYEVENT_MP_WARNLEVEL", "7");
        for variable in ["PERL_ANYEVENT_MP_TRACE", "RUST_LOG", "NO_COLOR"] {
            command.env_remove(variable);
        }
        Terminal::start(&command, (80, 24), LIMIT).unwrap()
    }
}
