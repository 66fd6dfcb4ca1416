//! `aemp pipe`: standard input and output through a data connection.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::Duration;

use aemp::{DataStream, Node, PortId};
use clap::Args;
use serde_json::Value;
use tokio::io::{AsyncWriteExt as _, copy, split};
use tokio::sync::oneshot;

use crate::Failure;
use crate::client::join;
use crate::output::OutputError;
use crate::settings::read_arguments;

/// Who is to be piped to.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Wait for somebody else's `aemp pipe THIS_NODE NAME` (or a Perl node's data connection to the
    /// function NAME), and say on standard error what this node is called
    #[arg(long, value_name = "NAME", conflicts_with = "target")]
    listen: Option<String>,
    /// With --listen: the node's ID, in place of a random one
    #[arg(long, value_name = "ID", requires = "listen")]
    nodeid: Option<String>,
    /// The most seconds until there is a connection
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u32,
    /// The node's ID, or that of one of its ports
    #[arg(value_name = "NODE", required_unless_present = "listen")]
    target: Option<String>,
    /// The function that takes the connection there
    #[arg(value_name = "FUNCTION", required_unless_present = "listen")]
    function: Option<String>,
    /// What it is called with
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

pub(crate) async fn pipe(options: Options) -> Result<(), Failure> {
    let limit = Duration::from_secs(options.timeout.into());
    let (node, stream) = match (options.listen, options.target, options.function) {
        (Some(name), ..) => accept(name, options.nodeid).await?,
        (None, Some(target), Some(function)) => {
            let args = read_arguments(&options.args)?;
            let (node, target) = (join().await?, PortId::new(target));
            let stream = node.data_conn(target, limit, &function, &args).await?;
            (node, stream)
        }
        (None, ..) => return Err("there is nobody to pipe to (see aemp pipe --help)".into()),
    };
    let passed = pass(stream).await;
    node.shutdown().await;
    passed
}

/// Waits for the first connection to the function of this name.
async fn accept(name: String, id: Option<String>) -> Result<(Node, DataStream), Failure> {
    let node = match id {
        None => join().await?,
        Some(id) => Node::builder().profile("aemp").nodeid(id).start().await?,
    };
    let (give, given) = oneshot::channel();
    let give = Mutex::new(Some(give));
    node.data_function(&name, move |_, _: Vec<Value>, stream| {
        let give = give.lock().ok().and_then(|mut give| give.take());
        // Who comes later finds the end of the stream.
        if let Some(give) = give {
            let _ = give.send(stream);
        }
        async {}
    });
    let _ = writeln!(
        std::io::stderr().lock(),
        "waiting for: aemp pipe {} {name}",
        node.id()
    );
    Ok((node, given.await?))
}

/// Passes octets both ways until both have ended. Nobody at a terminal has to end what they did not
/// begin: there the end of what comes is enough.
async fn pass(stream: DataStream) -> Result<(), Failure> {
    let (mut read, mut write) = split(stream);
    let there = async {
        copy(&mut tokio::io::stdin(), &mut write).await?;
        write.shutdown().await
    };
    let here = async {
        let mut out = tokio::io::stdout();
        copy(&mut read, &mut out).await?;
        out.flush().await
    };
    tokio::pin!(there, here);
    let interactive = std::io::stdin().is_terminal();
    tokio::select! {
        sent = &mut there => {
            sent?;
            Ok(here.await.map_err(OutputError::from)?)
        }
        received = &mut here => {
            received.map_err(OutputError::from)?;
            match interactive {
                true => Ok(()),
                false => Ok(there.await?),
            }
        }
    }
}
