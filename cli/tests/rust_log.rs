//! `RUST_LOG` says what the command logs.

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin;

/// What a node logs that starts and then finds that it can't use its certificate.
fn logged(variables: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(cargo_bin("aemp"));
    command.args(["run", "nodeid", "a", "binds", "127.0.0.1:*"]);
    command.args(["cert", "garbage"]);
    command.env("PERL_ANYEVENT_MP_RC", folder.path().join("rc"));
    command.env_remove("PERL_ANYEVENT_MP_WARNLEVEL");
    command.env_remove("PERL_ANYEVENT_MP_TRACE");
    command.env_remove("RUST_LOG");
    command.envs(variables.iter().copied());
    let failed = command.assert().code(1);
    String::from_utf8(failed.get_output().stderr.clone()).unwrap()
}

#[test]
fn it_has_targets_and_levels() {
    const LINE: &str = "<8> node a starting up.";
    let shows = |filter| logged(&[("RUST_LOG", filter)]).contains(LINE);
    assert!(!logged(&[]).contains(LINE));
    assert!(shows("aemp=debug") && shows("trace") && shows("warn,aemp=trace"));
    assert!(!shows("aemp=info") && !shows("other=trace") && !shows("off"));
    // Perl's variable keeps out what is above its level, set or not.
    let both = |level| {
        let level = ("PERL_ANYEVENT_MP_WARNLEVEL", level);
        logged(&[("RUST_LOG", "aemp=trace"), level]).contains(LINE)
    };
    assert!(both("8") && !both("7"));
}

#[test]
fn what_is_wrong_in_it_is_said() {
    let said = logged(&[("RUST_LOG", "aemp=loud")]);
    assert!(said.contains("RUST_LOG=aemp=loud is not used: "), "{said}");
}
