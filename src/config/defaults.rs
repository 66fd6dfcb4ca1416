//! Built-in defaults that are needed twice: among the untyped settings, where `aemp showconfig`
//! shows them as Perl does, and in the typed configuration of a node that was given none.

/// Framings offered and accepted, best first.
pub(super) const FRAMING_FORMAT: &[&str] = &["cbor", "json"];
/// Ways a node is willing to authenticate itself, best first.
pub(super) const AUTH_OFFER: &[&str] = &[
    "tls_sha3_512",
    "tls_md6_64_256",
    "hmac_sha3_512",
    "hmac_md6_64_256",
];
/// Ways the other side may authenticate itself.
pub(super) const AUTH_ACCEPT: &[&str] = &[
    "tls_sha3_512",
    "tls_md6_64_256",
    "hmac_sha3_512",
    "hmac_md6_64_256",
    "cleartext",
];
