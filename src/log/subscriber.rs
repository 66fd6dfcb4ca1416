//! Log lines on standard error, as AnyEvent::MP writes them.

use std::fmt::Write as _;
use std::io::Write as _;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::{LINE, SPAN_TARGET, Shown, TRACE_TARGET, catch};

/// Writes log lines to standard error as AnyEvent::MP does.
///
/// `PERL_ANYEVENT_MP_WARNLEVEL` sets the highest level shown, or, where that is unset, what 2.x
/// goes by: `PERL_ANYEVENT_VERBOSE`, then `AE_VERBOSE`. If none is a number it is 5. A true
/// `PERL_ANYEVENT_MP_TRACE` shows each message. With `RUST_LOG` it is targets and levels of
/// `tracing` that are shown, those of other crates too: `aemp=debug,info`, or `aemp::trace=trace`
/// for each message; a `PERL_ANYEVENT_MP_WARNLEVEL` that is set besides keeps out what is above it.
/// Does nothing if a `tracing` subscriber is set.
///
/// ```no_run
/// aemp::log::init_from_env();
/// ```
pub fn init_from_env() {
    init_from_env_to(to_standard_error);
}

/// [`init_from_env`] for a program that shows its lines itself: each is handed over as a text that
/// ends with its line, from whichever thread it is logged by.
///
/// ```no_run
/// let (line, lines) = std::sync::mpsc::channel();
/// aemp::log::init_from_env_to(move |text| drop(line.send(text.to_owned())));
/// ```
pub fn init_from_env_to(write: impl Fn(&str) + Send + Sync + 'static) {
    let level = level_set(|name| std::env::var(name).ok());
    let trace = std::env::var("PERL_ANYEVENT_MP_TRACE");
    let filter = std::env::var("RUST_LOG").ok();
    let filter = filter.filter(|text| !text.is_empty());
    let filter = filter.and_then(|text| match text.parse::<Targets>() {
        Ok(filter) => Some(filter),
        Err(error) => {
            write(&format!("RUST_LOG={text} is not used: {error}\n"));
            None
        }
    });
    start(PerlLines {
        level: level.unwrap_or(if filter.is_some() { 9 } else { 5 }),
        trace: trace.is_ok_and(|value| !value.is_empty() && value != "0"),
        filter,
        write: Box::new(write),
    });
}

fn to_standard_error(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// The highest level shown, as the environment says it.
fn level_set(variable: impl Fn(&str) -> Option<String>) -> Option<u8> {
    const NAMES: [&str; 3] = [
        "PERL_ANYEVENT_MP_WARNLEVEL",
        "PERL_ANYEVENT_VERBOSE",
        "AE_VERBOSE",
    ];
    let set = NAMES.iter().filter_map(|name| variable(name));
    let mut set = set.filter(|text| !text.trim().is_empty());
    set.next().and_then(|text| text.trim().parse().ok())
}

/// Like [`init_from_env`] with the two settings given.
///
/// ```no_run
/// aemp::log::init_with(8, true); // up to debugging, and each message
/// ```
pub fn init_with(level: u8, trace: bool) {
    start(PerlLines {
        level,
        trace,
        filter: None,
        write: Box::new(to_standard_error),
    });
}

fn start(lines: PerlLines) {
    let _ = tracing_subscriber::registry().with(lines).try_init();
}

struct PerlLines {
    level: u8,
    trace: bool,
    /// What `RUST_LOG` says.
    filter: Option<Targets>,
    /// Takes the lines.
    write: Box<dyn Fn(&str) + Send + Sync>,
}

impl PerlLines {
    /// The `tracing` level that has the highest of Perl's levels that are shown.
    fn most(&self) -> Level {
        match self.level {
            0..=1 => Level::ERROR,
            2..=6 => Level::WARN,
            7 => Level::INFO,
            8 => Level::DEBUG,
            _ => Level::TRACE,
        }
    }
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
        self.shows(meta) || is_caught(meta).is_some()
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let meta = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let Some(level) = is_caught(meta) {
            let level = fields.level.map_or(level, |level| level.min(9) as u8);
            let text = Shown(format_args!("{}{}", fields.message, fields.more), LINE);
            catch::hand_out(level, meta.target(), format_args!("{text}"));
        }
        if self.shows(meta) {
            self.show(meta, fields);
        }
    }
}

/// Whether nodes may catch the events of this place: the level that they have if they do not say
/// so.
///
/// What other crates say of each of their steps is kept back: some of these are taken because a
/// line is sent.
fn is_caught(meta: &tracing::Metadata<'_>) -> Option<u8> {
    if meta.is_span() || [TRACE_TARGET, SPAN_TARGET].contains(&meta.target()) {
        return None;
    }
    let of_others = !meta.target().starts_with("aemp");
    if of_others && *meta.level() > Level::INFO {
        return None;
    }
    let level = level_of(meta);
    catch::wanted(level).then_some(level)
}

/// AnyEvent::MP's level for what does not say so.
fn level_of(meta: &tracing::Metadata<'_>) -> u8 {
    match *meta.level() {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 7,
        Level::DEBUG => 8,
        Level::TRACE => 9,
    }
}

impl PerlLines {
    /// Whether events of this place are written.
    fn shows(&self, meta: &tracing::Metadata<'_>) -> bool {
        if let Some(filter) = &self.filter {
            let wanted = filter.would_enable(meta.target(), meta.level());
            return !meta.is_span() && wanted || self.trace && meta.target() == TRACE_TARGET;
        }
        match meta.target() {
            TRACE_TARGET => self.trace,
            // Lines do not show them, and messages would take a longer way.
            SPAN_TARGET => false,
            target => target.starts_with("aemp") && *meta.level() <= self.most(),
        }
    }

    fn show(&self, meta: &tracing::Metadata<'_>, fields: Fields) {
        let mut line = String::new();
        if meta.target() != TRACE_TARGET {
            let level = fields.level.unwrap_or_else(|| level_of(meta).into());
            if level > u64::from(self.level) {
                return;
            }
            let now = chrono::Local::now().format("%Y-%m-%d %H:%M:%S");
            let _ = write!(line, "{now} <{level}> ");
        }
        line.push_str(&fields.message);
        line.push_str(&fields.more);
        line.push('\n');
        (self.write)(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sets_the_level() {
        let level = |set: &[(&str, &str)]| {
            let value = |name: &str| set.iter().find(|(key, _)| *key == name);
            level_set(|name| value(name).map(|(_, value)| (*value).to_owned()))
        };
        let (own, long, short) = (
            ("PERL_ANYEVENT_MP_WARNLEVEL", "7"),
            ("PERL_ANYEVENT_VERBOSE", "8"),
            ("AE_VERBOSE", "9"),
        );
        assert_eq!(level(&[]), None);
        assert_eq!(level(&[short]), Some(9));
        assert_eq!(level(&[short, long]), Some(8));
        assert_eq!(level(&[short, long, own]), Some(7));
        assert_eq!(level(&[short, ("PERL_ANYEVENT_MP_WARNLEVEL", "")]), Some(9));
        assert_eq!(level(&[short, ("PERL_ANYEVENT_MP_WARNLEVEL", "all")]), None);
    }
}
