//! Replays what fuzzers found to lead somewhere, on stable Rust: `cargo test --features fuzz --test
//! fuzz_corpus`. Whatever broke a rule once is in the corpus as well, so it does not again.
//!
//! `AEMP_FUZZ_CORPUS` is a folder with the corpora of a longer run, one folder for each target, to
//! be replayed as well; `AEMP_FUZZ_TARGET` has one target's replayed alone, which is how
//! `scripts/fuzz --coverage` sees what it reaches.

mod seeds;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use aemp::fuzz::{TARGETS, Target};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The files of a folder, in order. None if there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Runs a target, and fails with what it was given.
fn run(target: &Target, name: &str, data: &[u8]) {
    let run = AssertUnwindSafe(|| (target.run)(data));
    assert!(
        catch_unwind(run).is_ok(),
        "{} breaks a rule with {name}: {}",
        target.name,
        data.escape_ascii()
    );
}

#[test]
fn corpora_break_no_rule() {
    let longer = std::env::var_os("AEMP_FUZZ_CORPUS").map(PathBuf::from);
    let wanted = std::env::var("AEMP_FUZZ_TARGET").ok();
    let is_wanted = |target: &&Target| wanted.as_ref().is_none_or(|name| name == target.name);
    let mut replayed = 0;
    for target in TARGETS.iter().filter(is_wanted) {
        let found = files(&folder().join("corpus").join(target.name));
        assert!(!found.is_empty(), "{} has no corpus", target.name);
        let longer = longer
            .iter()
            .flat_map(|longer| files(&longer.join(target.name)));
        for file in found.into_iter().chain(longer) {
            let data = std::fs::read(&file).unwrap();
            run(target, &file.display().to_string(), &data);
        }
        replayed += 1;
    }
    assert!(replayed > 0, "there is no target {wanted:?}");
}

#[test]
fn fixtures_break_no_rule() {
    for (target, seeds) in seeds::all() {
        for seed in seeds {
            run(target, "a seed", &seed);
        }
    }
}

/// Each target has a program that runs it and a corpus, and there are no others.
#[test]
fn targets_programs_and_corpora_belong_together() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|t| t.name.to_owned()).collect();
    assert_eq!(targets.len(), TARGETS.len(), "a name is there twice");
    let names = |folder: &Path| -> BTreeSet<String> {
        let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        files(folder).into_iter().map(stem).collect()
    };
    assert_eq!(names(&folder().join("corpus")), targets);
    assert_eq!(names(&folder().join("fuzz_targets")), targets);
    let manifest = std::fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    for target in &targets {
        let program = folder().join(format!("fuzz_targets/{target}.rs"));
        let text = std::fs::read_to_string(program).unwrap();
        assert!(
            text.contains(&format!("aemp::fuzz::{target}(data)")),
            "{target}: {text}"
        );
        assert!(
            manifest.contains(&format!("name = \"{target}\"")),
            "{target}"
        );
    }
}

/// Few and short ones: what a fuzzer found is minimised before it is kept.
#[test]
fn corpora_are_small() {
    let mut all = 0;
    for target in TARGETS {
        let files = files(&folder().join("corpus").join(target.name));
        let octets: u64 = files
            .iter()
            .map(|file| file.metadata().unwrap().len())
            .sum();
        let (n, name) = (files.len(), target.name);
        assert!(
            n <= 500 && octets <= 64 * 1024,
            "{name}: {n} files, {octets} octets"
        );
        all += octets;
    }
    assert!(all <= 512 * 1024, "{all} octets");
}

/// Puts what the fixtures give into the corpora, to be minimised by `scripts/fuzz --keep`.
#[test]
#[ignore = "writes into fuzz/corpus"]
fn seed() {
    for (target, seeds) in seeds::all() {
        let folder = folder().join("corpus").join(target.name);
        std::fs::create_dir_all(&folder).unwrap();
        for (n, seed) in seeds.iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{n:03}")), seed).unwrap();
        }
    }
}
