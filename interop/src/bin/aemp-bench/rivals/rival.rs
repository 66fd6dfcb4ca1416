//! How a rival's processes are started.

use std::path::PathBuf;

/// A way to use another system, in processes of its own.
#[derive(Debug, Clone)]
pub struct Rival {
    /// Its name in the results.
    pub name: String,
    /// The system's version.
    pub version: Option<String>,
    /// How it is used.
    pub how: &'static str,
    /// Which figures it has.
    pub kinds: &'static [super::kind::Kind],
    /// The executable.
    pub program: PathBuf,
    /// What the executable is told.
    pub launch: Launch,
}

/// How an executable is told what to do.
#[derive(Debug, Clone)]
pub enum Launch {
    /// A program in `interop/rivals`: `ROLE ADDRESS [VARIANT]`.
    Own {
        /// Which of several ways to do it.
        variant: Option<String>,
    },
    /// Erlang's virtual machine with the compiled module in this folder.
    Erlang {
        /// The folder.
        folder: PathBuf,
    },
}

impl Rival {
    /// The arguments of a process that plays this role, `server`, `client` or `local`.
    pub fn arguments(&self, role: &str, address: &str) -> Vec<String> {
        match &self.launch {
            Launch::Own { variant } => {
                let both = [role, address].map(str::to_owned).into_iter();
                both.chain(variant.clone()).collect()
            }
            Launch::Erlang { folder } => erlang(&folder.to_string_lossy(), role, address),
        }
    }
}

/// Two nodes without epmd, which would stay when they are gone: the port of the one that listens is
/// given, and the other one does not listen.
fn erlang(folder: &str, role: &str, address: &str) -> Vec<String> {
    let port = address.rsplit(':').next().unwrap_or_default();
    let name = format!("{role}@127.0.0.1");
    let mut arguments = vec!["-noshell", "-pa", folder];
    if role != "local" {
        arguments.extend(["-start_epmd", "false", "-erl_epmd_port", port]);
        arguments.extend(["-name", &name, "-setcookie", "bench"]);
        arguments.extend(["-kernel", "inet_dist_use_interface", "{127,0,0,1}"]);
    }
    if role == "client" {
        arguments.extend(["-dist_listen", "false"]);
    }
    arguments.extend(["-run", "rival", "main", role, address]);
    arguments.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_is_told() {
        let mut rival = Rival {
            name: "zeromq, raw".to_owned(),
            version: None,
            how: "",
            kinds: &[],
            program: "rival-zeromq".into(),
            launch: Launch::Own {
                variant: Some("raw".to_owned()),
            },
        };
        let arguments = rival.arguments("client", "127.0.0.1:4711");
        assert_eq!(arguments, ["client", "127.0.0.1:4711", "raw"]);
        rival.launch = Launch::Own { variant: None };
        assert_eq!(rival.arguments("local", "none"), ["local", "none"]);
    }

    #[test]
    fn erlang_needs_no_epmd_and_listens_where_it_is_told() {
        let server = erlang("folder", "server", "127.0.0.1:4711").join(" ");
        assert!(server.contains("-start_epmd false -erl_epmd_port 4711"));
        assert!(server.contains("-name server@127.0.0.1"));
        assert!(!server.contains("-dist_listen"));
        assert!(server.ends_with("-run rival main server 127.0.0.1:4711"));
        let client = erlang("folder", "client", "127.0.0.1:4711").join(" ");
        assert!(client.contains("-dist_listen false"));
        let local = erlang("folder", "local", "none").join(" ");
        assert_eq!(local, "-noshell -pa folder -run rival main local none");
    }
}
