//! Text as the Perl programs have it.
//!
//! Perl reads its arguments and its input as octets, sends each octet as one character, and prints
//! what it receives the same way. So what is UTF-8 at one end is UTF-8 at the other, and nobody in
//! between knows. A string with a character beyond U+00FF must be from a program that decodes its
//! input; Perl prints it as UTF-8.

/// The octets that Perl's `print` writes for a string.
pub fn octets(text: &str) -> Vec<u8> {
    let octets = text.chars().map(|c| u8::try_from(u32::from(c)));
    let octets: Result<Vec<u8>, _> = octets.collect();
    octets.unwrap_or_else(|_| text.as_bytes().to_vec())
}
