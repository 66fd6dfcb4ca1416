//! Round trips, and what they are to be seen beside.

use serde_json::{Value, json};

use crate::bench::{About, Bench, Mode, Rounds, Teams};
use crate::child::{Setup, Who, median_us, number, rate};
use crate::failure::Failure;
use crate::figures::{Better, Bound};
use crate::stats::median;

const USUAL: [Bound; 2] = [Bound::OfBare(1.2), Bound::TimesPerl(3.0)];

/// Messages there and back, on idle links and under load, and `cal`.
pub fn measure(bench: &mut Bench) -> Result<(), Failure> {
    let everybody = bench.everybody();
    let mut teams = bench.teams(Setup::default());
    let count = bench.count(40_000);
    let one = |teams: &mut Teams, who: &Who| {
        let count = if who.is_perl() { count / 4 } else { count };
        let answer = teams.ask(who, json!({"do": "roundtrip", "count": count}))?;
        Ok(median_us(&answer))
    };
    let about = About::micros("round trip").bounds(&USUAL);
    let idle = bench.figure(about, &everybody, |who| one(&mut teams, who))?;

    // Where the two run makes more difference than who they are: on one processor they take turns.
    let mut close = bench.teams(Setup {
        cpu: Some(0),
        ..Setup::default()
    });
    let about = About::micros("round trip, both on one core").bounds(&USUAL);
    bench.figure(about, &everybody, |who| one(&mut close, who))?;
    drop(close);

    under_load(bench, &mut teams, idle, one)?;
    calls(bench, &mut teams, &everybody)
}

/// Round trips while other messages go the same way: half as many as go at the most, measured with
/// the same processes.
fn under_load(
    bench: &mut Bench,
    teams: &mut Teams,
    idle: Option<Rounds>,
    one: impl Fn(&mut Teams, &Who) -> Result<Option<f64>, Failure>,
) -> Result<(), Failure> {
    // One in a thousand waits for a pause of the machine. In a table that is seen beside idle round
    // trips and beside the pauses; of two builds it would tell which one had more of them.
    let (name, part) = match bench.mode() {
        Mode::Table => ("round trip under half load, p99.9 / idle", "p999_us"),
        Mode::Pair | Mode::Rivals => ("round trip under half load, p99", "p99_us"),
    };
    if !bench.wants(name) {
        return Ok(());
    }
    let who = bench.those(Who::is_rust);
    let about = About::micros(name).bounds(&[Bound::OfBare(10.0)]);
    let full = bench.count(2_000_000);
    let most = bench.rounds(&about, &who, |who| {
        let answer = teams.ask(who, json!({"do": "oneway", "count": full, "sinks": 1}))?;
        Ok(rate(&answer))
    })?;
    // Two builds have the same load, which both can carry.
    let most = most.values().filter_map(|rates| median(rates.clone()));
    let least = most.fold(f64::INFINITY, f64::min);
    if !least.is_finite() {
        return Err(format!("{name}: nobody has a rate").into());
    }
    let command: Value =
        json!({"do": "loaded", "rate": least / 2.0, "count": bench.count(20_000), "sinks": 1});
    let mut rounds = bench.rounds(&about, &who, |who| {
        let answer = teams.ask(who, command.clone())?;
        number(&answer, part).map(Some)
    })?;
    if bench.mode() == Mode::Table {
        let mut idle = match idle {
            Some(idle) => idle,
            None => bench.rounds(&about, &who, |who| one(teams, who))?,
        };
        let idle = idle.remove("rust").ok_or("no idle round trips")?;
        rounds.insert("bare".to_owned(), idle);
    }
    bench.add(about, rounds);
    Ok(())
}

fn calls(bench: &mut Bench, teams: &mut Teams, who: &[Who]) -> Result<(), Failure> {
    let plain = bench.count(40_000);
    for callers in [1_u64, 100] {
        let count = bench.count(if callers == 1 { 40_000 } else { 200_000 });
        let about = About::micros(format!("cal, {callers} at a time, each"));
        let about = about.bounds(&[Bound::OfBare(1.5)]);
        bench.figure(about, who, |who| {
            let count = if who.is_perl() { count / 10 } else { count };
            let answer = teams.ask(
                who,
                match who {
                    Who::Bare => json!({"do": "roundtrip", "count": plain}),
                    _ => json!({"do": "cal", "callers": callers, "count": count}),
                },
            )?;
            // The time that a call takes its caller, were the other callers not there.
            Ok(median_us(&answer).or_else(|| rate(&answer).map(|rate| 1e6 / rate)))
        })?;
    }
    Ok(())
}

/// What the slowest round trips under load are to be seen beside.
pub fn pauses(bench: &mut Bench) -> Result<(), Failure> {
    /// Ten idle round trips, more or less, in microseconds.
    const LONGER: u64 = 250;
    if bench.mode() == Mode::Pair {
        // No node has a part in it.
        return Ok(());
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let clock = Who::own()?;
    let about = About::new(
        format!("pauses over {LONGER} µs, all processors busy"),
        "/s",
        Better::Lower,
    );
    bench.figure(about, &[Who::Bare], |_| {
        let arguments = ["--longer".to_owned(), LONGER.to_string()];
        let start = |cpu| clock.start_on(Some(cpu), "pauses", &arguments);
        let all: Result<Vec<_>, Failure> = (0..processors).map(start).collect();
        let mut rate = 0.0;
        for mut child in all? {
            let answer = child.line()?;
            rate += number(&answer, "pauses")? / number(&answer, "seconds")?;
        }
        Ok(Some(rate))
    })?;
    Ok(())
}
