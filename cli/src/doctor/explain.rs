//! Why a seed can't be linked to, in words, and who has to change what.

use std::io::ErrorKind;

use aemp::config::Config;
use aemp::net::LinkError;
use aemp::{Probe, ProbeStep};

/// What is wrong, and who has to change what. `None` if nothing is.
pub(super) fn failure(probe: &Probe, config: &Config) -> Option<(String, String)> {
    let (error, step) = (probe.failure.as_ref()?, probe.failed_step()?);
    if let Some(advice) = error.advice() {
        return Some((error.to_string(), advice.to_owned()));
    }
    let (text, advice) = match (step, error) {
        (ProbeStep::Connect, LinkError::Io(error)) => connecting(error.kind(), error),
        (ProbeStep::Connect, error) => (error.to_string(), "correct `seeds`".to_owned()),
        (ProbeStep::Greet, LinkError::Closed) => (
            "it closes the connection before it has greeted".to_owned(),
            "there: is it a node, and does it have room for one more connection?".to_owned(),
        ),
        (ProbeStep::Greet, LinkError::HandshakeTimeout(time)) => (
            format!("it takes the connection, but does not greet within {time:.0?}"),
            "there: what listens is no node, or its process stands still".to_owned(),
        ),
        (ProbeStep::Prove, LinkError::Refused(_) | LinkError::Closed) => (
            "it closes the connection when it sees our proof".to_owned(),
            other_secret(config),
        ),
        (ProbeStep::Prove, LinkError::HandshakeTimeout(time)) => (
            format!("it does not prove itself within {time:.0?}"),
            other_secret(config),
        ),
        (ProbeStep::Answer, LinkError::NoAnswer(time)) => (
            format!("it lets us in, but answers nothing within {time:.0?}"),
            "there: its process stands still, or it has stopped reading; start it anew".to_owned(),
        ),
        (_, error) => (
            format!("{step} failed: {error}"),
            "try again; the network or the node there has let the connection go".to_owned(),
        ),
    };
    Some((text, advice))
}

fn other_secret(config: &Config) -> String {
    match config.secret {
        Some(_) => "it has another `secret`: set the same one here and there (aemp setsecret)",
        None => "it takes no node without its `secret`: set the same one here (aemp setsecret)",
    }
    .to_owned()
}

fn connecting(kind: ErrorKind, error: &std::io::Error) -> (String, String) {
    let advice = match kind {
        ErrorKind::ConnectionRefused => {
            "nothing listens there: start the node, or correct `seeds` here or `binds` there"
        }
        ErrorKind::TimedOut => {
            "nobody answers: the address is wrong, or a firewall drops what is sent there"
        }
        _ => "correct `seeds`, or the way to that machine",
    };
    (format!("can't connect: {error}"), advice.to_owned())
}
