//! The settings of rustls, which may change while a node runs.

use std::sync::Arc;

use parking_lot::RwLock;
use rustls::client::{ClientConfig, ClientConnection, Resumption};
use rustls::pki_types::ServerName;
use rustls::server::{NoServerSessionStorage, ServerConfig, ServerConnection};
use rustls::sign::SingleCertAndKey;
use rustls::{Connection, Error};

use super::identity::{Identity, provider};
use super::verifier::Verifier;
use super::{CertError, TlsError};
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
        let pair = pair(Identity::from_pem(pem)?)?;
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
        *present.write() = pair(Identity::from_pem(pem)?)?;
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

/// Sessions are never resumed: that would carry the trust in a certificate over to connections that
/// are made after it was taken away.
fn pair(identity: Identity) -> Result<Pair, CertError> {
    let provider = provider();
    let verifier = Verifier::new(identity.trusted, provider.clone());
    let shown = Arc::new(SingleCertAndKey::from(identity.key));
    let fault = |error: Error| CertError::Key(error.to_string());

    let client = ClientConfig::builder_with_provider(provider.clone());
    let client = client
        .with_safe_default_protocol_versions()
        .map_err(fault)?;
    let mut client = client
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_client_cert_resolver(shown.clone());
    client.resumption = Resumption::disabled();
    client.enable_sni = false;

    let server = ServerConfig::builder_with_provider(provider);
    let server = server
        .with_safe_default_protocol_versions()
        .map_err(fault)?;
    let mut server = server
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(shown);
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    Ok(Pair {
        client: Arc::new(client),
        server: Arc::new(server),
    })
}
