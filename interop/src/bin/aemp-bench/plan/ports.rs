//! What ports do besides receiving from another node: monitors, ends, messages within a node.

use serde_json::json;

use crate::bench::{About, Bench};
use crate::child::{Setup, Who, rate};
use crate::failure::Failure;
use crate::figures::Bound;

/// Ports of another node, monitored and killed.
pub fn monitor_and_kill(bench: &mut Bench) -> Result<(), Failure> {
    let nodes = bench.those(|who| !matches!(who, Who::Bare));
    let mut teams = bench.teams(Setup::default());
    let count = bench.count(200_000);
    let about = About::rate("mon and kil of a remote port").bounds(&[Bound::TimesPerl(10.0)]);
    bench.figure(about, &nodes, |who| {
        let answer = teams.ask(who, json!({"do": "monkil", "count": who.count(count)}))?;
        Ok(rate(&answer))
    })?;
    Ok(())
}

/// Messages to a port of the same node.
pub fn local(bench: &mut Bench) -> Result<(), Failure> {
    let bounds = [Bound::Absolute(5e6), Bound::TimesPerl(100.0)];
    let count = bench.count(8_000_000);
    for (what, threads) in [("tag and number", 1), ("small", 1), ("small", 2)] {
        // Perl sends what it has without encoding it: what it is makes no difference. It has one
        // thread.
        let who = bench.those(|who| who.is_rust() || who.is_perl() && threads == 1);
        let about = About::rate(format!("local snd, {what}, {threads} thread(s)"));
        let about = about.bounds(&bounds[..if threads == 1 { 2 } else { 1 }]);
        bench.figure(about, &who, |who| {
            let arguments = match who.is_perl() {
                true => vec![],
                false => vec!["--threads".to_owned(), threads.to_string()],
            };
            let mut child = who.start("client", &arguments)?;
            let answer = child.ask(&json!({
                "do": "local",
                "count": who.count(count),
                "bare": what != "small",
            }))?;
            Ok(rate(&answer))
        })?;
    }
    Ok(())
}
