//! The `json` framing against the decoder and encoder that Perl nodes use, JSON::XS: what Rust
//! writes it reads, what it writes Rust reads, and both refuse the same texts.
//!
//! One Perl process answers all questions, one line each. `AEMP_SEED` sets the seed of all
//! that is random. Without Perl and JSON::XS the test is not run, but with `CI` set it fails.
//!
//! JSON::XS writes floats with 15 digits (`%.15g`) and may miss the last bit when it reads
//! them, so floats are the same here if they differ by less than 1 part in 10^14. Very large
//! and very small ones it reads with larger errors (6.787496249677412e-297 becomes
//! 6.7874962496762e-297), so random floats stay between 1e-40 and 1e40.

#[path = "support/perl.rs"]
mod perl;

use aemp::proto::framing::json::{ElementKind, JsonScanner};
use aemp::proto::framing::{FramingError, Limits};
use perl::{Perl, Random, hex, unhex};
use serde_json::Value;

/// Requests are a word and arguments, octet strings in hexadecimal.
const PERL: &str = r##"
use strict; use warnings; no warnings 'portable';
use B (); use JSON::XS ();
$| = 1;
my $xs = JSON::XS->new->utf8;
my $canonical = JSON::XS->new->utf8->canonical;
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

sub kind {
   my $flags = B::svref_2object (\$_[0])->FLAGS;
   $flags & B::SVf_POK ? "string" : $flags & B::SVf_IOK ? "integer" : $flags & B::SVf_NOK ? "float" : "nothing"
}
# In what does what came back differ from what was sent? In nothing if empty.
sub differ {
   my ($path) = $_[2];
   return "$path: another type" if ref $_[0] xor ref $_[1];
   if (ref $_[0]) {
      my ($was, $is) = @_;
      return "$path: another type" if ref $was ne ref $is;
      if (ref $was eq "ARRAY") {
         return "$path: another length" if @$was != @$is;
         for (0 .. $#$was) { my $d = differ ($was->[$_], $is->[$_], "$path\[$_]"); return $d if $d }
      } elsif (ref $was eq "HASH") {
         return "$path: another size" if keys %$was != keys %$is;
         for (keys %$was) {
            return "$path: a key is missing" unless exists $is->{$_};
            my $d = differ ($was->{$_}, $is->{$_}, "$path\{}"); return $d if $d
         }
      } else { return "$path: another boolean" if !!$was ne !!$is }
      return "";
   }
   my ($was, $is) = (kind ($_[0]), kind ($_[1]));
   # JSON::XS reads its own -2**63 as a string.
   return "" if $was eq "integer" && $is eq "string" && $_[1] eq "-9223372036854775808" && $_[0] == $_[1];
   return "$path: $was became $is" if $was ne $is && !($was eq "float" && $is eq "integer");
   return $_[0] eq $_[1] ? "" : "$path: another string" if $was eq "string";
   return $_[0] == $_[1] ? "" : "$path: another integer" if $was eq "integer";
   return abs ($_[0] - $_[1]) <= 1e-14 * abs $_[0] ? "" : "$path: another float" if $was eq "float";
   ""
}
# Does it name a port?
sub good { ref $_[0] eq "ARRAY" and !@{$_[0]} || defined $_[0][0] && !ref $_[0][0] }

my %do = (
   seed  => sub { srand $_[0]; "ok" },
   again => sub { "ok " . unpack "H*", $canonical->encode ($xs->decode (pack "H*", $_[0])) },
   make  => sub { @made = map message (), 1 .. $_[0]; join " ", "ok", map { unpack "H*", JSON::XS::encode_json ($_) } @made },
   check => sub { my $d = differ ($made[$_[0]], $xs->decode (pack "H*", $_[1]), "message"); $d ? "err $d" : "ok" },
   judge => sub {
      my $text = pack "H*", $_[0] // "";
      my $whole = eval { good ($xs->decode ($text)) } ? 1 : 0;
      my ($stream, $n, $bad) = (JSON::XS->new->utf8, 0, 0);
      eval {
         $stream->incr_parse ($text);
         while (my $value = $stream->incr_parse) { last unless good ($value); $n++ }
         1
      } or $bad = 1;
      "ok $whole $n $bad"
   },
);
print "ready $JSON::XS::VERSION\n";
while (<STDIN>) {
   my ($what, @arguments) = split;
   my $answer = eval { $do{$what}->(@arguments) } // "err $@";
   $answer =~ s/\n/ /g;
   print "$answer\n";
}
"##;

impl Random {
    fn mutate(&mut self, text: &mut Vec<u8>) {
        const OCTETS: &[u8] =
            b"[]{},:\"\\/ \n\t01-+.eEtfnul#'\0\x1f\x7f\x80\xbf\xc0\xc3\xe0\xed\xa0\xf0\xf4\xf5\xff";
        let at = self.below(text.len() + 1);
        let octet = self.pick(OCTETS);
        match self.below(5) {
            0 => text.insert(at, octet),
            1 if at < text.len() => text[at] = octet,
            2 if at < text.len() => text[at] ^= 1 << self.below(8),
            3 if at < text.len() => drop(text.remove(at)),
            _ if self.below(4) == 0 => text.truncate(at),
            _ => {
                let words: [&[u8]; 12] = [
                    b"null",
                    b"01",
                    b"1e5",
                    b"-",
                    b"1.",
                    b"\\u12",
                    b"\\ud800",
                    b"\\udc00",
                    b"\xed\xa0\x80",
                    b"\xf4\x90\x80\x80",
                    b"[]",
                    b",{\"a\":1}",
                ];
                let word = self.pick(&words);
                text.splice(at..at, word.iter().copied());
            }
        }
    }
}

/// Equal, but for the last bits of floats and the type of whole ones.
fn same(sent: &Value, came: &Value) -> bool {
    match (sent, came) {
        (Value::Number(sent), Value::Number(came)) if sent.is_f64() => {
            let (sent, came) = (sent.as_f64().unwrap(), came.as_f64().unwrap());
            (sent - came).abs() <= 1e-14 * sent.abs()
        }
        (Value::Array(sent), Value::Array(came)) => {
            sent.len() == came.len() && sent.iter().zip(came).all(|(s, c)| same(s, c))
        }
        (Value::Object(sent), Value::Object(came)) => {
            let same = |(key, value)| came.get(key).is_some_and(|c| same(value, c));
            sent.len() == came.len() && sent.iter().all(same)
        }
        _ => sent == came,
    }
}

#[test]
fn agrees_with_json_xs() {
    let mut perl = match Perl::start(PERL, "JSON::XS") {
        Ok(perl) => perl,
        Err(why) if std::env::var_os("CI").is_some() => panic!("{why}"),
        Err(why) => {
            eprintln!("NOT RUN: comparison of the json framing with JSON::XS: {why}");
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
    both_refuse_the_same(&mut perl, &mut random);
}

fn perl_reads_what_rust_writes(perl: &mut Perl, random: &mut Random) {
    for _ in 0..2500 {
        let sent = random.message();
        let text = serde_json::to_vec(&sent).unwrap();
        let came = perl.ask(&format!("again {}", hex(&text)));
        let came = unhex(&came.unwrap_or_else(|e| panic!("{e}: {sent}")));
        let came: Value = serde_json::from_slice(&came).unwrap();
        assert!(same(&sent, &came), "sent {sent}\ncame {came}");
    }
}

fn rust_reads_what_perl_writes(perl: &mut Perl, random: &mut Random) {
    for _ in 0..250 {
        let texts = perl.ask("make 10").unwrap();
        let texts: Vec<_> = texts.split(' ').map(unhex).collect();
        let stream = texts.concat();
        let mut scanner = JsonScanner::new(Limits::default());
        let (mut rest, mut buf, mut found) = (&stream[..], Vec::new(), 0);
        while !rest.is_empty() {
            let most = random.pick(&[1, 10, 100, 1000]);
            let (chunk, later) = rest.split_at(rest.len().min(1 + random.below(most)));
            buf.extend_from_slice(chunk);
            rest = later;
            while let Some(frame) = scanner.next(&buf).unwrap() {
                let text = &buf[frame.start..frame.end];
                assert_eq!(text, texts[found]);
                let value: Value = serde_json::from_slice(text).unwrap();
                let elements = frame.dest.iter().chain(&frame.tag);
                for (element, value) in elements.zip(value.as_array().unwrap()) {
                    match value {
                        Value::String(s) => assert_eq!(element.text(&buf), s.as_str()),
                        Value::Number(_) => assert_eq!(element.kind, ElementKind::Number),
                        _ => assert_eq!(element.kind, ElementKind::Other),
                    }
                }
                let back = serde_json::to_vec(&value).unwrap();
                let verdict = perl.ask(&format!("check {found} {}", hex(&back)));
                assert_eq!(verdict, Ok(String::new()), "{}", text.escape_ascii());
                found += 1;
                buf.drain(..frame.end);
            }
        }
        assert_eq!((found, buf.len()), (texts.len(), 0));
    }
}

/// Texts at the edges of what is JSON.
#[rustfmt::skip]
const EDGES: &[&[u8]] = &[
    b"", b" ", b"[", b"]", b"[]", b"[ ]", b" \t\r\n[\t1\r,\n2 ] \n", b"[][]", b"[] []", b"[],[]", b"[]]",
    b"[0]", b"[-0]", b"[-0.0]", b"[01]", b"[-]", b"[--1]", b"[-01]", b"[00]", b"[1.]", b"[.5]", b"[+1]",
    b"[1e5]", b"[1E+5]", b"[1e]", b"[1e+]", b"[1.e5]", b"[0e0]", b"[0x1]", b"[1.5.5]", b"[1-1]",
    b"[1e400]", b"[-1e400]", b"[1e-400]", b"[18446744073709551616]", b"[123456789012345678901234567890]",
    b"[1,NaN]", b"[1,Infinity]", b"[1,nul]", b"[1,nullx]", b"[1,true1]", b"[1,True]", b"[1,truefalse]",
    b"\xef\xbb\xbf[1]", b"[1]\0", b"\0[1]", b"[\0]", b"[\"\0\"]", b"[\"\x1f\"]", b"[\"\x7f\"]", b"[\"\t\"]",
    b"\x0c[1]", b"\x0b[1]", b"[1\x0c]", b"[\xc2\xa01]", b"['a']", b"[#c\n1]", b"#c\n[1]", b"[1]#c\n[2]",
    br#"["\u0000"]"#, br#"["\ud800"]"#, br#"["\udc00"]"#, br#"["\ud800\udc00"]"#, br#"["\ud800\ud800"]"#,
    br#"["\ud800x"]"#, br#"["\ud800\n"]"#, br#"["\uD83D\uDe00"]"#, br#"["\u12"]"#, br#"["\u12G4"]"#,
    br#"["\/"]"#, br#"["\x41"]"#, br#"["\a"]"#, br#"["\'"]"#, br#"["\uffff\ufffe"]"#, br#"["a\\"]"#,
    b"[\"\x80\"]", b"[\"\xc0\x80\"]", b"[\"\xc1\xbf\"]", b"[\"\xc3\"]", b"[\"\xe0\x80\x80\"]", b"[\"\xe2\x82\"]",
    b"[\"\xed\x9f\xbf\"]", b"[\"\xed\xa0\x80\"]", b"[\"\xed\xb0\x80\"]", b"[\"\xef\xbf\xbf\"]",
    b"[\"\xf0\x80\x80\x80\"]", b"[\"\xf4\x8f\xbf\xbf\"]", b"[\"\xf4\x90\x80\x80\"]", b"[\"\xff\"]",
    b"[\"\xbb\xe8\x95\xbe\"]", b"[\"\xf8\x88\x80\x80\x80\"]", b"[\"\xfc\x84\x80\x80\x80\x80\"]", b"[\"\xfe\x84\x80\x80\x80\x80\x80\"]",
    br#"{"a":1}"#, br#"[1,{"a":1,"a":2}]"#, b"[1,{a:1}]", br#"[1,{"a"}]"#, br#"[1,{"a":}]"#, b"[1,{,}]",
    br#"[1,{"a":1,}]"#, b"[1,]", b"[,1]", b"[1 2]", br#"["a" "b"]"#, b"[1}", b"[1,{]", br#"[1,{"a":1]"#,
    br#"[1,{"" : 1}]"#, b"[1,{1:1}]", br#"[1,{"a":1 "b":2}]"#, br#"["a":1]"#, br#"[1,{"a",1}]"#,
    b"[1,{null:1}]", b"[1,[]1]", b"[1,[][]]", b"[1,{}{}]", b"1", b"\"a\"", b"null", b"[null]", b"[[]]", b"[{}]",
    b"[true]", b"[1]x", b"[1]null[2]", b"[1]1[2]", b"[1,{\"\xff\":1}]", b"[1,{\"a\tb\":1}]", br#"[1,{"\q":1}]"#,
];

fn both_refuse_the_same(perl: &mut Perl, random: &mut Random) {
    for text in EDGES {
        compare_verdicts(perl, text);
    }
    for depth in [511, 512, 513] {
        for (open, close) in [("[", "]"), ("{\"k\":", "}")] {
            let (open, close) = (open.repeat(depth - 1), close.repeat(depth - 1));
            compare_verdicts(perl, format!("[1,{open}0{close}]").as_bytes());
        }
    }
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..4000 {
        let mut text = Vec::new();
        for _ in 0..1 + random.below(2) {
            serde_json::to_writer(&mut text, &random.message()).unwrap();
        }
        for _ in 0..random.below(3) {
            random.mutate(&mut text);
        }
        match compare_verdicts(perl, &text) {
            true => accepted += 1,
            false => refused += 1,
        }
    }
    eprintln!("{accepted} texts accepted as one message, {refused} not, by both");
    assert!(accepted > 400 && refused > 400, "one-sided texts");
}

/// Panics unless JSON::XS and the scanner agree on `text`, as one message and as a stream.
/// Is it one message?
///
/// The differences that are meant:
/// - JSON::XS takes surrogates and characters beyond U+10FFFF as UTF-8, and some stray octets
///   (80 to C1, ED) together with the character behind them; the scanner does not;
/// - in a stream, JSON::XS waits for the brackets to balance before it looks for errors, and
///   after a NUL octet for ever, so where the scanner gives an error JSON::XS may wait;
/// - what is no array or has no destination is not an error to JSON::XS; the Perl side stops
///   counting messages there.
fn compare_verdicts(perl: &mut Perl, text: &[u8]) -> bool {
    let shown = text.escape_ascii();
    let answer = perl.ask(&format!("judge {}", hex(text))).unwrap();
    let numbers: Vec<usize> = answer.split(' ').map(|n| n.parse().unwrap()).collect();
    let &[whole, count, bad] = &numbers[..] else {
        panic!("{answer}")
    };

    let mut scanner = JsonScanner::new(Limits::default());
    let (mut frames, mut at) = (0, 0);
    let end = loop {
        match scanner.next(&text[at..]) {
            Ok(Some(frame)) => {
                frames += 1;
                at += frame.end;
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let blank = text[at..].iter().all(u8::is_ascii_whitespace);
    let one = frames == 1 && blank && end.is_ok();

    if let Err(FramingError::Utf8 { offset }) = end {
        let is_perls = matches!(
            text[at + offset..],
            [0xed, 0xa0..=0xff, ..] | [0xf4..=0xff, ..] | [0x80..=0xc1, 0xc0..=0xff, ..]
        );
        if is_perls {
            assert!(count >= frames, "{shown}: {frames} messages, {answer}");
            return one;
        }
    }
    assert_eq!(
        one,
        whole == 1,
        "{shown}: as one message: {end:?}, {answer}"
    );
    assert_eq!(frames, count, "{shown}: messages: {end:?}, {answer}");
    if end.is_ok() {
        assert_eq!(bad, 0, "{shown}: JSON::XS refuses, the scanner waits");
    }
    one
}
