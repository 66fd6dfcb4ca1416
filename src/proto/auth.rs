//! Authentication methods and their tokens (PROTOCOL.md, "Authentication").

use std::sync::OnceLock;

use digest::Digest as _;
use hmac::{KeyInit as _, Mac as _, SimpleHmac};
use subtle::ConstantTimeEq as _;

use crate::proto::md6::{self, Md6};

/// The secret that the nodes of a network share. It shows as `Secret(..)` in debug output.
///
/// ```
/// use aemp::Secret;
/// let secret = Secret::from("geheim");
/// assert_eq!(secret.as_bytes(), b"geheim");
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// ```
#[derive(Clone)]
pub struct Secret {
    octets: Vec<u8>,
    /// Their MD6, once somebody wanted it.
    md6: OnceLock<[u8; 32]>,
    /// HMAC with them as its key, of nothing yet.
    sha3: OnceLock<SimpleHmac<sha3::Sha3_512>>,
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.octets == other.octets
    }
}

impl Eq for Secret {}

impl Secret {
    /// Makes a secret of its octets.
    ///
    /// ```
    /// assert_eq!(aemp::Secret::new([0xfc, 0x07]).as_bytes(), [0xfc, 0x07]);
    /// ```
    pub fn new(octets: impl Into<Vec<u8>>) -> Self {
        Secret {
            octets: octets.into(),
            md6: OnceLock::new(),
            sha3: OnceLock::new(),
        }
    }

    /// The octets of a secret as Perl has it: characters up to U+00FF are one octet each. With any
    /// other character in it, the text's UTF-8.
    ///
    /// ```
    /// use aemp::Secret;
    /// assert_eq!(Secret::from_perl("ü").as_bytes(), [0xfc]);
    /// assert_eq!(Secret::from_perl("ü☺").as_bytes(), "ü☺".as_bytes());
    /// ```
    pub fn from_perl(text: &str) -> Self {
        let octets = text.chars().map(|c| u8::try_from(u32::from(c)));
        let octets: Result<Vec<u8>, _> = octets.collect();
        Secret::new(octets.unwrap_or_else(|_| text.as_bytes().to_vec()))
    }

    /// The octets.
    ///
    /// ```
    /// assert_eq!(aemp::Secret::from("geheim").as_bytes(), b"geheim");
    /// ```
    pub fn as_bytes(&self) -> &[u8] {
        &self.octets
    }

    /// What is handed in where no secret is needed.
    pub(in crate::proto) fn none() -> Self {
        Secret::new([])
    }

    fn md6(&self) -> &[u8; 32] {
        self.md6.get_or_init(|| md6::digest(&self.octets))
    }

    fn sha3(&self) -> SimpleHmac<sha3::Sha3_512> {
        let new = || SimpleHmac::new_from_slice(&self.octets).expect("keys have any length");
        self.sha3.get_or_init(new).clone()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Secret::new(text)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// How one side proves to the other that it knows the secret.
///
/// ```
/// use aemp::proto::AuthMethod;
/// assert_eq!(AuthMethod::HmacMd6.to_string(), "hmac_md6_64_256");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthMethod {
    /// The SHA-3 of the greetings, within TLS, which has proved the rest: generation 2.
    TlsSha3,
    /// The MD6 of the greetings, within TLS: generations 0 and 1.
    TlsMd6,
    /// HMAC over the greetings with SHA-3: generation 2.
    HmacSha3,
    /// HMAC over the greetings with MD6: generations 0 and 1.
    HmacMd6,
    /// Nothing at all, within TLS. Accept it only if you mean to.
    TlsAnon,
    /// The secret itself, in hexadecimal. Accepted by every node; send it only where nobody
    /// listens.
    Cleartext,
}

/// What the octets of a connection pass through once the greetings are exchanged.
///
/// ```
/// use aemp::proto::{AuthMethod, auth::Channel};
/// assert!(AuthMethod::TlsMd6.works_over(Channel::Tls));
/// assert!(!AuthMethod::TlsMd6.works_over(Channel::Plain));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Nothing: they are sent as they are.
    Plain,
    /// TLS.
    Tls,
}

impl AuthMethod {
    /// Every method known here, the best first.
    ///
    /// ```
    /// use aemp::proto::AuthMethod;
    /// assert_eq!(AuthMethod::ALL[0], AuthMethod::TlsSha3);
    /// ```
    pub const ALL: [AuthMethod; 6] = [
        AuthMethod::TlsSha3,
        AuthMethod::TlsMd6,
        AuthMethod::HmacSha3,
        AuthMethod::HmacMd6,
        AuthMethod::TlsAnon,
        AuthMethod::Cleartext,
    ];

    /// The methods that a node proves itself with, unless configured.
    ///
    /// ```
    /// use aemp::proto::AuthMethod;
    /// assert!(!AuthMethod::OFFERED.contains(&AuthMethod::Cleartext));
    /// ```
    pub const OFFERED: [AuthMethod; 4] = [
        AuthMethod::TlsSha3,
        AuthMethod::TlsMd6,
        AuthMethod::HmacSha3,
        AuthMethod::HmacMd6,
    ];

    /// The methods that a node accepts, unless configured, the most welcome first.
    ///
    /// ```
    /// use aemp::proto::AuthMethod;
    /// assert!(!AuthMethod::ACCEPTED.contains(&AuthMethod::TlsAnon));
    /// ```
    pub const ACCEPTED: [AuthMethod; 5] = [
        AuthMethod::TlsSha3,
        AuthMethod::TlsMd6,
        AuthMethod::HmacSha3,
        AuthMethod::HmacMd6,
        AuthMethod::Cleartext,
    ];

    /// The method's name in greetings and tokens.
    ///
    /// ```
    /// assert_eq!(aemp::proto::AuthMethod::Cleartext.name(), "cleartext");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            AuthMethod::TlsSha3 => "tls_sha3_512",
            AuthMethod::TlsMd6 => "tls_md6_64_256",
            AuthMethod::TlsAnon => "tls_anon",
            AuthMethod::HmacSha3 => "hmac_sha3_512",
            AuthMethod::HmacMd6 => "hmac_md6_64_256",
            AuthMethod::Cleartext => "cleartext",
        }
    }

    /// Whether nodes of the generation of this number know the method.
    ///
    /// ```
    /// use aemp::proto::AuthMethod;
    /// assert!(AuthMethod::HmacSha3.is_known_in(2) && !AuthMethod::HmacMd6.is_known_in(2));
    /// ```
    pub fn is_known_in(self, generation: u32) -> bool {
        match self {
            AuthMethod::TlsSha3 | AuthMethod::HmacSha3 => generation == 2,
            AuthMethod::TlsMd6 | AuthMethod::HmacMd6 => generation < 2,
            AuthMethod::TlsAnon | AuthMethod::Cleartext => true,
        }
    }

    /// Whether the method may be used there (PROTOCOL.md, "TLS").
    ///
    /// ```
    /// use aemp::proto::{AuthMethod, auth::Channel};
    /// // Within TLS a node of generation 2 takes HMAC as well, older ones do not.
    /// assert!(AuthMethod::HmacSha3.works_over(Channel::Tls));
    /// assert!(!AuthMethod::HmacMd6.works_over(Channel::Tls));
    /// ```
    pub fn works_over(self, channel: Channel) -> bool {
        match self {
            AuthMethod::TlsSha3 | AuthMethod::TlsMd6 | AuthMethod::TlsAnon => {
                channel == Channel::Tls
            }
            AuthMethod::HmacMd6 => channel == Channel::Plain,
            AuthMethod::HmacSha3 | AuthMethod::Cleartext => true,
        }
    }

    /// Whether the method proves that one knows the secret. The others leave that to TLS.
    ///
    /// ```
    /// use aemp::proto::AuthMethod;
    /// assert!(AuthMethod::HmacSha3.needs_secret() && !AuthMethod::TlsSha3.needs_secret());
    /// ```
    pub fn needs_secret(self) -> bool {
        match self {
            AuthMethod::TlsSha3 | AuthMethod::TlsMd6 | AuthMethod::TlsAnon => false,
            AuthMethod::HmacSha3 | AuthMethod::HmacMd6 | AuthMethod::Cleartext => true,
        }
    }

    /// The method of that name.
    ///
    /// ```
    /// use aemp::proto::AuthMethod;
    /// assert_eq!(AuthMethod::from_name("cleartext"), Some(AuthMethod::Cleartext));
    /// assert_eq!(AuthMethod::from_name("magic"), None);
    /// ```
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    /// The token by which the sender of the greeting `own` proves that it knows the secret, or,
    /// with a method that [needs](Self::needs_secret) none, that it has seen the same greetings.
    ///
    /// `own` and `peer` are the octets of the sender's and the receiver's two greeting lines, each
    /// ended by LF.
    ///
    /// ```
    /// use aemp::{Secret, proto::AuthMethod};
    /// let (own, peer) = ("aemp;1;a;..\nnonce a\n", "aemp;1;b;..\nnonce b\n");
    /// let secret = Secret::from("geheim");
    /// let token = AuthMethod::HmacMd6.token(&secret, own, peer);
    /// assert_eq!(token.len(), 64);
    /// assert!(AuthMethod::HmacMd6.verify(&secret, own, peer, token.as_bytes()));
    /// assert!(!AuthMethod::HmacMd6.verify(&secret, peer, own, token.as_bytes()));
    /// ```
    pub fn token(
        self,
        secret: &Secret,
        own: &(impl AsRef<[u8]> + ?Sized),
        peer: &(impl AsRef<[u8]> + ?Sized),
    ) -> String {
        let (own, peer) = (own.as_ref(), peer.as_ref());
        match self {
            AuthMethod::TlsSha3 => {
                let hash = sha3::Sha3_512::new().chain_update(own);
                hex(&hash.chain_update(peer).finalize())
            }
            AuthMethod::TlsMd6 => {
                let hash = Md6::new().chain_update(own);
                hex(&hash.chain_update(peer).finalize())
            }
            AuthMethod::TlsAnon => String::new(),
            AuthMethod::HmacSha3 => {
                let mut mac = secret.sha3();
                mac.update(own);
                mac.update(peer);
                hex(&mac.finalize().into_bytes())
            }
            AuthMethod::HmacMd6 => {
                // The wire's arguments are the other way round from the Perl documentation's: the
                // greetings are the key, the hashed secret is the data.
                hex(&md6::hmac(&[own, peer].concat(), &[secret.md6()]))
            }
            AuthMethod::Cleartext => hex(secret.as_bytes()),
        }
    }

    /// Whether `token` is what [`token`](Self::token) makes of the same arguments, compared in
    /// constant time.
    ///
    /// See [`token`](Self::token) for an example.
    pub fn verify(
        self,
        secret: &Secret,
        own: &(impl AsRef<[u8]> + ?Sized),
        peer: &(impl AsRef<[u8]> + ?Sized),
        token: &[u8],
    ) -> bool {
        let expected = self.token(secret, own, peer);
        expected.as_bytes().ct_eq(token).into()
    }
}

impl std::fmt::Display for AuthMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

fn hex(octets: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value & 15)]);
    let digits = octets.iter().flat_map(|octet| [octet >> 4, *octet]);
    digits.map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // From fixtures/perl-1.30/peer-json.jsonl; the secret is `geheim`.
    const BOB: &str = "aemp;1;bob;tls_md6_64_256,hmac_md6_64_256,tls_anon,cleartext;json,storable;peeraddr=127.0.0.1:4441;provider=AE-1.30\nkqivEdX/nSi4T/4q335fNcz6jTr1FJlcNGPFSg/UHRi32lYXYuMY8YdMsd+ATggE2Wbw0ZpgdRcVgVIE5EgvysyU\n";
    const ALICE: &str = "aemp;1;alice;tls_md6_64_256,hmac_md6_64_256,tls_anon,cleartext;json,storable;peeraddr=127.0.0.1:49010;provider=AE-1.30\nlfjdY39OuxgZWbzA5E+Iydriqrb3LMbjrHZnDch8rEt/S3bSkebPqqEgVaQWqcy4xNedPEbuIeMmMpgQKkdV7MN8\n";

    #[test]
    fn tokens_are_perls() {
        let secret = Secret::from("geheim");
        let alices = "23fca72720074f33d81d6b307b88f35814ff9f69a127d67b4ce86ab30d4930cc";
        assert_eq!(AuthMethod::HmacMd6.token(&secret, ALICE, BOB), alices);
        assert!(AuthMethod::HmacMd6.verify(&secret, ALICE, BOB, alices.as_bytes()));
        assert!(!AuthMethod::HmacMd6.verify(&secret, BOB, ALICE, alices.as_bytes()));
        assert!(!AuthMethod::HmacMd6.verify(&"x".into(), ALICE, BOB, alices.as_bytes()));
    }

    // From fixtures/perl-2.02/pair-json.jsonl: eg_receiver's proof to eg_sender.
    const SENDER: &str = "aemp;1;eg_sender;tls_sha3_512,hmac_sha3_512,tls_anon,cleartext;json;mproto=1;gproto=1;peeraddr=127.0.0.1:4250;provider=AE-2.01\nkzJkZ9ryNYrS7kHsF6iCmRJ35nEyqB1BI65Mm2YxYhUJJCJAL2B3Gg7k2BUPWhX5jBeamh74Aqd9Wd2hN2bxFWbu\n";
    const RECEIVER: &str = "aemp;1;eg_receiver;tls_sha3_512,hmac_sha3_512,tls_anon,cleartext;json;peeraddr=127.0.0.1:54140;provider=AE-2.01;gproto=1;mproto=1\noxsFY6+yL0YShiMwvGmSdZ3Ru9x9IRlXZz25yxiQsOY/OPYXtj2hKV6m0xuG7mUb4uCP2nyleEAf6NPmAbExSvAY\n";

    #[test]
    fn tokens_of_generation_2_are_perls() {
        let receivers = "e2272507aa3ba1c89856a685aa1eeca78d34af441a34b23954b1ab8e66c660b90085e3277480ad1d990b3862e3b5f86266cf28658a74db1d128378f4002f4e72";
        let token = AuthMethod::HmacSha3.token(&"geheim".into(), RECEIVER, SENDER);
        assert_eq!(token, receivers);
        let verify = |secret: &str| {
            AuthMethod::HmacSha3.verify(&secret.into(), RECEIVER, SENDER, receivers.as_bytes())
        };
        assert!(verify("geheim") && !verify("geheim "));
    }

    #[test]
    fn cleartext_is_hex() {
        let token = AuthMethod::Cleartext.token(&"geheim".into(), "", "");
        assert_eq!(token, "67656865696d");
        assert!(!AuthMethod::Cleartext.verify(&"geheim".into(), "", "", b"67656865696D"));
    }

    #[test]
    fn names_round_trip() {
        for method in AuthMethod::ALL {
            assert_eq!(AuthMethod::from_name(method.name()), Some(method));
        }
        assert_eq!(AuthMethod::from_name("tls"), None);
        assert_eq!(format!("{:?}", Secret::from("x")), "Secret(..)");
    }
}
