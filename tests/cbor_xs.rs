//! The `cbor` framing against the decoder and encoder that Perl nodes use, CBOR::XS: what Rust
//! writes it reads, what it writes Rust reads, both refuse the same octets, and a message is the
//! same to Perl whether it comes as CBOR or as JSON.
//!
//! One Perl process answers all questions, one line each. `AEMP_SEED` sets the seed of all
//! that is random. Without Perl and CBOR::XS the test is not run, but with `CI` set it fails.
//!
//! Where JSON::XS is involved, floats are the same if they differ by less than 1 part in 10^14, see
//! json_xs.rs.

#[path = "support/perl.rs"]
mod perl;

use aemp::proto::framing::cbor::{
    CborScanner, Deserializer, ElementKind, Serializer, cbor_to_json, json_to_cbor,
};
use aemp::proto::framing::{FramingError, Limits};
use perl::{Perl, Random, hex, judge_bent, judge_corpus, read_streams, scan, unhex};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How CBOR::XS writes, reads and judges, behind what `values.pl` has.
const PERL: &str = r##"
use CBOR::XS ();
my $xs = CBOR::XS->new;
$encode = \&CBOR::XS::encode_cbor;
$decode = sub { $xs->decode ($_[0]) };
# JSON::XS reads -0 as an integer.
$scalar = sub { kind ($_[0]) eq "integer" && kind ($_[1]) eq "float" && $_[0] == $_[1] ? "" : typed (@_) };
# Without anything that is done for a tag: what matters is how it is encoded.
sub untagged { CBOR::XS->new->forbid_objects->filter (sub { }) }

serve $CBOR::XS::VERSION,
   again => sub { "ok " . unpack "H*", CBOR::XS::encode_cbor ($xs->decode (pack "H*", $_[0])) },
   same  => sub { verdict ($json->decode (pack "H*", $_[1]), $xs->decode (pack "H*", $_[0])) },
   judge => sub {
      no warnings 'uninitialized'; # a map's key may be undef
      my $octets = pack "H*", $_[0] // "";
      my $whole = eval { good (untagged->decode ($octets)) } ? 1 : 0;
      my $why = $@;
      my ($stream, $n, $bad) = (untagged, 0, 0);
      eval {
         while (my ($value) = $stream->incr_parse ($octets)) { last unless good ($value); $n++ }
         1
      } or ($bad, $why) = (1, "$why $@");
      "ok $whole $n $bad $why"
   };
"##;

impl Random {
    fn mutate(&mut self, octets: &mut Vec<u8>) {
        const HEADS: &[u8] = b"\x00\x17\x18\x19\x1b\x1c\x1f\x20\x38\x3f\x40\x41\x42\x58\x5b\x5f\x60\x61\x62\x78\x7f\
            \x80\x81\x82\x98\x9b\x9f\xa0\xa1\xa2\xbf\xc1\xc7\xd8\xd9\xdf\xe0\xf4\xf5\xf6\xf7\xf8\xf9\xfa\xfb\xfc\xff\xc3\xa9";
        let at = self.below(octets.len() + 1);
        let octet = self.pick(HEADS);
        match self.below(5) {
            0 => octets.insert(at, octet),
            1 if at < octets.len() => octets[at] = octet,
            2 if at < octets.len() => octets[at] ^= 1 << self.below(8),
            3 if at < octets.len() => drop(octets.remove(at)),
            _ if self.below(4) == 0 => octets.truncate(at),
            _ => {
                let words: [&[u8]; 10] = [
                    b"\x5f\x41a\xff",
                    b"\x7f\x61a\xff",
                    b"\x9f\xff",
                    b"\xbf\xff",
                    b"\xbf\x41a\x01\xff",
                    b"\xd9\xd9\xf7",
                    b"\xc7\x80",
                    b"\xf9\x3c\x00",
                    b"\xf8\x20",
                    b"\x3b\xff\xff\xff\xff\xff\xff\xff\xff",
                ];
                let word = self.pick(&words);
                octets.splice(at..at, word.iter().copied());
            }
        }
    }
}

#[test]
fn agrees_with_cbor_xs() {
    let Some((mut perl, mut random)) = Perl::to_compare(
        "the cbor framing with CBOR::XS",
        PERL,
        "CBOR::XS (Debian: libcbor-xs-perl) or JSON::XS",
    ) else {
        return;
    };
    perl_reads_what_rust_writes(&mut perl, &mut random);
    rust_reads_what_perl_writes(&mut perl, &mut random);
    both_refuse_the_same(&mut perl, &mut random);
}

/// It arrives, but CBOR::XS writes the integer.
#[test]
fn minus_zero() {
    let modules = "CBOR::XS (Debian: libcbor-xs-perl) or JSON::XS";
    let Some((mut perl, _)) = Perl::to_compare("minus zero with CBOR::XS", PERL, modules) else {
        return;
    };
    let ours = encoded(&serde_json::json!([-0.0]));
    assert_eq!(ours, b"\x81\xfa\x80\x00\x00\x00");
    let typed = perl.ask(&format!("same {} {}", hex(&ours), hex(b"[-0.0]")));
    assert_eq!(typed, Ok(String::new()));
    let again = perl.ask(&format!("again {}", hex(&ours))).unwrap();
    assert_eq!(unhex(&again), b"\x81\x00");
}

fn encoded(message: &Value) -> Vec<u8> {
    let mut octets = Vec::new();
    message.serialize(Serializer::new(&mut octets)).unwrap();
    octets
}

fn decoded(octets: &[u8]) -> Value {
    Value::deserialize(&mut Deserializer::new(octets)).unwrap()
}

fn perl_reads_what_rust_writes(perl: &mut Perl, random: &mut Random) {
    for _ in 0..2500 {
        let sent = random.message();
        let octets = encoded(&sent);
        let came = perl.ask(&format!("again {}", hex(&octets)));
        let came = decoded(&unhex(&came.unwrap_or_else(|e| panic!("{e}: {sent}"))));
        assert_eq!(whole(&sent), whole(&came));
        // To Perl it is the same message in either framing.
        let json = serde_json::to_vec(&sent).unwrap();
        perl.agrees(&format!("same {} {}", hex(&octets), hex(&json)), &sent);
        // And so it is if it was transcoded on the way.
        let frame = CborScanner::new(Limits::default()).next(&octets);
        let frame = frame.unwrap().unwrap();
        let mut transcoded = Vec::new();
        cbor_to_json(&mut transcoded, &octets[frame.first..frame.last]).unwrap();
        let mut items = Vec::new();
        json_to_cbor(&mut items, &json).unwrap();
        assert_eq!(items, octets[frame.first..frame.last]);
        perl.agrees(
            &format!("same {} {}", hex(&octets), hex(&transcoded)),
            &sent,
        );
    }
}

/// The same with the floats integers that CBOR::XS takes for such.
fn whole(value: &Value) -> Value {
    match value {
        Value::Number(n) if n.is_f64() => match n.as_f64() {
            Some(f) if f.fract() == 0.0 && (0.0..4_294_967_296.0).contains(&f) => (f as u64).into(),
            _ => value.clone(),
        },
        Value::Array(values) => values.iter().map(whole).collect(),
        Value::Object(pairs) => pairs.iter().map(|(k, v)| (k.clone(), whole(v))).collect(),
        _ => value.clone(),
    }
}

fn rust_reads_what_perl_writes(perl: &mut Perl, random: &mut Random) {
    let scanner = || CborScanner::new(Limits::default());
    read_streams(perl, random, scanner, |perl, scanner, written| {
        let came = written.came;
        let frame = scanner.next(came).unwrap()?;
        let octets = &came[frame.start..frame.end];
        assert_eq!(octets, written.octets);
        let value = decoded(octets);
        let elements = frame.dest.iter().chain(&frame.tag);
        for (element, value) in elements.zip(value.as_array().unwrap()) {
            match value {
                Value::String(s) => assert_eq!(element.text(came), s.as_str()),
                Value::Number(_) => assert_eq!(element.kind, ElementKind::Number),
                _ => assert_eq!(element.kind, ElementKind::Other),
            }
        }
        let number = written.number;
        let back = hex(&encoded(&value));
        perl.agrees(&format!("check {number} {back}"), octets.escape_ascii());
        let mut json = Vec::new();
        cbor_to_json(&mut json, &came[frame.first..frame.last]).unwrap();
        let request = format!("checkjson {number} {}", hex(&json));
        perl.agrees(&request, json.escape_ascii());
        Some(frame.end)
    });
}

/// Messages at the edges of what is CBOR, behind the destination, in hexadecimal.
#[rustfmt::skip]
const EDGES: &[&str] = &[
    "", "00", "17", "1817", "1818", "19ffff", "1affffffff", "1bffffffffffffffff", "3bffffffffffffffff",
    "3b8000000000000000", "1c", "1d", "1e", "3c", "5c", "7c", "9c", "bc", "dc", "fc", "fd", "fe", "ff",
    "f4", "f5", "f6", "f7", "e0", "f0", "f3", "f800", "f814", "f81f", "f820", "f8ff", "f90000", "f97c00", "f97e00",
    "fa7fc00000", "fb7ff8000000000000", "40", "4161", "5800", "580161", "59000161", "5b000000000000000161", "60",
    "6161", "62c3a9", "78026162", "80", "8101", "980101", "9b000000000000000101", "a0", "a1416101", "b801416101",
    "a141610101", "a141", "9fff", "9f01ff", "9f9fffff", "9fa0ff", "bfff", "bf416101ff", "bf4161ff", "bf41ff", "bf01ff",
    "5fff", "5f4161ff", "5f41614162ff", "5f5f4161ffff", "5f01ff", "5f80ff", "5fc14161ff", "7fff", "7f6161ff", "7f7fffff",
    "81ff", "a1ff", "a101ff", "c7ff", "c701", "c7c7c701", "d9d9f701", "d9d9f7d9d9f701", "9fc7ff", "9fc701ff", "a1c74161c701",
    "d81801", "db000000000000d9f701", "a2416101416102", "a1018101", "a1f501", "a1f601", "a1fa3fc0000001", "a1200a",
    "9a00000001f6", "c24101", "c34101", "82", "a1", "c7", "5a", "7f61",
];

fn both_refuse_the_same(perl: &mut Perl, random: &mut Random) {
    for edge in EDGES {
        let edge = unhex(edge);
        compare_verdicts(perl, &[b"\x82\x41a", &edge[..]].concat());
        compare_verdicts(perl, &[b"\x9f\x41a", &edge[..], b"\xff"].concat());
        compare_verdicts(perl, &edge);
    }
    for depth in [511, 512, 513] {
        for open in [&b"\x81"[..], b"\xa1\x41k", b"\xc7\x81", b"\xd9\xd9\xf7\x81"] {
            let octets = [b"\x82\x41a", &open.repeat(depth - 1)[..], b"\x01"].concat();
            compare_verdicts(perl, &octets);
        }
    }
    judge_bent(random, 6000, encoded, Random::mutate, |octets| {
        compare_verdicts(perl, octets)
    });
    judge_corpus("cbor", |octets| {
        compare_verdicts(perl, octets);
    });
}

/// Panics unless CBOR::XS and the scanner agree on `octets`, as one message and as a stream. Is it
/// one message?
///
/// The differences that are meant:
/// - CBOR::XS takes texts that are not UTF-8, chunks of octets in texts and of text in octets, and
///   characters that are split over two chunks;
/// - in a stream it waits for more behind the octets 1F, 3F and DF, which can not be followed by
///   anything, and behind any length, however large;
/// - a key that is "undefined", and references to strings and values that are not there, are
///   errors to CBOR::XS only;
/// - what is no array or has no destination is not an error to CBOR::XS; the Perl side stops
///   counting messages there. A tag in front of the destination is an error here.
fn compare_verdicts(perl: &mut Perl, octets: &[u8]) -> bool {
    let shown = hex(octets);
    let answer = perl.ask(&format!("judge {shown}")).unwrap();
    let mut words = answer.splitn(4, ' ');
    let mut number = || words.next().and_then(|n| n.parse().ok()).expect("a number");
    let (one_to_perl, count, bad): (usize, usize, usize) = (number(), number(), number());
    let why = words.next().unwrap_or_default();

    let mut scanner = CborScanner::new(Limits::default());
    let next = |octets: &[u8]| Ok(scanner.next(octets)?.map(|frame| frame.end));
    let (frames, at, end) = scan(octets, next);
    let one = frames == 1 && at == octets.len() && end.is_ok();
    let only_perls = why.contains("stringref")
        || why.contains("sharedref")
        || why.contains("Types::Serialiser::error")
        || why.contains("shared value");
    let is_perls = match &end {
        Err(FramingError::Utf8 { .. } | FramingError::TooLong { .. }) => true,
        Err(FramingError::Syntax { what, .. }) => what.contains("chunk"),
        Err(FramingError::BadDestination { found, .. }) => found >> 5 == 6,
        _ => false,
    };
    if only_perls && is_perls {
        return false;
    }
    if only_perls {
        assert!(count <= frames, "{shown}: {frames} messages, {answer}");
        return false;
    }
    if is_perls {
        assert!(count >= frames, "{shown}: {frames} messages, {answer}");
        return false;
    }
    assert_eq!(
        one,
        one_to_perl == 1,
        "{shown}: as one message: {end:?}, {answer}"
    );
    assert_eq!(frames, count, "{shown}: messages: {end:?}, {answer}");
    if end.is_ok() {
        assert_eq!(
            bad, 0,
            "{shown}: CBOR::XS refuses, the scanner waits: {answer}"
        );
    }
    one
}
