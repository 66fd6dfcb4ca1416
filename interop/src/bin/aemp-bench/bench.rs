//! A run: who takes part, how much of everything, and what was measured, round by round.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::child::{Linked, Setup, Who};
use crate::failure::Failure;
use crate::figures::{Better, Bound};

/// What each who had, round by round.
pub type Rounds = BTreeMap<String, Vec<f64>>;

/// Who is compared with whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// This crate with the bare loops and with Perl: in the same order in every round, with
    /// processes that are kept from figure to figure.
    Table,
    /// Two builds of this crate. They take turns at being first, so that what becomes slower or
    /// faster as time goes on hits both alike, and have new processes in every round: two processes
    /// of one program can differ by more than two builds do (where their memory lies, which
    /// processor they were given), and stay so for as long as they run.
    Pair,
    /// This crate with other systems, which take turns at being first as well.
    Rivals,
}

/// A figure, before it is measured.
#[derive(Debug, Clone)]
pub struct About {
    /// Its name.
    pub name: String,
    /// In what.
    pub unit: &'static str,
    /// Which way it is better.
    pub better: Better,
    /// What is asked of it.
    pub bounds: Vec<Bound>,
    most: usize,
}

impl About {
    /// A figure without bounds that is taken in each round.
    pub fn new(name: impl Into<String>, unit: &'static str, better: Better) -> Self {
        Self {
            name: name.into(),
            unit,
            better,
            bounds: Vec::new(),
            most: usize::MAX,
        }
    }

    /// How many a second.
    pub fn rate(name: impl Into<String>) -> Self {
        Self::new(name, "/s", Better::Higher)
    }

    /// How many microseconds.
    pub fn micros(name: impl Into<String>) -> Self {
        Self::new(name, "µs", Better::Lower)
    }

    /// Asks this of it.
    pub fn bounds(mut self, bounds: &[Bound]) -> Self {
        self.bounds = bounds.to_vec();
        self
    }

    /// Varies so little that so many rounds are enough for the table.
    pub fn at_most(mut self, rounds: usize) -> Self {
        self.most = rounds;
        self
    }
}

/// A figure that was measured.
#[derive(Debug)]
pub struct Measured {
    /// Which.
    pub about: About,
    /// The single rounds.
    pub rounds: Rounds,
}

/// How much of everything.
#[derive(Debug, Clone)]
pub struct Amount {
    /// A quarter of the messages.
    pub quick: bool,
    /// How often each figure is taken.
    pub rounds: usize,
    /// Figures and sections whose name contains one of these; all if there is none.
    pub only: Vec<String>,
    /// Name them and measure nothing.
    pub list: bool,
}

/// A run.
pub struct Bench {
    mode: Mode,
    amount: Amount,
    all: Vec<Who>,
    section: &'static str,
    names: Vec<(&'static str, String)>,
    measured: Vec<Measured>,
    tell: Box<dyn Fn(&Measured)>,
}

/// Perl's figures vary little.
const PERL_ROUNDS: usize = 2;

impl Bench {
    /// A run of these, in this order; `tell` hears of each figure as soon as it was measured.
    pub fn new(
        mode: Mode,
        amount: Amount,
        all: Vec<Who>,
        tell: impl Fn(&Measured) + 'static,
    ) -> Self {
        Self {
            mode,
            amount,
            all,
            section: "",
            names: Vec::new(),
            measured: Vec::new(),
            tell: Box::new(tell),
        }
    }

    /// Who is compared with whom.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Is nothing to be measured, and no process started?
    pub fn lists(&self) -> bool {
        self.amount.list
    }

    /// Is it to be over soon?
    pub fn is_quick(&self) -> bool {
        self.amount.quick
    }

    /// The count for this run: less in a quick one.
    pub fn count(&self, full: u64) -> u64 {
        match self.amount.quick {
            true => full / 4,
            false => full,
        }
    }

    /// What follows is of this section, until the next.
    pub fn begin(&mut self, section: &'static str) {
        self.section = section;
    }

    /// The figures that were asked for and that there are, each with its section.
    pub fn names(&self) -> &[(&'static str, String)] {
        &self.names
    }

    /// The figures that were measured.
    pub fn measured(&self) -> &[Measured] {
        &self.measured
    }

    /// Everybody who takes part.
    pub fn everybody(&self) -> Vec<Who> {
        self.all.clone()
    }

    /// Those of them who are so.
    pub fn those(&self, are: impl Fn(&Who) -> bool) -> Vec<Who> {
        self.all.iter().filter(|who| are(who)).cloned().collect()
    }

    /// Processes for all who are asked for figures that need this.
    pub fn teams(&self, setup: Setup) -> Teams {
        Teams {
            setup,
            keep: self.mode == Mode::Table,
            running: BTreeMap::new(),
        }
    }

    /// Is this figure to be measured now? To be asked once for each figure, by who will measure it.
    pub fn wants(&mut self, name: &str) -> bool {
        let only = &self.amount.only;
        let part = |text: &String| self.section.contains(text.as_str()) || name.contains(text);
        if !only.is_empty() && !only.iter().any(part) {
            return false;
        }
        self.names.push((self.section, name.to_owned()));
        if !self.amount.list {
            eprintln!("measuring: {name}");
        }
        !self.amount.list
    }

    /// Measures a figure, if it is to be; `take` measures it once, of one of `who`, and gives
    /// nothing for who has no such figure. Returns the rounds.
    pub fn figure(
        &mut self,
        about: About,
        who: &[Who],
        take: impl FnMut(&Who) -> Result<Option<f64>, Failure>,
    ) -> Result<Option<Rounds>, Failure> {
        if !self.wants(&about.name) {
            return Ok(None);
        }
        let rounds = self.rounds(&about, who, take)?;
        self.add(about, rounds.clone());
        Ok(Some(rounds))
    }

    /// Adds a figure that was measured.
    pub fn add(&mut self, about: About, rounds: Rounds) {
        let measured = Measured { about, rounds };
        (self.tell)(&measured);
        self.measured.push(measured);
    }

    /// Asks each in turn, round after round. A Perl node is not asked in each round; one that can't
    /// do it has no figure.
    pub fn rounds(
        &self,
        about: &About,
        who: &[Who],
        mut take: impl FnMut(&Who) -> Result<Option<f64>, Failure>,
    ) -> Result<Rounds, Failure> {
        let number = match self.mode {
            Mode::Table => self.amount.rounds.min(about.most),
            Mode::Pair | Mode::Rivals => self.amount.rounds,
        };
        let mut rounds = Rounds::new();
        let mut failed = Vec::new();
        for round in 0..number {
            for who in turns(self.mode, round, who) {
                if failed.contains(&who.name()) || (who.is_perl() && round >= PERL_ROUNDS) {
                    continue;
                }
                match take(who) {
                    Ok(value) => rounds.entry(who.name()).or_default().extend(value),
                    // Some releases can't do everything. They have no figure then.
                    Err(error) if who.is_perl() => {
                        println!("not measured: {}: {}: {error}", about.name, who.name());
                        failed.push(who.name());
                    }
                    Err(error) => {
                        return Err(format!("{}: {}: {error}", about.name, who.name()).into());
                    }
                }
            }
        }
        rounds.retain(|_, values| !values.is_empty());
        Ok(rounds)
    }
}

/// Those who are asked in a round, in their order.
fn turns(mode: Mode, round: usize, who: &[Who]) -> Vec<&Who> {
    match mode {
        Mode::Pair | Mode::Rivals if round % 2 == 1 => who.iter().rev().collect(),
        _ => who.iter().collect(),
    }
}

/// What the figures were measured on.
pub fn machine() -> Value {
    json!({"cores": std::thread::available_parallelism().map_or(0, |n| n.get())})
}

/// Two linked processes of each, started when first asked.
pub struct Teams {
    setup: Setup,
    keep: bool,
    running: BTreeMap<String, Linked>,
}

impl Teams {
    /// Asks those of `who`.
    pub fn ask(&mut self, who: &Who, command: Value) -> Result<Value, Failure> {
        self.with(who, |linked| linked.ask(command))
    }

    /// Asks those of `who` if they have a port of that name. Builds from before it have not.
    pub fn ask_port(
        &mut self,
        who: &Who,
        port: &str,
        command: Value,
    ) -> Result<Option<Value>, Failure> {
        self.with(who, |linked| match linked.has(port) {
            true => linked.ask(command).map(Some),
            false => Ok(None),
        })
    }

    fn with<T>(
        &mut self,
        who: &Who,
        work: impl FnOnce(&mut Linked) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if !self.keep {
            return work(&mut Linked::start(who, self.setup)?);
        }
        let name = who.name();
        if !self.running.contains_key(&name) {
            let linked = Linked::start(who, self.setup)?;
            self.running.insert(name.clone(), linked);
        }
        work(self.running.get_mut(&name).ok_or("no processes")?)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::Arc;

    use super::*;
    use crate::child::Build;

    fn builds() -> Vec<Who> {
        let build = |name: &str| {
            let (name, program) = (name.to_owned(), "aemp-bench".into());
            Who::Rust(Arc::new(Build { name, program }))
        };
        vec![build("before"), build("after")]
    }

    fn amount(rounds: usize, only: &[&str]) -> Amount {
        Amount {
            quick: false,
            rounds,
            only: only.iter().map(|&text| text.to_owned()).collect(),
            list: false,
        }
    }

    /// The order in which they were asked.
    fn asked(mode: Mode, rounds: usize, most: usize) -> Vec<String> {
        let order = RefCell::new(Vec::new());
        let mut bench = Bench::new(mode, amount(rounds, &[]), builds(), |_| ());
        let about = About::rate("x").at_most(most);
        let take = |who: &Who| {
            order.borrow_mut().push(who.name());
            Ok(Some(1.0))
        };
        bench.figure(about, &builds(), take).unwrap();
        order.into_inner()
    }

    #[test]
    fn two_builds_take_turns_at_being_first() {
        let order = asked(Mode::Pair, 3, 1);
        assert_eq!(
            order,
            ["before", "after", "after", "before", "before", "after"]
        );
    }

    #[test]
    fn a_table_has_one_order_and_no_more_rounds_than_are_of_use() {
        assert_eq!(
            asked(Mode::Table, 2, 9),
            ["before", "after", "before", "after"]
        );
        assert_eq!(asked(Mode::Table, 2, 1), ["before", "after"]);
    }

    #[test]
    fn figures_are_chosen_by_their_name_or_by_their_section() {
        let amount = amount(1, &["mesh", "small"]);
        let mut bench = Bench::new(Mode::Pair, amount, builds(), |_| ());
        for (section, name) in [
            ("one way", "one way, small"),
            ("one way", "one way, 1 KiB"),
            ("mesh", "five nodes"),
        ] {
            bench.begin(section);
            let about = About::rate(name);
            bench.figure(about, &builds(), |_| Ok(Some(1.0))).unwrap();
        }
        let names = bench.measured().iter().map(|one| one.about.name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["one way, small", "five nodes"]);
    }

    #[test]
    fn a_build_that_can_not_do_it_ends_the_run_with_its_name() {
        let mut bench = Bench::new(Mode::Pair, amount(1, &[]), builds(), |_| ());
        let take = |who: &Who| match who.name().as_str() {
            "after" => Err("no such role".into()),
            _ => Ok(Some(1.0)),
        };
        let error = bench.figure(About::rate("x"), &builds(), take).unwrap_err();
        assert_eq!(error.to_string(), "x: after: no such role");
    }
}
