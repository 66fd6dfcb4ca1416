//! What nodes see of the database.

use serde_json::{Value, json};

use crate::compare::same;
use crate::driver::Node;
use crate::fault::{Result, ensure};

fn sorted(mut list: Vec<Value>) -> Vec<String> {
    let mut texts: Vec<String> = list.drain(..).map(|v| v.to_string()).collect();
    texts.sort();
    texts
}

/// `node` sees this family (an object) in all three ways.
pub(super) fn family_is(node: &Node, family: &str, wanted: &Value) -> Result<()> {
    let wanted = wanted.as_object().cloned().unwrap_or_default();
    node.poll(&format!("family {family} to be {}", json!(wanted)), || {
        let got = node.db_family(family)?;
        Ok(same(&got, &json!(wanted))
            .then_some(())
            .ok_or_else(|| format!("; it is {got}")))
    })?;
    let mut keys: Vec<String> = wanted.keys().cloned().collect();
    keys.sort();
    let got = node.db_keys(family)?;
    ensure(got == keys, || {
        format!("{}: keys of {family}: {got:?}", node.name())
    })?;
    let got = node.db_values(family)?;
    ensure(
        sorted(got.clone()) == sorted(wanted.into_iter().map(|(_, v)| v).collect()),
        || format!("{}: values of {family}: {}", node.name(), json!(got)),
    )
}

/// All see the same nodes, listeners and global nodes alike.
pub(super) fn agree(nodes: &[&Node]) -> Result<()> {
    for family in ["'l", "'g"] {
        let first = nodes[0];
        for node in &nodes[1..] {
            node.poll(&format!("{family} as {} sees it", first.name()), || {
                let (here, there) = (node.db_family(family)?, first.db_family(family)?);
                Ok(same(&here, &there)
                    .then_some(())
                    .ok_or_else(|| format!("; it is {here} and not {there}")))
            })?;
        }
    }
    Ok(())
}
