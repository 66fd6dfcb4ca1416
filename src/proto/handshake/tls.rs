//! Whether TLS is spoken, and who begins (PROTOCOL.md, "TLS").

use super::HandshakeError;
use crate::proto::Greeting;
use crate::proto::auth::Channel;

/// Whether this side speaks TLS.
///
/// ```
/// use aemp::proto::handshake::{Local, TlsUse};
/// assert_eq!(Local::new("ruth".into(), None).tls, TlsUse::Never);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsUse {
    /// It does not: there is no certificate.
    Never,
    /// With whoever does as well.
    Offered,
    /// Always: others are refused.
    Required,
}

/// Which side of TLS we are. It does not depend on who opened the connection.
///
/// See [`begin_tls`](super::Handshake::begin_tls) for an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsRole {
    /// Our nonce line is the smaller one, octet by octet.
    Client,
    /// The peer's is.
    Server,
}

impl TlsUse {
    /// Who we are in TLS with a peer that greets so, if TLS follows at all. What was said and heard
    /// are both lines of either side.
    pub(super) fn role(
        self,
        theirs: &Greeting,
        said: &[u8],
        heard: &[u8],
    ) -> Result<Option<TlsRole>, HandshakeError> {
        match (self, theirs.wants_tls()) {
            (TlsUse::Never, _) | (TlsUse::Offered, false) => return Ok(None),
            (TlsUse::Required, false) => return Err(HandshakeError::TlsRequired),
            (TlsUse::Offered | TlsUse::Required, true) => {}
        }
        let nonce = |lines: &'_ [u8]| {
            lines
                .split(|octet| *octet == b'\n')
                .nth(1)
                .map(<[u8]>::to_vec)
        };
        match nonce(said).cmp(&nonce(heard)) {
            std::cmp::Ordering::Less => Ok(Some(TlsRole::Client)),
            std::cmp::Ordering::Greater => Ok(Some(TlsRole::Server)),
            // Nobody draws our nonce by chance, and neither side would begin.
            std::cmp::Ordering::Equal => Err(HandshakeError::Echo),
        }
    }
}

/// What the tokens pass through.
pub(super) fn channel(role: Option<TlsRole>) -> Channel {
    match role {
        Some(_) => Channel::Tls,
        None => Channel::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::handshake::{Handshake, Local};
    use crate::proto::{AuthMethod, Secret};

    /// A node that was greeted so, as far as the tokens or an error.
    fn greeted(local: Local, greeting: &str, nonce: &str) -> Result<Handshake, HandshakeError> {
        let mut handshake = Handshake::accept(local.into(), &[0xff; 66], "127.0.0.1:1");
        let lines = format!("aemp;1;peer;{greeting}\n{nonce}\nbehind");
        handshake.recv(lines.as_bytes(), &mut Vec::new())?;
        Ok(handshake)
    }

    fn local(tls: TlsUse) -> Local {
        Local {
            tls,
            ..Local::new("ruth".into(), Some("geheim".into()))
        }
    }

    const ALL: &str = "tls_md6_64_256,hmac_md6_64_256,tls_anon,cleartext;json";

    #[test]
    fn tls_follows_if_both_want_it() {
        for (ours, theirs, wanted) in [
            (TlsUse::Never, "tls=1.0", Ok(None)),
            (TlsUse::Offered, "tls=2.0", Ok(None)),
            (TlsUse::Offered, "x=1", Ok(None)),
            (TlsUse::Offered, "tls=1.9", Ok(Some(TlsRole::Server))),
            (TlsUse::Required, "tls=1.0", Ok(Some(TlsRole::Server))),
            (
                TlsUse::Required,
                "tls=2.0",
                Err(HandshakeError::TlsRequired),
            ),
            (TlsUse::Required, "x=1", Err(HandshakeError::TlsRequired)),
        ] {
            // Our nonce is `/////..`: `.` is smaller, `0` is larger.
            for (nonce, role) in [(".", TlsRole::Server), ("0", TlsRole::Client)] {
                let handshake = greeted(local(ours), &format!("{ALL};{theirs}"), nonce);
                let begun = handshake.map(|mut handshake| handshake.begin_tls());
                let wanted = wanted
                    .clone()
                    .map(|tls| tls.map(|_| (role, b"behind".to_vec())));
                assert_eq!(begun, wanted, "{ours:?} {theirs}");
            }
        }
    }

    #[test]
    fn whoever_sends_our_nonce_is_refused() {
        let nonce = "/".repeat(88);
        let error = greeted(local(TlsUse::Offered), &format!("{ALL};tls=1.0"), &nonce).unwrap_err();
        assert_eq!(error, HandshakeError::Echo);
        assert!(greeted(local(TlsUse::Never), &format!("{ALL};tls=1.0"), &nonce).is_ok());
    }

    /// The method that we prove ourselves with, by what the peer accepts.
    #[test]
    fn what_we_prove_ourselves_with() {
        let none = |ours: &str, theirs: &str| HandshakeError::NoCommonAuth {
            theirs: theirs.to_owned(),
            ours: ours.to_owned(),
        };
        let offered = "tls_sha3_512,tls_md6_64_256,hmac_sha3_512,hmac_md6_64_256";
        for (tls, secret, theirs, wanted) in [
            (
                true,
                true,
                "tls_md6_64_256,hmac_md6_64_256",
                Ok("tls_md6_64_256;"),
            ),
            (
                true,
                false,
                "hmac_sha3_512,tls_sha3_512",
                Ok("tls_sha3_512;"),
            ),
            (
                true,
                true,
                "hmac_sha3_512,tls_sha3_512",
                Ok("hmac_sha3_512;"),
            ),
            // A node of generation 1 would close if we did.
            (
                true,
                true,
                "hmac_md6_64_256,tls_md6_64_256",
                Ok("tls_md6_64_256;"),
            ),
            (
                true,
                true,
                "hmac_md6_64_256",
                Err(none(offered, "hmac_md6_64_256")),
            ),
            (true, true, "tls_anon", Err(none(offered, "tls_anon"))),
            (
                false,
                true,
                "tls_md6_64_256,hmac_md6_64_256",
                Ok("hmac_md6_64_256;"),
            ),
            (
                false,
                true,
                "tls_md6_64_256",
                Err(none(offered, "tls_md6_64_256")),
            ),
            (
                false,
                false,
                "hmac_md6_64_256",
                Err(HandshakeError::NeitherTlsNorSecret),
            ),
        ] {
            let local = Local {
                secret: secret.then(|| Secret::from("geheim")),
                ..local(TlsUse::Offered)
            };
            let greeting = match tls {
                true => format!("{theirs};json;tls=1.0"),
                false => format!("{theirs};json"),
            };
            let token = greeted(local, &greeting, "nonce").map(drop);
            assert_eq!(token.is_ok(), wanted.is_ok(), "{theirs}");
            match wanted {
                Ok(method) => assert_eq!(said(tls, secret, &greeting), method, "{theirs}"),
                Err(error) => assert_eq!(token.unwrap_err(), error, "{theirs}"),
            }
        }
    }

    /// The name of the method with which a connector proves itself.
    fn said(tls: bool, secret: bool, greeting: &str) -> String {
        let local = Local {
            secret: secret.then(|| Secret::from("geheim")),
            ..local(TlsUse::Offered)
        };
        let mut handshake = Handshake::connect(local.into(), &[1; 66], "127.0.0.1:1").pausing();
        let mut out = Vec::new();
        handshake.greet(&mut out);
        let lines = format!("aemp;1;peer;{greeting}\nnonce\n");
        handshake.recv(lines.as_bytes(), &mut out).unwrap();
        assert_eq!(handshake.begin_tls().is_some(), tls);
        out.clear();
        handshake.resume(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        text.split_inclusive(';').next().unwrap().to_owned()
    }

    /// From the recordings of real nodes with a certificate each.
    #[test]
    fn tokens_within_tls_are_perls() {
        for (recording, method) in [
            (
                include_str!("../../../fixtures/perl-1.0/tls-both-plain.jsonl"),
                AuthMethod::TlsMd6,
            ),
            (
                include_str!("../../../fixtures/perl-1.30/tls-both-plain.jsonl"),
                AuthMethod::TlsMd6,
            ),
            (
                include_str!("../../../fixtures/perl-2.02/tls-both-plain.jsonl"),
                AuthMethod::TlsSha3,
            ),
        ] {
            let chunks: Vec<serde_json::Value> = recording
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            // The greeting and the token are texts, whatever the framing.
            let of = |dir: &str| -> Vec<String> {
                let own = chunks.iter().filter(|chunk| chunk["dir"] == dir);
                own.filter_map(|chunk| chunk["text"].as_str().map(str::to_owned))
                    .collect()
            };
            let (bob, alice) = (of(">"), of("<"));
            for (own, other) in [(&bob, &alice), (&alice, &bob)] {
                let token = method.token(&Secret::none(), &own[0], &other[0]);
                let line = format!("{};{token};", method.name());
                assert!(own[1].starts_with(&line), "{} is not {line}", own[1]);
            }
            // Which side of TLS bob was, as recorded.
            let greeting = Greeting::parse(alice[0].lines().next().unwrap().as_bytes()).unwrap();
            let role = TlsUse::Offered
                .role(&greeting, bob[0].as_bytes(), alice[0].as_bytes())
                .unwrap()
                .unwrap();
            let recorded = chunks
                .iter()
                .find_map(|chunk| chunk["bob_role"].as_str())
                .unwrap();
            assert_eq!(format!("{role:?}").to_lowercase(), recorded);
        }
    }
}
