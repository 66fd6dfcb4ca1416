//! What becomes of a message that a port can't take.

use std::sync::Arc;

use spin::mutex::SpinMutex;

use super::PortCell;
use crate::log::{LINE, Shown, log_at};
use crate::node::Inner;
use crate::node::code::{Handled, Outcome, guarded};
use crate::node::context::Context;
use crate::node::handler::Unfit;
use crate::node::{IntoOutcome, Port};
use crate::proto::{Message, PortId, Reason};

/// What becomes of a message that no handler of a port takes, or whose arguments do not fit the
/// handler: see [`Port::on_misfit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misfit {
    /// It kills the port, with the reason `die` and a text. That is what AnyEvent::MP does: whoever
    /// monitors the port learns of the mistake.
    Kill,
    /// It is answered with an [error reply](Context::answer), if it ends in the port to answer to,
    /// as requests do. In any case there is a line in the log, and the port lives.
    Refuse,
    /// There is a line in the log, and the port lives.
    Ignore,
}

/// What a port does with messages that it can't take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// As it is with a spawned port if nothing else was said: what no handler takes is ignored, and
    /// what does not fit its handler kills.
    Spawned,
    This(Misfit),
    /// It has [code](super::Extra::misfits) for them.
    Code,
}

/// Code of the program for messages that a port can't take.
pub(super) type Misfits = Arc<SpinMutex<dyn FnMut(&Context, Message, &str) -> Handled + Send>>;

/// A message that a port can't take.
pub(super) enum Odd {
    /// There is no handler for it.
    Unknown(Message),
    /// It does not fit its handler. The tag is taken off the message, if it is given here.
    Unfit(Option<String>, Unfit),
}

impl Odd {
    /// What Perl's ports die of, or the like.
    fn fatal(self) -> Reason {
        match self {
            Odd::Unknown(_) => Reason::die("received message on port without callback"),
            Odd::Unfit(_, unfit) => Reason::die(unfit.why),
        }
    }

    fn message(&self) -> &Message {
        match self {
            Odd::Unknown(message) => message,
            Odd::Unfit(_, unfit) => &unfit.message,
        }
    }

    /// What is wrong with it, to be told to who sent it.
    fn why(&self) -> String {
        match self {
            Odd::Unfit(_, unfit) => Shown(&unfit.why, LINE).to_string(),
            Odd::Unknown(message) => match message.tag() {
                Some(tag) => format!("no handler takes `{}`", Shown(tag, LINE)),
                None => "no handler takes a message without a tag".to_owned(),
            },
        }
    }

    /// The message as it was sent.
    fn whole(self) -> Message {
        match self {
            Odd::Unknown(message) | Odd::Unfit(None, Unfit { message, .. }) => message,
            Odd::Unfit(Some(tag), Unfit { message, .. }) => {
                let elements: Vec<_> = message.elements().collect();
                let whole = Message::encode(&(tag,)).and_then(|whole| whole.with(&elements));
                whole.unwrap_or(message) // it was a message before
            }
        }
    }

    /// The port to answer to, if the message is a request. What only looks like one is none: it
    /// must not make us look for a node.
    fn reply(&self, node: &Inner) -> Option<PortId> {
        let last = self.message().elements().last()?;
        let most = node.settings.max_name.saturating_mul(2);
        let reply: PortId = (last.size() <= most).then(|| last.read().ok())??;
        let of = reply.node();
        let known = of == node.id.as_str() || node.peers.get(of).is_some();
        (known && !of.is_empty() && !reply.is_node_port()).then_some(reply)
    }
}

impl PortCell {
    /// Does what the port has chosen with a message that it can't take.
    #[cold]
    pub(super) fn misfit(&self, context: &Context, odd: Odd) -> Outcome {
        let (choice, code) = {
            let state = self.state.lock();
            let extra = state.extra.as_ref();
            (state.choice, extra.and_then(|extra| extra.misfits.clone()))
        };
        let node = context.node().inner();
        let misfit = match (choice, code) {
            (Choice::Code, Some(code)) => {
                let why = odd.why();
                let message = odd.whole();
                return guarded(|| Outcome::Done(code.lock()(context, message, &why)));
            }
            (Choice::This(misfit), _) => misfit,
            (Choice::Spawned | Choice::Code, _) => Misfit::Kill,
        };
        let reply = match misfit {
            Misfit::Kill => return Outcome::Done(Err(odd.fatal().into())),
            Misfit::Refuse => odd.reply(node),
            Misfit::Ignore => None,
        };
        let why = odd.why();
        let Some(reply) = reply else {
            log_at!(2, port = self.id, "{}: dropped a message: {why}", self.id);
            return Outcome::Done(Ok(()));
        };
        let from = reply.node();
        log_at!(
            2,
            [from],
            port = self.id,
            "{}: refused a request of {from}: {why}",
            self.id
        );
        Outcome::Done(context.refuse(&reply, why).into_outcome())
    }

    /// Sets what becomes of messages that the port can't take.
    fn choose(&self, choice: Choice, code: Option<Misfits>) {
        let mut state = self.state.lock();
        if !state.alive {
            return;
        }
        state.choice = choice;
        let replaced = match (code, &mut state.extra) {
            (None, None) => None,
            (code, extra) => std::mem::replace(&mut extra.get_or_insert_default().misfits, code),
        };
        state.shrink();
        // It may run code when it is dropped: not under our lock.
        drop(state);
        drop(replaced);
    }
}

impl Port {
    /// Chooses what becomes of a message that no handler takes, or whose arguments do not fit its
    /// handler; with [`serve`](Self::serve), of one that is no such variant, or has no such fields.
    ///
    /// Without it such a message [kills](Misfit::Kill) the port, but for one thing: a port that was
    /// spawned ignores what no handler takes, as Perl's do. This holds for all ports alike.
    ///
    /// It is about what others send, not about code that fails: an error that a handler returns
    /// kills the port. Handlers set by [`answer`](Self::answer) are another matter: their errors
    /// are answers, and they refuse what does not fit whatever is chosen here.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Misfit, Node, PortId};
    /// let node = Node::local();
    /// let port = node.port();
    /// port.on_misfit(Misfit::Refuse);
    /// port.rcv("add", |cx, (a, b, reply): (u32, u32, PortId)| cx.snd(&reply, &(a + b,)));
    ///
    /// let error = node.cal::<u32>(&port, &("ad", 1, 2), None).await.unwrap_err();
    /// assert_eq!(error.to_string(), "the request was answered with an error: no handler takes `ad`");
    /// let error = node.cal::<u32>(&port, &("add", 1, "two"), None).await.unwrap_err();
    /// assert!(error.to_string().contains("argument 2: invalid type"));
    /// let sum: u32 = node.cal(&port, &("add", 1, 2), None).await?;
    /// assert_eq!(sum, 3);
    /// # Ok(()) }
    /// ```
    pub fn on_misfit(&self, misfit: Misfit) -> &Self {
        if let Some(cell) = self.cell() {
            cell.choose(Choice::This(misfit), None);
        }
        self
    }

    /// Has code take the messages that [`on_misfit`](Self::on_misfit) is about. It is given the
    /// message as it was sent, and what is wrong with it. What it returns counts as what a handler
    /// returns: an error kills the port.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    /// port.rcv("add", |_, _: (u32, u32)| {});
    /// port.on_misfit_with(move |_, message, why| drop(tell.send(format!("{message:?}: {why}"))));
    /// node.snd(&port, &("ad", 1))?;
    /// assert_eq!(told.recv().await.unwrap(), r#"["ad",1]: no handler takes `ad`"#);
    /// node.snd(&port, &("add", 1))?;
    /// assert_eq!(told.recv().await.unwrap(), r#"["add",1]: argument 2: is missing"#);
    /// # Ok(()) }
    /// ```
    pub fn on_misfit_with<R: IntoOutcome>(
        &self,
        mut code: impl FnMut(&Context, Message, &str) -> R + Send + 'static,
    ) -> &Self {
        let code = move |context: &Context, message: Message, why: &str| {
            code(context, message, why).into_outcome()
        };
        if let Some(cell) = self.cell() {
            cell.choose(Choice::Code, Some(Arc::new(SpinMutex::new(code))));
        }
        self
    }
}
