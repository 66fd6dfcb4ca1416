//! The `storable` framing against Perl's Storable: what Rust writes it reads, what it writes Rust
//! reads, and what is no message is refused by its name.
//!
//! One Perl process answers all questions, one line each. `AEMP_SEED` sets the seed of all
//! that is random. Without Perl, Storable and JSON::XS the test is not run, but with `CI` set it fails.
//!
//! Numbers are the same if they differ by less than 1 part in 10^14: Storable writes floats as strings
//! of 15 digits.

#[path = "support/perl.rs"]
mod perl;

use aemp::proto::framing::Limits;
use aemp::proto::framing::storable::{StorableScanner, storable_to_json, write_message};
use perl::{Perl, Random, hex, unhex};

/// Requests are a word and arguments, octet strings in hexadecimal.
const PERL: &str = r##"
use strict; use warnings; no warnings 'once'; no warnings 'portable';
use JSON::XS (); use Storable ();
$| = 1;
my $json = JSON::XS->new->utf8;
my @made;

sub pick { $_[rand @_] }
sub char {
   pick sub { chr 32 + rand 95 }, sub { chr rand 256 }, sub { chr rand 32 },
        sub { pick '"', '\\', '/', "\x{7f}", "\x{d7ff}", "\x{e000}", "\x{feff}", "\x{ffff}" },
        sub { chr 0x100 + rand 0xd600 }, sub { chr 0x10000 + rand 0x100000 };
}
sub string {
   my $char = rand () < .5 ? sub { chr 32 + rand 95 } : rand () < .5 ? sub { chr rand 256 } : \&char;
   join '', map { my $c = $char->(); ref $c ? $c->() : $c } 1 .. rand 24
}
sub integer {
   my $u = (int (rand 2**32) << 32 | int rand 2**32) >> int rand 64;
   pick $u, unpack ("q", pack "Q", $u), 0, -1, 18446744073709551615, -9223372036854775807 - 1
}
sub float {
   pick unpack ("d>", "\x80\0\0\0\0\0\0\0"), 1e20, 1.5, -2.25, 0.1, 1e-7, 1e300,
        (rand () - .5) * 10 ** int (rand 60) / 1e30
}
sub value {
   my ($depth) = @_;
   my $r = rand ($depth > 4 ? 6 : 9);
   return undef                                                       if $r < .5;
   return pick Types::Serialiser::true (), Types::Serialiser::false () if $r < 1;
   return integer () if $r < 2;
   return float ()   if $r < 3;
   return string ()  if $r < 6;
   return [map value ($depth + 1), 1 .. rand 6] if $r < 7.5;
   +{ map { string () => value ($depth + 1) } 1 .. rand 6 }
}
sub message { rand () < .05 ? [] : [rand () < .9 ? string () : integer (), map value (0), 1 .. rand 5] }

# In what does what came back differ from what was sent? In nothing if empty. Storable keeps no
# difference between numbers and strings, nor does Perl.
sub differ {
   my ($was, $is, $path) = @_;
   for ($was, $is) { $_ = $$_ while ref =~ /^(SCALAR|REF)$/ }
   for ($was, $is) { $_ = 0 + !!$_ if ref =~ /Bool/ }
   return "$path: another type: $was, $is" if ref $was ne ref $is or defined $was ne defined $is;
   if (ref $was eq "ARRAY") {
      return "$path: another length" if @$was != @$is;
      for (0 .. $#$was) { my $d = differ ($was->[$_], $is->[$_], "$path\[$_]"); return $d if $d }
   } elsif (ref $was eq "HASH") {
      return "$path: another size" if keys %$was != keys %$is;
      for (keys %$was) {
         return "$path: a key is missing" unless exists $is->{$_};
         my $d = differ ($was->{$_}, $is->{$_}, "$path\{}"); return $d if $d
      }
   } elsif (defined $was) {
      no warnings "numeric";
      return "$path: another scalar" unless $was eq $is
         or "$was$is" =~ /^[-+.0-9e]+$/ && abs ($was - $is) <= 1e-14 * abs $was;
   }
   ""
}
sub frame { pack "w/a*", Storable::nfreeze ($_[0]) }

my $twice = [1, "x"];
my $loop = [2]; push @$loop, $loop;
my $true = JSON::XS::decode_json ('[true]')->[0];
my %special = (
   twice    => sub { ["p", $twice, { k => $twice }, $twice] },
   scalars  => sub { my $s = "s"; ["p", \$s, \$s, \\$s] },
   booleans => sub { ["p", $true, JSON::XS::decode_json ('[false]')->[0], [$true, $true], !!1, !!0] },
   sparse   => sub { my @a = ("p"); $a[3] = 1; \@a },
   locked   => sub { require Hash::Util; my $h = { a => 1 }; &Hash::Util::lock_ref_keys ($h, qw(a b c)); ["p", $h] },
   upgraded => sub { my $k = "caf\xe9"; utf8::upgrade $k; my $d = "\xe9"; ["p", { $k => $k }, $d, "$d\x{100}"] },
   weak     => sub { require Scalar::Util; my $m = ["p", $twice]; Scalar::Util::weaken ($m->[1]); $m },
   numbers  => sub { ["p", map $_ + 0, -129, 128, 2**31 - 1, -2**31, 2**31, 2**32, -2**31 - 1, 2**53, 1.5, -0.0, 1e20, 9**9**9] },
   long     => sub { ["p", "x" x 255, "x" x 256, "\x{263a}" x 85, "\x{263a}" x 86, "x" x 70000] },
   deep     => sub { my $m = []; $m = [$m] for 1 .. 400; ["p", $m] },
   loop     => sub { ["p", $loop] },
   itself   => sub { my $r; $r = \$r; ["p", $r] },
   object   => sub { ["p", bless [], "Some::Class"] },
   hooked   => sub { ["p", bless {}, "Hooked"] },
   regexp   => sub { ["p", qr/a/] },
   version  => sub { ["p", v1.2.3] },
   tied     => sub { tie my @a, "Tied"; ["p", \@a] },
   hash     => sub { +{ a => 1 } },
   code     => sub { ["p", sub { 1 }] },
);
sub Hooked::STORABLE_freeze { "frozen" }
sub Hooked::STORABLE_thaw { }
sub Tied::TIEARRAY { bless [] }

my %do = (
   seed    => sub { srand $_[0]; "ok" },
   make    => sub { @made = map message (), 1 .. $_[0]; join " ", "ok", map { unpack "H*", frame ($_) } @made },
   special => sub { local $Storable::Deparse = 1; @made = $special{$_[0]}->(); "ok " . unpack "H*", frame ($made[0]) },
   native  => sub { "ok " . unpack "H*", pack "w/a*", Storable::freeze (["p", 1.5]) },
   # The message as a frame, against the one made before.
   check   => sub { my $d = differ ($made[$_[0]], Storable::thaw (unpack "w/a*", pack "H*", $_[1]), "message"); $d ? "err $d" : "ok" },
   checkjson => sub { my $d = differ ($made[$_[0]], $json->decode (pack "H*", $_[1]), "message"); $d ? "err $d" : "ok" },
   # The same message as a frame and as JSON.
   same    => sub { my $d = differ (Storable::thaw (unpack "w/a*", pack "H*", $_[0]), $json->decode (pack "H*", $_[1]), "message"); $d ? "err $d" : "ok" },
   # Is it the image that Perl makes of that JSON?
   image   => sub { local $Storable::canonical = 1; "ok " . unpack "H*", frame ($json->decode (pack "H*", $_[0])) },
);
print "ready $Storable::VERSION\n";
while (<STDIN>) {
   my ($what, @arguments) = split;
   my $answer = eval { $do{$what}->(@arguments) } // "err $@";
   $answer =~ s/\n/ /g;
   print "$answer\n";
}
"##;

impl Random {
    fn mutate(&mut self, octets: &mut Vec<u8>) {
        let at = self.below(octets.len() + 1);
        let octet = self.below(36) as u8;
        match self.below(4) {
            0 => octets.insert(at, octet),
            1 if at < octets.len() => octets[at] ^= 1 << self.below(8),
            2 if at < octets.len() => drop(octets.remove(at)),
            _ if at < octets.len() => octets[at] = octet,
            _ => {}
        }
    }
}

#[test]
fn agrees_with_storable() {
    let mut perl = match Perl::start(PERL, "Storable or JSON::XS") {
        Ok(perl) => perl,
        Err(why) if std::env::var_os("CI").is_some() => panic!("{why}"),
        Err(why) => {
            eprintln!("NOT RUN: comparison of the storable framing with Storable: {why}");
            return;
        }
    };
    let seed = match std::env::var("AEMP_SEED") {
        Ok(seed) => seed.parse().expect("AEMP_SEED is a number"),
        Err(_) => 4040,
    };
    eprintln!("AEMP_SEED={seed}");
    perl.ask(&format!("seed {}", seed & 0x7fff_ffff)).unwrap();
    let mut random = Random(seed);
    perl_reads_what_rust_writes(&mut perl, &mut random);
    rust_reads_what_perl_writes(&mut perl, &mut random);
    special_messages(&mut perl);
    what_rust_accepts_perl_does(&mut perl, &mut random);
}

fn framed(json: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    write_message(&mut frame, json).unwrap();
    frame
}

/// The JSON of the one message in `frame`.
fn json_of(frame: &[u8]) -> Result<Vec<u8>, String> {
    let found = StorableScanner::new(Limits::default()).next(frame);
    let found = found.map_err(|e| e.to_string())?.ok_or("incomplete")?;
    if found.end != frame.len() {
        return Err("more than one message".into());
    }
    let mut json = Vec::new();
    let image = &frame[found.start..found.end];
    storable_to_json(&mut json, image, Limits::default()).map_err(|e| e.to_string())?;
    Ok(json)
}

fn perl_reads_what_rust_writes(perl: &mut Perl, random: &mut Random) {
    for _ in 0..2500 {
        let sent = serde_json::to_vec(&random.message()).unwrap();
        let frame = framed(&sent);
        let verdict = perl.ask(&format!("same {} {}", hex(&frame), hex(&sent)));
        assert_eq!(verdict, Ok(String::new()), "{}", sent.escape_ascii());
    }
    // Octet by octet what Perl writes. (Hashes of one key, as their order is Perl's. No Latin-1, which
    // JSON::XS reads as UTF-8: it is text there and octets here, but the same string.)
    for json in [
        r#"["p"]"#,
        "[]",
        r#"["p",0,1,-1,127,-128,128,-129,2147483647,-2147483648,2147483648,-2147483649,18446744073709551615]"#,
        r#"["p",1.5,0.1,1e20,-2.25,1e-7]"#,
        r#"["p","","caf","\u263a",null,[],{},[[{}]],{"a":{"b":[1,{"c":null}]}}]"#,
        r#"["p",{"\u263a":1}]"#,
    ] {
        let image = perl
            .ask(&format!("image {}", hex(json.as_bytes())))
            .unwrap();
        let ours = hex(&framed(json.as_bytes()));
        assert_eq!(ours, image, "{json}");
    }
}

fn rust_reads_what_perl_writes(perl: &mut Perl, random: &mut Random) {
    for _ in 0..250 {
        let messages = perl.ask("make 10").unwrap();
        let messages: Vec<_> = messages.split(' ').map(unhex).collect();
        let stream = messages.concat();
        let mut scanner = StorableScanner::new(Limits::default());
        let (mut rest, mut buf, mut found) = (&stream[..], Vec::new(), 0);
        while !rest.is_empty() {
            let most = random.pick(&[1, 10, 100, 1000]);
            let (chunk, later) = rest.split_at(rest.len().min(1 + random.below(most)));
            buf.extend_from_slice(chunk);
            rest = later;
            while let Some(frame) = scanner.next(&buf).unwrap() {
                assert_eq!(&buf[..frame.end], messages[found]);
                let json = json_of(&buf[..frame.end]).unwrap();
                let verdict = perl.ask(&format!("checkjson {found} {}", hex(&json)));
                assert_eq!(verdict, Ok(String::new()), "{}", json.escape_ascii());
                let verdict = perl.ask(&format!("check {found} {}", hex(&framed(&json))));
                assert_eq!(verdict, Ok(String::new()), "{}", json.escape_ascii());
                found += 1;
                buf.drain(..frame.end);
            }
        }
        assert_eq!((found, buf.len()), (messages.len(), 0));
    }
}

fn special_messages(perl: &mut Perl) {
    for name in [
        "twice", "scalars", "booleans", "sparse", "locked", "upgraded", "weak", "numbers", "long",
        "deep",
    ] {
        let frame = perl.ask(&format!("special {name}")).unwrap();
        let json = json_of(&unhex(&frame)).unwrap_or_else(|e| panic!("{name}: {e}"));
        if name == "numbers" {
            // JSON has no infinity, so it is the string that Storable makes of it.
            assert!(json.ends_with(b",\"Inf\"]"), "{}", json.escape_ascii());
        }
        let verdict = perl.ask(&format!("checkjson 0 {}", hex(&json)));
        assert_eq!(
            verdict,
            Ok(String::new()),
            "{name}: {}",
            json.escape_ascii()
        );
    }
    for (name, what) in [
        ("loop", "contains itself"),
        ("itself", "contains itself"),
        ("object", "object of the class 'Some::Class'"),
        ("hooked", "object with a hook"),
        ("regexp", "object of the class 'Regexp'"),
        ("version", "version string"),
        ("tied", "tied value"),
        ("hash", "not an array"),
        ("code", "code"),
    ] {
        let frame = perl.ask(&format!("special {name}")).unwrap();
        let error = json_of(&unhex(&frame)).unwrap_err();
        assert!(error.contains(what), "{name}: {error}");
    }
    let native = perl.ask("native").unwrap();
    let error = json_of(&unhex(&native)).unwrap_err();
    assert!(error.contains("not in network order"), "{error}");
}

/// What Storable takes and Rust does not is no matter: Storable looks at little, and reads what is cut
/// off as undefined.
fn what_rust_accepts_perl_does(perl: &mut Perl, random: &mut Random) {
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..6000 {
        let mut frame = framed(&serde_json::to_vec(&random.message()).unwrap());
        for _ in 0..random.below(3) {
            random.mutate(&mut frame);
        }
        let Ok(json) = json_of(&frame) else {
            refused += 1;
            continue;
        };
        // Booleans of newer Perls.
        if frame.iter().any(|octet| matches!(octet, 34 | 35)) {
            continue;
        }
        accepted += 1;
        let verdict = perl.ask(&format!("same {} {}", hex(&frame), hex(&json)));
        // Keys that are marked as UTF-8 without need, as Storable does not write them: Perl then does
        // not find them again. And what only weak references refer to is gone for Perl.
        let is_perls = |e: &String| {
            e.ends_with("a key is missing") || e.contains("another type: , ") && frame.contains(&27)
        };
        if verdict.as_ref().is_err_and(is_perls) {
            continue;
        }
        assert_eq!(verdict, Ok(String::new()), "{}", hex(&frame));
    }
    eprintln!("{accepted} images accepted, {refused} not");
    assert!(accepted > 400 && refused > 400, "one-sided images");
}
