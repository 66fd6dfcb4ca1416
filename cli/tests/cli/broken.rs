//! Set-ups that are broken in one way each: the doctor names the fault.

use std::any::Any;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use super::Home;
use super::address::free_address;
use super::doctor::{Stranger, certificate, changed_by, faults, node, set_up};

/// Who has something wrong, and what must not end before the doctor has come.
struct Patient {
    home: Home,
    others: Vec<Box<dyn Any>>,
}

impl Patient {
    fn new(changed: &Value) -> Self {
        Self::from(set_up(changed))
    }

    /// One whose seed is another node, which has these settings.
    fn of_node(settings: &Value, changed: &Value) -> Self {
        let (home, running) = node(settings);
        let seed = running.address().to_owned();
        Self::with_seed(&seed, changed).beside(home).beside(running)
    }

    /// One whose seed is no node: a program that does this with each connection.
    fn of_stranger(serve: impl Fn(TcpStream) + Send + 'static) -> Self {
        let stranger = Stranger::new(serve);
        Self::with_seed(&stranger.address.to_string(), &json!({})).beside(stranger)
    }

    fn with_seed(address: &str, changed: &Value) -> Self {
        let with_seed = json!({"seeds": [address], "greeting_timeout": 1});
        Self::new(&changed_by(with_seed, changed))
    }

    fn beside(mut self, other: impl Any) -> Self {
        self.others.push(Box::new(other));
        self
    }
}

impl From<Home> for Patient {
    fn from(home: Home) -> Self {
        Patient {
            home,
            others: Vec::new(),
        }
    }
}

/// A certificate whose time is over.
fn certificate_of_2001() -> String {
    let mut params = rcgen::CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2001, 1, 1);
    params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().pem() + &key.serialize_pem()
}

/// A set-up that is broken in one way.
struct Broken {
    what: &'static str,
    make: fn() -> Patient,
    /// What the doctor says of it.
    wanted: &'static [&'static str],
}

const BROKEN: &[Broken] = &[
    Broken {
        what: "a file that is no JSON",
        make: || {
            let home = Home::new();
            home.write("{ this is no JSON");
            home.into()
        },
        wanted: &["WRONG file: ", "mend it with an editor"],
    },
    Broken {
        what: "a file that everybody can read",
        make: || {
            let patient = Patient::new(&json!({}));
            patient.home.set_mode(0o644);
            patient
        },
        wanted: &["can be read by other users", "chmod 600"],
    },
    Broken {
        what: "a number that is none",
        make: || Patient::new(&json!({"max_depth": "deep"})),
        wanted: &["max_depth", "\"deep\""],
    },
    Broken {
        what: "a node ID that no node can have",
        make: || Patient::new(&json!({"nodeid": "two words"})),
        wanted: &["node", "two words"],
    },
    Broken {
        what: "no secret",
        make: || {
            let patient = Patient::new(&json!({}));
            let rc = r#"{"version":1,"nodeid":"patient","binds":["127.0.0.1:0"]}"#;
            patient.home.write(rc);
            patient
        },
        wanted: &["WRONG secret: there is none", "aemp gensecret"],
    },
    Broken {
        what: "TLS asked for, and no certificate",
        make: || Patient::new(&json!({"require_tls": 1})),
        wanted: &["WRONG certificate: require_tls is set, and there is no certificate"],
    },
    Broken {
        what: "a certificate that is none",
        make: || Patient::new(&json!({"cert": "nonsense"})),
        wanted: &["WRONG certificate: ", "aemp setcert FILE"],
    },
    Broken {
        what: "a certificate that has ended",
        make: || Patient::new(&json!({"cert": certificate_of_2001()})),
        wanted: &[
            "WRONG certificate: it was valid until 2002-01-01",
            "aemp gencert",
        ],
    },
    Broken {
        what: "a bind that another program has",
        make: || {
            let taken = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = taken.local_addr().unwrap().to_string();
            // It never greets; the doctor does not wait for long.
            Patient::new(&json!({"binds": [address], "greeting_timeout": 1})).beside(taken)
        },
        wanted: &["another program is listening there"],
    },
    Broken {
        what: "a bind that another node has",
        make: || {
            let (home, running) = node(&json!({"nodeid": "somebody"}));
            let patient = Patient::new(&json!({"binds": [running.address()]}));
            patient.beside(home).beside(running)
        },
        wanted: &["another node, somebody, is listening there"],
    },
    Broken {
        what: "a bind of another machine",
        make: || Patient::new(&json!({"binds": ["192.0.2.77:4040"]})),
        wanted: &["no interface of this machine has that address"],
    },
    Broken {
        what: "a bind whose name nobody knows",
        make: || Patient::new(&json!({"binds": ["nowhere.invalid:4040"]})),
        wanted: &["WRONG bind nowhere.invalid:4040: ", "correct `binds`"],
    },
    Broken {
        what: "neither binds nor seeds",
        make: || Patient::new(&json!({"binds": []})),
        wanted: &["listens nowhere and has no seeds"],
    },
    Broken {
        what: "a seed whose name nobody knows",
        make: || Patient::with_seed("nowhere.invalid:4040", &json!({})),
        wanted: &["WRONG seed nowhere.invalid:4040: ", "correct `seeds`"],
    },
    Broken {
        what: "a seed where nobody listens",
        make: || Patient::with_seed(&free_address(), &json!({})),
        wanted: &["can't connect: ", "nothing listens there"],
    },
    Broken {
        what: "a seed that says nothing",
        make: || {
            let silent = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = silent.local_addr().unwrap().to_string();
            Patient::with_seed(&address, &json!({})).beside(silent)
        },
        wanted: &[
            "does not greet within 1s",
            "no node, or its process stands still",
        ],
    },
    Broken {
        what: "a seed that is a web server",
        make: || {
            Patient::of_stranger(|mut stream| {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            })
        },
        wanted: &["what listens there is no node"],
    },
    Broken {
        what: "a seed that hangs up",
        make: || Patient::of_stranger(drop),
        wanted: &["it closes the connection before it has greeted"],
    },
    Broken {
        what: "another secret than the seed's",
        make: || {
            let secret = json!({"secret": "another secret, as long"});
            Patient::of_node(&json!({"nodeid": "seed"}), &secret)
        },
        wanted: &["WRONG seed ", "another `secret`", "aemp setsecret"],
    },
    Broken {
        what: "TLS asked for, and the seed has no certificate",
        make: || {
            let tls = json!({"cert": certificate(), "require_tls": 1});
            Patient::of_node(&json!({"nodeid": "seed"}), &tls)
        },
        wanted: &["WRONG seed ", "does not speak TLS", "aemp delrequire_tls"],
    },
    Broken {
        what: "a certificate that the seed does not trust",
        make: || {
            let theirs = json!({"nodeid": "seed", "cert": certificate()});
            Patient::of_node(&theirs, &json!({"cert": certificate()}))
        },
        wanted: &["WRONG seed ", "the same file has to be in both"],
    },
    Broken {
        what: "a generation that the seed does not speak",
        make: || {
            let old = json!({"nodeid": "old", "generation": "0"});
            Patient::of_node(&old, &json!({"generation": "2"}))
        },
        wanted: &["WRONG seed ", "mismatch", "aemp setgeneration auto"],
    },
    Broken {
        what: "a framing that the seed does not speak",
        make: || {
            let json = json!({"nodeid": "j", "framing_format": "json"});
            Patient::of_node(&json, &json!({"framing_format": "storable"}))
        },
        wanted: &[
            "WRONG seed ",
            "no common framing",
            "`framing_format` here and there",
        ],
    },
    Broken {
        what: "an ID that another node of the network has",
        make: || {
            let same = json!({"nodeid": "patient", "generation": "1"});
            let own = json!({"binds": [free_address()], "generation": "1"});
            Patient::of_node(&same, &own)
        },
        wanted: &["WRONG node ID: a node patient is in the network already"],
    },
];

#[test]
fn each_broken_set_up() {
    let looked_at: Vec<_> = BROKEN
        .iter()
        .map(|broken| (broken.what, faults(&(broken.make)().home, broken.wanted)))
        .filter_map(|(what, faults)| Some(format!("{what}: {}", faults?)))
        .collect();
    assert!(looked_at.is_empty(), "{}", looked_at.join("\n\n"));
}
