//! The settings of rustls, which may change while a node runs.

use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::RwLock;
use rustls::client::{ClientConfig, ClientConnection, Resumption};
use rustls::pki_types::ServerName;
use rustls::server::{NoServerSessionStorage, ServerConfig, ServerConnection};
use rustls::sign::SingleCertAndKey;
use rustls::{Connection, Error};

use super::identity::{Identity, provider};
use super::verifier::Verifier;
use super::{CertError, TlsError};
use crate::log::log_at;
use crate::proto::handshake::TlsRole;

/// The name that we connect to, for configurations that look at it; AEMP knows none.
const NAME: &str = "aemp";

/// How a node speaks TLS.
#[derive(Debug)]
pub(crate) struct Tls(Settings);

#[derive(Debug)]
enum Settings {
    /// By its `cert`, which may be replaced: new links use the new one.
    Cert(RwLock<Pair>),
    /// As the program says.
    Program(Pair),
}

/// For either side of TLS.
#[derive(Debug, Clone)]
struct Pair {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Tls {
    /// With this `cert`.
    pub(crate) fn from_cert(pem: &str) -> Result<Tls, CertError> {
        let identity = Identity::from_pem(pem)?;
        warn_of_dates(&identity);
        let pair = Pair::of(&identity)?;
        Ok(Tls(Settings::Cert(RwLock::new(pair))))
    }

    /// With the program's own configurations.
    pub(crate) fn from_program(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> Tls {
        Tls(Settings::Program(Pair { client, server }))
    }

    /// Uses another `cert` from now on. After an error the old one stays.
    pub(crate) fn reload(&self, pem: &str) -> Result<(), CertError> {
        let Settings::Cert(present) = &self.0 else {
            return Err(CertError::NotInUse);
        };
        let identity = Identity::from_pem(pem)?;
        warn_of_dates(&identity);
        *present.write() = Pair::of(&identity)?;
        Ok(())
    }

    /// Begins TLS.
    pub(super) fn connection(&self, role: TlsRole) -> Result<Connection, TlsError> {
        let pair = match &self.0 {
            Settings::Cert(present) => present.read().clone(),
            Settings::Program(pair) => pair.clone(),
        };
        Ok(match role {
            TlsRole::Client => {
                let name =
                    ServerName::try_from(NAME).map_err(|e| TlsError::Local(e.to_string()))?;
                ClientConnection::new(pair.client, name)?.into()
            }
            TlsRole::Server => ServerConnection::new(pair.server)?.into(),
        })
    }
}

impl Pair {
    fn of(identity: &Identity) -> Result<Pair, CertError> {
        Ok(Pair {
            client: Arc::new(identity.client_config()?),
            server: Arc::new(identity.server_config()?),
        })
    }
}

/// A certificate that is out of date is used all the same, as it may be our clock that is wrong;
/// but others will refuse it.
fn warn_of_dates(identity: &Identity) {
    let now = SystemTime::now();
    let Some(own) = identity.certificates().into_iter().next() else {
        return;
    };
    if now > own.not_after {
        log_at!(
            1,
            "cert: our own certificate has expired: other nodes will refuse it"
        );
    }
    if now < own.not_before {
        log_at!(
            1,
            "cert: our own certificate is not valid yet: other nodes will refuse it"
        );
    }
}

fn unusable(error: Error) -> CertError {
    CertError::Key(error.to_string())
}

impl Identity {
    /// The configuration with which a node of this identity is the client of TLS. Who wants
    /// something else of it can change it, and hand it to
    /// [`Builder::rustls`](crate::Builder::rustls).
    ///
    /// Sessions are not resumed: that would carry the trust in a certificate over to connections
    /// that are made after it was taken away.
    ///
    /// # Errors
    ///
    /// [`CertError::Key`]: the key can't be used.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::net::tls::Identity;
    /// use rustls::KeyLogFile;
    /// let identity = Identity::from_pem(&std::fs::read_to_string("fixtures/tls/perl.pem")?)?;
    /// let (mut client, mut server) = (identity.client_config()?, identity.server_config()?);
    /// // Lets a tool that records the links decipher them.
    /// client.key_log = std::sync::Arc::new(KeyLogFile::new());
    /// server.key_log = client.key_log.clone();
    /// let builder = aemp::Node::builder().rustls(client.into(), server.into());
    /// # Ok(()) }
    /// ```
    pub fn client_config(&self) -> Result<ClientConfig, CertError> {
        let provider = provider();
        let verifier = Verifier::new(self.trusted.clone(), provider.clone());
        let config = ClientConfig::builder_with_provider(provider);
        let config = config
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let mut config = config
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(self.key.clone())));
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        Ok(config)
    }

    /// The configuration with which a node of this identity is the server of TLS.
    ///
    /// # Errors
    ///
    /// [`CertError::Key`]: the key can't be used.
    ///
    /// See [`client_config`](Self::client_config) for an example.
    pub fn server_config(&self) -> Result<ServerConfig, CertError> {
        let provider = provider();
        let verifier = Verifier::new(self.trusted.clone(), provider.clone());
        let config = ServerConfig::builder_with_provider(provider);
        let config = config
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let mut config = config
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(self.key.clone())));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}
