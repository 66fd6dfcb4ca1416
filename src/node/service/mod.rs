//! A group as a service: one of its members is chosen, asked, and replaced if it dies.

mod choice;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

pub use choice::Balance;
pub(crate) use choice::hash;

use super::roster::{Member, Roster};
use super::{Address, CalError, Destination, Inner, Node, Reply, SendError, Stopped};
use crate::proto::{Message, PortId, Reason};
use choice::{By, choose};

/// The members of a group, as somebody who serves. See [`Node::service`].
///
/// Clones go on from where this one is: with [`Balance::RoundRobin`] they take turns together. What
/// they [count](Balance::LeastBusy) is counted for the node. It does not keep the node alive.
pub struct Service<A = PortId> {
    node: Arc<Inner>,
    group: Arc<str>,
    roster: watch::Receiver<Roster>,
    by: By,
    turn: Arc<AtomicUsize>,
    retries: u32,
    address: fn(PortId) -> A,
}

impl Node {
    /// A group as a service: of its members, wherever they are, one is chosen for each message and
    /// for each call.
    ///
    /// Keep it: it follows the group, which costs what changes there, and a choice copies nothing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use aemp::Node;
    /// let node = Node::local();
    /// for _ in 0..3 {
    ///     let worker = node.port();
    ///     worker.answer("double", |_, (n,): (u32,)| n.checked_mul(2).ok_or("too much"));
    ///     node.register("workers", &worker);
    /// }
    ///
    /// let workers = node.service("workers");
    /// let limit = Some(Duration::from_secs(5));
    /// assert_eq!(workers.cal_any::<u32>(&("double", 21), limit).await?, 42);
    /// # Ok(()) }
    /// ```
    pub fn service(&self, group: &str) -> Service {
        let inner = self.inner();
        Service {
            node: inner.clone(),
            group: group.into(),
            roster: inner.control.follow(inner, group),
            by: By::Balance(Balance::default()),
            // Those that begin at the same time are not to begin with the same member.
            turn: Arc::new(AtomicUsize::new(inner.random.below(1 << 16))),
            retries: 0,
            address: |port| port,
        }
    }
}

impl Service {
    /// Says that all members take messages of that type: see [`Address::assume`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Address, Node, Reply, Service};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// enum Work {
    ///     Double(u32, Reply<u32>),
    /// }
    ///
    /// let node = Node::local();
    /// let worker = node.serve(|cx, Work::Double(n, reply)| cx.answer(&reply, n.checked_mul(2).ok_or("too much")));
    /// node.register("workers", &worker);
    ///
    /// let workers: Service<Address<Work>> = node.service("workers").assume();
    /// let double = workers.ask_any(|reply| Work::Double(21, reply), None).await?;
    /// assert_eq!(double, 42);
    /// # Ok(()) }
    /// ```
    pub fn assume<M>(self) -> Service<Address<M>> {
        Service {
            node: self.node,
            group: self.group,
            roster: self.roster,
            by: self.by,
            turn: self.turn,
            retries: self.retries,
            address: Address::assume,
        }
    }
}

impl<A> Service<A> {
    /// How a member is chosen.
    ///
    /// See [`Balance`] for an example.
    pub fn balance(mut self, balance: Balance) -> Self {
        self.by = By::Balance(balance);
        self
    }

    /// The service to one key: what is sent and asked by it reaches the same member, from all nodes
    /// of this crate, as long as that is in the group. When a member goes, only its keys go to
    /// others; one that comes takes its share of the keys and no more.
    ///
    /// This is rendezvous hashing. A choice looks at all members, which takes about a millisecond
    /// for 100,000.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let ports = [node.port(), node.port(), node.port()];
    /// let registered = ports.map(|port| node.register("carts", &port));
    /// let carts = node.service("carts");
    /// let of_ruth = carts.keyed("ruth");
    /// assert_eq!(of_ruth.pick(), of_ruth.pick());
    /// # drop(registered);
    /// # }
    /// ```
    pub fn keyed(&self, key: &str) -> Self {
        Service {
            by: By::Key(hash(key)),
            ..self.clone()
        }
    }

    /// On how many other members a call goes on when the one that was asked dies, or its node is
    /// lost or can't be reached, before it has answered.
    ///
    /// The default is 0, since nobody but the program knows what a request does: the member may
    /// have carried it out and died then. With retries a request is carried out **at least once**,
    /// perhaps by several members. Ask for them if doing it twice does no harm.
    ///
    /// The first retry is made at once, further ones after growing intervals: a request that
    /// members die of is not to end all of them. In between the call waits for another member if
    /// there is none, up to its time limit.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Context, Node, PortId};
    /// let node = Node::local();
    /// let mut first = true;
    /// let life = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    /// for _ in 0..2 {
    ///     let worker = node.port();
    ///     let life = life.clone();
    ///     worker.rcv("get", move |cx: &Context, (reply,): (PortId,)| {
    ///         match life.swap(false, std::sync::atomic::Ordering::Relaxed) {
    ///             true => Ok(cx.fail("overheated")), // the first one that is asked
    ///             false => cx.snd(&reply, &("here it is",)),
    ///         }
    ///     });
    ///     node.register("workers", &worker);
    /// }
    /// let workers = node.service("workers").retries(1);
    /// assert_eq!(workers.cal_any::<String>(&("get",), None).await?, "here it is");
    /// # Ok(()) }
    /// ```
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// The name of the group.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// assert_eq!(aemp::Node::local().service("workers").group(), "workers");
    /// # }
    /// ```
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The members that are known now, sorted.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let (port, workers) = (node.port(), node.service("workers"));
    /// assert!(workers.members().is_empty());
    /// node.register("workers", &port);
    /// assert_eq!(workers.members(), [port.id().clone()]);
    /// # }
    /// ```
    pub fn members(&self) -> Vec<A> {
        let roster = self.roster.borrow();
        roster.ids().cloned().map(self.address).collect()
    }

    /// Chooses a member, for a verb that is not here: to monitor it, for example, or to
    /// [wait](Node::snd_wait) until it has room. `None` if none is known now.
    ///
    /// See [`Balance`] for an example.
    pub fn pick(&self) -> Option<A> {
        let member = self.choose(&[])?;
        Some((self.address)(member.id.clone()))
    }

    /// Sends a message to a member, and says which. `None` if none is known now: then nothing was
    /// sent. Never waits, as [`Node::snd`] does not; [`Node::wait_for_members`] does.
    ///
    /// # Errors
    ///
    /// [`SendError`] as with [`Node::snd`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let (mut inbox, log) = (node.mailbox(), node.service("log"));
    /// assert!(log.snd_any(&("line", "lost"))?.is_none());
    /// node.register("log", inbox.id());
    /// assert_eq!(log.snd_any(&("line", "kept"))?.as_ref(), Some(inbox.id()));
    /// assert_eq!(inbox.recv().await?.to_json(), r#"["line","kept"]"#);
    /// # Ok(()) }
    /// ```
    pub fn snd_any<T: Serialize + ?Sized>(&self, args: &T) -> Result<Option<A>, SendError>
    where
        A: Destination<T>,
    {
        let Some(member) = self.choose(&[]) else {
            return Ok(None);
        };
        self.node.snd(&member.id, args)?;
        Ok(Some((self.address)(member.id.clone())))
    }

    /// Sends a message to all members that are known now, and says to how many. Never waits.
    ///
    /// # Errors
    ///
    /// [`SendError`] as with [`Node::snd`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let mut inboxes = [node.mailbox(), node.mailbox()];
    /// let caches = node.service("caches");
    /// for inbox in &inboxes {
    ///     node.register("caches", inbox.id());
    /// }
    /// assert_eq!(caches.snd_all(&("clear",))?, 2);
    /// for inbox in &mut inboxes {
    ///     assert_eq!(inbox.recv().await?.to_json(), r#"["clear"]"#);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn snd_all<T: Serialize + ?Sized>(&self, args: &T) -> Result<usize, SendError>
    where
        A: Destination<T>,
    {
        let message = Message::encode(args)?;
        // Whom code of ports is told of by this may choose members.
        let members: Vec<PortId> = self.roster.borrow().ids().cloned().collect();
        for member in &members {
            self.node.snd_message(member, &message)?;
        }
        Ok(members.len())
    }

    /// Sends a request with a reply port behind it to a member, as [`Node::cal`] does, and waits
    /// for the reply. While there is no member it waits for the first one.
    ///
    /// If the member dies before it has answered, [`retries`](Self::retries) says whether another
    /// one is asked. That is done in any case if it was dead before the request reached it, which
    /// then can't have been carried out. An error reply is an answer: nobody else is asked. All of
    /// that has one time limit.
    ///
    /// # Errors
    ///
    /// [`CalError`]: [`NoMember`](CalError::NoMember) if there was none to ask up to the time limit
    /// or the end of the node, [`Died`](CalError::Died) with the reason of the last one that was
    /// asked, [`TimedOut`](CalError::TimedOut) if that had not answered, and as with [`Node::cal`].
    ///
    /// See [`Node::service`] for an example.
    pub async fn cal_any<R: DeserializeOwned>(
        &self,
        args: &(impl Serialize + ?Sized),
        limit: Option<Duration>,
    ) -> Result<R, CalError> {
        let args = Message::encode(args).map_err(SendError::from)?;
        let request = |inbox: &PortId| args.with(&[inbox.as_str()]).map_err(SendError::from);
        Ok(self.call(request, limit).await?.args()?)
    }

    fn node(&self) -> Node {
        Node::from_inner(self.node.clone())
    }

    fn choose(&self, tried: &[Arc<Member>]) -> Option<Arc<Member>> {
        let (roster, random) = (self.roster.borrow(), &self.node.random);
        choose(&roster, self.by, &self.turn, random, tried)
    }

    /// Chooses a member that was not tried, as soon as there is one.
    async fn wait_to_choose(&self, tried: &[Arc<Member>]) -> Result<Arc<Member>, Stopped> {
        if let Some(member) = self.choose(tried) {
            return Ok(member);
        }
        let (roster, random) = (self.roster.clone(), &self.node.random);
        let choose = |roster: &Roster| choose(roster, self.by, &self.turn, random, tried);
        let lacks = |_: &Roster| match tried.is_empty() {
            true => "no members".to_owned(),
            false => "no other members".to_owned(),
        };
        let node = self.node();
        node.wait_for_group(&self.group, roster, choose, lacks)
            .await
    }

    async fn call(
        &self,
        request: impl Fn(&PortId) -> Result<Message, SendError>,
        limit: Option<Duration>,
    ) -> Result<Message, CalError> {
        let mut waits = For::Member(None);
        let answer = self.ask_one_by_one(&request, &mut waits);
        let Some(limit) = limit else {
            return answer.await;
        };
        match (tokio::time::timeout(limit, answer).await, waits) {
            (Ok(answered), _) => answered,
            (Err(_), For::Answer) => Err(CalError::TimedOut(limit)),
            (Err(_), For::Member(Some(reason))) => Err(CalError::Died(reason)),
            (Err(_), For::Member(None)) => Err(CalError::NoMember(self.group.to_string())),
        }
    }

    async fn ask_one_by_one(
        &self,
        request: &impl Fn(&PortId) -> Result<Message, SendError>,
        waits: &mut For,
    ) -> Result<Message, CalError> {
        /// So many members may have been dead before: who is told of them that late has to be told
        /// at some time that nothing can be had.
        const MOST_PASSED: u32 = 16;
        let (mut tried, mut passed, mut retried) = (Vec::new(), 0, 0);
        loop {
            let member = self.wait_to_choose(&tried).await?;
            *waits = For::Answer;
            let open = member.begin_call();
            let node = self.node();
            let send = |inbox: &PortId| node.inner().snd_message(&member.id, &request(inbox)?);
            let answer = tokio::select! {
                biased; // an answer that is there counts
                answer = node.call(&member.id, send, None) => answer,
                () = self.unreachable(&member) => Err(CalError::Died(unreachable())),
            };
            drop(open);
            let Err(CalError::Died(reason)) = answer else {
                return answer;
            };
            let again = match was_dead_before(&reason, &member.id) {
                true => count_to(&mut passed, MOST_PASSED),
                false => count_to(&mut retried, self.retries),
            };
            if !again || self.node.is_stopping() {
                return Err(CalError::Died(reason));
            }
            *waits = For::Member(Some(reason));
            tried.push(member);
            if let Some(pause) = self.pause_before(retried) {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// Waits until a member has left while its node has no link. What waits for that link is not
    /// worth waiting for then: its monitor would fire when connecting was tried for long enough.
    async fn unreachable(&self, member: &Member) {
        member.left().await;
        let linked = |id: &str| self.node.peers.get(id).is_some_and(|peer| peer.is_up());
        if self.node.is_local(&member.id) || linked(member.id.node()) {
            // Who only has left the group may still answer, and is monitored.
            std::future::pending::<()>().await;
        }
    }

    /// How long to wait before the retry of that number. None for the first one, then up to 20 ms,
    /// then twice as long each time, up to a second: by chance, so that those who lost the same
    /// member do not come together again.
    fn pause_before(&self, retry: u32) -> Option<Duration> {
        const LONGEST: Duration = Duration::from_secs(1);
        let doublings = retry.checked_sub(2)?;
        let longest = Duration::from_millis(20).saturating_mul(1 << doublings.min(16));
        Some(
            longest
                .min(LONGEST)
                .mul_f64(0.5 + self.node.random.fraction() / 2.0),
        )
    }
}

impl<M: Serialize> Service<Address<M>> {
    /// Sends a request that `request` makes of where the answer is to go to a member, as
    /// [`Node::ask`] does, and waits for the answer. For each member that is asked the request is
    /// made anew. In all else this is [`cal_any`](Self::cal_any).
    ///
    /// # Errors
    ///
    /// [`CalError`] as with [`cal_any`](Self::cal_any).
    ///
    /// See [`assume`](Service::assume) for an example.
    pub async fn ask_any<T: DeserializeOwned>(
        &self,
        request: impl Fn(Reply<T>) -> M,
        limit: Option<Duration>,
    ) -> Result<T, CalError> {
        let request = |inbox: &PortId| {
            let request = Message::encode(&request(Reply::to(inbox)));
            request.map_err(SendError::from)
        };
        let (value,) = self.call(request, limit).await?.args()?;
        Ok(value)
    }
}

/// What a call waits for.
enum For {
    /// For somebody to ask; and what the last one died of.
    Member(Option<Reason>),
    Answer,
}

/// What a member that is [unreachable](Service::unreachable) died of, as far as a call knows.
fn unreachable() -> Reason {
    Reason::new([
        "transport_error",
        "it left the group, and its node is not connected",
    ])
}

/// Counts one more. False if that is more than there may be.
fn count_to(count: &mut u32, most: u32) -> bool {
    *count = count.saturating_add(1);
    *count <= most
}

/// Whether a port did not exist when its monitor was set, which is before anything was sent to it.
///
/// A port that lived may die of the same, by a link to one that did not exist. But then it is that
/// one's ID that the reason has. Generation 0 tells no ID, so there this can't be known.
fn was_dead_before(reason: &Reason, port: &PortId) -> bool {
    let about = reason.values().get(2).and_then(|value| value.as_str());
    reason.kind() == Some("no_such_port") && about == Some(port.as_str())
}

impl<A> Clone for Service<A> {
    fn clone(&self) -> Self {
        Service {
            node: self.node.clone(),
            group: self.group.clone(),
            roster: self.roster.clone(),
            by: self.by,
            turn: self.turn.clone(),
            retries: self.retries,
            address: self.address,
        }
    }
}

impl<A> fmt::Debug for Service<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("group", &self.group)
            .field("by", &self.by)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}
