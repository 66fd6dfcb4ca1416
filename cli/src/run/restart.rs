//! Starting again: the process executes its program anew, as the same process, when another node
//! asks for it.
//!
//! Perl's `aemp restart` sends an expression to be evaluated there, in which a function of
//! AnyEvent::Watchdog is called; ours sends one with it as well. Nothing else is evaluated here.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aemp::Node;
use tokio::sync::Notify;

use crate::{Failure, system};

/// For how long the node goes on when it is asked, so that who asked gets the answer first. What
/// Perl's and our `aemp restart` have a Perl node do waits as well.
const ANSWER: Duration = Duration::from_millis(100);

/// What restarts a Perl node.
const FUNCTION: &str = "AnyEvent::Watchdog::Util::restart";

/// Whether somebody has asked for it.
#[derive(Clone)]
pub(super) struct Restart(Arc<State>);

struct State {
    asked: AtomicBool,
    told: Notify,
    /// Where the program is: another file may stand there by then, and that is the reason for many
    /// a restart.
    program: PathBuf,
}

impl Restart {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Restart(Arc::new(State {
            asked: AtomicBool::new(false),
            told: Notify::new(),
            program: std::env::current_exe()?,
        })))
    }

    /// Has the node start again when it is asked to.
    pub(super) fn serve(&self, node: &Node) {
        let restart = self.clone();
        node.set_evaluator(move |expression| match calls_restart(expression) {
            true => {
                restart.0.asked.store(true, Ordering::Relaxed);
                restart.0.told.notify_one();
                Ok(Vec::new())
            }
            false => {
                Err("this node does not evaluate expressions, but for what restarts it".to_owned())
            }
        });
    }

    /// Waits until somebody asks for it.
    pub(super) async fn asked(&self) {
        while !self.is_asked() {
            self.0.told.notified().await;
        }
        tokio::time::sleep(ANSWER).await;
    }

    pub(super) fn is_asked(&self) -> bool {
        self.0.asked.load(Ordering::Relaxed)
    }

    /// Starts again, with the same arguments. Returns only if that fails.
    pub(super) fn again(&self) -> Failure {
        let program = &self.0.program;
        let error = system::become_program(program, std::env::args_os().skip(1));
        format!("{} can't be started again: {error}", program.display()).into()
    }
}

/// Whether the expression calls the function that restarts a Perl node, and not just one of which
/// the name begins like that.
fn calls_restart(expression: &str) -> bool {
    expression.match_indices(FUNCTION).any(|(at, name)| {
        let after = expression[at + name.len()..].chars().next();
        let is_word = |char: char| char.is_alphanumeric() || char == '_' || char == ':';
        !after.is_some_and(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::calls_restart;

    #[test]
    fn nothing_else_restarts() {
        for (expression, wanted) in [
            ("AnyEvent::Watchdog::Util::restart", true),
            ("AnyEvent::Watchdog::Util::restart()", true),
            ("use x; sub { AnyEvent::Watchdog::Util::restart; }", true),
            ("AnyEvent::Watchdog::Util::restart_in (60)", false),
            (
                "AnyEvent::Watchdog::Util::restart_in(60), AnyEvent::Watchdog::Util::restart ",
                true,
            ),
            ("AnyEvent::Watchdog::Util::autorestart (1)", false),
            ("restart", false),
            ("", false),
        ] {
            assert_eq!(calls_restart(expression), wanted, "{expression}");
        }
    }
}
