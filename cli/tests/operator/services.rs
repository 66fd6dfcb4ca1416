//! Services that are programs.

use std::process::Command;

use aemp::{Node, PortId};
use serde_json::{Value, json};

use crate::support::{Home, LIMIT, builder, death, is_refused, members, next, node, repository};

/// Says what it was started with to the port that is its first argument, then hands on what comes.
pub const TELLS: &str = r#"#!/bin/sh
to=$1; shift
printf '["snd","%s","%s",%s,"%s"]\n' "$to" "$AEMP_FUNCTION" "$AEMP_ARGS" "$*"
while read -r line; do
    case $line in
    '["exit",'*) exit "$(echo "$line" | tr -cd 0-9)" ;;
    *) printf '["snd","%s",%s]\n' "$to" "$line" ;;
    esac
done
"#;

pub const RUN: [&str; 5] = ["run", "nodeid", "s", "binds", "127.0.0.1:*"];

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_spawn_starts_the_program_of_that_name() {
    let home = Home::new(json!({}));
    home.program("services/shop/till", TELLS);
    home.program("outside", TELLS);
    let path = home.path("services");
    let mut command = home.command(RUN);
    command.env("PERL_ANYEVENT_MP_SERVICES", &path);
    let mut running = crate::support::Running::start(command);
    let node = node("t", &running.address()).await;
    let mut inbox = node.mailbox();
    let args = (inbox.id(), "a b", [1.5], "$(id)");
    let port = node.spawn("s", "shop::till", &args).unwrap();
    let dies = death(&node, &port);
    let given = json!([inbox.id(), "a b", [1.5], "$(id)"]);
    let wanted = json!(["shop::till", given, "a b [1.5] $(id)"]);
    assert_eq!(next(&mut inbox).await, wanted);
    node.snd(&port, &("hello",)).unwrap();
    assert_eq!(next(&mut inbox).await, json!([["hello"]]));
    node.snd(&port, &("exit", 3)).unwrap();
    assert_eq!(dies.await.values(), [json!("exit"), json!(3)]);

    // A function of the program, and a call in place of a spawn.
    node.spawn("s", "shop::till::open", &(inbox.id(),)).unwrap();
    assert_eq!(next(&mut inbox).await[0], "shop::till::open");
    node.snd_to_func("s", "shop::till", &(inbox.id(),)).unwrap();
    assert_eq!(next(&mut inbox).await[0], "shop::till");
    for none in [
        "shop::other",
        "..::outside",
        "../outside",
        "shop/till",
        "shop",
    ] {
        let port = node.spawn("s", none, &(inbox.id(),)).unwrap();
        assert_eq!(
            death(&node, &port).await.kind(),
            Some("no_such_port"),
            "{none}"
        );
    }
    running.signal("-TERM");
    assert!(running.ends().success());
    assert!(inbox.try_recv().unwrap().is_none(), "nothing else was run");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_may_not_spawn_starts_nothing() {
    let settings = json!({"allow": ["friend spawn shop::*"], "services_path": []});
    let home = Home::new(settings);
    home.program("services/shop/till", TELLS);
    let path = home.path("services");
    let path = path.to_str().unwrap();
    home.configure(json!({"allow": ["friend spawn shop::*"], "services_path": [path]}));
    let running = home.start(&RUN);
    let address = running.address();
    let (friend, stranger) = (
        node("friend", &address).await,
        node("stranger", &address).await,
    );
    let mut inbox = stranger.mailbox();
    let port = stranger.spawn("s", "shop::till", &(inbox.id(),)).unwrap();
    assert!(is_refused(&death(&stranger, &port).await));
    assert!(inbox.try_recv().unwrap().is_none());
    let mut inbox = friend.mailbox();
    friend.spawn("s", "shop::till", &(inbox.id(),)).unwrap();
    assert_eq!(next(&mut inbox).await[0], "shop::till");
}

/// The services of the profile, with and without arguments, and those of the command line.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn services_are_run_at_the_start() {
    let home = Home::new(json!({}));
    let text =
        "#!/bin/sh\nshift 0\necho \"[\\\"reg\\\",\\\"$AEMP_FUNCTION$*\\\"]\"\ncat > /dev/null\n";
    home.program("services/shop/till", text);
    let path = home.path("services");
    home.configure(json!({
        "profile": {"shop": {
            "services_path": [path],
            "services": ["shop::till::", ["shop::till", "with", "args"]],
        }},
    }));
    let mut arguments = RUN.to_vec();
    arguments.insert(1, "shop");
    let mut running = home.start(&arguments);
    let test = node("t", &running.address()).await;
    members(&test, "shop::till", 1).await;
    members(&test, "shop::tillwith args", 1).await;
    running.signal("-TERM");
    assert!(running.ends().success());
    test.shutdown().await;

    let path = path.to_str().unwrap();
    let more = ["services", "shop::till", "services_path", path];
    home.configure(json!({}));
    let arguments: Vec<&str> = RUN.into_iter().chain(more).collect();
    let running = home.start(&arguments);
    let test = node("t", &running.address()).await;
    members(&test, "shop::till", 1).await;
}

#[test]
fn a_service_that_does_not_start_ends_the_node() {
    let home = Home::new(json!({}));
    home.program("services/shop/broken", "#!/nowhere/interpreter\n");
    let path = home.path("services");
    for (service, why) in [
        ("shop::none::", "there is no such function here"),
        (
            "shop::broken",
            "services/shop/broken can't be run: No such file",
        ),
    ] {
        let settings = json!({"services": [service], "services_path": [&path]});
        home.configure(settings);
        let mut running = home.start(&RUN);
        assert_eq!(running.ends().code(), Some(1));
        let line = running.says("does not start");
        assert!(line.contains(service) && line.contains(why), "{line}");
        let optional =
            json!({"services": [service], "services_path": [&path], "optional_services": 1});
        home.configure(optional);
        let mut running = home.start(&RUN);
        running.says(why);
        running.address();
        running.signal("-INT");
        assert!(running.ends().success());
    }
}

/// The third part of the tutorial: two clients that spawn their bridge head where the service is.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_chat_of_the_tutorial_as_a_service() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: no python3");
        return;
    }
    let path = repository("examples/services");
    let path = path.to_str().unwrap();
    let home = Home::new(json!({}));
    let more = ["services", "mymod::service::", "services_path", path];
    let arguments: Vec<&str> = RUN.into_iter().chain(more).collect();
    let running = home.start(&arguments);
    let seed = running.address();
    running.says("server ready.");
    let client = async |nick: &str| -> (Node, aemp::Mailbox, PortId) {
        let node = builder(nick).seeds([&*seed]).start().await.unwrap();
        let server = members(&node, "eg_chat_server2", 1).await.remove(0);
        let inbox = node.mailbox();
        let args = (inbox.id(), nick);
        let head = node.spawn(&server, "mymod::service::client_connect", &args);
        (node, inbox, head.unwrap())
    };
    let (ruth, mut to_ruth, ruth_head) = client("ruth").await;
    assert_eq!(next(&mut to_ruth).await, json!(["ruth (joins)"]));
    let (bob, mut to_bob, _bob_head) = client("bob").await;
    assert_eq!(next(&mut to_ruth).await, json!(["bob (joins)"]));
    assert_eq!(next(&mut to_bob).await, json!(["bob (joins)"]));
    ruth.snd(&ruth_head, &("hello",)).unwrap();
    for inbox in [&mut to_ruth, &mut to_bob] {
        assert_eq!(next(inbox).await, json!(["ruth: hello"]));
    }
    bob.kil(to_bob.id(), "tired");
    assert_eq!(next(&mut to_ruth).await, json!(["bob (quits, tired)"]));
    let known: Vec<Value> = ruth.cal("s", &("info",), Some(LIMIT)).await.unwrap();
    assert_eq!(known, ["s"]);
}
