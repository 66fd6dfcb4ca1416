//! Why a port or a link died.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// The reason of a death: a list of values, empty for a normal end.
///
/// By convention the first value is a word: `die` (an error in port code, then its text),
/// `transport_error` (then the node ID and a text), `no_such_port` (PROTOCOL.md, "Reasons").
///
/// It shows as AnyEvent::MP prints it: the values with blanks between them.
///
/// ```
/// use aemp::proto::Reason;
/// let reason = Reason::die("oops");
/// assert_eq!(reason.to_string(), "die oops");
/// assert_eq!(reason.kind(), Some("die"));
/// assert!(Reason::normal().is_normal());
/// ```
#[derive(Clone, PartialEq, Default)]
pub struct Reason(
    /// None: there are no values. All who hear of a death share one list, be they a million.
    Option<Arc<[Value]>>,
);

impl Reason {
    /// The reason that a message's elements are, and whether it was cut: of one that is longer than
    /// `most` octets, only the values that begin within them are there, and a string among them
    /// only as far as it fits. Nothing is built of the rest.
    #[cfg(feature = "node")]
    pub(crate) fn read(elements: &super::Message, most: usize) -> (Self, bool) {
        let (mut values, mut left) = (Vec::new(), most);
        for element in elements.elements() {
            if element.size() <= left {
                left -= element.size();
                values.push(element.value());
                continue;
            }
            if let Ok(text) = element.read::<std::borrow::Cow<'_, str>>() {
                values.push(Value::from(super::clip(&text, left)));
            }
            return (Reason::from(values), true);
        }
        (Reason::from(values), false)
    }

    /// A normal end: no reason.
    ///
    /// ```
    /// assert_eq!(aemp::Reason::normal().to_string(), "");
    /// ```
    pub fn normal() -> Self {
        Reason(None)
    }

    /// A reason of these values.
    ///
    /// ```
    /// assert_eq!(aemp::Reason::new(["overheated", "CPU 0"]).to_string(), "overheated CPU 0");
    /// ```
    pub fn new<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> Self {
        Reason::from(values.into_iter().map(Into::into).collect::<Vec<Value>>())
    }

    /// Port code failed with this text.
    ///
    /// ```
    /// let error = "x".parse::<u32>().unwrap_err();
    /// assert_eq!(aemp::Reason::die(error).to_string(), "die invalid digit found in string");
    /// ```
    pub fn die(text: impl fmt::Display) -> Self {
        let text = text.to_string();
        Reason::new(["die", text.trim_end_matches('\n')])
    }

    /// The link to a node was lost, or could not be had.
    ///
    /// ```
    /// let reason = aemp::Reason::transport_error("ruth", "connection refused");
    /// assert_eq!(reason.to_string(), "transport_error ruth connection refused");
    /// ```
    pub fn transport_error(node: &str, text: impl fmt::Display) -> Self {
        Reason::new(["transport_error", node, &text.to_string()])
    }

    /// Whether the end was normal.
    ///
    /// ```
    /// use aemp::Reason;
    /// assert!(Reason::normal().is_normal());
    /// assert!(!Reason::die("oops").is_normal());
    /// ```
    pub fn is_normal(&self) -> bool {
        self.0.is_none()
    }

    /// The first value, if it is a string: the kind of death.
    ///
    /// ```
    /// use aemp::Reason;
    /// assert_eq!(Reason::die("oops").kind(), Some("die"));
    /// assert_eq!(Reason::new([7]).kind(), None);
    /// ```
    pub fn kind(&self) -> Option<&str> {
        self.values().first()?.as_str()
    }

    /// About how many octets the values take as JSON.
    ///
    /// ```
    /// assert_eq!(aemp::Reason::new(["a", "bcd"]).size(), 8);
    /// ```
    pub fn size(&self) -> usize {
        fn size(value: &Value) -> usize {
            match value {
                Value::String(text) => text.len() + 2,
                Value::Array(list) => list.iter().map(size).sum::<usize>() + 2,
                Value::Object(map) => map.iter().map(|(k, v)| k.len() + size(v) + 4).sum(),
                _ => 8,
            }
        }
        self.values().iter().map(size).sum()
    }

    /// The values.
    ///
    /// ```
    /// assert_eq!(aemp::Reason::die("oops").values(), ["die", "oops"]);
    /// ```
    pub fn values(&self) -> &[Value] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, value) in self.values().iter().enumerate() {
            if n > 0 {
                f.write_str(" ")?;
            }
            match value {
                Value::String(text) => f.write_str(text)?,
                Value::Null => {}
                value => value.fmt(f)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{self}>")
    }
}

impl From<Vec<Value>> for Reason {
    fn from(values: Vec<Value>) -> Self {
        Reason((!values.is_empty()).then(|| values.into()))
    }
}

/// One text, as an element of its own.
///
/// ```
/// assert_eq!(aemp::Reason::from("overheated").kind(), Some("overheated"));
/// ```
impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        Reason::new([text])
    }
}

/// One text, as an element of its own.
impl From<String> for Reason {
    fn from(text: String) -> Self {
        Reason::new([text])
    }
}

/// The elements.
///
/// ```
/// assert_eq!(aemp::Reason::from(["stopped", "enough"]).to_string(), "stopped enough");
/// ```
impl<V: Into<Value>, const N: usize> From<[V; N]> for Reason {
    fn from(values: [V; N]) -> Self {
        Reason::new(values)
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.values().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Value>::deserialize(deserializer).map(Reason::from)
    }
}

#[cfg(all(test, feature = "node"))]
mod tests {
    use super::*;
    use crate::proto::Message;

    #[test]
    fn long_reasons_are_cut() {
        let read = |json: &str, most| {
            let values: Vec<Value> = serde_json::from_str(json).unwrap();
            let (reason, cut) = Reason::read(&Message::from_values(&values), most);
            (serde_json::to_string(&reason).unwrap(), cut)
        };
        let whole = |json: &str| (json.to_owned(), false);
        let cut = |json: &str| (json.to_owned(), true);
        let json = r#"["die","café",{"":0},1]"#;
        assert_eq!(read(json, 99), whole(json));
        // Octets count as they came.
        assert_eq!(read(json, 5 + 7 + 6 + 1), whole(json));
        assert_eq!(read(json, 5 + 7 + 6), cut(r#"["die","café",{"":0}]"#));
        assert_eq!(read(json, 5 + 7 + 5), cut(r#"["die","café"]"#));
        // Of a string, what fits is there, in whole characters.
        assert_eq!(read(json, 5 + 4), cut(r#"["die","caf"]"#));
        assert_eq!(read(json, 0), cut(r#"[""]"#));
        assert_eq!(read("[]", 0), whole("[]"));
    }
}
