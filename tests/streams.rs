//! All that gives one thing after the other is a `Stream`.

mod support;

use aemp::supervise::{Child, SupervisorEvent, SupervisorEvents};
use aemp::{
    DbChange, DbChanges, GroupChange, GroupChanges, Mailbox, Message, Node, NodeEvent, NodeEvents,
    Reason, Supervisor,
};
use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use support::{builder, listening, within};

/// What a program wants of a stream: to be sent to other threads, and to be polled wherever it is.
fn is_handy<T>(_: &(impl Stream<Item = T> + Send + Sync + Unpin + 'static)) {}

#[tokio::test]
async fn a_mailbox_gives_its_messages_until_it_is_dead() {
    let node = Node::local();
    let inbox: Mailbox = node.mailbox();
    is_handy::<Message>(&inbox);
    for n in 0..100 {
        node.snd(inbox.id(), &("n", n)).unwrap();
    }
    let id = inbox.id().clone();
    let mut numbers = inbox.map(|message| message.without_tag().args::<u32>().unwrap());
    for n in 0..100 {
        assert_eq!(numbers.next().now_or_never(), Some(Some(n)));
    }
    // Who waits is woken by what comes, and by the end.
    assert_eq!(numbers.next().now_or_never(), None);
    let reader = tokio::spawn(numbers.collect::<Vec<_>>());
    tokio::task::yield_now().await;
    for n in 100..200 {
        node.snd(&id, &("n", n)).unwrap();
        tokio::task::yield_now().await;
    }
    node.kil(&id, Reason::normal());
    let rest = within("the end", reader).await.unwrap();
    assert_eq!(rest, (100..200).collect::<Vec<_>>());
}

/// A mailbox that moves from task to task is found by whoever reads it last.
#[tokio::test]
async fn a_mailbox_wakes_its_last_reader() {
    let node = Node::local();
    let mut inbox = node.mailbox();
    for n in 0..20 {
        assert!(inbox.recv().now_or_never().is_none());
        let id = inbox.id().clone();
        let reader = tokio::spawn(async move {
            let message = inbox.recv().await.unwrap();
            (inbox, message)
        });
        tokio::task::yield_now().await;
        node.snd(&id, &(n,)).unwrap();
        let (back, message) = within("the message", reader).await.unwrap();
        assert_eq!(message.args::<u32>().unwrap(), n);
        inbox = back;
    }
}

#[tokio::test]
async fn mailboxes_together() {
    let node = Node::local();
    let mut inboxes: Vec<_> = (0..3).map(|_| node.mailbox()).collect();
    for round in 0..5 {
        for (n, inbox) in inboxes.iter().enumerate() {
            node.snd(inbox.id(), &(round, n)).unwrap();
        }
    }
    let all = stream::select_all(inboxes.iter_mut()).take(15);
    let mut all: Vec<(u32, usize)> = all
        .map(|message| message.args::<(u32, usize)>().unwrap())
        .collect()
        .await;
    all.sort_unstable();
    let expected: Vec<_> = (0..5)
        .flat_map(|round| (0..3).map(move |n| (round, n)))
        .collect();
    assert_eq!(all, expected);
}

#[tokio::test]
async fn nodes_come_and_go() {
    let a = listening("streams-a").await;
    let b = builder("streams-b")
        .binds(["127.0.0.1:0"])
        .start()
        .await
        .unwrap();
    let events: NodeEvents = b.mon_nodes();
    is_handy::<NodeEvent>(&events);
    b.add_seeds(a.listeners());
    let all = tokio::spawn(events.map(|event| event.is_up()).collect::<Vec<_>>());
    support::up(&b, "streams-a").await;
    a.shutdown().await;
    b.shutdown().await;
    assert_eq!(within("the end", all).await.unwrap(), [true, false]);
}

#[tokio::test]
async fn groups_change() {
    let node = Node::local();
    let mut changes: GroupChanges = node.mon_group("workers");
    is_handy::<GroupChange>(&changes);
    assert!(changes.next().now_or_never().is_none());
    let port = node.port();
    node.register("workers", &port);
    assert_eq!(
        changes.by_ref().next().await.unwrap().added,
        [port.id().clone()]
    );
    let rest = tokio::spawn(changes.collect::<Vec<_>>());
    tokio::task::yield_now().await;
    port.kil(Reason::normal());
    while !node.members("workers").is_empty() {
        tokio::task::yield_now().await;
    }
    tokio::task::yield_now().await;
    node.shutdown().await;
    let rest = within("the end", rest).await.unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(
        (&*rest[0].removed, rest[0].members.len()),
        (&[port.id().clone()][..], 0)
    );
}

/// A change that comes while the program drops what waits for it is not lost.
#[tokio::test]
async fn who_waits_for_a_group_may_be_dropped() {
    let node = Node::local();
    let mut changes = node.mon_group("workers");
    for _ in 0..10 {
        assert!(changes.next().now_or_never().is_none());
        let port = node.port();
        node.register("workers", &port);
        assert_eq!(changes.next().await.unwrap().added, [port.id().clone()]);
    }
}

#[tokio::test]
async fn a_family_changes() {
    let node = Node::local();
    let changes: DbChanges<u32> = node.db_mon("numbers");
    is_handy::<Result<DbChange<u32>, _>>(&changes);
    let reader = tokio::spawn(changes.collect::<Vec<_>>());
    tokio::task::yield_now().await;
    node.db_set("numbers", "a", &1).unwrap();
    tokio::task::yield_now().await;
    node.db_set("numbers", "a", &2).unwrap();
    node.db_del("numbers", ["a"]);
    node.shutdown().await;
    let all = within("the end", reader).await.unwrap();
    let all: Vec<_> = all.into_iter().map(Result::unwrap).collect();
    assert_eq!(all.len(), 4);
    assert!(all[0].added.is_empty());
    assert_eq!(
        (all[1].added["a"], all[2].changed["a"], all[3].deleted["a"]),
        (1, 2, 2)
    );
}

#[tokio::test]
async fn a_supervisor_tells_of_its_children() {
    let node = Node::local();
    let supervisor = Supervisor::builder("main").start(&node).unwrap();
    let events: SupervisorEvents = supervisor.events();
    is_handy::<SupervisorEvent>(&events);
    let all = tokio::spawn(events.collect::<Vec<_>>());
    let child = Child::local("a", |cx| cx.port_with(|_, _| {}));
    supervisor.add(child).await.unwrap();
    within("the child", supervisor.ready()).await.unwrap();
    supervisor.stop(Reason::normal()).await;
    let all = within("the end", all).await.unwrap();
    assert!(matches!(all[0], SupervisorEvent::Started { .. }), "{all:?}");
    let last = all.last().unwrap();
    assert!(matches!(last, SupervisorEvent::Stopped { .. }), "{all:?}");
}
