//! In a build without TLS: there never is any.

use super::CertError;

/// No node has it.
#[derive(Debug)]
pub(crate) enum Tls {}

impl Tls {
    /// There is no TLS with the settings of a `cert`.
    pub(crate) fn from_cert(_: &str) -> Result<Tls, CertError> {
        Err(CertError::NotBuilt)
    }

    /// Never happens.
    pub(crate) fn reload(&self, _: &str) -> Result<(), CertError> {
        match *self {}
    }
}
