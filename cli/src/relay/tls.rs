//! TLS between a relay and each of its sides, where both nodes speak it.
//!
//! Nodes prove themselves within TLS by a hash of the greetings, and by nothing of TLS itself
//! (PROTOCOL.md, "TLS"): so what passes from one TLS to the other is not altered, and each side
//! takes the other's token. What keeps a stranger from doing the same is that each node lets in
//! nobody who has not the key of a certificate that it trusts. The user of a relay has.

use std::io::{Cursor, Error, ErrorKind, Result};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aemp::net::tls::{Identity, TlsError};
use aemp::proto::handshake::TlsRole;
use tokio::io::{AsyncReadExt as _, Chain, Join};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::Failure;

/// The time for the handshake of TLS.
const LIMIT: Duration = Duration::from_secs(30);

/// Where it has to be named whom one connects to. Nodes look at no names.
const NAME: &str = "aemp";

/// A connection of which some octets were read already.
pub(super) type Begun = Join<Chain<Cursor<Vec<u8>>, OwnedReadHalf>, OwnedWriteHalf>;

/// A connection of which these octets were read already.
pub(super) fn begun(stream: TcpStream, early: Vec<u8>) -> Begun {
    let (read, write) = stream.into_split();
    tokio::io::join(Cursor::new(early).chain(read), write)
}

/// How a relay speaks TLS with the nodes of a side.
#[derive(Clone)]
pub(super) struct End {
    client: TlsConnector,
    server: TlsAcceptor,
}

/// Of both sides.
#[derive(Clone)]
pub(super) struct Ends {
    pub(super) connector: End,
    pub(super) target: End,
}

impl End {
    /// By the PEM of a node of that side: it shows what those trust, and trusts what they show.
    fn of_file(path: &Path) -> std::result::Result<Self, Failure> {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let pem = std::fs::read_to_string(path).map_err(|error| named(&error))?;
        let identity = Identity::from_pem(&pem).map_err(|error| named(&error))?;
        let client = identity.client_config().map_err(|error| named(&error))?;
        let server = identity.server_config().map_err(|error| named(&error))?;
        Ok(End {
            client: Arc::new(client).into(),
            server: Arc::new(server).into(),
        })
    }

    /// Does the handshake of TLS with a node, which has this role in it.
    pub(super) async fn open(&self, stream: Begun, node: TlsRole) -> Result<TlsStream<Begun>> {
        let opening = async {
            match node {
                TlsRole::Client => Ok(self.server.accept(stream).await?.into()),
                TlsRole::Server => {
                    let name = NAME.try_into().map_err(Error::other)?;
                    Ok(self.client.connect(name, stream).await?.into())
                }
            }
        };
        let opened = tokio::time::timeout(LIMIT, opening).await;
        opened.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
    }
}

impl Ends {
    /// With one file for both sides, or with one each.
    pub(super) fn of_files(
        connector: &Path,
        target: Option<&Path>,
    ) -> std::result::Result<Self, Failure> {
        let connector = End::of_file(connector)?;
        let target = match target {
            Some(path) => End::of_file(path)?,
            None => connector.clone(),
        };
        Ok(Ends { connector, target })
    }
}

/// The role of the other side.
pub(super) fn other(role: TlsRole) -> TlsRole {
    match role {
        TlsRole::Client => TlsRole::Server,
        TlsRole::Server => TlsRole::Client,
    }
}

/// Why TLS with a side failed, in the words in which a node says so.
pub(super) fn explain(error: &Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(error) => TlsError::from(rustls::Error::clone(error)).to_string(),
        None if error.kind() == ErrorKind::UnexpectedEof => {
            "TLS: the connection was closed in the handshake".to_owned()
        }
        None => format!("TLS: {error}"),
    }
}
