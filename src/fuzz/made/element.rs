//! Elements of messages.

use arbitrary::Arbitrary;
use serde_json::{Map, Number, Value};

/// An element of a message. It is a JSON value that `arbitrary` can make.
///
/// ```
/// use aemp::fuzz::Element;
/// let element = Element::List(vec![Element::Text("a".into()), Element::Integer(1)]);
/// assert_eq!(element.to_value(), serde_json::json!(["a", 1]));
/// ```
#[derive(Debug, Clone, PartialEq, Arbitrary)]
pub enum Element {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A float; `null` if it is infinite or no number, which JSON has no words for.
    Float(f64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Element>),
    /// An object. Of equal keys the last one counts.
    Map(Vec<(String, Element)>),
}

impl Element {
    /// The JSON value.
    ///
    /// See [`Element`] for an example.
    pub fn to_value(&self) -> Value {
        match self {
            Element::Null => Value::Null,
            Element::Boolean(boolean) => Value::Bool(*boolean),
            Element::Integer(integer) => Value::from(*integer),
            Element::Float(float) => Number::from_f64(*float).map_or(Value::Null, Value::Number),
            Element::Text(text) => Value::from(text.as_str()),
            Element::List(elements) => elements.iter().map(Element::to_value).collect(),
            Element::Map(pairs) => {
                let pair = |(key, element): &(String, Element)| (key.clone(), element.to_value());
                Value::Object(pairs.iter().map(pair).collect::<Map<_, _>>())
            }
        }
    }
}
