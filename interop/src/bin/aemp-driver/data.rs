//! Data connections: so many octets each way, and what they were.

use std::time::Duration;

use aemp::{DataConnError, DataStream, Node, PortId};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, split};

use crate::output;

/// What is to pass by a connection.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    pub conn: u64,
    pub send: u64,
    pub receive: u64,
}

/// Opens a connection to a function, and says what became of it.
pub async fn open(node: Node, to: PortId, limit: Duration, function: String, wanted: Wanted) {
    let Wanted {
        conn,
        send,
        receive,
    } = wanted;
    let args = (conn, receive, send);
    match node.data_conn(to, limit, &function, &args).await {
        Ok(stream) => exchange("opener", wanted, stream).await,
        Err(error) => {
            let kind = match error {
                DataConnError::Failed { .. } => "AnyEvent::MP::DataConn",
                _ => "",
            };
            let reason = [kind.to_owned(), error.to_string()];
            output::data(json!({ "ev": "data_failed", "conn": conn, "reason": reason }));
        }
    }
}

/// The function that others open connections to: `CONN, SEND, RECEIVE`.
pub fn register(node: &Node) {
    let take = |_, (conn, send, receive): (u64, u64, u64), stream| {
        let wanted = Wanted {
            conn,
            send,
            receive,
        };
        exchange("taker", wanted, stream)
    };
    node.data_function("aemp_test::data", take);
}

async fn exchange(role: &str, wanted: Wanted, stream: DataStream) {
    let tls = stream.tls().is_some();
    let (mut read, mut write) = split(stream);
    let sending = async {
        let mut digest = Sha256::new();
        let mut state = wanted.conn.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut left = wanted.send as usize;
        while left > 0 {
            let block: Vec<u8> = (0..left.min(64 * 1024))
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    (state >> 24) as u8
                })
                .collect();
            write.write_all(&block).await?;
            digest.update(&block);
            left -= block.len();
        }
        write.flush().await?;
        std::io::Result::Ok(hex(digest))
    };
    let receiving = async {
        let (mut digest, mut count) = (Sha256::new(), 0_u64);
        let mut block = vec![0; 64 * 1024];
        while count < wanted.receive {
            match read.read(&mut block).await {
                Ok(0) => return (hex(digest), count, Some("end of the stream".to_owned())),
                Ok(len) => {
                    digest.update(&block[..len]);
                    count += len as u64;
                }
                Err(error) => return (hex(digest), count, Some(error.to_string())),
            }
        }
        (hex(digest), count, None)
    };
    let (sent, (digest, received, fault)) = tokio::join!(sending, receiving);
    let mut event = json!({
        "ev": "data", "role": role, "conn": wanted.conn, "received": received,
        "digest": digest, "tls": tls,
    });
    let fault = fault.or_else(|| sent.as_ref().err().map(ToString::to_string));
    event["sent"] = sent.unwrap_or_default().into();
    if let Some(fault) = fault {
        event["error"] = fault.into();
    }
    output::data(event);
    let _ = write.shutdown().await;
}

fn hex(digest: Sha256) -> String {
    let octets = digest.finalize();
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
