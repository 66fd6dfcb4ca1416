//! Which children share a fate, and which are worth a restart.

/// What happens to the other children when one dies and is restarted.
///
/// ```
/// use aemp::supervise::{Strategy, Supervisor};
/// let pipeline = Supervisor::builder("pipeline").strategy(Strategy::RestForOne);
/// # let _ = pipeline;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Strategy {
    /// Nothing: only the child that died is started again. For children that do not need each
    /// other.
    #[default]
    OneForOne,
    /// All others are stopped, too, the last one first; then all are started, in their order. For
    /// children that are of no use without each other.
    OneForAll,
    /// Those that were added after it are stopped, the last one first; then it and they are
    /// started, in their order. For children each of which needs those before it.
    RestForOne,
}

impl Strategy {
    /// The name as Erlang has it: `one_for_one`, `one_for_all`, `rest_for_one`.
    ///
    /// ```
    /// assert_eq!(aemp::supervise::Strategy::RestForOne.name(), "rest_for_one");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Strategy::OneForOne => "one_for_one",
            Strategy::OneForAll => "one_for_all",
            Strategy::RestForOne => "rest_for_one",
        }
    }

    /// Whether children wait for those before them.
    pub(super) fn is_ordered(self) -> bool {
        self != Strategy::OneForOne
    }
}

/// Whether a child that ended is started again.
///
/// ```
/// use aemp::supervise::{Child, Restart};
/// let once = Child::local("once", |cx| cx.port_with(|_, _| {})).restart(Restart::Transient);
/// # let _ = once;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Restart {
    /// Always, however it ended.
    #[default]
    Permanent,
    /// After an abnormal end only, that is one with a reason. A child that ended normally stays
    /// in the list, ended.
    Transient,
    /// Never. The child is forgotten when it ends.
    Temporary,
}

impl Restart {
    /// Whether a death asks for a restart.
    pub(super) fn wants(self, normal: bool) -> bool {
        match self {
            Restart::Permanent => true,
            Restart::Transient => !normal,
            Restart::Temporary => false,
        }
    }
}
