//! Messages that are given to a port of the same node as values: nobody can tell them from those
//! that are encoded.

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aemp::{Address, ByValue, Misfit, Node, PortId, Reason};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use support::{joining, listening, up, within};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Inner {
    list: Vec<Option<u32>>,
    map: BTreeMap<String, (i64, bool)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Work {
    Stop,
    Say(String),
    Add(u64, i64, f64),
    Join {
        who: PortId,
        inner: Inner,
        last: Option<char>,
    },
}
impl ByValue for Work {}

/// Of another type, with the same messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Other {
    Stop,
    Say(String),
}
impl ByValue for Other {}

fn inner() -> impl Strategy<Value = Inner> {
    let list = prop::collection::vec(any::<Option<u32>>(), 0..4);
    let map = prop::collection::btree_map(".{0,5}", any::<(i64, bool)>(), 0..3);
    (list, map).prop_map(|(list, map)| Inner { list, map })
}

fn work() -> impl Strategy<Value = Work> {
    let number = any::<f64>().prop_filter("a number", |n| {
        n.is_finite() && !(*n == 0.0 && n.is_sign_negative())
    });
    prop_oneof![
        Just(Work::Stop),
        ".{0,40}".prop_map(Work::Say),
        (any::<u64>(), any::<i64>(), number).prop_map(|(a, b, c)| Work::Add(a, b, c)),
        ("[a-z#.]{0,12}", inner(), any::<Option<char>>()).prop_map(|(who, inner, last)| {
            Work::Join {
                who: PortId::new(who),
                inner,
                last,
            }
        }),
    ]
}

/// What happens to a port.
#[derive(Debug, Clone)]
enum Step {
    /// It is sent a message: as a value, or in the two ways in turn.
    Send(Work, bool),
    /// The same, but by somebody who knows it as another type.
    SendOther(String),
    /// Another handler takes one of the variants from now on, or none does.
    Handler(bool),
    /// Nothing takes anything any more.
    Kill,
    /// It takes what waits.
    Run,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (work(), any::<bool>()).prop_map(|(work, value)| Step::Send(work, value)),
        1 => ".{0,9}".prop_map(Step::SendOther),
        1 => any::<bool>().prop_map(Step::Handler),
        1 => Just(Step::Run),
        1 => Just(Step::Kill),
    ]
}

type Log = Arc<Mutex<Vec<String>>>;

/// A port that writes down what it takes, and who took it.
fn listener(node: &Node, concurrent: bool) -> (aemp::Port, Address<Work>, Log) {
    let (log, port) = (Log::default(), node.port());
    port.on_misfit(Misfit::Ignore);
    let taken = log.clone();
    let note = move |work: Work| taken.lock().unwrap().push(format!("{work:?}"));
    let address = match concurrent {
        false => port.serve(move |_, work: Work| note(work)),
        true => port.serve_async(move |_, work: Work| {
            note(work);
            tokio::task::yield_now()
        }),
    };
    (port, address, log)
}

async fn plays(steps: &[Step], concurrent: bool, by_value: bool) -> Vec<String> {
    let node = Node::local();
    let (port, address, log) = listener(&node, concurrent);
    let other = Address::<Other>::assume(address.id());
    for step in steps {
        match step {
            Step::Send(work, value) if *value && by_value => {
                node.snd_value(&address, work.clone()).unwrap();
            }
            Step::Send(work, _) => node.snd(&address, work).unwrap(),
            Step::SendOther(text) => {
                let message = Other::Say(text.clone());
                match by_value {
                    true => node.snd_value(&other, message).unwrap(),
                    false => node.snd(&other, &message).unwrap(),
                }
            }
            Step::Handler(true) => {
                let log = log.clone();
                port.rcv("say", move |_, (text,): (String,)| {
                    log.lock().unwrap().push(format!("said {text:?}"));
                });
            }
            Step::Handler(false) => drop(port.unrcv("say")),
            Step::Kill => port.kil(Reason::normal()),
            Step::Run => {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
    // Behind all of it.
    port.kil(Reason::normal());
    let (died, dead) = tokio::sync::oneshot::channel();
    node.mon(&port, |_| {
        let _ = died.send(());
    });
    let _ = within("the port's end", dead).await;
    std::mem::take(&mut *log.lock().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever becomes of the port meanwhile: what it takes, in which order and by which handler,
    /// is the same in both ways.
    #[test]
    fn a_value_is_as_what_is_encoded(
        steps in prop::collection::vec(step(), 0..400),
        concurrent: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let [encoded, given] = [false, true].map(|by_value| {
            runtime.block_on(plays(&steps, concurrent, by_value))
        });
        prop_assert_eq!(encoded, given);
    }
}

/// One type only is what it takes to be given the value: it is not read from anything.
#[tokio::test]
async fn a_value_is_not_encoded() {
    #[derive(Debug)]
    struct Unreadable(Arc<()>);
    impl Serialize for Unreadable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("never to be serialised"))
        }
    }
    impl<'de> Deserialize<'de> for Unreadable {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Err(serde::de::Error::custom("never to be read"))
        }
    }
    impl ByValue for Unreadable {}

    let node = Node::local();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let port = node.serve(move |_, value: Unreadable| drop(tell.send(value)));
    let value = Arc::new(());
    for _ in 0..1000 {
        node.snd_value(&port, Unreadable(value.clone())).unwrap();
    }
    for _ in 0..1000 {
        let same = within("a value", told.recv()).await.unwrap();
        assert!(Arc::ptr_eq(&same.0, &value));
    }
    // Where it can't be given, it has to be a message; who said that it is one is told.
    let inbox = node.mailbox();
    let other = Address::<Unreadable>::assume(inbox.id());
    assert!(node.snd_value(&other, Unreadable(value.clone())).is_err());
    drop((port, told));
    assert_eq!(Arc::strong_count(&value), 1);
}

/// Bounds hold for values as well, and what waits in a port that dies goes with it.
#[tokio::test]
async fn values_that_wait_are_bounded_and_dropped() {
    #[derive(Serialize, Deserialize)]
    struct Counted(
        #[serde(skip)]
        #[expect(dead_code, reason = "it is counted, not read")]
        Option<Arc<()>>,
        u8,
    );
    impl ByValue for Counted {}

    let node = Node::builder().no_rc().nodeid("bounded").secret("geheim");
    let node = node
        .set("max_mailbox", 1000)
        .binds(Vec::<String>::new())
        .start()
        .await
        .unwrap();
    let alive = Arc::new(());
    let port = node.serve(|_, _: Counted| ());
    let (died, dead) = tokio::sync::oneshot::channel();
    node.mon(&port, |reason| drop(died.send(reason)));
    for _ in 0..2000 {
        node.snd_value(&port, Counted(Some(alive.clone()), 1))
            .unwrap();
    }
    let reason = within("the port's end", dead).await.unwrap();
    assert_eq!(reason.kind(), Some("overflow"));
    assert_eq!(Arc::strong_count(&alive), 1);

    // Who waits for room stays below.
    let port = node.serve(|_, _: Counted| ());
    for _ in 0..20_000 {
        let message = Counted(Some(alive.clone()), 1);
        node.snd_value_wait(&port, message).await.unwrap();
        assert!(Arc::strong_count(&alive) < 1000);
    }
    node.shutdown().await;
}

/// To another node it goes as any message.
#[tokio::test]
async fn values_go_to_other_nodes() {
    let one = listening("values-one").await;
    let other = joining("values-other", &one).await;
    up(&other, one.id().as_str()).await;
    let (_port, address, log) = listener(&one, false);
    for n in 0..100 {
        let work = Work::Add(n, -1, 0.5);
        match n % 2 {
            0 => other.snd_value(&address, work).unwrap(),
            _ => other.snd_value_wait(&address, work).await.unwrap(),
        }
    }
    within("all", async {
        while log.lock().unwrap().len() < 100 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let expected: Vec<_> = (0..100)
        .map(|n| format!("{:?}", Work::Add(n, -1, 0.5)))
        .collect();
    assert_eq!(*log.lock().unwrap(), expected);
    other.shutdown().await;
    one.shutdown().await;
}
