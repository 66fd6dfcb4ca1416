//! A port that a test plays.

use std::fmt::Write as _;
use std::panic::Location;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::clock;
use crate::node::{Mailbox, Node, RecvError};
use crate::proto::{Message, PortId};

/// So many messages are shown of those that came in place of the expected one.
const SHOWN: usize = 20;

/// A port that a test plays: it sends with its [ID](Self::id) as the reply port, and waits for what
/// should come. See [the module](super).
///
/// It waits for 300 seconds in virtual time, else 20, or as [`within`](Self::within) says. What
/// does not come is a panic that names the line of the test and shows what came.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use aemp::testing::Probe;
/// let node = aemp::Node::local();
/// let echo = node.port_with(|cx, message: aemp::Message| {
///     let (text, reply): (String, aemp::PortId) = message.args()?;
///     Ok::<_, Box<dyn std::error::Error>>(cx.snd(&reply, &("echo", text))?)
/// });
/// let mut probe = Probe::new(&node);
/// node.snd(&echo, &("hello", probe.id()))?;
/// assert_eq!(probe.expect::<(String,)>("echo").await.0, "hello");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Probe {
    inbox: Mailbox,
    limit: Duration,
}

impl Probe {
    /// A probe on this node.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with a clock.
    ///
    /// See [`Probe`] for an example.
    pub fn new(node: &Node) -> Self {
        Probe {
            inbox: node.mailbox(),
            limit: clock::patience(),
        }
    }

    /// Waits so long for each message.
    ///
    /// ```should_panic
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use std::time::Duration;
    /// let node = aemp::Node::local();
    /// let mut probe = aemp::testing::Probe::new(&node).within(Duration::from_millis(10));
    /// probe.expect::<()>("hello").await; // nobody sends that
    /// # }
    /// ```
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The port's ID.
    ///
    /// See [`Probe`] for an example.
    pub fn id(&self) -> &PortId {
        self.inbox.id()
    }

    /// Waits for a message with this tag and gives what stands behind the tag. Other messages stay,
    /// in their order.
    ///
    /// # Panics
    ///
    /// If none comes in time, or what stands behind the tag is no `T`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let mut probe = aemp::testing::Probe::new(&node);
    /// node.snd(probe.id(), &("log", "begun"))?;
    /// node.snd(probe.id(), &("result", 6, 7))?;
    /// assert_eq!(probe.expect::<(u32, u32)>("result").await, (6, 7));
    /// assert_eq!(probe.expect::<(String,)>("log").await.0, "begun");
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn expect<T: DeserializeOwned>(&mut self, tag: &str) -> impl Future<Output = T> {
        let at = Location::caller();
        async move {
            let limit = self.limit;
            let message = match timeout(limit, self.inbox.recv_tag(tag)).await {
                Ok(Ok(message)) => message,
                Ok(Err(error)) => self.fail(&format!("no {tag:?} came"), Some(error), at),
                Err(_) => self.fail(&format!("no {tag:?} came"), None, at),
            };
            message.args().unwrap_or_else(|error| {
                let shown = message.to_json();
                panic!("what came with {tag:?} does not fit, at {at}: {error}: {shown}")
            })
        }
    }

    /// Waits for the next message, whatever it is.
    ///
    /// # Panics
    ///
    /// If none comes in time.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let mut probe = aemp::testing::Probe::new(&node);
    /// node.snd(probe.id(), &(6, 7))?;
    /// assert_eq!(probe.expect_any().await.to_json(), "[6,7]");
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn expect_any(&mut self) -> impl Future<Output = Message> {
        let at = Location::caller();
        async move {
            match timeout(self.limit, self.inbox.recv()).await {
                Ok(Ok(message)) => message,
                Ok(Err(error)) => self.fail("no message came", Some(error), at),
                Err(_) => self.fail("no message came", None, at),
            }
        }
    }

    /// Lets whatever is on its way arrive, and sees to it that no message did: in virtual time
    /// waits until nothing else is to be done at this moment, else 100 ms.
    ///
    /// # Panics
    ///
    /// If a message has come.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// let node = aemp::Node::local();
    /// aemp::testing::Probe::new(&node).expect_nothing().await;
    /// # }
    /// ```
    #[track_caller]
    pub fn expect_nothing(&mut self) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            let settled = match clock::clock_is_paused() {
                // The clock moves when all else waits.
                true => Duration::from_millis(1),
                false => Duration::from_millis(100),
            };
            tokio::time::sleep(settled).await;
            let came = self.came();
            let id = self.id();
            assert!(
                came.is_empty(),
                "the probe {id} expected nothing, at {at}\n  what came: {came}"
            );
        }
    }

    fn fail(&mut self, what: &str, error: Option<RecvError>, at: &Location<'_>) -> ! {
        let why = match error {
            Some(error) => format!("{error}"),
            None => format!("within {:?}", self.limit),
        };
        let came = self.came();
        let came = if came.is_empty() { "nothing" } else { &came };
        let id = self.id();
        panic!("{what} to the probe {id} {why}, at {at}\n  what came: {came}")
    }

    /// The messages that wait, one a line.
    fn came(&mut self) -> String {
        let mut shown = String::new();
        let mut count = 0;
        while let Ok(Some(message)) = self.inbox.try_recv() {
            count += 1;
            if count <= SHOWN {
                let separator = if count > 1 { "\n    " } else { "" };
                let _ = write!(shown, "{separator}{}", message.to_json());
            }
        }
        if count > SHOWN {
            let _ = write!(shown, "\n    and {} more", count - SHOWN);
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "what came: [\"log\",1]\n    [\"log\",2]\n    [\"result\",\"late\"]")]
    async fn a_failure_shows_what_came() {
        let node = Node::local();
        let mut probe = Probe::new(&node);
        for n in 1..3 {
            node.snd(probe.id(), &("log", n)).unwrap();
        }
        node.snd(probe.id(), &("result", "late")).unwrap();
        probe.expect::<()>("done").await;
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = " within 300s, at src/testing/probe.rs:")]
    async fn a_failure_names_the_line_of_the_test() {
        Probe::new(&Node::local()).expect::<()>("done").await;
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "what came with \"n\" does not fit, at src/testing/probe.rs")]
    async fn what_does_not_fit_is_shown() {
        let node = Node::local();
        let mut probe = Probe::new(&node);
        node.snd(probe.id(), &("n", "seven")).unwrap();
        probe.expect::<(u32,)>("n").await;
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "expected nothing, at src/testing/probe.rs")]
    async fn something_is_not_nothing() {
        let node = Node::local();
        let mut probe = Probe::new(&node);
        node.snd(probe.id(), &("n", 1)).unwrap();
        probe.expect_nothing().await;
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "no message came to the probe")]
    async fn a_dead_probe_says_so() {
        let node = Node::local();
        let mut probe = Probe::new(&node);
        node.kil(probe.id(), crate::proto::Reason::normal());
        probe.expect_any().await;
    }
}
