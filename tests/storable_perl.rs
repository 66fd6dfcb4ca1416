//! The `storable` framing against Perl's Storable: what Rust writes it reads, what it writes Rust
//! reads, and what is no message is refused by its name.
//!
//! One Perl process answers all questions, one line each. `AEMP_SEED` sets the seed of all that is
//! random. Without Perl, Storable and JSON::XS the test is not run, but with `CI` set it fails.
//!
//! Numbers are the same if they differ by less than 1 part in 10^14: Storable writes floats as
//! strings of 15 digits.

#[path = "support/perl.rs"]
mod perl;

use aemp::proto::framing::Limits;
use aemp::proto::framing::storable::{StorableScanner, storable_to_json, write_message};
use perl::{Perl, Random, hex, read_streams, unhex};

/// How Storable writes and reads, and messages that only Perl can make, behind what `values.pl`
/// has.
const PERL: &str = r##"
use Storable ();
sub frame { pack "w/a*", Storable::nfreeze ($_[0]) }
$encode = \&frame;
$decode = sub { Storable::thaw (unpack "w/a*", $_[0]) };
# References to anything are looked through, and booleans are numbers.
$plain = sub {
   my ($value) = @_;
   $value = $$value while ref ($value) =~ /^(SCALAR|REF)$/;
   ref ($value) =~ /Bool/ ? 0 + !!$value : $value
};
# Storable keeps no difference between numbers and strings, nor does Perl.
$scalar = sub {
   my ($was, $is) = @_;
   return "" unless defined $was;
   no warnings "numeric";
   $was eq $is || "$was$is" =~ /^[-+.0-9e]+$/ && abs ($was - $is) <= 1e-14 * abs $was ? "" : "another scalar"
};

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

serve $Storable::VERSION,
   special => sub { local $Storable::Deparse = 1; @made = $special{$_[0]}->(); "ok " . unpack "H*", frame ($made[0]) },
   native  => sub { "ok " . unpack "H*", pack "w/a*", Storable::freeze (["p", 1.5]) },
   # The same message as a frame and as JSON.
   same    => sub { verdict ($decode->(pack "H*", $_[0]), $json->decode (pack "H*", $_[1])) },
   # Is it the image that Perl makes of that JSON?
   image   => sub { local $Storable::canonical = 1; "ok " . unpack "H*", frame ($json->decode (pack "H*", $_[0])) };
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
    let Some((mut perl, mut random)) = Perl::to_compare(
        "the storable framing with Storable",
        PERL,
        "Storable or JSON::XS",
    ) else {
        return;
    };
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
        let request = format!("same {} {}", hex(&frame), hex(&sent));
        perl.agrees(&request, sent.escape_ascii());
    }
    // Octet by octet what Perl writes. (Hashes of one key, as their order is Perl's. No Latin-1,
    // which JSON::XS reads as UTF-8: it is text there and octets here, but the same string.)
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
    let scanner = || StorableScanner::new(Limits::default());
    read_streams(perl, random, scanner, |perl, scanner, written| {
        let frame = scanner.next(written.came).unwrap()?;
        let octets = &written.came[..frame.end];
        assert_eq!(octets, written.octets);
        let json = json_of(octets).unwrap();
        let number = written.number;
        let request = format!("checkjson {number} {}", hex(&json));
        perl.agrees(&request, json.escape_ascii());
        let request = format!("check {number} {}", hex(&framed(&json)));
        perl.agrees(&request, json.escape_ascii());
        Some(frame.end)
    });
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
        let shown = format!("{name}: {}", json.escape_ascii());
        perl.agrees(&format!("checkjson 0 {}", hex(&json)), shown);
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

/// What Storable takes and Rust does not is no matter: Storable looks at little, and reads what is
/// cut off as undefined.
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
        // Keys that are marked as UTF-8 without need, as Storable does not write them: Perl then
        // does not find them again. And what only weak references refer to is gone for Perl.
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
