//! Node and port IDs.
//!
//! A port is addressed by `NODEID#NAME`; the part before the first `#` names the node, the rest the
//! port on it. A bare node ID addresses the *node port*, whose name is empty (PROTOCOL.md, "IDs").

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The ID of a node: a string that is unique in its network.
///
/// Cloning is cheap. Any text is accepted here, as it may come from the network;
/// [`NodeId::checked`] is for IDs that a user chose.
///
/// ```
/// use aemp::NodeId;
/// let id = NodeId::from("ruth");
/// assert_eq!(id, "ruth");
/// assert_eq!(id.to_string(), id.clone().as_str());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(Arc<str>);

/// Why a text can't be the ID of a node of ours.
///
/// ```
/// let error = aemp::NodeId::checked("a b").unwrap_err();
/// assert_eq!(error.id, "a b");
/// assert_eq!(error.to_string(), r#""a b" can't be a node ID: it holds white space or a control character"#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{id:?} can't be a node ID: {why}")]
pub struct InvalidNodeId {
    /// The refused text.
    pub id: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl NodeId {
    /// Makes a node ID of any text, without a check.
    ///
    /// ```
    /// assert_eq!(aemp::NodeId::new("ruth"), "ruth");
    /// ```
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        NodeId(id.into())
    }

    /// Makes a node ID that can be announced in a greeting.
    ///
    /// # Errors
    ///
    /// [`InvalidNodeId`] for an empty text, for one of more than 1024 octets, and for one with a
    /// `#`, a `;`, white space, a control character or a character beyond U+00FF, which would break
    /// port IDs or the greeting line (PROTOCOL.md, "IDs").
    ///
    /// ```
    /// use aemp::proto::NodeId;
    /// assert!(NodeId::checked("anon/5RloFvvYL8jfSScXNL8EpX").is_ok());
    /// assert!(NodeId::checked("a#b").is_err());
    /// ```
    pub fn checked(id: &str) -> Result<Self, InvalidNodeId> {
        let bad = |why| {
            Err(InvalidNodeId {
                id: id.to_owned(),
                why,
            })
        };
        if id.is_empty() {
            return bad("it is empty");
        }
        if id.contains('#') {
            return bad("`#` separates the node from the port");
        }
        if id.contains(';') {
            return bad("`;` separates the fields of the greeting");
        }
        if id.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return bad("it holds white space or a control character");
        }
        if id.chars().any(|c| c > '\u{ff}') {
            return bad("it holds a character beyond U+00FF, for which a greeting has no octet");
        }
        if id.len() > 1024 {
            return bad("it is longer than 1024 octets, too long for a greeting");
        }
        Ok(NodeId::new(id))
    }

    /// The ID as text.
    ///
    /// ```
    /// assert_eq!(aemp::NodeId::new("ruth").as_str(), "ruth");
    /// ```
    #[inline]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The ID of the port `name` on this node.
    ///
    /// ```
    /// assert_eq!(aemp::NodeId::new("ruth").port("a.b"), "ruth#a.b");
    /// ```
    pub fn port(&self, name: &str) -> PortId {
        let mut full = String::with_capacity(self.0.len() + 1 + name.len());
        full.push_str(&self.0);
        full.push('#');
        full.push_str(name);
        PortId {
            node_len: self.0.len(),
            full: full.into(),
        }
    }

    /// The ID of this node's node port: the node ID itself.
    ///
    /// ```
    /// let port = aemp::NodeId::new("ruth").node_port();
    /// assert_eq!(port, "ruth");
    /// assert!(port.is_node_port());
    /// ```
    pub fn node_port(&self) -> PortId {
        PortId {
            node_len: self.0.len(),
            full: self.0.clone(),
        }
    }
}

/// The ID of a port: `NODEID#NAME`, or a node ID for that node's node port.
///
/// Port IDs are ordinary strings in messages: they serialise as such and may be sent anywhere.
///
/// ```
/// use aemp::proto::PortId;
/// let id = PortId::new("ruth#HYvHgx2ht.a");
/// assert_eq!((id.node(), id.name()), ("ruth", "HYvHgx2ht.a"));
/// assert_eq!((PortId::new("ruth").node(), PortId::new("ruth").name()), ("ruth", ""));
/// ```
#[derive(Clone)]
pub struct PortId {
    full: Arc<str>,
    node_len: usize,
}

impl PortId {
    /// Makes a port ID of its text.
    ///
    /// ```
    /// assert_eq!(aemp::PortId::new("ruth#a.b"), aemp::NodeId::new("ruth").port("a.b"));
    /// ```
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        let full = id.into();
        let node_len = memchr::memchr(b'#', full.as_bytes()).unwrap_or(full.len());
        PortId { full, node_len }
    }

    /// The whole ID as text.
    ///
    /// ```
    /// assert_eq!(aemp::PortId::new("ruth#a.b").as_str(), "ruth#a.b");
    /// ```
    #[inline]
    pub fn as_str(&self) -> &str {
        &self.full
    }

    /// The ID of the node that the port lives on.
    ///
    /// ```
    /// assert_eq!(aemp::PortId::new("ruth#a.b").node(), "ruth");
    /// ```
    #[inline]
    pub fn node(&self) -> &str {
        &self.full[..self.node_len]
    }

    /// The ID of the node that the port lives on.
    ///
    /// ```
    /// assert_eq!(aemp::PortId::new("ruth#a.b").node_id(), aemp::NodeId::new("ruth"));
    /// ```
    pub fn node_id(&self) -> NodeId {
        NodeId::new(self.node())
    }

    /// The port's name on its node; empty for the node port.
    ///
    /// ```
    /// assert_eq!(aemp::PortId::new("ruth#a.b").name(), "a.b");
    /// assert_eq!(aemp::PortId::new("ruth").name(), "");
    /// ```
    #[inline]
    pub fn name(&self) -> &str {
        self.full.get(self.node_len + 1..).unwrap_or("")
    }

    /// Whether this is a node port.
    ///
    /// ```
    /// use aemp::PortId;
    /// assert!(PortId::new("ruth").is_node_port());
    /// assert!(!PortId::new("ruth#a.b").is_node_port());
    /// ```
    pub fn is_node_port(&self) -> bool {
        self.name().is_empty()
    }
}

impl PartialEq for PortId {
    fn eq(&self, other: &Self) -> bool {
        self.full == other.full
    }
}
impl Eq for PortId {}
impl std::hash::Hash for PortId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.full.hash(state)
    }
}
impl PartialOrd for PortId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for PortId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.full.cmp(&other.full)
    }
}

macro_rules! string_like {
    ($type:ident) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }
        impl From<&str> for $type {
            fn from(id: &str) -> Self {
                Self::new(id)
            }
        }
        impl From<String> for $type {
            fn from(id: String) -> Self {
                Self::new(id)
            }
        }
        impl From<&$type> for $type {
            fn from(id: &$type) -> Self {
                id.clone()
            }
        }
        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }
        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }
        impl PartialEq<str> for $type {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }
        impl PartialEq<&str> for $type {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("a ", stringify!($type)))
                    }
                    fn visit_str<E>(self, v: &str) -> Result<$type, E> {
                        Ok($type::new(v))
                    }
                    fn visit_string<E>(self, v: String) -> Result<$type, E> {
                        Ok($type::new(v))
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}
string_like!(NodeId);
string_like!(PortId);

impl From<NodeId> for PortId {
    fn from(node: NodeId) -> Self {
        node.node_port()
    }
}
impl From<&NodeId> for PortId {
    fn from(node: &NodeId) -> Self {
        node.node_port()
    }
}
impl From<&PortId> for NodeId {
    fn from(port: &PortId) -> Self {
        port.node_id()
    }
}

/// The port ID counter: `a`, `b`, .. `z`, `aa`, .. as Perl's string increment has it.
///
/// ```
/// use aemp::proto::id::perl_counter;
/// let names: Vec<_> = [0, 25, 26, 27, 701, 702].map(perl_counter).into();
/// assert_eq!(names, ["a", "z", "aa", "ab", "zz", "aaa"]);
/// ```
pub fn perl_counter(mut n: u64) -> String {
    let mut out = Vec::new();
    loop {
        out.push(b'a' + (n % 26) as u8);
        n /= 26;
        if n == 0 {
            break;
        }
        n -= 1;
    }
    out.reverse();
    out.into_iter().map(char::from).collect()
}

/// Octets as letters and digits, as Perl nodes write cookies and generated secrets: base64 without
/// its first `=`, and with `x0 x1 x2` for `x / +`.
///
/// ```
/// use aemp::proto::id::alnumbits;
/// assert_eq!(alnumbits(&[0xc7, 0x1f, 0xbe]), "x0x0x2x2");
/// assert_eq!(alnumbits(&[0]), "AA=");
/// ```
pub fn alnumbits(octets: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .encode(octets)
        .replacen('=', "", 1)
        .replace('x', "x0")
        .replace('/', "x1")
        .replace('+', "x2")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_the_first_hash_only() {
        let id = PortId::new("a#b#c");
        assert_eq!((id.node(), id.name()), ("a", "b#c"));
        assert_eq!(NodeId::new("a").port("b#c"), id);
        let bare = PortId::new("#x");
        assert_eq!((bare.node(), bare.name()), ("", "x"));
        assert!(PortId::new("a#").is_node_port());
    }

    #[test]
    fn checks_chosen_ids() {
        for bad in ["", "a#b", "a;b", "a b", "a\n", "a\u{100}", "\u{263a}"] {
            assert!(NodeId::checked(bad).is_err(), "{bad:?}");
        }
        for good in ["ruth", "anon/x", "unix/%:é", "\u{ff}"] {
            assert!(NodeId::checked(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn ids_travel_as_strings() {
        let id: PortId = serde_json::from_str(r#""r\u0075th#x""#).unwrap();
        assert_eq!(id, "ruth#x");
        assert_eq!(serde_json::to_string(&id).unwrap(), r#""ruth#x""#);
    }

    #[test]
    fn cookies_are_alphanumeric() {
        for n in 0..=255u8 {
            let cookie = alnumbits(&[n, 255 - n, n ^ 0x5a]);
            assert!(cookie.bytes().all(|b| b.is_ascii_alphanumeric()));
        }
    }
}
