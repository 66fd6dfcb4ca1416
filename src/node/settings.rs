//! What can be configured of a running node.

use std::time::Duration;

use crate::mesh::reading::Bounds;
use crate::net::SocketOptions;
use crate::proto::Limits;
use crate::proto::generation::Generations;

/// What can be configured of a running node.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) generations: Generations,
    pub(crate) monitor_timeout: Option<Duration>,
    pub(crate) network_latency: Duration,
    pub(crate) connect_interval: Duration,
    pub(crate) limits: Limits,
    pub(crate) max_queue: usize,
    pub(crate) max_mailbox: usize,
    pub(crate) max_memory: usize,
    pub(crate) max_nodes: usize,
    pub(crate) max_handshakes: usize,
    pub(crate) greeting_timeout: Duration,
    pub(crate) max_hops: usize,
    pub(crate) max_name: usize,
    pub(crate) max_reason: usize,
    pub(crate) max_request: usize,
    pub(crate) max_keys: usize,
    pub(crate) max_families: usize,
    /// The most connections that are being made at a time.
    pub(crate) max_dials: usize,
    pub(crate) nodelay: bool,
}

/// How much may wait in a port before who waits for room is to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HighWater {
    pub(crate) messages: usize,
    pub(crate) octets: usize,
}

impl Settings {
    /// How much may wait in a port before who waits for room is to wait: so far below its bounds
    /// that there is room for what is under way.
    #[inline]
    pub(crate) fn high_water(&self) -> HighWater {
        HighWater {
            messages: (self.max_mailbox / 2).clamp(1, 4096),
            octets: (self.max_queue / 2).clamp(1, 1 << 20),
        }
    }

    /// How much of what a peer says about the mesh and the database is read at once.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            octets: self.max_request,
            // Names and values cost something besides their octets.
            kept: self.max_request.saturating_mul(2),
            name: self.max_name,
        }
    }

    /// How long an attempt to reach a node may take, and how long a handshake.
    pub(crate) fn monitor_timeout(&self) -> Duration {
        let default = crate::config::monitor_timeout(self.generations);
        self.monitor_timeout.unwrap_or(default)
    }

    /// The idle time-out that we announce to generation 0: the time in which a silent peer is given
    /// up, less what the network may take.
    pub(crate) fn idle_timeout(&self) -> Duration {
        let gen0 = self.monitor_timeout.unwrap_or(Duration::from_secs(15));
        let least = Duration::from_secs(1) + self.network_latency;
        gen0.saturating_sub(self.network_latency).max(least)
    }

    /// How long one address may take to take a connection: what leads nowhere is not to keep the
    /// others of a node from being tried.
    pub(crate) fn dial_timeout(&self) -> Duration {
        let limit = self.monitor_timeout();
        (limit / 4).max(self.connect_interval).min(limit)
    }

    /// The most nodes at a time that are connected to because another node told of them: each makes
    /// up to [two connections](crate::peering::Wish) at a time, and there are to be some left for
    /// what the program wants.
    pub(crate) fn most_told(&self) -> usize {
        (self.max_dials.saturating_mul(3) / 8).max(1)
    }

    /// The options of the node's sockets.
    pub(crate) fn socket_options(&self) -> SocketOptions {
        SocketOptions {
            nodelay: self.nodelay,
            keepalive: self.monitor_timeout(),
        }
    }
}
