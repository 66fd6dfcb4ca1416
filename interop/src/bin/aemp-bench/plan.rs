//! Everything that is measured, in its order.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};

use aemp_interop::peers;
use serde_json::{Value, json};

use crate::child::{Child, Pair, Who};
use crate::figures::{Better, Bound, Figure};
use crate::{Failure, Options, stats, table};

/// How much of everything.
struct Bench {
    options: Options,
    rounds: usize,
    perls: Vec<Who>,
    figures: Vec<Figure>,
}

/// A group of figures that are taken with the same processes.
type Section = (&'static str, fn(&mut Bench) -> Result<(), Failure>);

const SECTIONS: [Section; 10] = [
    ("one way", one_way),
    ("one way, several links", several_links),
    ("round trip", round_trips),
    ("pauses", pauses),
    ("monitor and kill", monitor_and_kill),
    ("local", local),
    ("handshake", links),
    ("memory of a port", memory_of_a_port),
    ("memory of a link", memory_of_a_link),
    ("mesh", meshes),
];

/// Measures what the options ask for, and prints it.
pub fn run(options: &Options) -> Result<(), Failure> {
    if options.list {
        for (name, _) in SECTIONS {
            println!("{name}");
        }
        return Ok(());
    }
    let default = if options.quick { "1.30" } else { "all" };
    let wanted = options.releases.as_deref().unwrap_or(default);
    let folder = options.peers.clone().or_else(peers::usual_folder);
    let found = peers::discover(folder.as_deref(), &|version| {
        wanted == "all" || wanted.split(',').any(|name| name == version)
    });
    for line in &found.missing {
        println!("not measured: {line}");
    }
    let perls = match wanted {
        "none" => Vec::new(),
        _ => found.releases.into_iter().map(Who::Perl).collect(),
    };
    let mut bench = Bench {
        options: options.clone(),
        rounds: options.rounds.unwrap_or(if options.quick { 3 } else { 5 }),
        perls,
        figures: Vec::new(),
    };
    for (name, section) in SECTIONS {
        let only = &options.only;
        if only.is_empty() || only.iter().any(|text| name.contains(text.as_str())) {
            eprintln!("measuring: {name}");
            section(&mut bench)?;
        }
    }
    print!("{}", table::table(&bench.figures));
    if let Some(path) = &options.json {
        let machine = json!({"cores": std::thread::available_parallelism().map_or(0, |n| n.get())});
        let all = json!({"machine": machine, "rounds": bench.rounds, "figures": bench.figures});
        std::fs::write(path, serde_json::to_string_pretty(&all)?)?;
    }
    Ok(())
}

/// What each who had, round by round.
type Rounds = BTreeMap<String, Vec<f64>>;

impl Bench {
    /// The count for this run: less in a quick one.
    fn count(&self, full: u64) -> u64 {
        if self.options.quick { full / 4 } else { full }
    }

    fn add(
        &mut self,
        name: &str,
        unit: &'static str,
        better: Better,
        rounds: Rounds,
        bounds: &[Bound],
    ) {
        let figure = Figure::new(name, unit, better, rounds, bounds);
        eprint!("{}", table::line(&figure));
        self.figures.push(figure);
    }

    /// Everybody who takes part: this crate, the bare loops, Perl.
    fn everybody(&self) -> Vec<Who> {
        let mut all = vec![Who::Rust, Who::Bare];
        all.extend(self.perls.iter().cloned());
        all
    }

    /// Asks each in turn, round after round. A Perl node is asked for less, and not in each round.
    fn rounds(
        &self,
        pairs: &mut [(Who, Pair)],
        mut command: impl FnMut(&Who) -> Option<Value>,
        mut figure: impl FnMut(&Value) -> Option<f64>,
    ) -> Result<Rounds, Failure> {
        let mut rounds = Rounds::new();
        let mut failed = Vec::new();
        for round in 0..self.rounds {
            for (who, pair) in pairs.iter_mut() {
                if failed.contains(&who.name()) || (who.is_perl() && round >= PERL_ROUNDS) {
                    continue;
                }
                let Some(command) = command(who) else {
                    continue;
                };
                match pair.ask(command) {
                    Ok(answer) => {
                        let values = rounds.entry(who.name()).or_default();
                        values.extend(figure(&answer));
                    }
                    // Some releases can't do everything. They have no figure then.
                    Err(error) if who.is_perl() => {
                        println!("not measured: {}: {error}", who.name());
                        failed.push(who.name());
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        rounds.retain(|_, values| !values.is_empty());
        Ok(rounds)
    }
}

/// Perl's figures vary little.
const PERL_ROUNDS: usize = 2;

fn rate(answer: &Value) -> Option<f64> {
    Some(answer["count"].as_f64()? / answer["seconds"].as_f64()?)
}

fn median_us(answer: &Value) -> Option<f64> {
    answer["median_us"].as_f64()
}

fn pairs(all: Vec<Who>, sinks: usize, links: usize) -> Result<Vec<(Who, Pair)>, Failure> {
    all.into_iter()
        .map(|who| Ok((who.clone(), Pair::start(&who, sinks, links)?)))
        .collect()
}

/// Perl takes about so many times longer.
const PERL_SLOWER: u64 = 25;

fn count_for(who: &Who, count: u64) -> u64 {
    match who {
        _ if who.is_perl() => (count / PERL_SLOWER).max(100),
        _ => count,
    }
}

fn one_way(bench: &mut Bench) -> Result<(), Failure> {
    let mut all = pairs(bench.everybody(), 1, 1)?;
    for (name, size, count, bounds) in [
        (
            "one way, small",
            0,
            4_000_000,
            &[Bound::OfBare(0.8), Bound::TimesPerl(25.0)][..],
        ),
        ("one way, 1 KiB", 1024, 1_000_000, &[Bound::OfBare(0.8)]),
        ("one way, 64 KiB", 64 * 1024, 40_000, &[Bound::OfBare(0.8)]),
    ] {
        let count = bench.count(count);
        let command = |who: &Who| {
            Some(json!({"do": "oneway", "size": size, "count": count_for(who, count), "sinks": 1}))
        };
        let rounds = bench.rounds(&mut all, command, rate)?;
        bench.add(name, "/s", Better::Higher, rounds, bounds);
    }
    drop(all);
    one_way_cbor(bench)?;
    let gathers = |who: &Who| match who {
        Who::Perl(release) if release.generation >= peers::Generation::G1a => {
            (release.version.as_str() >= "1.24").then(|| Who::Autocork(release.clone()))
        }
        _ => None,
    };
    let mut who = vec![Who::Rust];
    who.extend(bench.perls.iter().filter_map(gathers));
    if who.len() > 1 {
        let mut all = pairs(who, 1, 1)?;
        let count = bench.count(4_000_000);
        let command =
            |who: &Who| Some(json!({"do": "oneway", "count": count_for(who, count), "sinks": 1}));
        let rounds = bench.rounds(&mut all, command, rate)?;
        bench.add(
            "one way, small, Perl with autocork",
            "/s",
            Better::Higher,
            rounds,
            &[],
        );
    }
    let most = 10_000;
    let mut all = pairs(vec![Who::Rust, Who::Bare], most, 1)?;
    for sinks in [10, 100, 1000, most] {
        let count = bench.count(4_000_000);
        let command = |_: &Who| Some(json!({"do": "oneway", "count": count, "sinks": sinks}));
        let rounds = bench.rounds(&mut all, command, rate)?;
        let name = format!("one way, {sinks} ports");
        bench.add(&name, "/s", Better::Higher, rounds, &[Bound::OfBare(0.8)]);
    }
    Ok(())
}

/// The same in CBOR, with those who know it: two of a kind, as all here.
fn one_way_cbor(bench: &mut Bench) -> Result<(), Failure> {
    let knows = |who: &Who| match who {
        Who::Perl(release) => release.version.starts_with('2'),
        _ => true,
    };
    let who = bench.everybody().into_iter().filter(knows);
    let start = |who: Who| Ok((who.clone(), Pair::start_in("cbor", &who)?));
    let mut all: Vec<_> = who.map(start).collect::<Result<_, Failure>>()?;
    for (name, size, count) in [
        ("one way, small, cbor", 0, 4_000_000),
        ("one way, 1 KiB, cbor", 1024, 1_000_000),
        ("one way, 64 KiB, cbor", 64 * 1024, 40_000),
    ] {
        let count = bench.count(count);
        let command = |who: &Who| {
            Some(json!({"do": "oneway", "size": size, "count": count_for(who, count), "sinks": 1}))
        };
        let rounds = bench.rounds(&mut all, command, rate)?;
        bench.add(name, "/s", Better::Higher, rounds, &[Bound::OfBare(0.8)]);
    }
    Ok(())
}

fn several_links(bench: &mut Bench) -> Result<(), Failure> {
    for links in [8, 64] {
        let mut all = pairs(vec![Who::Rust, Who::Bare], 1, links)?;
        for (what, size, count) in [
            ("small", 0, 4_000_000),
            ("1 KiB", 1024, 1_000_000),
            ("64 KiB", 64 * 1024, 40_000),
        ] {
            let count = bench.count(count);
            let command =
                |_: &Who| Some(json!({"do": "oneway", "size": size, "count": count, "sinks": 1}));
            let rounds = bench.rounds(&mut all, command, rate)?;
            let name = format!("one way, {links} links, {what}");
            bench.add(&name, "/s", Better::Higher, rounds, &[Bound::OfBare(0.8)]);
        }
    }
    Ok(())
}

fn round_trips(bench: &mut Bench) -> Result<(), Failure> {
    let mut all = pairs(bench.everybody(), 1, 1)?;
    let count = bench.count(40_000);
    let command = |who: &Who| {
        let count = if who.is_perl() { count / 4 } else { count };
        Some(json!({"do": "roundtrip", "count": count}))
    };
    let rounds = bench.rounds(&mut all, command, median_us)?;
    let idle = rounds.clone();
    bench.add(
        "round trip",
        "µs",
        Better::Lower,
        rounds,
        &[Bound::OfBare(1.2), Bound::TimesPerl(3.0)],
    );

    // Where the two run makes more difference than who they are: on one processor they take turns.
    let who = bench.everybody();
    let one_core = |who: Who| Ok((who.clone(), Pair::start_on(Some(0), &who, 1, 1)?));
    let mut close: Vec<_> = who
        .into_iter()
        .map(one_core)
        .collect::<Result<_, Failure>>()?;
    let rounds = bench.rounds(&mut close, command, median_us)?;
    let name = "round trip, both on one core";
    let bounds = [Bound::OfBare(1.2), Bound::TimesPerl(3.0)];
    bench.add(name, "µs", Better::Lower, rounds, &bounds);
    drop(close);

    // Half of what goes one way at the most, measured with the same processes.
    let full = bench.count(2_000_000);
    let rust = |who: &Who, command: Value| matches!(who, Who::Rust).then_some(command);
    let most = bench.rounds(
        &mut all,
        |who| rust(who, json!({"do": "oneway", "count": full, "sinks": 1})),
        rate,
    )?;
    let most = stats::median(most["rust"].clone()).unwrap_or_default();
    let command =
        json!({"do": "loaded", "rate": most / 2.0, "count": bench.count(20_000), "sinks": 1});
    let p999 = |answer: &Value| answer["p999_us"].as_f64();
    let mut rounds = bench.rounds(&mut all, |who| rust(who, command.clone()), p999)?;
    rounds.insert("bare".to_owned(), idle["rust"].clone());
    let name = "round trip under half load, p99.9 / idle";
    bench.add(name, "µs", Better::Lower, rounds, &[Bound::OfBare(10.0)]);

    for callers in [1_u64, 100] {
        let count = bench.count(if callers == 1 { 40_000 } else { 200_000 });
        let command = |who: &Who| match who {
            Who::Bare => Some(json!({"do": "roundtrip", "count": bench.count(40_000)})),
            _ if who.is_perl() => {
                Some(json!({"do": "cal", "callers": callers, "count": count / 10}))
            }
            _ => Some(json!({"do": "cal", "callers": callers, "count": count})),
        };
        // The time that a call takes its caller, were the other callers not there.
        let each = |answer: &Value| match answer["median_us"].as_f64() {
            Some(median) => Some(median),
            None => rate(answer).map(|rate| 1e6 / rate),
        };
        let rounds = bench.rounds(&mut all, command, each)?;
        let name = format!("cal, {callers} at a time, each");
        bench.add(&name, "µs", Better::Lower, rounds, &[Bound::OfBare(1.5)]);
    }
    Ok(())
}

/// What the slowest round trips under load are to be seen beside.
fn pauses(bench: &mut Bench) -> Result<(), Failure> {
    /// Ten idle round trips, more or less, in microseconds.
    const LONGER: u64 = 250;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut rounds = Rounds::new();
    for _ in 0..bench.rounds {
        let arguments = ["--longer".to_owned(), LONGER.to_string()];
        let start = |cpu| Who::Rust.start_on(Some(cpu), "pauses", &arguments);
        let all: Result<Vec<_>, Failure> = (0..processors).map(start).collect();
        let mut rate = 0.0;
        for mut child in all? {
            let answer = child.line()?;
            let (pauses, seconds) = (answer["pauses"].as_f64(), answer["seconds"].as_f64());
            rate += pauses.ok_or("no figure")? / seconds.ok_or("no figure")?;
        }
        rounds.entry("bare".to_owned()).or_default().push(rate);
    }
    let name = format!("pauses over {LONGER} µs, all processors busy");
    bench.add(&name, "/s", Better::Lower, rounds, &[]);
    Ok(())
}

fn monitor_and_kill(bench: &mut Bench) -> Result<(), Failure> {
    let mut who = vec![Who::Rust];
    who.extend(bench.perls.iter().cloned());
    let mut all = pairs(who, 1, 1)?;
    let count = bench.count(200_000);
    let command = |who: &Who| Some(json!({"do": "monkil", "count": count_for(who, count)}));
    let rounds = bench.rounds(&mut all, command, rate)?;
    bench.add(
        "mon and kil of a remote port",
        "/s",
        Better::Higher,
        rounds,
        &[Bound::TimesPerl(10.0)],
    );
    Ok(())
}

fn local(bench: &mut Bench) -> Result<(), Failure> {
    let count = bench.count(8_000_000);
    for (what, threads) in [("tag and number", 1), ("small", 1), ("small", 2)] {
        let mut rounds = Rounds::new();
        for round in 0..bench.rounds {
            let mut all = vec![Who::Rust];
            // Perl sends what it has without encoding it: what it is makes no difference.
            if threads == 1 && round < PERL_ROUNDS {
                all.extend(bench.perls.iter().cloned());
            }
            for who in all {
                let arguments = match who {
                    Who::Perl(_) => vec![],
                    _ => vec!["--threads".to_owned(), threads.to_string()],
                };
                let mut child = who.start("client", &arguments)?;
                let answer = child.ask(&json!({
                    "do": "local",
                    "count": count_for(&who, count),
                    "bare": what != "small",
                }))?;
                rounds.entry(who.name()).or_default().extend(rate(&answer));
            }
        }
        let name = format!("local snd, {what}, {threads} thread(s)");
        let bounds = [Bound::Absolute(5e6), Bound::TimesPerl(100.0)];
        let bounds = &bounds[..if threads == 1 { 2 } else { 1 }];
        bench.add(&name, "/s", Better::Higher, rounds, bounds);
    }
    Ok(())
}

fn links(bench: &mut Bench) -> Result<(), Failure> {
    let mut rounds = Rounds::new();
    let mut who = vec![Who::Rust];
    who.extend(bench.perls.iter().cloned());
    for round in 0..bench.rounds {
        for who in &who {
            if who.is_perl() && round >= PERL_ROUNDS {
                continue;
            }
            let reserved = aemp_interop::reserved::Reserved::new()?;
            let listen = [
                "--nodeid",
                "server",
                "--port",
                &reserved.address().port().to_string(),
                "--ports",
                "1",
            ];
            let mut server = who.start_on(Some(0), "server", &listen.map(str::to_owned))?;
            let ready = server.line()?;
            let address = ready["address"].as_str().ok_or("no address")?;
            let version = match who {
                Who::Perl(release) if release.generation == peers::Generation::G0 => "0",
                Who::Perl(release) if release.generation == peers::Generation::G2 => continue,
                _ => "1",
            };
            let count = count_for(who, bench.count(20_000)).to_string();
            let open = [
                "--address",
                address,
                "--version",
                version,
                "--count",
                &count,
            ];
            let before = stats::processor_seconds(server.id());
            let mut links = Who::Rust.start_on(Some(1), "links", &open.map(str::to_owned))?;
            let opened = links.line()?["count"].as_f64().ok_or("no figure")?;
            // What opens them may be slower than what takes them: the processor's time counts.
            let seconds = stats::processor_seconds(server.id()) - before;
            let values = rounds.entry(who.name()).or_default();
            values.push(opened / seconds);
        }
    }
    let name = "links opened and authenticated, one core";
    bench.add(name, "/s", Better::Higher, rounds, &[Bound::TimesPerl(5.0)]);
    Ok(())
}

fn memory_of_a_port(bench: &mut Bench) -> Result<(), Failure> {
    for (name, more) in [
        ("memory of an idle port", None),
        ("memory of a port with a handler", Some("--handler")),
    ] {
        let mut arguments = vec!["--count".to_owned(), "1000000".to_owned()];
        arguments.extend(more.map(str::to_owned));
        let mut child = Who::Rust.start("ports", &arguments)?;
        let answer = child.line()?;
        let octets = answer["octets"].as_f64().ok_or("no figure")?;
        let rounds = Rounds::from([("rust".to_owned(), vec![octets])]);
        bench.add(
            name,
            "octets",
            Better::Lower,
            rounds,
            &[Bound::Absolute(250.0)],
        );
    }
    Ok(())
}

fn memory_of_a_link(bench: &mut Bench) -> Result<(), Failure> {
    const LINKS: usize = 500;
    let mut values = Vec::new();
    let mut pair = Pair::start(&Who::Rust, 1, 1)?;
    let before = pair.ask(json!({"do": "memory"}))?["octets"]
        .as_f64()
        .ok_or("no figure")?;
    let address = pair.ready["address"]
        .as_str()
        .ok_or("no address")?
        .to_owned();
    let arguments = [
        "--seed",
        &address,
        "--links",
        &LINKS.to_string(),
        "--prefix",
        "more",
    ];
    let mut more = Who::Rust.start("client", &arguments.map(str::to_owned))?;
    more.ask(&json!({"do": "connected"}))?;
    // A message each way on every link, so that what a link needs at work is there.
    let control = pair.ready["control"].clone();
    more.ask(&json!({"do": "touch", "control": control}))?;
    let after = pair.ask(json!({"do": "memory"}))?["octets"]
        .as_f64()
        .ok_or("no figure")?;
    values.push((after - before) / LINKS as f64 / 1024.0);
    let rounds = Rounds::from([("rust".to_owned(), values)]);
    bench.add(
        "memory of an idle link",
        "KiB",
        Better::Lower,
        rounds,
        &[Bound::Absolute(16.0)],
    );
    Ok(())
}

fn meshes(bench: &mut Bench) -> Result<(), Failure> {
    let sizes: &[usize] = if bench.options.quick {
        &[10, 50]
    } else {
        &[5, 10, 25, 50]
    };
    let perl = bench
        .perls
        .iter()
        .find(|who| who.name() == "perl-1.30")
        .cloned();
    for nodes in sizes.iter().copied() {
        let mut rounds = Rounds::new();
        for round in 0..bench.rounds.min(3) {
            for who in std::iter::once(Who::Rust).chain(perl.clone()) {
                if who.is_perl() && round > 0 {
                    continue;
                }
                rounds
                    .entry(who.name())
                    .or_default()
                    .push(mesh(&who, nodes)?);
            }
        }
        let name = format!("mesh of {nodes} nodes around one seed");
        let bounds: &[Bound] = if nodes == 50 {
            &[Bound::TimesPerl(5.0)]
        } else {
            &[]
        };
        bench.add(&name, "s", Better::Lower, rounds, bounds);
    }
    Ok(())
}

/// The time from the word until every node has seen every other one.
fn mesh(who: &Who, nodes: usize) -> Result<f64, Failure> {
    let mut all: Vec<Child> = Vec::new();
    // All are held until the nodes bind them, so that no two are the same.
    let held: Vec<TcpListener> = (0..nodes)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_, _>>()?;
    let ports: Vec<u16> = held
        .iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect::<std::io::Result<_>>()?;
    let seed = format!("127.0.0.1:{}", ports[0]);
    for (n, port) in ports.iter().enumerate() {
        let mut arguments = vec!["--nodeid".to_owned(), format!("node{n}")];
        arguments.extend([
            "--port".to_owned(),
            port.to_string(),
            "--nodes".to_owned(),
            nodes.to_string(),
        ]);
        if n > 0 {
            arguments.extend(["--seed".to_owned(), seed.to_string()]);
        }
        let mut child = who.start("mesh", &arguments)?;
        child.line()?;
        all.push(child);
    }
    drop(held);
    // A node that comes before its seed listens would try again much later.
    all[0].tell("go")?;
    while std::net::TcpStream::connect(&seed).is_err() {
        std::thread::yield_now();
    }
    let start = std::time::Instant::now();
    for child in &mut all[1..] {
        child.tell("go")?;
    }
    for child in &mut all {
        child.line()?;
    }
    Ok(start.elapsed().as_secs_f64())
}
