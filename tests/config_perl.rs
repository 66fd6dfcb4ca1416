//! The configuration against real Perl: which value wins, what relaxed JSON is, how addresses are
//! read and written.
//!
//! Needs `perl` with AnyEvent and JSON::XS, and releases of AnyEvent::MP (`support/peers.rs`). What
//! is missing is printed, and that part is not run.

#![cfg(feature = "node")]

#[path = "support/peers.rs"]
mod peers;

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::Command;

use aemp::config::{
    Arguments, Config, LocalHost, RcFile, alnumbits, find_profile, format_hostport, relaxed,
    resolve,
};
use serde_json::{Value, json};

/// The modules of the releases that are here, oldest first.
fn releases() -> Vec<PathBuf> {
    let found = peers::releases().into_iter();
    found.map(|(_, modules)| modules).collect()
}

/// The folder of a release of generation 2, if one is here.
fn generation_2() -> Option<PathBuf> {
    let kernel = |release: &PathBuf| std::fs::read_to_string(release.join("AnyEvent/MP/Kernel.pm"));
    let is_it = |release: &PathBuf| kernel(release).is_ok_and(|text| text.contains("mproto"));
    let found = releases().into_iter().rfind(is_it);
    if found.is_none() {
        println!("NOT RUN: no release of AnyEvent::MP of generation 2");
    }
    found
}

/// What a Perl script prints, or `None` if Perl or a module it needs is missing here.
fn perl(modules: &[&str], set_up: impl FnOnce(&mut Command), script: &str) -> Option<String> {
    for module in modules {
        let there = Command::new("perl")
            .args([&format!("-M{module}"), "-e1"])
            .output();
        if !there.is_ok_and(|out| out.status.success()) {
            println!("NOT RUN: no perl with {module}");
            return None;
        }
    }
    let mut command = Command::new("perl");
    set_up(&mut command);
    let out = command.arg("-e").arg(script).output().expect("perl runs");
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "perl: {errors}");
    Some(String::from_utf8(out.stdout).expect("UTF-8 from perl"))
}

#[test]
fn the_same_value_wins() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(".perl-anyevent-mp");
    let text = r#"{ # relaxed
        "a": "global", "b": "global", "c": "global", "d": "global", "parent": "kid", "n": null,
        "profile": {
            "grand": {"b": "grand", "c": "grand", "d": "grand",},
            "dad": {"c": "dad", "d": "dad", "parent": "grand"},
            "kid": {"d": "kid", "a": null, "parent": "dad"},
            "orphan": {"d": "orphan", "parent": "nobody"},
        },
    }"#;
    std::fs::write(&file, text).unwrap();
    let rc = RcFile::load(file.clone()).unwrap();
    let mut compared = 0;
    for release in releases() {
        for name in ["kid", "dad", "grand", "orphan", "unheard of"] {
            let script = r#"
                my $found = AnyEvent::MP::Config::find_profile $ENV{NAME}, a => "arg", e => "arg", n => "arg";
                my %shown = map +($_ => $found->{$_}), grep exists $found->{$_}, qw(a b c d e n);
                print JSON::XS->new->utf8->encode(\%shown);
            "#;
            let set_up = |command: &mut Command| {
                command
                    .arg("-I")
                    .arg(&release)
                    .arg("-MAnyEvent::MP::Config");
                command
                    .env("HOME", dir.path())
                    .env("PERL_ANYEVENT_MP_RC", &file);
                command.env("NAME", name);
            };
            let modules = ["AnyEvent", "JSON::XS", "common::sense"];
            let found = perl(&modules, set_up, script);
            let Some(found) = found else { return };
            let given = ["a", "e", "n"].map(|key| (key.to_owned(), json!("arg")));
            let mut ours = find_profile(&rc, Some(name), &given).unwrap().to_map();
            ours.retain(|key, _| key.len() == 1);
            let theirs: Value = serde_json::from_str(&found).unwrap();
            assert_eq!(Value::Object(ours), theirs, "{name} {}", release.display());
            compared += 1;
        }
    }
    println!("compared with Perl: {compared} profiles");
}

/// `norc` and `force`, which Perl has from 2.0 on.
#[test]
fn the_same_value_wins_when_the_arguments_change_the_rule() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rc");
    let text = r#"{"a": "global", "b": "global", "c": "global", "norc": 1, "force": 1,
        "profile": {"kid": {"b": "kid", "d": "kid", "norc": 1, "force": 1}}}"#;
    std::fs::write(&file, text).unwrap();
    let rc = RcFile::load(file.clone()).unwrap();
    let modules = ["AnyEvent", "JSON::XS", "common::sense"];
    let Some(release) = generation_2() else {
        return;
    };
    let mut compared = 0;
    for flags in [
        json!({}),
        json!({"norc": 1}),
        json!({"force": 1}),
        json!({"norc": 1, "force": 1}),
        json!({"norc": 0, "force": ""}),
        json!({"norc": null, "force": "1"}),
    ] {
        let mut given = json!({"a": "arg", "b": "arg", "e": "arg"});
        let given = given.as_object_mut().unwrap();
        given.extend(flags.as_object().unwrap().clone());
        let script = r#"
            my $given = JSON::XS->new->utf8->decode($ENV{GIVEN});
            my $found = AnyEvent::MP::Config::find_profile kid => %$given;
            my %shown = map +($_ => $found->{$_}), grep exists $found->{$_}, qw(a b c d e);
            print JSON::XS->new->utf8->encode(\%shown);
        "#;
        let set_up = |command: &mut Command| {
            command
                .arg("-I")
                .arg(&release)
                .arg("-MAnyEvent::MP::Config");
            command.env("PERL_ANYEVENT_MP_RC", &file);
            command.env("GIVEN", Value::Object(given.clone()).to_string());
        };
        let Some(found) = perl(&modules, set_up, script) else {
            return;
        };
        let given: Vec<(String, Value)> = given.clone().into_iter().collect();
        let mut ours = find_profile(&rc, Some("kid"), &given).unwrap().to_map();
        ours.retain(|key, _| key.len() == 1);
        let theirs: Value = serde_json::from_str(&found).unwrap();
        assert_eq!(Value::Object(ours), theirs, "{flags}");
        compared += 1;
    }
    println!("compared with Perl: {compared} rules");
}

/// Node IDs as 2.x makes them of `nodeid` and of the profile. The random part is replaced by `*`,
/// for it has another length.
#[test]
fn node_ids_are_made_alike() {
    let Some(release) = generation_2() else {
        return;
    };
    let name = aemp::config::node_name();
    let mut compared = 0;
    for arguments in [
        json!(["p", "nodeid", "ruth"]),
        json!(["p", "nodeid", "anon/"]),
        json!(["p", "nodeid", "shop/"]),
        json!(["p", "nodeid", "aemp/%n/%u"]),
        json!(["p", "nodeid", "%n%n%x%U/%u/a"]),
        json!(["p", "nodeid", "%u-%u/"]),
        json!(["p", "nodeid", "%%n"]),
        json!(["p", "nodeid", "/"]),
        json!(["p", "nodeid", 7]),
        json!(["p"]),
        json!(["at-%n-%u"]),
        json!([]),
    ] {
        let script = r#"
            my $given = JSON::XS->new->utf8->decode($ENV{GIVEN});
            AnyEvent::MP::Kernel::configure(@$given, binds => [], norc => 1);
            my $id = $AnyEvent::MP::Kernel::NODE;
            $id =~ s/\Q$AnyEvent::MP::Kernel::RUNIQ\E/*/g;
            print $id;
        "#;
        let set_up = |command: &mut Command| {
            command.arg("-I").arg(&release).arg("-MAnyEvent::MP");
            command.env("PERL_ANYEVENT_MP_RC", "");
            command.env("GIVEN", arguments.to_string());
        };
        let modules = [
            "AnyEvent",
            "JSON::XS",
            "common::sense",
            "Guard",
            "Digest::SHA3",
        ];
        let Some(theirs) = perl(&modules, set_up, script) else {
            return;
        };
        let mut given = arguments.as_array().unwrap().clone();
        given.extend([json!("generation"), json!(2)]);
        let given = Arguments::from_list(given).unwrap();
        let config = Config::load(&RcFile::default(), &given, &name).unwrap();
        let ours = config.node_id(&name, &[0; 12]).unwrap();
        assert_eq!(ours.replace("AAAAAAAAAAAAAAAA", "*"), theirs, "{arguments}");
        compared += 1;
    }
    println!("compared with Perl: {compared} node IDs");
}

#[test]
fn the_same_texts_are_relaxed_json() {
    let texts = [
        "[1,2,]",
        "{\"a\":1,}",
        "[,]",
        "{,}",
        "[1,,2]",
        "[1,,]",
        "[1,2 # c\n]",
        "# x\n{\"a\":\"b\tc\"}",
        "{\"a\tb\":1}",
        "{\"a\":\"b\nc\"}",
        "[1]#end",
        "[1] x",
        "{\"a\":1,\"a\":2}",
        "[01]",
        "\u{feff}[1]",
        "[1//x\n]",
        "[1/*x*/]",
        "[\"\u{1}\"]",
        "[1\u{b}]",
        "[\"a\"#\n,]",
        "{} # c\r[",
        "[1#\r,2]",
        "[-]",
        "[1.]",
        "[\"\\x\"]",
        "[\"\\\t\"]",
        "[\"#\"]",
        "[1#,2]\n,3]",
        "{\"a\"#\n:#\n1}",
        "['a']",
        "{a:1}",
        "[\"\u{fc}\u{20ac}\"]#\u{fc}",
        "",
        "#",
        "[\"\\ud800\"]",
        "{\"a\":,}",
        "{\"a\",}",
        "[true,false,null,]",
        "[nul]",
        "[1,]]",
        "[\"\\u00fc\\\"#\",]",
        "\t[\r\n1\t,\r]\n",
    ];
    let script = r#"
        my ($json, @found) = JSON::XS->new->utf8->allow_nonref;
        for (@{ $json->decode($ENV{TEXTS}) }) {
            utf8::encode(my $text = $_);
            my @value = eval { $json->decode($json->encode(JSON::XS->new->utf8->relaxed->allow_nonref->decode($text))) };
            push @found, \@value;
        }
        print $json->encode(\@found);
    "#;
    let set_up = |command: &mut Command| {
        command
            .arg("-MJSON::XS")
            .env("TEXTS", json!(texts.as_slice()).to_string());
    };
    let Some(found) = perl(&["JSON::XS"], set_up, script) else {
        return;
    };
    let found: Vec<Vec<Value>> = serde_json::from_str(&found).unwrap();
    assert_eq!(found.len(), texts.len());
    for (text, theirs) in texts.iter().zip(found) {
        let ours: Vec<Value> = relaxed::parse(text).into_iter().collect();
        assert_eq!(ours, theirs, "{text:?}");
    }
}

#[test]
fn addresses_are_formatted_alike() {
    let addresses = [
        "1.2.3.4:5",
        "[::]:1",
        "[::1]:1",
        "[::2]:1",
        "[::1:1]:1",
        "[::ffff:1.2.3.4]:5",
        "[::ffff:0:102:304]:5",
        "[fe80::1]:5",
        "[2001:db8:0:0:1:0:0:1]:5",
        "[2001:0:1:0:1:0:1:0]:5",
        "[1:0:0:2::]:5",
        "[::1:0:0:0]:5",
        "[0:0:0:1::]:5",
        "[64:ff9b::1.2.3.4]:5",
        "[0:1:2:3:4:5:6:7]:5",
        "[1:2:3:4:5:6:0:0]:5",
        "[fd00:0:0:1::a0]:65535",
    ];
    let script = r#"
        print join " ", map {
            my ($host, $port) = AnyEvent::Socket::parse_hostport $_;
            AnyEvent::Socket::format_hostport
                AnyEvent::Socket::format_address(AnyEvent::Socket::parse_address $host), $port
        } split / /, $ENV{TEXTS};
    "#;
    let set_up = |command: &mut Command| {
        command
            .arg("-MAnyEvent::Socket")
            .env("TEXTS", addresses.join(" "));
    };
    let Some(theirs) = perl(&["AnyEvent::Socket"], set_up, script) else {
        return;
    };
    let ours = addresses.map(|text| format_hostport(&text.parse().unwrap()));
    assert_eq!(ours.join(" "), theirs);
}

/// Lists of IP addresses, and `*` on this machine. Names are left out: what they resolve to is not
/// ours to say.
#[tokio::test]
async fn addresses_are_resolved_alike() {
    let texts = [
        "127.0.0.1:4040",
        "127.0.0.1",
        "127.0.0.1:*",
        "[::1]:7",
        "::1",
        "::1#8",
        "127.0.0.1:1,127.0.0.1:2,127.0.0.1:1",
        "",
        "*:4040",
        "*",
        "127.0.0.1:9,*:9,127.0.0.1:9",
        "/run/aemp",
        "unix/:/run/aemp,127.0.0.1:1",
        "127.0.0.1:aemp=4040",
        "127.0.0.1:http",
    ];
    let local = LocalHost::detect().unwrap();
    let mut texts = texts.to_vec();
    // Perl has ::1 also where the machine has not.
    if local.addresses.contains(&"::1".parse().unwrap()) {
        texts.push("localhost:9");
    }
    let Some(release) = releases().pop() else {
        return;
    };
    let script = r#"
        print join "|", map { join " ", (AnyEvent::MP::Kernel::_resolve $_)->recv } split /\|/, $ENV{TEXTS};
    "#;
    let set_up = |command: &mut Command| {
        command.arg("-I").arg(release).arg("-MAnyEvent::MP::Kernel");
        command
            .env("TEXTS", texts.join("|"))
            .env("PERL_ANYEVENT_MP_RC", "");
    };
    let modules = ["AnyEvent", "JSON::XS", "Net::Interface"];
    let Some(theirs) = perl(&modules, set_up, script) else {
        return;
    };
    for (text, theirs) in texts.iter().zip(theirs.split('|')) {
        let found = resolve(text, 0, &local).await.unwrap();
        let ours: Vec<String> = found.iter().map(ToString::to_string).collect();
        // Perl goes by interface, we give all IPv4 first: with `*` only the set is the same.
        if text.contains('*') {
            let set = |list: &[&str]| list.iter().map(|&t| t.to_owned()).collect::<HashSet<_>>();
            let theirs: Vec<&str> = theirs.split_whitespace().collect();
            assert_eq!(
                ours.iter().cloned().collect::<HashSet<_>>(),
                set(&theirs),
                "{text:?}"
            );
        } else {
            assert_eq!(ours.join(" "), theirs, "{text:?}");
        }
    }
}

#[test]
fn cookies_are_written_alike() {
    // 2.x writes its own in another way.
    let has_them = |release: &PathBuf| {
        let kernel = std::fs::read_to_string(release.join("AnyEvent/MP/Kernel.pm"));
        kernel.is_ok_and(|text| text.contains("sub alnumbits"))
    };
    let Some(release) = releases().into_iter().rfind(has_them) else {
        println!("NOT RUN: no release of AnyEvent::MP with alnumbits");
        return;
    };
    if perl(&["Math::GMP"], |_| (), "").is_some() {
        println!("NOT RUN: with Math::GMP, Perl writes cookies in base 62");
        return;
    }
    let script = "print join ' ', map AnyEvent::MP::Kernel::alnumbits(pack 'C*', $_ .. $_ + 63), 0, 64, 128, 192";
    let set_up = |command: &mut Command| {
        command.arg("-I").arg(release).arg("-MAnyEvent::MP::Kernel");
        command.env("PERL_ANYEVENT_MP_RC", "");
    };
    let Some(theirs) = perl(&["AnyEvent", "JSON::XS"], set_up, script) else {
        return;
    };
    let ours = [0u8, 64, 128, 192].map(|start| {
        let octets: Vec<u8> = (start..=start + 63).collect();
        alnumbits(&octets)
    });
    assert_eq!(ours.join(" "), theirs);
}

/// A file that we saved is one that Perl reads, and Perl's is one that we read.
#[test]
fn files_go_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rc");
    let mut rc = RcFile::load(file.clone()).unwrap();
    let seed = rc.profile_mut("s\u{fc}d").unwrap();
    seed.insert("binds".into(), json!(["*:4040"]));
    rc.root_mut().insert("secret".into(), json!("\u{20ac}\t\""));
    rc.save().unwrap();
    let Some(release) = releases().pop() else {
        return;
    };
    let script = r#"
        use utf8;
        my $config = AnyEvent::MP::Config::config;
        $config->{echo} = [$config->{secret}, $config->{profile}{"süd"}{binds}];
        ++$config->{dirty};
    "#;
    let set_up = |command: &mut Command| {
        command.arg("-I").arg(release).arg("-MAnyEvent::MP::Config");
        command.env("PERL_ANYEVENT_MP_RC", &file);
    };
    let modules = ["AnyEvent", "JSON::XS", "common::sense"];
    if perl(&modules, set_up, script).is_none() {
        return;
    }
    let read = RcFile::load(file).unwrap();
    assert_eq!(read.root()["echo"], json!(["\u{20ac}\t\"", ["*:4040"]]));
    assert_eq!(read.root()["secret"], rc.root()["secret"]);
}
