//! `aemp run`: a node, the programs that are its services, and what their operator has of them.

pub(crate) mod again;
#[cfg_attr(not(unix), path = "no_notify.rs")]
mod notify;
mod reload;
mod restart;
mod site;

use std::time::Duration;

use aemp::config::Arguments;
use aemp::{Builder, Node};

use crate::program::{Programs, ServicesPath};
use crate::settings::read_node_arguments;
use crate::system::{Signals, Told};
use crate::{Failure, node_arguments};
use reload::Reloading;
use restart::Restart;
use site::Site;

/// How long what there is to be done may take after the first signal to end.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) const HELP: &str = "\
The words norc, force and bridge need no value. norc: the configuration file is left out; force: what is
given here wins over the file; bridge, at the end: joins all generations.

Signals:
  SIGINT, SIGTERM  end: programs first, then what waits for other nodes is
                   written, for at most 5 s or until a second signal
  SIGHUP           take over the configuration as it is by now: allow, deny,
                   secure, cert, added seeds, services_path; a line in the log
                   says what was taken and what needs a restart

Services are functions. services_path (or $PERL_ANYEVENT_MP_SERVICES, with colons) has folders with \
programs that are functions: shop::till is FOLDER/shop/till; `aemp exec --help` says what they \
speak. A service that does not start ends the node with status 1, unless optional_services is 1.

http HOST:PORT shows the network on a page, live, with /metrics (OpenMetrics) and /healthz for \
programs. A port alone is on 127.0.0.1; whoever reaches the address needs no secret to look.

Examples:
  aemp run seed
  aemp run nodeid rusty binds '*:4041' seeds perlhost:4040
  aemp run --autorestart nodeid till services shop::till:: services_path /srv
  aemp run seed http 127.0.0.1:9100";

pub(crate) async fn run(arguments: Vec<String>) -> Result<(), Failure> {
    let running = Running::start(arguments).await?;
    running.until(std::future::pending::<()>()).await.1
}

/// A node that runs, until a signal or another node ends it.
pub(crate) struct Running {
    pub(crate) node: Node,
    pub(crate) programs: Programs,
    builder: Builder,
    signals: Signals,
    restart: Restart,
    reloading: Reloading,
    site: Site,
}

impl Running {
    pub(crate) async fn start(arguments: Vec<String>) -> Result<Self, Failure> {
        let words = node_arguments::of_node(read_node_arguments(&arguments)?);
        let arguments = Arguments::from_list(words)?;
        node_arguments::check_profile(&arguments)?;
        let signals = Signals::new()?;
        let restart = Restart::new()?;
        let builder = Node::builder().arguments(arguments);
        let (settings, config) = (builder.settings()?, builder.config()?);
        let path = ServicesPath::new(&config.services_path);
        let programs = Programs::new(path, config.max_message);
        let (serving, restarting) = (programs.clone(), restart.clone());
        let builder = builder.require_services().prepare(move |node| {
            serving.serve(node);
            restarting.serve(node);
        });
        let site = Site::bind(config.http.as_deref()).await?;
        let started = builder.clone().start().await;
        if started.is_err() {
            // Those of its services that have begun.
            programs.end().await;
        }
        let node = started?;
        introduce(&node, &config.seeds);
        let site = site.serve(&node, &programs);
        notify::ready();
        notify::beat(&node);
        Ok(Running {
            node,
            programs,
            builder,
            signals,
            restart,
            reloading: Reloading::new(settings),
            site,
        })
    }

    /// Runs until it is told to end, or that comes about, whose result is returned.
    pub(crate) async fn until<T>(
        mut self,
        over: impl Future<Output = T>,
    ) -> (Option<T>, Result<(), Failure>) {
        let mut over = std::pin::pin!(over);
        let mut parent_is_gone = std::pin::pin!(again::parent_is_gone());
        let result = loop {
            tokio::select! {
                told = self.signals.next() => match told {
                    Told::End(_) => break None,
                    Told::Reload => {
                        notify::reloading();
                        self.reloading.reload(&self.builder, &self.node, &self.programs).await;
                        notify::ready();
                    }
                },
                result = &mut over => break Some(result),
                () = self.restart.asked() => break None,
                () = &mut parent_is_gone => break None,
            }
        };
        let restarts = self.restart.is_asked();
        match restarts {
            true => notify::reloading(),
            false => notify::stopping(),
        }
        self.end().await;
        let ended = match restarts {
            true => Err(self.restart.again()),
            false => Ok(()),
        };
        (result, ended)
    }

    async fn end(&mut self) {
        self.site.ends();
        tracing::info!(
            target: "aemp",
            level = 7_u8,
            "ending within {PATIENCE:?}; a second signal ends it at once"
        );
        let ended = async {
            // What they have said last is on its way when the node ends.
            self.programs.end().await;
            self.node.shutdown_within(PATIENCE).await
        };
        let ended = tokio::select! {
            ended = ended => ended,
            _ = self.signals.end() => Ok(()),
        };
        if let Err(left) = ended {
            tracing::warn!(target: "aemp", level = 2_u8, "{left}");
        }
        // Does nothing but wait if it has ended already.
        self.node.shutdown().await;
    }
}

/// One line that says who and where the node is.
fn introduce(node: &Node, seeds: &[String]) {
    let listeners = match node.listeners() {
        none if none.is_empty() => "nowhere".to_owned(),
        some => some.join(" "),
    };
    let seeds = match seeds {
        [] => "none".to_owned(),
        some => some.join(" "),
    };
    let text = format!(
        "node {} runs, listens on {listeners}, seeds: {seeds}; PERL_ANYEVENT_MP_WARNLEVEL=9 shows more",
        node.id()
    );
    let text = aemp::log::printable(&text);
    tracing::warn!(target: "aemp", level = 5_u8, "{text}");
}
