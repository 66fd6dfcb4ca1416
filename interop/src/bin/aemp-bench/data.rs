//! Octets by a data connection of a node, and by a bare socket: the same loops on both.

use std::time::{Duration, Instant};

use aemp::Node;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::failure::Failure;

/// The function that takes them.
pub const FUNCTION: &str = "bench::data";

/// What is sent, over and over. Its length is no power of two, and no two parts of it are alike, so
/// that an octet too many or too few, or one at another place, is seen.
fn pattern() -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..65_521).map(|_| next()).collect()
}

/// Sends so many octets, and waits until the other side says that it has got them all as they were:
/// how long that took.
pub async fn send(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    octets: u64,
) -> Result<Value, Failure> {
    let pattern = pattern();
    let start = Instant::now();
    stream.write_all(&octets.to_be_bytes()).await?;
    let mut left = octets as usize;
    while left > 0 {
        let len = left.min(pattern.len());
        stream.write_all(&pattern[..len]).await?;
        left -= len;
    }
    stream.flush().await?;
    match stream.read_u8().await? {
        1 => Ok(json!({"seconds": start.elapsed().as_secs_f64(), "count": octets})),
        _ => Err("the octets arrived otherwise than they were sent".into()),
    }
}

/// Takes them, as often as they come.
pub async fn take(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
    let pattern = pattern();
    let mut buffer = vec![0; 256 * 1024];
    while let Ok(octets) = stream.read_u64().await {
        let (mut left, mut at, mut good) = (octets as usize, 0, true);
        while left > 0 {
            let most = left.min(buffer.len());
            let read = stream.read(&mut buffer[..most]).await?;
            if read == 0 {
                return Ok(());
            }
            left -= read;
            let mut got = &buffer[..read];
            while !got.is_empty() {
                let len = got.len().min(pattern.len() - at);
                good &= got[..len] == pattern[at..at + len];
                at = (at + len) % pattern.len();
                got = &got[len..];
            }
        }
        stream.write_u8(good.into()).await?;
        stream.flush().await?;
    }
    Ok(())
}

/// Lets others send to this node.
pub fn serve(node: &Node) {
    node.data_function(FUNCTION, |_, (): (), stream| take(stream));
}

/// Sends to the node that the command names.
pub async fn drive(node: &Node, command: &Value) -> Result<Value, Failure> {
    let target = command["node"].as_str().ok_or("no node")?;
    let octets = command["octets"].as_u64().ok_or("no octets")?;
    let limit = Duration::from_secs(10);
    let mut stream = node.data_conn(target, limit, FUNCTION, &()).await?;
    send(&mut stream, octets).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_changed_on_the_way_is_seen() {
        for (bent, good) in [(None, true), (Some(100_000), false)] {
            let (mut near, mut way) = tokio::io::duplex(1 << 20);
            let (mut through, far) = tokio::io::duplex(1 << 20);
            tokio::spawn(take(far));
            let sending = tokio::spawn(async move { send(&mut near, 200_000).await.is_ok() });
            let mut octets = vec![0; 200_008];
            way.read_exact(&mut octets).await.unwrap();
            if let Some(at) = bent {
                octets[at] ^= 1;
            }
            through.write_all(&octets).await.unwrap();
            let answer = through.read_u8().await.unwrap();
            way.write_u8(answer).await.unwrap();
            assert_eq!(sending.await.unwrap(), good);
        }
    }
}
