//! What AnyEvent::MP logs, as `tracing` events.
//!
//! Perl's levels are numbers: 0 always, 1 unexpected errors, 2 warnings, 5 what may pass by itself
//! (the last one that is shown by default), 7 nodes and services coming and going, 8 debugging, 9
//! every step. An event carries its number in the field `level`,
//! so that a subscriber can show the lines as Perl does; `tracing`'s own level follows from it.
//! Events about a node or a port carry it in the fields `node` and `port`, a death's `reason` as
//! well, and what happens on a link is in the span `link` with the fields `node` (ours), `peer`,
//! `remote` and `generation`. That of a request which failed says in `blame` [whose fault that
//! is](crate::proto::handshake::Blame).

//!
//! Lines also go to the nodes that catch them: see [`Node::catch_logs`](crate::Node::catch_logs).
//!
//! What other nodes say is shown with control characters escaped, and clipped; nobody can have a
//! node log without end. Both happen here, before a subscriber sees anything: see `shown` and
//! `rate`.

pub(crate) mod catch;
mod rate;
mod shown;
#[cfg(feature = "log-subscriber")]
mod subscriber;

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

pub use shown::printable;
pub(crate) use shown::{LINE, MESSAGE, Shown};
#[cfg(feature = "log-subscriber")]
pub use subscriber::{init_from_env, init_from_env_to, init_with};

use rate::{Held, INTERVAL, Rate, Verdict};

/// Logs a line at one of AnyEvent::MP's levels.
///
/// Its source stands in brackets before it, if another node or a stranger can cause it: whoever
/// that is, it is held back when there are too many of them. Then come fields for `tracing`.
macro_rules! log_at {
    ($level:tt, $([$source:expr],)? $($field:ident = $value:expr,)* $text:literal $(, $arg:expr)* $(,)?) => {
        if $crate::log::event!(@enabled $level) || $crate::log::catch::wanted($level) {
            use $crate::log::{LINE, Shown};
            // What has an address of its own in each place that logs.
            static KIND: u8 = $level;
            match ([$($source)?], format_args!($text $(, $arg)*)) {
                (source, line) if $crate::log::may_log(&KIND, &source, line) => {
                    let shown = Shown(line, LINE);
                    $crate::log::catch::line($level, format_args!("{shown}"), || {
                        $crate::log::event!($level, $($field = %Shown(&$value, LINE),)*
                            "{shown}");
                    });
                }
                _ => {}
            }
        }
    };
}
pub(crate) use log_at;

/// A `tracing` event of one of the levels, or whether anybody listens to these.
macro_rules! event {
    (@enabled $level:tt) => {
        $crate::log::event!(@level tracing::enabled, $level,)
    };
    (@level $($mac:ident)::+, 0, $($arg:tt)*) => { $($mac)::+!(target: "aemp", tracing::Level::ERROR $($arg)*) };
    (@level $($mac:ident)::+, 1, $($arg:tt)*) => { $($mac)::+!(target: "aemp", tracing::Level::ERROR $($arg)*) };
    (@level $($mac:ident)::+, 2, $($arg:tt)*) => { $($mac)::+!(target: "aemp", tracing::Level::WARN $($arg)*) };
    (@level $($mac:ident)::+, 5, $($arg:tt)*) => { $($mac)::+!(target: "aemp", tracing::Level::WARN $($arg)*) };
    (@level $($mac:ident)::+, 7, $($arg:tt)*) => { $($mac)::+!(target: "aemp", tracing::Level::INFO $($arg)*) };
    (@level $($mac:ident)::+, 8, $($arg:tt)*) => { $($mac)::+!(target: "aemp", tracing::Level::DEBUG $($arg)*) };
    (@level $($mac:ident)::+, 9, $($arg:tt)*) => { $($mac)::+!(target: "aemp", tracing::Level::TRACE $($arg)*) };
    ($level:tt, $($arg:tt)+) => {
        $crate::log::event!(@level tracing::event, $level, , level = $level as u8, $($arg)+)
    };
}
pub(crate) use event;

/// From this level on lines are for who looks for something, and none is held back.
const DEBUGGING: u8 = 8;

/// How many lines of one kind one source may cause a minute.
static PER_MINUTE: AtomicU32 = AtomicU32::new(60);

static LOG: LazyLock<Mutex<Log>> = LazyLock::new(|| {
    Mutex::new(Log {
        rate: Rate::default(),
        start: Instant::now(),
        telling: false,
    })
});

struct Log {
    rate: Rate,
    /// What time is counted from.
    start: Instant,
    /// Somebody will tell what was held back.
    telling: bool,
}

/// Sets how many log lines of one kind one node, or the host of a stranger, may cause a minute:
/// 60, if nothing sets it. More are counted, and told by a single line. It holds for all nodes of
/// the process, as they share its log; the setting `max_log_lines` of the node that was started
/// last is in force.
///
/// ```
/// aemp::log::set_max_lines(600);
/// ```
pub fn set_max_lines(per_minute: u32) {
    PER_MINUTE.store(per_minute, Ordering::Relaxed);
}

/// Whether a line is logged now. If so, what was held back before it is told.
pub(crate) fn may_log(kind: &'static u8, source: &[&str], line: fmt::Arguments<'_>) -> bool {
    let source = source.first().copied();
    let level = *kind;
    if level >= DEBUGGING {
        return true;
    }
    let mut log = LOG.lock();
    let (now, per_minute) = (log.start.elapsed(), PER_MINUTE.load(Ordering::Relaxed));
    let text = || Shown(line, LINE).to_string();
    let kind = std::ptr::from_ref(kind).addr();
    let verdict = log.rate.line(now, per_minute, kind, source, level, text);
    let begin = verdict == Verdict::HoldBack && !std::mem::replace(&mut log.telling, true);
    drop(log);
    if begin {
        tell_later();
    }
    match verdict {
        Verdict::Log => true,
        Verdict::LogAfter(held) => {
            tell(&held);
            true
        }
        Verdict::HoldBack => false,
    }
}

/// Says how many lines were held back.
fn tell(held: &Held) {
    let (lines, first) = (held.lines, &held.first);
    let text = format!("{lines} more lines like: {first}");
    catch::line(held.level, format_args!("{text}"), || match held.level {
        0 => event!(0, "{text}"),
        1 => event!(1, "{text}"),
        2 => event!(2, "{text}"),
        _ => event!(7, "{text}"),
    });
}

/// Tells what was held back when some time has passed, in case no line does so before.
fn tell_later() {
    /// However the task ends, another may begin.
    struct Telling;
    impl Drop for Telling {
        fn drop(&mut self) {
            LOG.lock().telling = false;
        }
    }
    let telling = Telling;
    // Without a runtime the next line of the kind tells it.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            tokio::time::sleep(INTERVAL).await;
            drop(telling);
            let held = LOG.lock().rate.held();
            held.iter().for_each(tell);
        });
    }
}

/// The target of the spans around what the code of ports does: handlers, the functions that spawned
/// ports begin with, supervisors and the starts of their children. They are at the level DEBUG,
/// have the fields `what`, `node` and `port` (supervisors: `supervisor`), and while nobody asks for
/// them they cost next to nothing; while somebody does, messages go the usual way and not the
/// quickest.
///
/// ```
/// assert_eq!(aemp::log::SPAN_TARGET, "aemp::port");
/// ```
pub const SPAN_TARGET: &str = "aemp::port";

/// The target of the events that show each message sent and received.
///
/// ```
/// assert_eq!(aemp::log::TRACE_TARGET, "aemp::trace");
/// ```
pub const TRACE_TARGET: &str = "aemp::trace";
