//! Functions that other nodes may call by name: nothing that the program has not registered, or
//! does not find when it is asked.

use std::borrow::Cow;
use std::sync::Arc;

use super::code::{self, Handled, Outcome, guarded};
use super::port::PortCell;
use super::{Context, Inner, Table, data, logs};
use crate::peering::missing_port;
use crate::proto::{Message, NodeId};
use serde_json::Value;

/// Evaluates the text of an `eval` request: the results, or the error's text.
///
/// ```
/// let twice: &aemp::node::Evaluator = &|text| Ok(vec![text.into(), text.into()]);
/// assert_eq!(twice("a").unwrap(), ["a", "a"]);
/// ```
pub type Evaluator = dyn Fn(&str) -> Result<Vec<Value>, String> + Send + Sync;

/// The whole name of a function: without a package it is one of the program itself, which Perl
/// calls `main`.
///
/// Only names that begin with `::` are taken so; others are as they were registered.
pub(crate) fn full_name(name: &str) -> Cow<'_, str> {
    match name.strip_prefix("::") {
        Some(rest) => Cow::Owned(format!("main::{rest}")),
        None => Cow::Borrowed(name),
    }
}

pub(crate) type Function = Arc<dyn Fn(&Context, Message) -> Outcome + Send + Sync>;

/// What Perl nodes have as functions, and this node carries out itself: it has to know who asks.
const OWN: [&str; 3] = [data::EXPECT, data::CONNECT, logs::CONNECT];
/// Finds the functions that are not registered, by name.
pub(crate) type Loader = dyn Fn(&str) -> Option<Function> + Send + Sync;

#[derive(Default)]
pub(crate) struct Functions {
    pub(crate) named: Table<Function>,
    pub(crate) loader: parking_lot::RwLock<Option<Arc<Loader>>>,
    pub(crate) evaluator: parking_lot::RwLock<Option<Arc<Evaluator>>>,
}

impl Functions {
    pub(crate) fn get(&self, name: &str) -> Option<Function> {
        let known = self.named.read().get(name).cloned();
        known.or_else(|| {
            let loader = self.loader.read().clone()?;
            loader(name)
        })
    }

    /// Forgets them all.
    pub(crate) fn clear(&self) {
        let named = std::mem::take(&mut *self.named.write());
        let evaluator = self.evaluator.write().take();
        let loader = self.loader.write().take();
        drop((named, evaluator, loader));
    }

    /// Whether a request of that name is carried out.
    pub(crate) fn knows(&self, name: &str) -> bool {
        OWN.contains(&name) || self.named.read().contains_key(name)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.named.read().keys().cloned().collect();
        names.extend(OWN.map(str::to_owned));
        names.sort();
        names
    }
}

/// Runs an init function in the context of its new port.
pub(crate) fn initialise(
    node: &Arc<Inner>,
    port: &Arc<PortCell>,
    asker: NodeId,
    function: &Function,
    args: Message,
) {
    let context = Context::new(node, port.id.clone()).asked_by(asker);
    let result = match guarded(|| function(&context, args)) {
        Outcome::Done(result) => result,
        Outcome::Later(future) => {
            let (port, home) = (port.clone(), node.clone());
            node.spawn_task(async move {
                let result = code::caught(future).await;
                super::enter(&home.runtime, || settle(&home, &port, result));
            });
            return;
        }
    };
    settle(node, port, result);
}

fn settle(node: &Arc<Inner>, port: &Arc<PortCell>, result: Handled) {
    match result {
        Err(failure) => port.die_of(node, failure.into()),
        // As with Perl, a port that nothing was done with does not come to be.
        Ok(()) if port.is_fresh() => {
            port.die_of(node, missing_port(Some(port.id.to_string())));
        }
        Ok(()) => port.release(node),
    }
}
