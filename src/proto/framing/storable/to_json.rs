//! From an image to JSON, without recursion.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::super::Limits;
use super::super::json::write_str;
use super::super::transcode::latin1;
use super::error::StorableError;
use super::mark::{Cursor, Item};

/// Appends the message in the image `image`, destination and all, as the text of a JSON array.
///
/// `limits` says how deep arrays and hashes may nest, and how long the JSON may become: 8 times the
/// longest message.
///
/// # Errors
///
/// [`StorableError`] if the image is broken or holds what no message holds; `out` is as it was
/// then.
///
/// ```
/// use aemp::proto::{Limits, framing::storable::storable_to_json};
/// let image = b"\x05\x0b\x02\0\0\0\x04\x0a\x04caf\xe9\x08\x81\x05\x04\x03\0\0\0\x01\x0a\x031.5\0\0\0\x01k";
/// let mut json = Vec::new();
/// storable_to_json(&mut json, image, Limits::default())?;
/// assert_eq!(json, r#"["café",1,null,{"k":"1.5"}]"#.as_bytes());
/// # Ok::<(), aemp::proto::framing::storable::StorableError>(())
/// ```
pub fn storable_to_json(
    out: &mut Vec<u8>,
    image: &[u8],
    limits: Limits,
) -> Result<(), StorableError> {
    match image {
        [5, _, 2, ..] => {}
        [5, _, ..] => return StorableError::new(2, "no array"),
        [4, ..] => return StorableError::new(0, "image not in network order"),
        _ => return StorableError::new(0, "no image of format 2"),
    }
    let start = out.len();
    let mut walk = Walk {
        cursor: Cursor::new(image, 2),
        tag: 0,
        keys: Vec::new(),
        next_key: 0,
        repeated: Vec::new(),
        targets: BTreeMap::new(),
        max_depth: limits.max_depth,
        max_len: start.saturating_add(limits.max_message.saturating_mul(8)),
        out: None,
    };
    // A value stands before its key, so first the keys have to be found, and the items that are
    // repeated; then the places of these.
    walk.run()?;
    if !walk.repeated.is_empty() {
        for tag in std::mem::take(&mut walk.repeated) {
            walk.targets.insert(tag, None);
        }
        walk.restart(image);
        walk.keys.clear();
        walk.run()?;
    }
    walk.restart(image);
    walk.out = Some(out);
    let result = walk.run();
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Where the walk was or goes on.
#[derive(Debug, Clone)]
struct Place<'a> {
    cursor: Cursor<'a>,
    tag: u32,
    next_key: usize,
}

/// An array or hash that is not complete yet.
struct Level<'a> {
    left: u32,
    /// A hash? Do its keys have flags then?
    hash: Option<bool>,
    empty: bool,
    /// The numbers of itself and the references to it.
    tags: RangeInclusive<u32>,
    /// Where in `keys` the present pair's key belongs.
    key: usize,
    /// How long `out` was before the present pair, if that is not there, and whether it was the
    /// first.
    not_there: Option<(usize, bool)>,
    /// Where to go on, if this is a repetition.
    resume: Option<Place<'a>>,
}

struct Walk<'a, 'o> {
    cursor: Cursor<'a>,
    /// The number of the next item.
    tag: u32,
    /// Where the pairs' keys are, in the order of the pairs' starts.
    keys: Vec<usize>,
    next_key: usize,
    /// The numbers of the items that are repeated.
    repeated: Vec<u32>,
    /// Where these are.
    targets: BTreeMap<u32, Option<Place<'a>>>,
    max_depth: usize,
    max_len: usize,
    /// Where to write to; nowhere while keys are looked for.
    out: Option<&'o mut Vec<u8>>,
}

impl<'a> Walk<'a, '_> {
    fn restart(&mut self, image: &'a [u8]) {
        self.cursor = Cursor::new(image, 2);
        self.tag = 0;
        self.next_key = 0;
    }

    fn put(&mut self, octets: &[u8]) {
        if let Some(out) = &mut self.out {
            out.extend_from_slice(octets);
        }
    }

    fn run(&mut self) -> Result<(), StorableError> {
        let mut levels: Vec<Level<'a>> = Vec::new();
        loop {
            if let Some(level) = levels.last_mut() {
                if level.left == 0 {
                    let resume = level.resume.take();
                    self.put(if level.hash.is_some() { b"}" } else { b"]" });
                    levels.pop();
                    self.resume(resume);
                    let Some(outer) = levels.last_mut() else {
                        return match self.cursor.is_at_end() {
                            true => Ok(()),
                            false => {
                                StorableError::new(self.cursor.at, "octets behind the message")
                            }
                        };
                    };
                    self.end_value(outer)?;
                    continue;
                }
                self.start_value(level)?;
            }
            let at = self.cursor.at;
            let Some(level) = self.value(&levels)? else {
                match levels.last_mut() {
                    Some(outer) => self.end_value(outer)?,
                    None => return StorableError::new(at, "no array"),
                }
                continue;
            };
            if levels.len() >= self.max_depth {
                let what = format!("nested deeper than {} levels", self.max_depth);
                return StorableError::new(at, what);
            }
            self.put(if level.hash.is_some() { b"{" } else { b"[" });
            levels.push(level);
        }
    }

    fn resume(&mut self, place: Option<Place<'a>>) {
        if let Some(place) = place {
            self.cursor = place.cursor;
            self.tag = place.tag;
            self.next_key = place.next_key;
        }
    }

    fn start_value(&mut self, level: &mut Level<'a>) -> Result<(), StorableError> {
        level.left -= 1;
        let before = (self.out.as_ref().map_or(0, |out| out.len()), level.empty);
        if !std::mem::take(&mut level.empty) {
            self.put(b",");
        }
        let Some(flags) = level.hash else {
            return Ok(());
        };
        let Some(out) = &mut self.out else {
            level.key = self.keys.len();
            self.keys.push(0);
            return Ok(());
        };
        let mut cursor = self.cursor.clone();
        cursor.at = self.keys.get(self.next_key).copied().unwrap_or_default();
        self.next_key += 1;
        let (key, is_there) = cursor.key(flags)?;
        level.not_there = (!is_there).then_some(before);
        write_str(*out, &key);
        out.push(b':');
        Ok(())
    }

    fn end_value(&mut self, level: &mut Level<'a>) -> Result<(), StorableError> {
        let Some(flags) = level.hash else {
            return Ok(());
        };
        if self.out.is_none() {
            self.keys[level.key] = self.cursor.at;
        }
        self.cursor.key(flags)?;
        if let Some((len, empty)) = level.not_there.take()
            && let Some(out) = &mut self.out
        {
            out.truncate(len);
            level.empty = empty;
        }
        Ok(())
    }

    /// The next value: it is written, or an array or hash starts.
    fn value(&mut self, levels: &[Level<'a>]) -> Result<Option<Level<'a>>, StorableError> {
        let first = self.tag;
        let mut resume: Option<Place<'a>> = None;
        // Only the message itself is an array without a reference.
        let mut is_referred = levels.is_empty();
        loop {
            let place = Place {
                cursor: self.cursor.clone(),
                tag: self.tag,
                next_key: match self.out {
                    Some(_) => self.next_key,
                    None => self.keys.len(),
                },
            };
            let at = self.cursor.at;
            let item = self.cursor.item()?;
            if let Item::Object(tag) = item {
                self.repeat(tag, first, at, levels, &mut resume)?;
                if self.out.is_none() {
                    return Ok(None);
                }
                continue;
            }
            if let Some(target @ None) = self.targets.get_mut(&self.tag) {
                *target = Some(place);
            }
            self.tag = self.tag.wrapping_add(1);
            let (left, hash) = match item {
                Item::Ref => {
                    is_referred = true;
                    continue;
                }
                Item::Array(_) | Item::Hash(..) if !is_referred => {
                    let what = "array or hash without a reference to it";
                    return StorableError::new(at, what);
                }
                Item::Array(n) => (n, None),
                Item::Hash(n, flags) => (n, Some(flags)),
                scalar => {
                    if let Some(out) = &mut self.out {
                        write_scalar(out, scalar);
                    }
                    self.resume(resume);
                    return Ok(None);
                }
            };
            return Ok(Some(Level {
                left,
                hash,
                empty: true,
                tags: first.min(self.tag - 1)..=self.tag - 1,
                key: 0,
                not_there: None,
                resume,
            }));
        }
    }

    /// The item `tag` stands here again.
    fn repeat(
        &mut self,
        tag: u32,
        first: u32,
        at: usize,
        levels: &[Level<'a>],
        resume: &mut Option<Place<'a>>,
    ) -> Result<(), StorableError> {
        let Some(out) = &self.out else {
            if tag >= self.tag {
                return StorableError::new(at, "repetition of an item that was not there");
            }
            if tag >= first || levels.iter().any(|level| level.tags.contains(&tag)) {
                return StorableError::new(at, "item that contains itself");
            }
            if self.targets.is_empty() {
                self.repeated.push(tag);
            }
            return Ok(());
        };
        if out.len() > self.max_len {
            return StorableError::new(at, "repetitions make the message too long");
        }
        let here = Place {
            cursor: self.cursor.clone(),
            tag: self.tag,
            next_key: self.next_key,
        };
        resume.get_or_insert(here);
        let target = self.targets.get(&tag).cloned().flatten();
        if target.is_none() {
            return StorableError::new(at, "repetition of an item that was not there");
        }
        self.resume(target);
        Ok(())
    }
}

fn write_scalar(out: &mut Vec<u8>, item: Item<'_>) {
    match item {
        Item::Bool(true) => out.extend_from_slice(b"true"),
        Item::Bool(false) => out.extend_from_slice(b"false"),
        Item::Integer(n) => out.extend_from_slice(n.to_string().as_bytes()),
        Item::Octets(octets) => write_str(out, &latin1(octets)),
        Item::Text(text) => write_str(out, text),
        _ => out.extend_from_slice(b"null"),
    }
}
