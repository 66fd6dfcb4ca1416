//! MD6.

use digest::Digest as _;

use super::input::Input;
use crate::proto::md6::Md6;

/// The digest of any octets, however they come: the same as the reference implementation's.
pub fn md6(data: &[u8]) {
    let mut input = Input::new(data);
    let sizes = input.sizes();
    // A few octets make a long message, for the levels of the tree that only those have.
    let times = 1 + usize::from(input.octet() % 32);
    let message = input.rest().repeat(times);
    let mut expected = [0; 32];
    ::md6::hash(256, &message, &mut expected).expect("256 bits are a size of MD6");
    assert_eq!(Md6::digest(&message)[..], expected);

    let mut hasher = Md6::new();
    let mut rest = &message[..];
    for size in sizes.iter().cycle().map(|size| size * 17) {
        if rest.is_empty() {
            break;
        }
        let (chunk, behind) = rest.split_at(size.min(rest.len()));
        hasher.update(chunk);
        rest = behind;
    }
    assert_eq!(hasher.finalize_reset()[..], expected);
    hasher.update(&message);
    assert_eq!(hasher.finalize()[..], expected);
}
