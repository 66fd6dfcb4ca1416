//! What AnyEvent::MP logs, as `tracing` events.
//!
//! Perl's levels are numbers: 0 always, 1 unexpected errors, 2 warnings, 7 nodes and services
//! coming and going, 8 debugging, 9 every step. An event carries its number in the field `level`,
//! so that a subscriber can show the lines as Perl does; `tracing`'s own level follows from it.
//! Events about a node or a port carry it in the fields `node` and `port`, a death's `reason` as
//! well, and what happens on a link is in the span `link` with the fields `node` (ours), `peer`,
//! `remote` and `generation`. That of a request which failed says in `blame` [whose fault that
//! is](crate::proto::handshake::Blame).

/// Logs a line at one of AnyEvent::MP's levels.
macro_rules! log_at {
    (0, $($arg:tt)+) => { tracing::error!(target: "aemp", level = 0u8, $($arg)+) };
    (1, $($arg:tt)+) => { tracing::error!(target: "aemp", level = 1u8, $($arg)+) };
    (2, $($arg:tt)+) => { tracing::warn!(target: "aemp", level = 2u8, $($arg)+) };
    (7, $($arg:tt)+) => { tracing::info!(target: "aemp", level = 7u8, $($arg)+) };
    (8, $($arg:tt)+) => { tracing::debug!(target: "aemp", level = 8u8, $($arg)+) };
    (9, $($arg:tt)+) => { tracing::trace!(target: "aemp", level = 9u8, $($arg)+) };
}
pub(crate) use log_at;

/// The target of the events that show each message sent and received.
///
/// ```
/// assert_eq!(aemp::log::TRACE_TARGET, "aemp::trace");
/// ```
pub const TRACE_TARGET: &str = "aemp::trace";

#[cfg(feature = "cli")]
pub use subscriber::{init_from_env, init_with};

#[cfg(feature = "cli")]
mod subscriber {
    use std::fmt::Write as _;
    use std::io::Write as _;

    use tracing::field::{Field, Visit};
    use tracing::{Event, Level, Subscriber};
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::{Context, SubscriberExt as _};
    use tracing_subscriber::util::SubscriberInitExt as _;

    use super::TRACE_TARGET;

    /// Writes log lines to standard error as AnyEvent::MP does.
    ///
    /// `PERL_ANYEVENT_MP_WARNLEVEL` sets the highest level shown (5 if unset or no number), and a
    /// true `PERL_ANYEVENT_MP_TRACE` shows each message. Does nothing if a `tracing` subscriber is
    /// set.
    ///
    /// ```no_run
    /// aemp::log::init_from_env();
    /// ```
    pub fn init_from_env() {
        let level = std::env::var("PERL_ANYEVENT_MP_WARNLEVEL");
        let trace = std::env::var("PERL_ANYEVENT_MP_TRACE");
        init_with(
            level.ok().and_then(|n| n.trim().parse().ok()).unwrap_or(5),
            trace.is_ok_and(|value| !value.is_empty() && value != "0"),
        );
    }

    /// Like [`init_from_env`] with the two settings given.
    ///
    /// ```no_run
    /// aemp::log::init_with(8, true); // up to debugging, and each message
    /// ```
    pub fn init_with(level: u8, trace: bool) {
        let _ = tracing_subscriber::registry()
            .with(PerlLines { level, trace })
            .try_init();
    }

    struct PerlLines {
        level: u8,
        trace: bool,
    }

    #[derive(Default)]
    struct Fields {
        level: Option<u64>,
        message: String,
        more: String,
    }

    impl Visit for Fields {
        fn record_u64(&mut self, field: &Field, value: u64) {
            match field.name() {
                "level" => self.level = Some(value),
                _ => self.record_debug(field, &value),
            }
        }
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            let _ = match field.name() {
                "message" => write!(self.message, "{value:?}"),
                // For other subscribers: the message says it already, or Perl's has no such thing.
                "node" | "port" | "reason" | "blame" => Ok(()),
                name => write!(self.more, " {name}={value:?}"),
            };
        }
    }

    impl<S: Subscriber> Layer<S> for PerlLines {
        fn enabled(&self, meta: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
            match meta.target() {
                TRACE_TARGET => self.trace,
                target => target.starts_with("aemp"),
            }
        }

        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut fields = Fields::default();
            event.record(&mut fields);
            let mut line = String::new();
            if event.metadata().target() != TRACE_TARGET {
                let level = fields.level.unwrap_or(match *event.metadata().level() {
                    Level::ERROR => 1,
                    Level::WARN => 2,
                    Level::INFO => 7,
                    Level::DEBUG => 8,
                    Level::TRACE => 9,
                });
                if level > u64::from(self.level) {
                    return;
                }
                let now = chrono::Local::now().format("%Y-%m-%d %H:%M:%S");
                let _ = write!(line, "{now} <{level}> ");
            }
            line.push_str(&fields.message);
            line.push_str(&fields.more);
            line.push('\n');
            let _ = std::io::stderr().lock().write_all(line.as_bytes());
        }
    }
}
