//! `aemp top`, in a terminal and without one.

use serde_json::{Value, json};

use crate::perl::{perl, releases};
use crate::support::{Home, LIMIT, Running, node};
use crate::terminal::Terminal;

/// The names in the table of the nodes, from above.
fn names(screen: &str) -> Vec<&str> {
    let lines = screen.lines().skip_while(|line| !line.starts_with("NODE"));
    let rows = lines.skip(1).take_while(|line| !line.trim().is_empty());
    rows.filter_map(|line| line.split(' ').next()).collect()
}

/// A node `a`, and a home whose commands find it at that address.
fn network() -> (Home, Running, String) {
    let home = Home::new(json!({}));
    let running = home.start(&["run", "nodeid", "a", "binds", "127.0.0.1:*"]);
    let address = running.address();
    home.configure(json!({"seeds": [address]}));
    (home, running, address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_work_in_a_terminal() {
    let (home, _running, address) = network();
    let busy = node("b", &address).await;
    let ports: Vec<_> = (0..50).map(|_| busy.port()).collect();
    busy.register("workers", &ports[0]);
    busy.kil(&ports[1], aemp::Reason::new(["overheated", "CPU 0"]));
    // Until the two know each other.
    busy.round_trip("a", LIMIT).await.unwrap();

    let command = home.command(["top", "--interval", "0.5"]);
    let mut terminal = match Terminal::start(&command, (110, 30), LIMIT) {
        Ok(terminal) => terminal,
        Err(error) => {
            eprintln!("NOT RUN: there is no terminal: {error}");
            return;
        }
    };
    let screen = terminal.until_text("both nodes", |text| names(text) == ["a", "b"]);
    assert!(screen.starts_with("aemp top"), "{screen}");
    assert!(screen.contains("NODE▼"), "{screen}");
    // Rates are there with the second look.
    terminal.until_text("rates", |text| {
        text.contains("/s") && text.contains("a – b")
    });
    // By ports, of which b has more, when both have said how many.
    terminal.until_text("both releases", |text| {
        text.matches(" aemp-rs-").count() == 2
    });
    terminal.press("ssss");
    let screen = terminal.until_text("the order", |text| text.contains("PORTS▼"));
    assert_eq!(names(&screen), ["b", "a"], "{screen}");
    terminal.press("r");
    let screen = terminal.until_text("the order", |text| text.contains("PORTS▲"));
    assert_eq!(names(&screen), ["a", "b"], "{screen}");
    terminal.press("\t");
    terminal.until_text("the groups", |text| {
        text.contains("workers ") && text.contains("MEMBERS")
    });
    terminal.press("3");
    terminal.until_text("the death", |text| text.contains("overheated CPU 0"));
    // A node that comes while it is looked.
    let late = node("late", &address).await;
    terminal.until_text("the new node", |text| names(text).contains(&"late"));
    terminal.press("q");
    assert_eq!(terminal.ends(), 0);
    // What was there before is there again.
    terminal.until_text("what was before", |text| !text.contains("NODE"));
    assert!(terminal.look(|screen| !screen.alternate_screen() && !screen.hide_cursor()));
    late.shutdown().await;
    busy.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn without_a_terminal_there_are_tables_or_json() {
    let (home, running, address) = network();
    let other = node("b", &address).await;
    other.register("workers", other.port());
    other.round_trip("a", LIMIT).await.unwrap();
    let top = |more: &[&str]| {
        let arguments = ["top", "--interval", "0.5"].iter().chain(more);
        let output = home.command(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    // As soon as they have found each other.
    let begun = std::time::Instant::now();
    let text = loop {
        let text = top(&["--count", "2"]);
        let all = ["\na – b", "\nworkers ", "2 nodes, 1 link, 0 missing, "];
        if all.iter().all(|wanted| text.contains(wanted)) || begun.elapsed() > LIMIT {
            break text;
        }
    };
    assert_eq!(text.matches("\nNODE ").count(), 2, "{text}");
    assert!(
        text.contains("\na – b") && text.contains("\nworkers "),
        "{text}"
    );
    assert!(text.contains("2 nodes, 1 link, 0 missing, "), "{text}");
    // There is something to count.
    let talking = other.clone();
    let talk = tokio::spawn(async move {
        while talking.snd("a#nobody", &("hello",)).is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let lines = top(&["--count", "2", "--json"]);
    talk.abort();
    let views: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(views.len(), 2);
    assert_eq!(views[1]["is_member"], false);
    let rate = &views[1]["links"][0]["back"]["messages"];
    assert!(rate.as_f64() > Some(0.0), "{:#}", views[1]);
    // Nobody is there.
    drop(running);
    other.shutdown().await;
    let output = home.command(["top", "--count", "1"]).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        errors.contains("no node was found") && errors.contains(&address),
        "{errors}"
    );
    for arguments in [["top", "--interval", "0"], ["top", "--count", "0"]] {
        let output = home.command(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}

/// A node of Perl's, whose name is its argument.
const PERL: &str = r#"
    use AnyEvent; use AnyEvent::MP; use AnyEvent::MP::Kernel;
    configure nodeid => $ARGV[0], binds => ["127.0.0.1:*"], seeds => [$ARGV[1]];
    my @ports = map port { }, 1 .. 7;
    $| = 1; print "there\n";
    my $end = AE::cv; my $life = AE::timer 120, 0, $end; my $in = AE::io *STDIN, 0, $end;
    $end->recv;
"#;

/// What Perl's nodes say: their release, their ports, whom they are linked to.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nodes_of_perl_say_what_they_can() {
    let releases = releases(&["1.30"]);
    let Some(release) = releases.first() else {
        return;
    };
    let (home, _running, address) = network();
    let mut command = perl(release, &home);
    command.args(["-e", PERL, "p", &address]);
    command.stdin(std::process::Stdio::piped());
    let perl = Running::start(command);
    assert_eq!(perl.prints(), "there");
    let begun = std::time::Instant::now();
    loop {
        let arguments = ["top", "--interval", "0.5", "--count", "1", "--json"];
        let output = home.command(arguments).output().unwrap();
        let view: Value = serde_json::from_slice(&output.stdout).unwrap();
        let nodes = view["nodes"].as_array().unwrap();
        let of_perl = nodes.iter().find(|node| node["node"] == "p");
        if let Some(of_perl) = of_perl.filter(|node| node["ports"].as_u64() > Some(0)) {
            assert_eq!(of_perl["provider"], "AE-1.30", "{view:#}");
            assert!(of_perl["ports"].as_u64() >= Some(7), "{view:#}");
            assert_eq!(view["links"][0]["nodes"], json!(["a", "p"]), "{view:#}");
            return;
        }
        assert!(begun.elapsed() < LIMIT, "{view:#}");
    }
}
