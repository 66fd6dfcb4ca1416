//! The configuration file, where it is not as it should be.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::json;

use super::{Home, LIMIT, stderr};

/// One word about a file that others can read, and about one that can't be the configuration.
#[test]
fn a_configuration_file_that_is_not_as_it_should_be() {
    let home = Home::new();
    home.write(r#"{"version": 1, "secret": "geheim"}"#);
    assert_eq!(stderr(home.aemp(&["showconfig"]).success()), "");
    home.set_mode(0o666);
    let rc = home.rc().display().to_string();
    let warning = format!(
        " <2> {rc}: everybody can change the configuration, which holds a secret: \
         run `chmod 600 {rc}`.\n"
    );
    let said = stderr(home.aemp(&["showconfig"]).success());
    assert!(
        said.ends_with(&warning) && said.lines().count() == 1,
        "{said}"
    );
    let node = home.run("exposed");
    let told = |line: &&String| line.ends_with(warning.trim_end());
    assert_eq!(
        node.lines.iter().filter(told).count(),
        1,
        "{:?}",
        node.lines
    );
    drop(node);
    // An edit mends it, also for what is kept of the old contents.
    home.aemp(&["setnodeid", "ruth"]).success();
    for file in [rc.clone(), format!("{rc}~")] {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }

    home.write(r#"{"version": 99}"#);
    let said = stderr(home.aemp(&["setnodeid", "ruth"]).code(1));
    assert!(
        said.contains("the configuration is of version 99"),
        "{said}"
    );
    assert_eq!(home.config(), json!({"version": 99}));

    std::fs::remove_file(home.rc()).unwrap();
    let made = Command::new("mkfifo").arg(home.rc()).status().unwrap();
    assert!(made.success());
    for args in [&["showconfig"][..], &["run"], &["cal", "x", "time"]] {
        let said = stderr(home.aemp(args).code(1));
        let wanted = format!("aemp: {rc}: the configuration has to be a regular file");
        assert!(
            said.starts_with(&wanted) && said.contains("a FIFO"),
            "{said}"
        );
    }
    let mut command = assert_cmd::Command::from_std(home.command());
    command.env("PERL_ANYEVENT_MP_RC", "/dev/zero");
    let said = stderr(command.arg("showconfig").timeout(LIMIT).assert().code(1));
    assert!(said.contains("this is a device"), "{said}");
}
