//! Another certificate for a node that runs.

use super::Node;
use crate::log::log_at;
use crate::net::tls::CertError;

impl Node {
    /// Uses another `cert` from now on: key and certificates in PEM, the text itself. New links use
    /// it on both sides; those that are up stay as they are, until they are
    /// [closed](Node::disconnect) or lost.
    ///
    /// # Errors
    ///
    /// [`CertError`]: it can't be used, or the node was started without one. The old one stays.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let node = aemp::Node::builder().no_rc().nodeid("ruth").binds([""; 0]);
    /// let pem = std::fs::read_to_string("fixtures/tls/perl.pem")?;
    /// # if cfg!(feature = "tls") {
    /// let node = node.cert(&pem).start().await?;
    /// assert!(node.reload_cert("garbage").is_err());
    /// node.reload_cert(&pem)?;
    /// # }
    /// # Ok(()) }
    /// ```
    pub fn reload_cert(&self, pem: &str) -> Result<(), CertError> {
        let tls = self.inner().tls.as_ref().ok_or(CertError::NotInUse)?;
        tls.reload(pem)?;
        log_at!(7, "new links use the new certificate");
        Ok(())
    }
}
