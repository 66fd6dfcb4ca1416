//! What the program gets: a stream of octets.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use crate::net::Stream;
use crate::net::tls::TlsInfo;
use crate::proto::NodeId;

/// A data connection: octets both ways, between this node and another one, beside the link that
/// messages go by.
///
/// It is made by [`Node::data_conn`](crate::Node::data_conn), and given to the functions of
/// [`Node::data_function`](crate::Node::data_function). It goes through TLS where links between the
/// two nodes do, and both sides have proved themselves as for a link. It is the program's from then
/// on, and outlives the node.
///
/// A shutdown ends the direction that it is written in, and the other one goes on. As always with
/// [`AsyncWrite`], who has written flushes the stream, or shuts it down, before it is dropped:
/// otherwise some octets may be lost where it goes through TLS. An end is an end, whether the other
/// side announced it in TLS or its socket was closed: Perl nodes do not always announce it, so a
/// protocol that has to tell an end from an interruption says in its octets where the end is.
///
/// See [`data_function`](crate::Node::data_function) for an example.
pub struct DataStream {
    /// What came right behind the other side's proof.
    early: Bytes,
    way: Way,
    peer: NodeId,
    remote: Box<str>,
    tls: Option<Arc<TlsInfo>>,
}

/// What the octets go by.
enum Way {
    Net(Stream),
    /// Within this node.
    Here(DuplexStream),
}

/// So many octets may be on the way within a node, in each direction.
const HERE: usize = 64 * 1024;

impl DataStream {
    pub(super) fn new(
        stream: Stream,
        early: Vec<u8>,
        peer: NodeId,
        remote: &str,
        tls: Option<Arc<TlsInfo>>,
    ) -> Self {
        DataStream {
            early: early.into(),
            way: Way::Net(stream),
            peer,
            remote: remote.into(),
            tls,
        }
    }

    /// Both ends of a connection within a node.
    pub(super) fn pair(node: &NodeId) -> [DataStream; 2] {
        let (one, other) = tokio::io::duplex(HERE);
        [one, other].map(|end| DataStream {
            early: Bytes::new(),
            way: Way::Here(end),
            peer: node.clone(),
            remote: "".into(),
            tls: None,
        })
    }

    /// The node at the other end.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// let node = aemp::Node::local();
    /// node.data_function("MyApp::sink", |_, (): (), stream| async move { drop(stream) });
    /// let stream = node.data_conn(node.id(), Duration::from_secs(9), "MyApp::sink", &()).await?;
    /// assert_eq!(stream.peer(), node.id());
    /// assert!(stream.remote().is_empty() && stream.tls().is_none());
    /// # Ok(()) }
    /// ```
    pub fn peer(&self) -> &NodeId {
        &self.peer
    }

    /// The other end's address, as host and port. Empty within a node.
    ///
    /// See [`peer`](Self::peer) for an example.
    pub fn remote(&self) -> &str {
        &self.remote
    }

    /// The TLS that it goes through, if it does.
    ///
    /// See [`peer`](Self::peer) for an example.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_deref()
    }
}

impl AsyncRead for DataStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        if !stream.early.is_empty() {
            let len = stream.early.len().min(buf.remaining());
            buf.put_slice(&stream.early[..len]);
            stream.early.advance(len);
            return Poll::Ready(Ok(()));
        }
        match &mut stream.way {
            Way::Net(stream) => Pin::new(stream).poll_read(cx, buf),
            Way::Here(end) => Pin::new(end).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for DataStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().way {
            Way::Net(stream) => Pin::new(stream).poll_write(cx, octets),
            Way::Here(end) => Pin::new(end).poll_write(cx, octets),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().way {
            Way::Net(stream) => Pin::new(stream).poll_flush(cx),
            Way::Here(end) => Pin::new(end).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().way {
            Way::Net(stream) => Pin::new(stream).poll_shutdown(cx),
            Way::Here(end) => Pin::new(end).poll_shutdown(cx),
        }
    }
}

impl fmt::Debug for DataStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataStream")
            .field("peer", &self.peer)
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}
