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
use aemp::proto::message::encode_args;
use perl::{Perl, Random, hex, judge_bent, judge_corpus, read_streams, scan, unhex};
use serde_json::Value;

/// How JSON::XS writes, reads and judges, behind what `values.pl` has.
const PERL: &str = r##"
my $canonical = JSON::XS->new->utf8->canonical;
$encode = sub { $json->encode ($_[0]) };
$decode = sub { $json->decode ($_[0]) };

serve $JSON::XS::VERSION,
   again => sub { "ok " . unpack "H*", $canonical->encode ($json->decode (pack "H*", $_[0])) },
   judge => sub {
      my $text = pack "H*", $_[0] // "";
      my $whole = eval { good ($json->decode ($text)) } ? 1 : 0;
      my ($stream, $n, $bad) = (JSON::XS->new->utf8, 0, 0);
      eval {
         $stream->incr_parse ($text);
         while (my $value = $stream->incr_parse) { last unless good ($value); $n++ }
         1
      } or $bad = 1;
      "ok $whole $n $bad"
   };
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
    let Some((mut perl, mut random)) =
        Perl::to_compare("the json framing with JSON::XS", PERL, "JSON::XS")
    else {
        return;
    };
    perl_reads_what_rust_writes(&mut perl, &mut random);
    rust_reads_what_perl_writes(&mut perl, &mut random);
    both_refuse_the_same(&mut perl, &mut random);
}

/// It is written as JSON::XS writes it, who reads that as an integer.
#[test]
fn minus_zero() {
    let Some((mut perl, _)) = Perl::to_compare("minus zero with JSON::XS", PERL, "JSON::XS") else {
        return;
    };
    let mut again = |text: &[u8]| unhex(&perl.ask(&format!("again {}", hex(text))).unwrap());
    let mut ours = Vec::new();
    encode_args(&mut ours, &("p", -0.0, [-0.0_f32])).unwrap();
    let theirs = again(br#"["p",-0.0,[-0.0]]"#);
    assert_eq!(
        ours.escape_ascii().to_string(),
        theirs.escape_ascii().to_string()
    );
    assert_eq!(again(&ours), br#"["p",0,[0]]"#);
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
    let scanner = || JsonScanner::new(Limits::default());
    read_streams(perl, random, scanner, |perl, scanner, written| {
        let came = written.came;
        let frame = scanner.next(came).unwrap()?;
        let text = &came[frame.start..frame.end];
        assert_eq!(text, written.octets);
        let value: Value = serde_json::from_slice(text).unwrap();
        let elements = frame.dest.iter().chain(&frame.tag);
        for (element, value) in elements.zip(value.as_array().unwrap()) {
            match value {
                Value::String(s) => assert_eq!(element.text(came), s.as_str()),
                Value::Number(_) => assert_eq!(element.kind, ElementKind::Number),
                _ => assert_eq!(element.kind, ElementKind::Other),
            }
        }
        let back = hex(&serde_json::to_vec(&value).unwrap());
        perl.agrees(
            &format!("check {} {back}", written.number),
            text.escape_ascii(),
        );
        Some(frame.end)
    });
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
    let encoded = |message: &Value| serde_json::to_vec(message).unwrap();
    judge_bent(random, 4000, encoded, Random::mutate, |text| {
        compare_verdicts(perl, text)
    });
    judge_corpus("json", |text| {
        compare_verdicts(perl, text);
    });
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
    let next = |text: &[u8]| Ok(scanner.next(text)?.map(|frame| frame.end));
    let (frames, at, end) = scan(text, next);
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
