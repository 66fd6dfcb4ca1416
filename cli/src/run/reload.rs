//! SIGHUP: the configuration as it is by now, as far as a running node can go by it.

use aemp::config::Settings;
use aemp::{Builder, Node, Reloaded};

use crate::program::{Programs, ServicesPath};

/// What the node goes by.
pub(super) struct Reloading {
    settings: Settings,
}

impl Reloading {
    pub(super) fn new(settings: Settings) -> Self {
        Reloading { settings }
    }

    /// Takes over what can be, and says in one line what was, and what was not.
    pub(super) async fn reload(&mut self, builder: &Builder, node: &Node, programs: &Programs) {
        let mut reloaded = match builder.reload(node, &self.settings).await {
            Ok(reloaded) => reloaded,
            Err(error) => {
                tracing::error!(target: "aemp", level = 1_u8, "SIGHUP: {error}; all stays as it is");
                return;
            }
        };
        take_path(&mut reloaded, programs);
        let text = said(&reloaded);
        match reloaded.refused.is_empty() {
            true => tracing::warn!(target: "aemp", level = 5_u8, "SIGHUP: {text}"),
            false => tracing::error!(target: "aemp", level = 1_u8, "SIGHUP: {text}"),
        }
        self.settings = reloaded.settings;
    }
}

/// Where services are found is no matter of the library's.
fn take_path(reloaded: &mut Reloaded, programs: &Programs) {
    if reloaded.take("services_path") {
        programs.set_path(ServicesPath::new(&reloaded.config.services_path));
    }
}

fn said(reloaded: &Reloaded) -> String {
    let mut parts = Vec::new();
    if !reloaded.taken.is_empty() {
        parts.push(format!("taken: {}", reloaded.taken.join(", ")));
    }
    for (key, why) in &reloaded.refused {
        parts.push(match &**key {
            "cert" => format!("{key} can't be used: {why}; the old certificate stays"),
            _ => format!("{key} can't be used: {why}; it stays as it was"),
        });
    }
    if !reloaded.later.is_empty() {
        parts.push(format!("needs a restart: {}", reloaded.later.join(", ")));
    }
    match parts.is_empty() {
        true => "nothing has changed".to_owned(),
        false => aemp::log::printable(&parts.join("; ")),
    }
}
