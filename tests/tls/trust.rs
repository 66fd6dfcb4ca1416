//! Who is let in and who is not.

use aemp::net::memory::Network;
use aemp::net::tls::{CertError, Identity};
use aemp::proto::AuthMethod;
use aemp::{Builder, LinkStats, Node, Secret, StartError};
use rustls::ClientConfig;

use crate::certs::{self, PERL};
use crate::peer::{CLIENT, Peer, SERVER};
use crate::support::{LIMIT, capture_log, log, within};

/// A node without a secret.
pub fn node(id: &str) -> Builder {
    Node::builder().no_rc().nodeid(id).binds(["127.0.0.1:0"])
}

/// Waits until the log has a line with all these words.
pub async fn logged(words: &[&str]) {
    let there = || {
        log()
            .iter()
            .any(|line| words.iter().all(|word| line.contains(word)))
    };
    within(&format!("a line with {words:?}"), async {
        while !there() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Connects the second to the first, and gives what both know of the link.
async fn linked(a: Builder, b: Builder) -> [LinkStats; 2] {
    let a = a.start().await.unwrap();
    let b = b.seeds(a.listeners()).start().await.unwrap();
    b.round_trip(a.id(), LIMIT).await.unwrap();
    let links = [&a, &b].map(|node| node.stats().links[0].clone());
    a.shutdown().await;
    b.shutdown().await;
    links
}

/// Connects the second to the first, which becomes nothing: both say why.
async fn refused(a: Builder, b: Builder, words: [&[&str]; 2]) {
    capture_log();
    let a = a.start().await.unwrap();
    let b = b.seeds(a.listeners()).start().await.unwrap();
    for words in words {
        logged(words).await;
    }
    assert!(a.up_nodes().is_empty() && b.up_nodes().is_empty());
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn two_nodes_with_a_certificate_need_no_secret() {
    let links = linked(node("a").cert(PERL), node("b").cert(PERL)).await;
    let own = &Identity::from_pem(PERL).unwrap().certificates()[0];
    for link in links {
        let tls = link.tls.unwrap();
        assert_eq!(tls.version, "TLSv1_3");
        assert!(tls.cipher.starts_with("TLS13_"), "{tls:?}");
        let peer = tls.peer.unwrap();
        assert_eq!((&peer.sha256, &peer.sha1), (&own.sha256, &own.sha1));
        assert_eq!(peer.subject, "CN=AnyEvent::MP");
    }
}

#[tokio::test(start_paused = true)]
async fn in_memory_as_well() {
    let network = Network::new(3);
    let host = |id: &str| {
        Node::builder()
            .no_rc()
            .nodeid(id)
            .cert(PERL)
            .network(&network.host(id))
    };
    let links = linked(host("a").binds(["a:4040"]), host("b").binds(["b:4040"])).await;
    assert!(links.iter().all(|link| link.tls.is_some()));
}

#[tokio::test]
async fn certificates_of_one_ca() {
    let [a, b] = certs::issued();
    let links = linked(node("a").cert(&a), node("b").cert(&b)).await;
    let subjects = links.map(|link| link.tls.unwrap().peer.unwrap().subject);
    assert_eq!(subjects, ["CN=b", "CN=a"]);
}

#[tokio::test]
async fn where_only_one_has_a_certificate_there_is_no_tls() {
    let links = linked(
        node("a").secret("geheim").cert(PERL),
        node("b").secret("geheim"),
    )
    .await;
    assert!(links.iter().all(|link| link.tls.is_none()));
    let links = linked(
        node("a").secret("geheim"),
        node("b").secret("geheim").cert(PERL),
    )
    .await;
    assert!(links.iter().all(|link| link.tls.is_none()));
}

#[tokio::test]
async fn a_certificate_of_another_ca() {
    let b = node("b").cert(certs::other_ca());
    let words: &[&str] = &["WARN", "TLS: the peer"];
    refused(node("a").cert(PERL), b, [words, words]).await;
}

#[tokio::test]
async fn an_expired_certificate() {
    let expired = certs::expired();
    let words: &[&str] = &["WARN", "TLS: the peer", "expired"];
    capture_log();
    drop(node("c").cert(&expired).start().await.unwrap());
    logged(&["ERROR cert: our own certificate has expired"]).await;
    refused(
        node("a").cert(&expired),
        node("b").cert(&expired),
        [words, words],
    )
    .await;
}

#[tokio::test]
async fn who_presents_no_certificate() {
    capture_log();
    let node = node("presents-none").cert(PERL).start().await.unwrap();
    let mut peer = Peer::new(CLIENT);
    let verifier = Identity::from_pem(PERL).unwrap().client_config().unwrap();
    peer.client = anonymous(&verifier);
    let got = peer.talk(&node, |_, _| String::new()).await;
    assert!(
        got.as_ref()
            .is_err_and(|error| error.contains("ertificate")),
        "{got:?}"
    );
    logged(&["WARN", "TLS: the peer presented no certificate"]).await;
    node.shutdown().await;
}

/// Has no certificate.
#[derive(Debug)]
struct Nothing;

impl rustls::client::ResolvesClientCert for Nothing {
    fn resolve(
        &self,
        _: &[&[u8]],
        _: &[rustls::SignatureScheme],
    ) -> Option<std::sync::Arc<rustls::sign::CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// The same configuration without a certificate to show.
fn anonymous(config: &ClientConfig) -> ClientConfig {
    let mut config = config.clone();
    config.client_auth_cert_resolver = std::sync::Arc::new(Nothing);
    config
}

#[tokio::test]
async fn who_requires_tls_refuses_the_others() {
    let secure = |id: &str| node(id).secret("geheim").cert(PERL).require_tls();
    let plain = |id: &str| node(id).secret("geheim");
    let words: &[&str] = &["the other side does not speak TLS", "require_tls"];
    refused(secure("a"), plain("b"), [words, words]).await;
    refused(plain("c"), secure("d"), [words, words]).await;
    let links = linked(secure("e"), secure("f")).await;
    assert!(links.iter().all(|link| link.tls.is_some()));
}

#[tokio::test]
async fn both_versions_of_tls() {
    capture_log();
    for (version, name) in [
        (&rustls::version::TLS12, "TLSv1_2"),
        (&rustls::version::TLS13, "TLSv1_3"),
    ] {
        for role in [CLIENT, SERVER] {
            let id = format!("speaks-{name}-{role}");
            let node = node(&id).cert(PERL).start().await.unwrap();
            let got = Peer::of_version(role, version).talk(&node, |own, peer| {
                let token = AuthMethod::TlsSha3.token(&Secret::from(""), own, peer);
                format!("tls_sha3_512;{token};json\n")
            });
            assert!(got.await.unwrap().starts_with("tls_sha3_512;"), "{id}");
            logged(&["connected as peer (", name]).await;
            node.shutdown().await;
        }
    }
}

/// What a peer proves itself with within TLS, and whether that is enough.
#[tokio::test]
async fn ways_to_prove_oneself_within_tls() {
    capture_log();
    let secret = || Secret::from("geheim");
    let proved = |method: AuthMethod| {
        move |own: &str, peer: &str| {
            let token = method.token(&secret(), own, peer);
            format!("{};{token};json\n", method.name())
        }
    };
    for role in [CLIENT, SERVER] {
        let node = node("proofs")
            .secret("geheim")
            .cert(PERL)
            .start()
            .await
            .unwrap();
        for (method, good) in [
            (AuthMethod::TlsSha3, true),
            (AuthMethod::TlsMd6, true),
            (AuthMethod::HmacSha3, true),
            (AuthMethod::HmacMd6, false),
            (AuthMethod::Cleartext, true),
            (AuthMethod::TlsAnon, false),
        ] {
            let got = Peer::new(role).talk(&node, proved(method)).await;
            let got = got.unwrap_or_default();
            assert_eq!(
                got.starts_with("tls_sha3_512;"),
                good,
                "{method} {role} {got:?}"
            );
        }
        logged(&[
            "WARN",
            "the authentication method \"tls_anon\", which we did not offer",
        ])
        .await;
        // Nothing but the greeting is said before the peer has proved itself.
        let wrong = |_: &str, _: &str| format!("tls_sha3_512;{};json\n", "0".repeat(128));
        let got = Peer::new(role).talk(&node, wrong).await;
        assert_eq!(got.unwrap_or_default(), "");
        logged(&[
            "WARN",
            "the greetings were altered on the way (tls_sha3_512)",
        ])
        .await;
        node.shutdown().await;

        let anonymous = node_that_takes_anyone().await;
        let got = Peer::new(role)
            .talk(&anonymous, proved(AuthMethod::TlsAnon))
            .await;
        assert!(got.unwrap().starts_with("tls_sha3_512;"));
        anonymous.shutdown().await;
    }
}

async fn node_that_takes_anyone() -> Node {
    let node = node("anyone").cert(PERL).set("auth_accept", "tls_anon");
    node.start().await.unwrap()
}

#[tokio::test]
async fn a_node_that_lists_what_it_does_not_know_passes_it_over() {
    let odd = |id: &str| {
        let node = node(id)
            .cert(PERL)
            .set("auth_offer", "magic,tls_md6_64_256");
        node.set("framing_format", "xml,json")
    };
    let links = linked(odd("a"), node("b").cert(PERL)).await;
    assert_eq!(links[1].recv_framing, "json");
    for key in ["auth_offer", "auth_accept", "framing_format"] {
        let started = node("c").set(key, "magic,spell").start().await;
        let error = started.err().unwrap().to_string();
        assert!(
            error.starts_with(&format!("{key}: \"magic,spell\" is not known here")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_certificate_that_can_t_be_used_keeps_the_node_from_starting() {
    for cert in [
        "",
        "garbage",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let started = node("a").secret("geheim").cert(cert).start().await;
        assert!(
            matches!(started, Err(StartError::Cert(CertError::NoKey))),
            "{cert}"
        );
    }
    let started = node("a").secret("geheim").require_tls().start().await;
    assert!(matches!(
        started,
        Err(StartError::Cert(CertError::Required))
    ));
}

#[tokio::test]
async fn another_certificate_is_for_new_links() {
    let (old, new) = (PERL.to_owned(), certs::other_ca());
    let a = node("a").cert(&old).start().await.unwrap();
    let b = node("b")
        .cert(&old)
        .seeds(a.listeners())
        .start()
        .await
        .unwrap();
    b.round_trip(a.id(), LIMIT).await.unwrap();
    assert_eq!(a.reload_cert("garbage"), Err(CertError::NoKey));
    a.reload_cert(&new).unwrap();
    // The link stays.
    b.round_trip(a.id(), LIMIT).await.unwrap();
    assert_eq!(b.stats().links[0].reconnects, 0);
    // Who comes now needs the new one.
    let c = node("c")
        .cert(&new)
        .seeds(a.listeners())
        .start()
        .await
        .unwrap();
    c.round_trip(a.id(), LIMIT).await.unwrap();
    let peer = c.stats().links[0].tls.clone().unwrap().peer.unwrap();
    assert_eq!(
        peer.sha256,
        Identity::from_pem(&new).unwrap().certificates()[0].sha256
    );
    for node in [a, b, c] {
        node.shutdown().await;
    }
    let plain = node("d").secret("geheim").start().await.unwrap();
    assert_eq!(plain.reload_cert(&new), Err(CertError::NotInUse));
}

#[tokio::test]
async fn a_program_s_own_configuration() {
    let identity = Identity::from_pem(PERL).unwrap();
    let (mut client, mut server) = (
        identity.client_config().unwrap(),
        identity.server_config().unwrap(),
    );
    // Its records are smaller than those of others.
    (client.max_fragment_size, server.max_fragment_size) = (Some(128), Some(128));
    let b = node("b").rustls(client.into(), server.into()).require_tls();
    let links = linked(node("a").cert(PERL), b).await;
    assert!(links.iter().all(|link| link.tls.is_some()));
}
