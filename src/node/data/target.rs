//! What an initiator's requests do here.

use std::sync::Arc;
use std::time::Duration;

use super::connect::{Wanted, certificate, listeners, within};
use super::table::{Entry, NotExpected, Serving, Taker};
use super::{DataStream, FAILED};
use crate::log::log_at;
use crate::node::code::{Handled, Outcome, caught, guarded};
use crate::node::request::Origin;
use crate::node::{Context, Inner};
use crate::proto::message::{Num, Text};
use crate::proto::{Message, PortId, Reason};

/// However long a peer says, a connection is not expected for longer.
const LONGEST: Duration = Duration::from_secs(3600);

/// The request to expect a connection, read.
#[derive(Debug)]
pub(in crate::node) struct Expect {
    id: String,
    /// The initiator's port, which dies if there will be no connection.
    port: PortId,
    limit: Duration,
    /// Who gets the connection.
    pub(in crate::node) function: String,
    args: Message,
}

impl Expect {
    /// Reads `ID, PORT, TIME, FUNCTION, ARGS..`. No name is longer than `most` octets.
    pub(in crate::node) fn read(args: Message, most: usize) -> Result<Self, String> {
        /// Each is behind what the one before it takes off.
        const NAMES: usize = 4;
        let sizes = args.elements().take(NAMES).map(|element| element.size());
        if let Some(size) = sizes.max().filter(|size| *size > most.saturating_mul(2)) {
            return Err(format!("a name of {size} octets is longer than {most}"));
        }
        let read = args.args::<(Text, PortId, Num<f64>, Text)>();
        let (Text(id), port, Num(seconds), Text(function)) =
            read.map_err(|error| error.to_string())?;
        let limit = Duration::try_from_secs_f64(seconds);
        let limit = limit.map_err(|_| format!("{seconds} is no time to wait"))?;
        let mut args = args;
        for _ in 0..NAMES {
            args = args.into_without_tag();
        }
        Ok(Expect {
            id,
            port,
            limit: limit.min(LONGEST),
            function,
            args: args.into_own(),
        })
    }
}

/// Tells the initiator that there will be no connection.
pub(super) fn fail(node: &Arc<Inner>, port: &PortId, text: String) {
    node.kil(port, Reason::new([FAILED.to_owned(), text]));
}

/// The same, as the rules do not allow it.
pub(in crate::node) fn refuse(node: &Arc<Inner>, origin: &Origin<'_>, request: &Expect, why: &str) {
    if request.port.node() == origin.peer.id.as_str() {
        fail(node, &request.port, format!("{}: {why}", node.id));
    }
}

/// Expects a connection. The error is for the log; the initiator was told.
pub(in crate::node) fn expect(
    node: &Arc<Inner>,
    origin: &Origin<'_>,
    request: Expect,
) -> Result<(), String> {
    let Expect {
        id,
        port,
        limit,
        function: name,
        args,
    } = request;
    let peer = origin.peer;
    if port.node() != peer.id.as_str() {
        return Err(format!("{port} is no port of {}", peer.id));
    }
    let told = |text: String| {
        fail(node, &port, format!("{}: {text}", node.id));
        Err(text)
    };
    let Some(function) = node.data.functions.read().get(&name).cloned() else {
        return told(format!("unable to resolve function '{name}'"));
    };
    if let Err(text) = (function.check)(&args) {
        return told(format!("{name}: {text}"));
    }
    let mut held = peer.account.level();
    if held.set(args.size()).is_err() {
        return told("there is no room for the arguments (max_memory)".to_owned());
    }
    let serial = node.next_serial();
    let link = peer.link();
    let entry = Entry {
        serial,
        certificate: link.and_then(|link| certificate(link.tls.as_deref())),
        taker: Taker::Function(Serving {
            function,
            name,
            args,
            port: port.clone(),
            connects: false,
            _held: held,
        }),
    };
    if let Err(full) = node.data.expected.add(&peer.id, &id, entry) {
        return match full {
            // A lie is no matter for the port.
            NotExpected::InUse => Err(full.to_string()),
            NotExpected::TooMany | NotExpected::TooManyInAll => told(full.to_string()),
        };
    }
    let (home, peer) = (node.clone(), peer.id.clone());
    node.spawn_task(async move {
        tokio::time::sleep(limit).await;
        if home.data.expected.take_this(&peer, &id, serial).is_some() {
            let text = format!("{}: no connection came within {limit:?}", home.id);
            fail(&home, &port, text);
        }
    });
    Ok(())
}

/// Connects to the initiator, which named itself as `whom`, for a connection that is expected.
pub(in crate::node) fn connect_back(
    node: &Arc<Inner>,
    origin: &Origin<'_>,
    args: &Message,
) -> Result<(), String> {
    let peer = origin.peer;
    let read = args.args::<(Text, Text)>();
    let (Text(id), Text(whom)) = read.map_err(|error| error.to_string())?;
    if whom != peer.id.as_str() {
        return Err(format!(
            "{} wants a connection to be made to {whom}",
            peer.id
        ));
    }
    let Some(serial) = node.data.expected.connects(&peer.id, &id) else {
        // It came too late, most likely.
        log_at!(
            8,
            [peer.id.as_str()],
            "{whom}: data connection {id} is not expected"
        );
        return Ok(());
    };
    let link = peer.link().ok_or("its link is lost")?;
    let addresses = listeners(node, peer, &link);
    let wanted = Wanted::new(&peer.id, &id, &link);
    let home = node.clone();
    node.spawn_task(async move {
        let connected = within(LONGEST, wanted.connect(&home, addresses)).await;
        // While it was made it may have come by another way, or its time may have passed.
        let expected = home.data.expected.take_this(&wanted.to, &wanted.id, serial);
        let Some(Taker::Function(serving)) = expected.map(|entry| entry.taker) else {
            return;
        };
        match connected {
            Some(Ok(stream)) => serve(&home, serving, stream),
            Some(Err(None)) | None => {
                fail(&home, &serving.port, format!("{whom}: no listeners found"));
            }
            Some(Err(Some((address, error)))) => {
                let text = format!("{whom}: {} can't connect to {address}: {error}", home.id);
                fail(&home, &serving.port, text);
            }
        }
    });
    Ok(())
}

/// Hands a connection to its function.
pub(super) fn serve(node: &Arc<Inner>, serving: Serving, stream: DataStream) {
    let home = node.clone();
    node.spawn_task(async move {
        let context = Context::new(&home, home.id.node_port());
        let Serving {
            function,
            name,
            args,
            ..
        } = serving;
        let peer = stream.peer().clone();
        let handled: Handled = match guarded(|| (function.run)(&context, &args, stream)) {
            Outcome::Done(handled) => handled,
            Outcome::Later(work) => caught(work).await,
        };
        if let Err(failure) = handled {
            let text = failure.text();
            log_at!(
                2,
                [peer.as_str()],
                "data connection of {peer} to {name}: {text}"
            );
        }
    });
}

/// The same for a connection within this node.
pub(super) fn serve_here(
    node: &Arc<Inner>,
    name: &str,
    args: Message,
) -> Result<DataStream, String> {
    let function = node.data.functions.read().get(name).cloned();
    let function = function.ok_or_else(|| format!("unable to resolve function '{name}'"))?;
    (function.check)(&args).map_err(|text| format!("{name}: {text}"))?;
    let [near, far] = DataStream::pair(&node.id);
    let serving = Serving {
        function,
        name: name.to_owned(),
        args,
        port: node.id.node_port(),
        connects: false,
        _held: node.memory.account().level(),
    };
    serve(node, serving, far);
    Ok(near)
}
