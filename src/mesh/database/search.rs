//! A node without a master: it may be on its own, or may look for one in vain.

use super::open::Search;
use super::role::Answer;
use super::state::State;
use super::terms::{Effect, Seeds, Timer};
use super::val::Val;

impl State {
    pub(super) fn seeds(&mut self, seeds: Seeds) {
        // Once there was one there may be one again.
        if self.local.seeds != Seeds::Some {
            self.local.seeds = seeds;
        }
    }

    /// Looks, behind each input, whether there still is a master, and does what follows.
    pub(super) fn settle_search(&mut self) {
        let before = self.local.search;
        let known = self.local.seeds != Seeds::Unknown;
        let alone = self.local.seeds == Seeds::None && self.globals.is_empty();
        self.local.search = match before {
            _ if self.local.master.is_some() || !known => Search::Over,
            _ if alone => Search::Alone,
            Search::Since(_) | Search::InVain => before,
            Search::Over | Search::Alone => {
                self.local.searches += 1;
                let number = self.local.searches;
                let timer = Timer::Search(number);
                let patience = self.config.monitor_timeout;
                self.effects.push(Effect::After(patience, timer));
                Search::Since(number)
            }
        };
        match self.local.search {
            Search::Over | Search::Since(_) => {}
            Search::Alone => self.answer_all(),
            Search::InVain => self.refuse_all(Vec::new()),
        }
    }

    /// It is searched for a master for long, if this is still the search that it was.
    pub(super) fn search_timer(&mut self, number: u64) {
        if self.local.search != Search::Since(number) {
            return;
        }
        self.local.search = Search::InVain;
        let unknown = self.local.watched.values().filter(|family| !family.known);
        let monitors = unknown.flat_map(|family| family.ids.iter().copied());
        self.refuse_all(monitors.collect());
    }

    /// Nobody answers what is asked, and nobody tells these monitors what there is.
    pub(super) fn refuse_all(&mut self, monitors: Vec<u64>) {
        let mut questions: Vec<u64> = self.local.questions.keys().copied().collect();
        questions.sort_unstable();
        for question in &questions {
            self.local.forget(*question);
        }
        if !questions.is_empty() || !monitors.is_empty() {
            self.effects.push(Effect::NoMaster {
                questions,
                monitors,
                search: self.local.searches,
            });
        }
    }

    /// Answers all questions and monitors by what this node has set itself.
    fn answer_all(&mut self) {
        let questions = &self.local.questions;
        let mut open: Vec<_> = questions
            .values()
            .map(|q| (q.counter, q.id.clone()))
            .collect();
        open.sort_unstable();
        for (_, wire) in open {
            let number = self.local.on_wire.get(&wire);
            let Some(question) = number.and_then(|id| self.local.questions.get(id)) else {
                continue;
            };
            let content = self.local.db.get(&question.family).into_iter().flatten();
            let answer = Val::of(&Answer::of(question.kind, content));
            self.replied(&wire, answer);
        }
        let unknown = self
            .local
            .watched
            .iter()
            .filter(|(_, family)| !family.known);
        let unknown: Vec<String> = unknown.map(|(name, _)| name.clone()).collect();
        for family in unknown {
            let content = self.local.db.get(&family).cloned().unwrap_or_default();
            self.content(&self.own.clone(), family, content);
        }
    }

    /// Whether this node answers itself. It has got a master before that is settled.
    pub(super) fn is_alone(&self) -> bool {
        self.local.search == Search::Alone && self.local.master.is_none()
    }

    /// Whether somebody has looked for a master for long, and found none.
    pub(super) fn searches_in_vain(&self) -> bool {
        self.local.search == Search::InVain && self.local.master.is_none()
    }
}
