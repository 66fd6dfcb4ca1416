//! Starting what was configured.

use std::sync::Arc;
use std::time::Duration;

use super::{Builder, StartError};
use crate::config::{self, Config, ConfigError, Endpoint, LocalHost};
use crate::log::log_at;
use crate::mesh::database::Seeds;
use crate::net::Transport;
use crate::net::tls::{CertError, Tls};
use crate::node::{self, Inner, Node, Random, ServiceFailed, UnknownName};
use crate::proto::NodeId;

impl Builder {
    /// Starts the node: reads the configuration, binds the listeners, and sets out for the seeds.
    ///
    /// Returns when the node listens. It takes a while longer until it has joined its network: see
    /// [`Node::mon_nodes`] and [`Node::mon_group`].
    ///
    /// # Errors
    ///
    /// [`StartError`]. Seeds that can't be reached are no error; they are tried again and again.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::builder()
    ///     .no_rc()
    ///     .nodeid("ruth")
    ///     .secret("geheim")
    ///     .binds(["127.0.0.1:0"])
    ///     .start()
    ///     .await?;
    /// assert_eq!(node.listeners().len(), 1);
    /// # Ok(()) }
    /// ```
    pub async fn start(self) -> Result<Node, StartError> {
        let config = self.config()?;
        crate::log::set_max_lines(u32::try_from(config.max_log_lines).unwrap_or(u32::MAX));
        for (key, origin) in &config.unknown {
            let like = config::suggest(key, config::setting_names());
            let like = like.map_or(String::new(), |like| format!("; did you mean `{like}`?"));
            log_at!(
                1,
                "the setting {key} ({origin}) is not known and has no effect{like}"
            );
        }
        let transport = self.transport;
        let random = match &transport {
            Transport::Sockets => Random::default(),
            Transport::Memory(host) => Random::seeded(host.rng_seed()),
        };
        let id = NodeId::checked(&config.node_id(&config::node_name(), &random.octets())?)?;
        log_at!(8, "node {id} starting up.");
        let tls = tls(self.tls, &config)?;
        let node = node::build(id, &config, transport, tls, random)?;
        let inner = node.inner();
        for code in &self.prepare.0 {
            code(&node);
        }
        log_at!(7, "starting global service.");
        listen(inner, &config).await?;
        tell_if_alone(inner, &config);
        if !config.bridge.is_empty() {
            node.bridge(config.bridge.iter().copied())?.keep();
        }
        add_seeds(inner, config.seeds).await?;
        let required = self.require_services && !config.optional_services;
        for ServiceFailed { service, why } in node::run_services(inner, &config.services) {
            if required {
                return Err(StartError::Service { service, why });
            }
            log_at!(1, "the service {service} does not start: {why}");
        }
        Ok(node)
    }
}

/// How the node speaks TLS: as the program says, or by its `cert`.
pub(super) fn tls(given: Option<Arc<Tls>>, config: &Config) -> Result<Option<Arc<Tls>>, CertError> {
    let tls = match (given, &config.cert) {
        (Some(given), _) => Some(given),
        (None, Some(cert)) => Some(Tls::from_cert(cert)?.into()),
        (None, None) => None,
    };
    match tls.is_none() && config.require_tls {
        true => Err(CertError::Required),
        false => Ok(tls),
    }
}

impl From<UnknownName> for StartError {
    fn from(name: UnknownName) -> Self {
        let UnknownName { key, value, known } = name;
        StartError::Unknown { key, value, known }
    }
}

/// Says what keeps the node from ever having a link.
fn tell_if_alone(node: &Inner, config: &Config) {
    if config.secret.is_none() && node.tls.is_none() {
        log_at!(
            2,
            "there is no `secret`, and no `cert`: no other node takes this one, and it takes none \
             (try `aemp gensecret`)"
        );
    }
    if node.listeners.read().is_empty() && config.seeds.is_empty() {
        log_at!(
            2,
            "`binds` gives nothing to listen on, and there are no `seeds`: this node can't have links"
        );
    }
}

async fn listen(node: &Arc<Inner>, config: &Config) -> Result<(), StartError> {
    let all = vec!["*".to_owned()];
    let binds = config.binds.as_ref().unwrap_or(&all);
    let addresses: Vec<String> = match &node.transport {
        Transport::Sockets => resolve_binds(binds).await?,
        Transport::Memory(_) => {
            // Without a port it is any, as on TCP.
            let with_port = |bind: &String| match bind.contains(':') {
                true => bind.clone(),
                false => format!("{bind}:*"),
            };
            binds.iter().map(with_port).collect()
        }
    };
    let mut listeners = Vec::new();
    for address in addresses {
        let bound = node::bind(node, &address);
        let listener = bound.map_err(|error| StartError::Bind { address, error })?;
        listeners.push(listener);
    }
    node::listen_on(node, listeners);
    Ok(())
}

/// The addresses to listen on. What can't be looked up is left out, as Perl's nodes do: that is
/// most often the network's fault and passes, and a node can connect to others meanwhile. But it is
/// said.
async fn resolve_binds(binds: &[String]) -> Result<Vec<String>, ConfigError> {
    let local = LocalHost::detect()?;
    let mut found: Vec<String> = Vec::new();
    let mut failed = false;
    for bind in binds {
        match config::resolve(bind, config::BIND_PORT, &local).await {
            Ok(endpoints) => found.extend(endpoints.iter().map(Endpoint::to_string)),
            Err(error @ ConfigError::Lookup { .. }) => {
                failed = true;
                log_at!(1, "binds: {error}; this node does not listen there");
            }
            Err(error) => return Err(error),
        }
    }
    if failed && found.is_empty() {
        log_at!(
            1,
            "binds: nothing is left to listen on, so no other node can connect to this one"
        );
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|address| seen.insert(address.clone()));
    Ok(found)
}

pub(super) async fn add_seeds(node: &Arc<Inner>, seeds: Vec<String>) -> Result<(), StartError> {
    // Also those that can't be resolved yet.
    let known = match seeds.is_empty() {
        true => Seeds::None,
        false => Seeds::Some,
    };
    node.control.has_seeds(node, known);
    match &node.transport {
        Transport::Sockets => {
            let local = LocalHost::detect()?;
            for seed in seeds {
                add_seed(node, seed, &local).await;
            }
        }
        Transport::Memory(_) => node.control.add_seeds(node, seeds),
    }
    Ok(())
}

/// Adds a seed; while its name can't be resolved, tries again in the background.
async fn add_seed(node: &Arc<Inner>, seed: String, local: &LocalHost) {
    const AGAIN: Duration = Duration::from_secs(10);
    let add = |addresses: Vec<Endpoint>, node: &Arc<Inner>| {
        let addresses = addresses.iter().map(Endpoint::to_string).collect();
        node.control.add_seeds(node, addresses);
    };
    match config::resolve(&seed, config::SEED_PORT, local).await {
        Ok(addresses) => add(addresses, node),
        Err(error) => {
            log_at!(1, "seed {seed}: {error}; trying again every {AGAIN:?}");
            // That was just told.
            drop(node.seeds.unresolved(&seed, error.to_string()));
            let (home, local) = (node.clone(), local.clone());
            node.spawn_task(async move {
                loop {
                    tokio::time::sleep(AGAIN).await;
                    match config::resolve(&seed, config::SEED_PORT, &local).await {
                        Ok(found) => {
                            home.seeds.remove(&seed);
                            return add(found, &home);
                        }
                        Err(error) => {
                            if let Some(news) = home.seeds.unresolved(&seed, error.to_string()) {
                                news.log(&seed);
                            }
                        }
                    }
                }
            });
        }
    }
}

#[cfg(all(test, not(feature = "tls")))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_tls_a_cert_is_an_error_that_says_so() {
        let started = Node::builder()
            .no_rc()
            .nodeid("a")
            .cert("any")
            .start()
            .await;
        let error = started.err().unwrap();
        assert!(
            matches!(error, StartError::Cert(CertError::NotBuilt)),
            "{error}"
        );
        assert!(error.to_string().contains("built without TLS"), "{error}");
    }
}
