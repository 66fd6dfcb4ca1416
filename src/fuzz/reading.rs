//! What is read of what peers say of the mesh, the database and themselves.

use bytes::BytesMut;

use super::input::Input;
use crate::mesh::database::Request;
use crate::mesh::reading::Bounds;
use crate::mesh::state::Gossip;
use crate::node::Report;
use crate::proto::message::Incoming;
use crate::proto::{Framing, Limits, Message};

/// Messages of any framing, read as gossip, as requests about the database and as reports of a
/// node: a request or a report that was read is said in words that read the same.
pub fn reading(data: &[u8]) {
    let mut input = Input::new(data);
    let framing = Framing::ALL[usize::from(input.octet() % 3)];
    let mut block = BytesMut::from(input.rest());
    let mut incoming = Incoming::new(framing, Limits::default());
    while let Ok(Some(arrived)) = incoming.next(&mut block) {
        let message = arrived.message;
        let _ = Gossip::parse(&message, Bounds::default());
        if let Ok((report,)) = message.args::<(Report,)>() {
            let said = Message::encode(&(&report,)).expect("what was read can be said");
            let again = said.args::<(Report,)>();
            assert!(
                matches!(&again, Ok((again,)) if *again == report),
                "{report:?} is said as {said:?}"
            );
        }
        let read = |message| Request::parse(message, Bounds::default(), |_, _| true);
        let Ok(Some(request)) = read(&message) else {
            continue;
        };
        let said = request.to_message().expect("what was read can be said");
        let again = read(&said);
        assert!(
            matches!(&again, Ok(Some(again)) if *again == request),
            "{request:?} is said as {said:?}"
        );
    }
}
