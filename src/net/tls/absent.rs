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

#[cfg(test)]
mod tests {
    use crate::net::tls::CertError;
    use crate::{Node, StartError};

    #[tokio::test]
    async fn a_cert_is_an_error_that_says_so() {
        let started = Node::builder()
            .no_rc()
            .nodeid("a")
            .cert("any")
            .start()
            .await;
        let error = started.err().unwrap();
        assert!(
            matches!(error, StartError::Cert(CertError::NotBuilt)),
            "{error}"
        );
        assert!(error.to_string().contains("built without TLS"), "{error}");
    }
}
