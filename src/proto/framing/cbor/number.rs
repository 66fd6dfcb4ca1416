//! Numbers on their way to the type that is asked for.

use serde::de::Visitor;

use super::error::CborError;

/// The largest whole float that reads as an integer: up to here no two integers are the same float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A number of any kind.
pub(super) enum Number {
    U(u64),
    I(i64),
    /// Beyond 64 bits.
    Big(i128),
    /// Beyond even that.
    Huge(u128),
    F(f64),
}

impl Number {
    pub(super) fn visit<'de, V: Visitor<'de>>(
        self,
        visitor: V,
        wide: bool,
    ) -> Result<V::Value, CborError> {
        match self {
            Self::U(n) => visitor.visit_u64(n),
            Self::I(n) => visitor.visit_i64(n),
            Self::F(n) => visitor.visit_f64(n),
            Self::Big(n) if wide => visitor.visit_i128(n),
            Self::Huge(n) if wide => visitor.visit_u128(n),
            Self::Big(n) => visitor.visit_f64(n as f64),
            Self::Huge(n) => visitor.visit_f64(n as f64),
        }
    }

    /// An integer where it is the same to Perl.
    pub(super) fn whole(self) -> Self {
        match self {
            Self::F(n) if n.trunc() == n && n.abs() <= EXACT => match n as i64 {
                n @ 0.. => Self::U(n as u64),
                n => Self::I(n),
            },
            other => other,
        }
    }

    pub(super) fn negative(n: u64) -> Self {
        match i64::try_from(n) {
            Ok(n) => Self::I(!n),
            Err(_) => Self::Big(!i128::from(n)),
        }
    }
}

/// The value of a big number's octets.
pub(super) fn big(digits: &[u8], negative: bool) -> Result<Number, CborError> {
    let first = digits.iter().position(|&d| d != 0).unwrap_or(digits.len());
    let digits = &digits[first..];
    if digits.len() > 16 {
        return Err(CborError::new("a number of more than 128 bits"));
    }
    let value = digits
        .iter()
        .fold(0, |value, &d| value << 8 | u128::from(d));
    Ok(match (u64::try_from(value), i128::try_from(value)) {
        (Ok(n), _) if negative => Number::negative(n),
        (Ok(n), _) => Number::U(n),
        (_, Ok(n)) if negative => Number::Big(!n),
        (_, Ok(n)) => Number::Big(n),
        _ if negative => Number::F(-(value as f64)),
        _ => Number::Huge(value),
    })
}
