//! What a node shows over HTTP (the setting `http`): nothing, where it is not set, or the command
//! was built without that feature.

use aemp::Node;

use crate::Failure;
#[cfg(feature = "http")]
use crate::http::{Health, Server};
use crate::program::Programs;

/// What is shown.
#[derive(Default)]
pub(super) struct Site {
    #[cfg(feature = "http")]
    server: Option<Server>,
    #[cfg(feature = "http")]
    health: Option<Health>,
}

impl Site {
    /// Listens where the setting says.
    #[cfg(feature = "http")]
    pub(super) async fn bind(setting: Option<&str>) -> Result<Self, Failure> {
        let mut site = Site::default();
        if let Some(setting) = setting {
            site.server = Some(Server::bind(setting).await?);
        }
        Ok(site)
    }

    /// Refuses the setting.
    #[cfg(not(feature = "http"))]
    pub(super) async fn bind(setting: Option<&str>) -> Result<Self, Failure> {
        match setting {
            None => Ok(Site::default()),
            Some(_) => {
                Err("the setting http needs a command that is built with the feature http".into())
            }
        }
    }

    /// Shows this node from now on.
    #[cfg(feature = "http")]
    pub(super) fn serve(mut self, node: &Node, programs: &Programs) -> Self {
        if let Some(server) = self.server.take() {
            let health = Health::new(node, programs);
            server.serve(node, health.clone());
            self.health = Some(health);
        }
        self
    }

    #[cfg(not(feature = "http"))]
    pub(super) fn serve(self, _: &Node, _: &Programs) -> Self {
        self
    }

    /// The node is about to end.
    pub(super) fn ends(&self) {
        #[cfg(feature = "http")]
        if let Some(health) = &self.health {
            health.ends();
        }
    }
}
