//! A link between a node of this crate and a Perl node, recorded as it passed on the wire, with the
//! key log of TLS: deciphered again, the tokens are right and messages follow.

use std::collections::BTreeMap;

use aemp::Secret;
use aemp::proto::{AuthMethod, Greeting};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA384, KeyType, Prk};
use serde_json::{Value, json};

/// Where the recording is.
fn file() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tls/link.json")
}

/// What one side sent: first as it is, and then through TLS.
struct Side {
    greeting: String,
    records: Vec<u8>,
}

fn side(recording: &Value, dir: &str) -> Side {
    let chunks = recording["chunks"].as_array().unwrap().iter();
    let own = chunks.filter(|chunk| chunk["dir"] == dir);
    let octets = own.flat_map(|chunk| STANDARD.decode(chunk["base64"].as_str().unwrap()).unwrap());
    let mut greeting: Vec<u8> = octets.collect();
    let ends = greeting
        .iter()
        .enumerate()
        .filter(|(_, octet)| **octet == b'\n');
    let end = ends.map(|(at, _)| at + 1).nth(1).unwrap();
    let records = greeting.split_off(end);
    Side {
        greeting: String::from_utf8(greeting).unwrap(),
        records,
    }
}

struct Len(usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

/// `HKDF-Expand-Label` of TLS 1.3 without a context.
fn expand(secret: &[u8], label: &str, len: usize) -> Vec<u8> {
    let label = format!("tls13 {label}");
    let lens = [(len as u16).to_be_bytes().to_vec(), vec![label.len() as u8]];
    let info = [&lens[0][..], &lens[1], label.as_bytes(), &[0]];
    let mut out = vec![0; len];
    let prk = Prk::new_less_safe(HKDF_SHA384, secret);
    prk.expand(&info, Len(len)).unwrap().fill(&mut out).unwrap();
    out
}

/// The keys of one direction at one stage.
struct Keys {
    key: LessSafeKey,
    iv: Vec<u8>,
    sequence: u64,
}

impl Keys {
    fn new(secret: &str) -> Keys {
        let pair = |at: usize| u8::from_str_radix(&secret[at..at + 2], 16).unwrap();
        let secret: Vec<u8> = (0..secret.len()).step_by(2).map(pair).collect();
        let key = UnboundKey::new(&AES_256_GCM, &expand(&secret, "key", 32)).unwrap();
        Keys {
            key: LessSafeKey::new(key),
            iv: expand(&secret, "iv", 12),
            sequence: 0,
        }
    }

    fn open(&mut self, header: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let mut nonce: [u8; 12] = self.iv.clone().try_into().unwrap();
        for (octet, mask) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *octet ^= mask;
        }
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self
            .key
            .open_in_place(nonce, Aad::from(header), &mut sealed);
        let opened = opened.ok()?.to_vec();
        self.sequence += 1;
        Some(opened)
    }
}

/// What was said within TLS: first come records of the handshake, and then those.
fn decipher(records: &[u8], handshake: &str, application: &str) -> String {
    let (mut handshake, mut application) = (Keys::new(handshake), Keys::new(application));
    let (mut rest, mut said) = (records, Vec::new());
    while !rest.is_empty() {
        let (header, body) = rest.split_at(5);
        let len = usize::from(u16::from_be_bytes([header[3], header[4]]));
        let (body, behind) = body.split_at(len);
        rest = behind;
        if header[0] != 23 {
            continue; // a hello, or what is there for old machines on the way
        }
        let opened = handshake.open(header, body);
        let opened = opened
            .or_else(|| application.open(header, body))
            .expect("one of the keys");
        let end = opened.iter().rposition(|octet| *octet != 0).unwrap();
        if opened[end] == 23 {
            said.extend_from_slice(&opened[..end]);
        }
    }
    String::from_utf8(said).unwrap()
}

#[test]
fn a_recorded_link_is_deciphered_and_its_tokens_are_right() {
    let recording: Value = serde_json::from_slice(&std::fs::read(file()).unwrap()).unwrap();
    let log: BTreeMap<&str, &str> = recording["key_log"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["label"].as_str().unwrap(),
                entry["secret"].as_str().unwrap(),
            )
        })
        .collect();
    let (perl, rust) = (side(&recording, ">"), side(&recording, "<"));
    let nonce = |side: &Side| side.greeting.lines().nth(1).unwrap().to_owned();
    let perl_is_client = nonce(&perl) < nonce(&rust);
    for (own, other, is_client) in [
        (&perl, &rust, perl_is_client),
        (&rust, &perl, !perl_is_client),
    ] {
        assert!(
            Greeting::parse(own.greeting.lines().next().unwrap().as_bytes())
                .unwrap()
                .wants_tls()
        );
        let role = if is_client { "CLIENT" } else { "SERVER" };
        let inside = decipher(
            &own.records,
            log[&*format!("{role}_HANDSHAKE_TRAFFIC_SECRET")],
            log[&*format!("{role}_TRAFFIC_SECRET_0")],
        );
        let (token, messages) = inside.split_once('\n').unwrap();
        let wanted = AuthMethod::TlsMd6.token(&Secret::from(""), &own.greeting, &other.greeting);
        assert_eq!(token, format!("tls_md6_64_256;{wanted};json"));
        assert!(messages.starts_with("[\"\",\""), "{messages}");
    }
}

mod record {
    //! Makes the recording anew.

    use std::process::{Command, Stdio};
    use std::sync::{Arc, Mutex};

    use aemp::Node;
    use aemp::net::tls::Identity;
    use aemp::proto::generation::Generations;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::certs::PERL;
    use crate::support::{LIMIT, up};

    /// Keeps the secrets of TLS.
    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<Value>>);

    impl rustls::KeyLog for Kept {
        fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
            let secret: String = secret.iter().map(|octet| format!("{octet:02x}")).collect();
            self.0
                .lock()
                .unwrap()
                .push(json!({"label": label, "secret": secret}));
        }
    }

    type Chunks = Arc<Mutex<Vec<Value>>>;

    async fn pass(
        mut from: impl tokio::io::AsyncRead + Unpin,
        mut to: impl tokio::io::AsyncWrite + Unpin,
        dir: &'static str,
        chunks: Chunks,
    ) {
        let mut block = vec![0; 65536];
        while let Ok(read @ 1..) = from.read(&mut block).await {
            let text = STANDARD.encode(&block[..read]);
            chunks
                .lock()
                .unwrap()
                .push(json!({"dir": dir, "base64": text}));
            if to.write_all(&block[..read]).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    }

    /// `AEMP_PERL_PEERS=.. cargo test --test tls -- --ignored record`
    #[tokio::test]
    #[ignore = "makes the recording anew, with a Perl node of release 1.30"]
    async fn record() {
        let peers = std::env::var("AEMP_PERL_PEERS").expect("where the releases are");
        let identity = Identity::from_pem(PERL).unwrap();
        let kept = Arc::new(Kept::default());
        let (mut client, mut server) = (
            identity.client_config().unwrap(),
            identity.server_config().unwrap(),
        );
        (client.key_log, server.key_log) = (kept.clone(), kept.clone());
        let node = Node::builder()
            .no_rc()
            .nodeid("rust")
            .binds(["127.0.0.1:0"]);
        let node = node
            .generation(Generations::Only(1))
            .rustls(client.into(), server.into());
        let node = node.start().await.unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = node.listeners()[0].clone();
        let chunks = Chunks::default();
        let all = chunks.clone();
        tokio::spawn(async move {
            let (near, _) = listener.accept().await.unwrap();
            let far = TcpStream::connect(target).await.unwrap();
            let ((near_read, near_write), (far_read, far_write)) =
                (near.into_split(), far.into_split());
            tokio::join!(
                pass(near_read, far_write, ">", all.clone()),
                pass(far_read, near_write, "<", all),
            );
        });
        let folder = tempfile::tempdir().unwrap();
        let rc = folder.path().join("rc");
        std::fs::write(&rc, json!({"version": 1, "cert": PERL}).to_string()).unwrap();
        let program = format!(
            "configure nodeid => 'perl', binds => [], seeds => ['{address}']; AE::cv->recv"
        );
        let mut perl = Command::new("perl")
            .arg(format!("-I{peers}/1.30"))
            .args(["-MAnyEvent", "-MAnyEvent::MP", "-e", &program])
            .env("PERL_ANYEVENT_MP_RC", &rc)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        up(&node, "perl").await;
        node.round_trip("perl", LIMIT).await.unwrap();
        perl.kill().unwrap();
        perl.wait().unwrap();
        node.shutdown().await;

        let recording = json!({
            "connector": "perl-1.30",
            "listener": "rust",
            "key_log": *kept.0.lock().unwrap(),
            "chunks": *chunks.lock().unwrap(),
        });
        std::fs::write(file(), format!("{recording:#}\n")).unwrap();
    }
}
