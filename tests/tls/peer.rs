//! A peer that the test plays, with rustls and a socket of its own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use aemp::Node;
use aemp::net::tls::Identity;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, ServerConfig, ServerConnection,
    SignatureScheme,
};

use crate::certs::PERL;
use crate::support::LIMIT;

/// A nonce that is smaller than any other: who says it is the client of TLS.
pub const CLIENT: &str = "!";
/// And one that is larger.
pub const SERVER: &str = "~";

pub struct Peer {
    pub nonce: &'static str,
    pub params: &'static str,
    pub client: ClientConfig,
    pub server: ServerConfig,
}

impl Peer {
    /// A peer with the certificate of all.
    pub fn new(nonce: &'static str) -> Peer {
        let identity = Identity::from_pem(PERL).unwrap();
        Peer {
            nonce,
            params: "tls=1.0;mproto=1;gproto=1",
            client: identity.client_config().unwrap(),
            server: identity.server_config().unwrap(),
        }
    }

    /// One that speaks this version of TLS only, and trusts anyone.
    pub fn of_version(
        nonce: &'static str,
        version: &'static rustls::SupportedProtocolVersion,
    ) -> Peer {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let certificates = || vec![CertificateDer::from_pem_slice(PERL.as_bytes()).unwrap()];
        let key = || PrivateKeyDer::from_pem_slice(PERL.as_bytes()).unwrap();
        let client = ClientConfig::builder_with_provider(provider.clone());
        let client = client.with_protocol_versions(&[version]).unwrap();
        let anyone = Arc::new(Anyone(provider.clone()));
        let client = client.dangerous().with_custom_certificate_verifier(anyone);
        let server = ServerConfig::builder_with_provider(provider);
        let server = server.with_protocol_versions(&[version]).unwrap();
        let server = server.with_no_client_auth();
        Peer {
            client: client.with_client_auth_cert(certificates(), key()).unwrap(),
            server: server.with_single_cert(certificates(), key()).unwrap(),
            ..Peer::new(nonce)
        }
    }

    /// Connects to the node and goes as far as TLS, then says the line that is made of both
    /// greetings, and gives what came through TLS: up to a line's end, or to the end. An error is
    /// that of TLS.
    pub async fn talk(
        self,
        node: &Node,
        line: impl FnOnce(&str, &str) -> String + Send + 'static,
    ) -> Result<String, String> {
        let address = node.listeners()[0].clone();
        let talked = tokio::task::spawn_blocking(move || {
            let mut socket = TcpStream::connect(address).unwrap();
            socket.set_read_timeout(Some(LIMIT)).unwrap();
            let own = format!(
                "aemp;1;peer;tls_sha3_512,hmac_sha3_512,cleartext;json;{}\n{}\n",
                self.params, self.nonce
            );
            socket.write_all(own.as_bytes()).unwrap();
            let theirs = lines(&mut socket);
            let line = line(&own, &theirs);
            match self.nonce {
                CLIENT => {
                    let name = ServerName::try_from("aemp").unwrap();
                    let client = ClientConnection::new(Arc::new(self.client), name).unwrap();
                    converse(rustls::StreamOwned::new(client, socket), &line)
                }
                _ => {
                    let server = ServerConnection::new(Arc::new(self.server)).unwrap();
                    converse(rustls::StreamOwned::new(server, socket), &line)
                }
            }
        });
        talked.await.unwrap()
    }
}

/// Trusts any certificate.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Says the line, and takes what comes then.
fn converse(mut stream: impl Read + Write, line: &str) -> Result<String, String> {
    let text = |error: std::io::Error| error.to_string();
    stream.write_all(line.as_bytes()).map_err(text)?;
    stream.flush().map_err(text)?;
    let (mut got, mut octet) = (String::new(), [0]);
    while !got.ends_with('\n') {
        match stream.read(&mut octet) {
            Ok(0) => break,
            Ok(_) => got.push(octet[0].into()),
            Err(error) => return Err(text(error)),
        }
    }
    Ok(got)
}

/// The two lines of a greeting.
fn lines(socket: &mut TcpStream) -> String {
    let (mut lines, mut octet) = (String::new(), [0]);
    while lines.matches('\n').count() < 2 {
        socket.read_exact(&mut octet).unwrap();
        lines.push(octet[0].into());
    }
    lines
}
