//! The shortest conversation that still does it.

use super::conversation::{Conversation, Step};

/// Makes a conversation shorter as long as `fails` agrees that it still does what it did: first
/// without some of its steps, then without some of the octets of each. Asks at most `most` times.
pub(super) fn shrink(
    conversation: &Conversation,
    most: usize,
    mut fails: impl FnMut(&Conversation) -> bool,
) -> Conversation {
    let mut asked = 0;
    let mut best = conversation.clone();
    let mut still = |candidate: &Conversation| {
        asked += 1;
        asked <= most && fails(candidate)
    };
    best.0 = without_some(&best.0, |steps| still(&Conversation(steps.to_vec())));
    for at in 0..best.0.len() {
        let Step::Say(octets) = &best.0[at] else {
            continue;
        };
        let less = without_some(octets, |octets| {
            let mut candidate = best.clone();
            candidate.0[at] = Step::Say(octets.to_vec());
            still(&candidate)
        });
        best.0[at] = Step::Say(less);
    }
    best
}

/// Leaves parts out, large ones first, as long as that is fine with `still`.
fn without_some<T: Clone>(all: &[T], mut still: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut best = all.to_vec();
    let mut size = best.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < best.len() {
            let end = (at + size).min(best.len());
            let mut candidate = best.clone();
            candidate.drain(at..end);
            match still(&candidate) {
                true => best = candidate,
                false => at = end,
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn say(text: &str) -> Step {
        Step::Say(text.as_bytes().to_vec())
    }

    /// Whether some step says this, behind a login.
    fn says(conversation: &Conversation, wanted: &str) -> bool {
        let login = |step: &Step| matches!(step, Step::Login(_));
        let Some(at) = conversation.0.iter().position(login) else {
            return false;
        };
        conversation.0[at..].iter().any(|step| match step {
            Step::Say(octets) => memchr::memmem::find(octets, wanted.as_bytes()).is_some(),
            Step::Login(_) => false,
        })
    }

    #[test]
    fn what_is_not_needed_goes() {
        let login = Step::Login("x".to_owned());
        let long = [
            say("a"),
            login.clone(),
            say("b"),
            say("[1,BOOM,2]"),
            say("c"),
        ];
        let short = shrink(&Conversation(long.to_vec()), 1000, |c| says(c, "BOOM"));
        assert_eq!(short.0, [login, say("BOOM")]);
    }

    #[test]
    fn it_is_asked_so_often_at_most() {
        let mut asked = 0;
        let long = Conversation(vec![say(&"x".repeat(1000)); 100]);
        let short = shrink(&long, 20, |_| {
            asked += 1;
            false
        });
        assert_eq!((asked, short), (20, long));
    }

    proptest! {
        /// What is left does it, and none of its steps nor octets can be left out.
        #[test]
        fn the_result_fails_and_is_minimal(texts in prop::collection::vec("[ab!]{0,6}", 0..8)) {
            let conversation = Conversation(texts.iter().map(|text| say(text)).collect());
            let fails = |c: &Conversation| {
                let count = |step: &Step| match step {
                    Step::Say(octets) => octets.iter().filter(|octet| **octet == b'!').count(),
                    Step::Login(_) => 0,
                };
                c.0.iter().map(count).sum::<usize>() >= 2
            };
            prop_assume!(fails(&conversation));
            let short = shrink(&conversation, 10_000, fails);
            prop_assert!(fails(&short));
            let octets: usize = short.0.iter().map(|step| match step {
                Step::Say(octets) => octets.len(),
                Step::Login(_) => 0,
            }).sum();
            prop_assert_eq!(octets, 2);
            prop_assert!(short.0.len() <= 2);
        }
    }
}
