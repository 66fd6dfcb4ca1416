//! Messages within a node that are not encoded: a port gets the very value that was sent.

use std::any::Any;
use std::collections::VecDeque;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Address, Inner, Node, SendError};
use crate::peering::Room;
use crate::proto::Message;
use crate::proto::message::EncodeError;

/// A type of messages of which a port of the same node may be given the very value that was sent,
/// unserialised: see [`Node::snd_value`].
///
/// Who implements it says that nobody can tell the difference: that a value which is serialised and
/// deserialised again is the same, and that serialising it does not fail. That holds for derived
/// implementations without attributes such as `skip`, `default`, `with` or `untagged`, whose fields
/// are of such types: numbers but those that are not finite, texts, lists, maps with texts as keys,
/// options, IDs. It does not for what holds an `Arc` that somebody else looks at, for instance.
///
/// ```
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// enum Work {
///     Number(u64, String),
///     Stop,
/// }
/// impl aemp::ByValue for Work {}
/// ```
pub trait ByValue: Serialize + DeserializeOwned + Send + 'static {}

impl Node {
    /// Sends a message as [`snd`](Self::snd) does, and gives it away: a port of this node that
    /// [serves](Self::serve) such messages gets the very value, which is neither encoded nor read.
    /// To any other port, and when somebody traces messages, it goes as with `snd`; nobody can
    /// tell.
    ///
    /// In the bounds of a port such a message counts as one, and with the octets of the value
    /// alone: what it refers to is not counted.
    ///
    /// # Errors
    ///
    /// [`SendError`]: this node has stopped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{ByValue, Node};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Line(u8, String);
    /// impl ByValue for Line {}
    ///
    /// let node = Node::local();
    /// let (tell, mut told) = tokio::sync::mpsc::channel(1);
    /// let log = node.serve(move |_, Line(_, text)| tell.try_send(text).map_err(|_| "too much"));
    /// node.snd_value(&log, Line(7, "hello".into()))?;
    /// assert_eq!(told.recv().await.unwrap(), "hello");
    /// # Ok(()) }
    /// ```
    pub fn snd_value<M: ByValue>(&self, port: &Address<M>, message: M) -> Result<(), SendError> {
        let node = self.inner();
        let mut message = Some(message);
        node.give(port.id(), &mut message, Room::Any)?;
        match message {
            Some(message) => node.snd(port.id(), &message),
            None => Ok(()),
        }
    }

    /// The same when there is room, for which it waits: see [`snd_wait`](Self::snd_wait).
    ///
    /// # Errors
    ///
    /// [`SendError`]: this node stops.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), aemp::SendError> {
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Number(u64);
    /// impl aemp::ByValue for Number {}
    ///
    /// let node = aemp::Node::local();
    /// let sink = node.serve(|_, _: Number| ());
    /// for n in 0..10_000 {
    ///     node.snd_value_wait(&sink, Number(n)).await?;
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn snd_value_wait<M: ByValue>(
        &self,
        port: &Address<M>,
        message: M,
    ) -> Result<(), SendError> {
        let node = self.inner();
        let mut message = Some(message);
        // Octets count for other nodes alone.
        while let Some(full) = node.give(port.id(), &mut message, Room::Below(usize::MAX))? {
            let _waits = node.lifecycle.waits();
            node.wait_for_room(port.id(), full, usize::MAX).await;
        }
        match message {
            Some(message) => self.snd_wait(port, &message).await,
            None => Ok(()),
        }
    }
}

impl Inner {
    /// Whether messages may go to a port as values: not while somebody looks at them.
    pub(super) fn gives_values(&self) -> bool {
        !crate::trace::enabled() && self.trace_of_sending().is_none()
    }
}

/// Values that wait in a port, of one type, in their order.
pub(crate) trait Row: Send {
    /// The [`VecDeque`] of that type.
    fn values(&mut self) -> &mut dyn Any;

    /// Takes the first ones out, into a row of their own.
    fn split(&mut self, count: usize) -> Box<dyn Row>;

    /// Takes the first one out, as the message that it is.
    fn pop_encoded(&mut self) -> Option<Result<Message, EncodeError>>;

    /// The octets of each.
    fn each(&self) -> usize;

    /// For how many there is memory.
    fn capacity(&self) -> usize;

    fn clear(&mut self);
}

impl<M: ByValue> Row for VecDeque<M> {
    fn values(&mut self) -> &mut dyn Any {
        self
    }

    fn split(&mut self, count: usize) -> Box<dyn Row> {
        let count = count.min(self.len());
        Box::new(self.drain(..count).collect::<VecDeque<M>>())
    }

    fn pop_encoded(&mut self) -> Option<Result<Message, EncodeError>> {
        Some(Message::encode(&self.pop_front()?))
    }

    fn each(&self) -> usize {
        size_of::<M>()
    }

    fn capacity(&self) -> usize {
        self.capacity()
    }

    fn clear(&mut self) {
        self.clear();
    }
}
