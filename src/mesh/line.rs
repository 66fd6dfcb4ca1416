//! A line for the log.

use std::fmt;
use std::sync::Arc;

/// A line for the log, which is put together only if somebody reads it: some name all nodes of a
/// network. So the rules need not know who listens, and decide the same in any case.
#[derive(Clone)]
pub(crate) struct Line(Arc<dyn Fn(&mut fmt::Formatter<'_>) -> fmt::Result + Send + Sync>);

impl Line {
    pub(crate) fn new(
        write: impl Fn(&mut fmt::Formatter<'_>) -> fmt::Result + Send + Sync + 'static,
    ) -> Self {
        Line(Arc::new(write))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

/// Makes a [`Line`] as `format!` makes a string. What stands before the colon is copied into it.
macro_rules! line {
    ($($copied:ident),* : $($text:tt)+) => {{
        $(let $copied = $copied.to_owned();)*
        $crate::mesh::line::Line::new(move |f| write!(f, $($text)+))
    }};
}
pub(crate) use line;
