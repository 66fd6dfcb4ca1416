//! What the bare loops write to and read from: a socket, or one through rustls.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aemp::net::tls::Identity;
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::failure::Failure;

/// So much is read from a socket below TLS at once, in octets. rustls alone would ask the system
/// for 4 KiB each time.
const READ: usize = 256 * 1024;

/// A connection.
pub enum Stream {
    /// Octets go as they are.
    Plain(TcpStream),
    /// Octets go through rustls.
    Tls(Box<TlsStream<BufReader<TcpStream>>>),
}

/// How connections are made.
#[derive(Clone)]
pub enum Transport {
    /// Without TLS.
    Plain,
    /// With TLS, of the configurations that a node of this certificate has.
    Tls(TlsConnector, TlsAcceptor),
}

impl Transport {
    /// With TLS if there is a certificate.
    pub fn new(cert: Option<&str>) -> Result<Self, Failure> {
        let Some(pem) = cert else {
            return Ok(Self::Plain);
        };
        let identity = Identity::from_pem(pem)?;
        let client = Arc::new(identity.client_config()?);
        let server = Arc::new(identity.server_config()?);
        Ok(Self::Tls(client.into(), server.into()))
    }

    /// Connects.
    pub async fn connect(&self, address: &str) -> Result<Stream, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let Self::Tls(connector, _) = self else {
            return Ok(Stream::Plain(stream));
        };
        let below = BufReader::with_capacity(READ, stream);
        let name = ServerName::try_from("aemp")?;
        let mut stream = connector.connect(name, below).await?;
        // A batch may be longer than the 64 KiB that rustls encrypts at once by default.
        stream.get_mut().1.set_buffer_limit(None);
        Ok(Stream::Tls(Box::new(stream.into())))
    }

    /// Goes on with a connection that was accepted.
    pub async fn accept(&self, stream: TcpStream) -> Result<Stream, Failure> {
        stream.set_nodelay(true)?;
        let Self::Tls(_, acceptor) = self else {
            return Ok(Stream::Plain(stream));
        };
        let below = BufReader::with_capacity(READ, stream);
        let mut stream = acceptor.accept(below).await?;
        stream.get_mut().1.set_buffer_limit(None);
        Ok(Stream::Tls(Box::new(stream.into())))
    }
}

impl Stream {
    /// The version and the cipher suite, if it goes through TLS.
    pub fn tls(&self) -> Option<String> {
        let Self::Tls(stream) = self else {
            return None;
        };
        let (_, connection) = stream.get_ref();
        let version = connection.protocol_version()?.as_str()?;
        let suite = connection.negotiated_cipher_suite()?.suite();
        Some(format!("{version}, {}", suite.as_str()?))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, octets),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, octets),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
