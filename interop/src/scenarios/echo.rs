//! Values of every type, sent from each side and echoed by the other.

use serde_json::{Value, json};

use crate::compare::{same, same_list};
use crate::ctx::{Ctx, Pair};
use crate::driver::Node;
use crate::fault::{Result, ensure};
use crate::peers::Generation;
use crate::scenario::{Scenario, everywhere};

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "echo",
    about: "the 19 values of peer.pl, written by each language, go out and come back unchanged",
    not_in: everywhere,
    run,
};

/// The values as JSON; floats that are whole numbers are written the way that keeps them floats
/// here.
pub fn values() -> Vec<Value> {
    serde_json::from_str(
        r#"[0, -1, 2147483648, 9007199254740993, 1.5, 0.1, 1e+20, -0.0, "10", "", "café", "☺", "tab\tnl\nquote\"back\\",
            "\u0000\u001f\u007f", null, [], {}, [[1], {"a": [null]}], {"k": "v"}]"#,
    )
    .unwrap_or_default()
}

/// The values as they come out where they were decoded by Perl, if they were: JSON::XS reads `-0`,
/// which is how it writes -0.0, as the integer 0.
fn came(through_perl: bool) -> Vec<Value> {
    let mut values = values();
    if through_perl && let Some(zero) = values.get_mut(7) {
        *zero = json!(0);
    }
    values
}

fn run(ctx: &mut Ctx) -> Result<()> {
    let Pair { alice, bob, .. } = ctx.pair()?;
    for (one, other) in [(&alice, &bob), (&bob, &alice)] {
        ctx.step(format!(
            "{}'s values come back from {}",
            one.name(),
            other.name()
        ));
        echoed(one, other)?;
        ctx.step(format!(
            "{} receives {}'s own values",
            one.name(),
            other.name()
        ));
        let me = one.port("record")?;
        one.spawn(other.name(), "aemp_test::values", json!([me]))?;
        let got = one.msg(&me)?;
        // in CBOR -0.0 passes as it is
        let either = [came(false), came(true)];
        let wanted = match ctx.pairing.generation() {
            Some(Generation::G2) => &either[..],
            // a Python node writes it as -0.0, which Perl reads as that
            _ if one.is_perl() && !ctx.pairing.has_python() => &either[1..],
            _ => &either[..1],
        };
        let fits = |wanted: &Vec<Value>| same_list(&got[1..], wanted);
        ensure(
            got.first() == Some(&json!("values")) && wanted.iter().any(fits),
            || format!("got {}", json!(got)),
        )?;
    }
    Ok(())
}

/// `one` sends the values to a port of `other` that sends them back.
pub fn echoed(one: &Node, other: &Node) -> Result<()> {
    echoed_as(one, other, false)
}

/// [`echoed`] where numbers may come back as texts, as Storable writes all but small integers.
pub fn echoed_as(one: &Node, other: &Node, texts: bool) -> Result<()> {
    let (me, echo) = (one.port("record")?, other.port("tags")?);
    let mut msg = vec![json!("echoed"), json!(me)];
    msg.extend(values());
    one.snd(&echo, json!(msg))?;
    let got = one.msg(&me)?;
    ensure(got.first() == Some(&json!("echoed")), || {
        format!("got {}", json!(got))
    })?;
    let wanted = came(one.is_perl() || other.is_perl());
    for (at, (wanted, came)) in wanted.iter().zip(&got[1..]).enumerate() {
        // in CBOR a Perl node reads -0.0 as it is; Storable knows no -0.0
        let zero =
            (*wanted == 0 || texts && wanted.as_f64() == Some(0.0)) && came.as_f64() == Some(0.0);
        let text = texts
            && came
                .as_str()
                .is_some_and(|text| text.parse::<f64>().ok() == wanted.as_f64());
        ensure(same(wanted, came) || zero || text, || {
            format!("value {at}: expected {wanted}, came back {came}")
        })?;
    }
    ensure(got.len() == values().len() + 1, || {
        format!("{} values came back", got.len() - 1)
    })
}
