//! The manifest of cells that are known to fail (`expected.toml`).

use serde::Deserialize;

use crate::pattern::matches;

/// The manifest.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    #[serde(default)]
    expected: Vec<Entry>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// A cell's name, or a pattern with `*`.
    cell: String,
    /// Why it fails, and whose fault that is.
    reason: String,
    /// It depends on chance; passing is no error.
    #[serde(default)]
    sometimes: bool,
}

/// What the manifest says of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// Why it fails.
    pub reason: String,
    /// It may pass as well.
    pub sometimes: bool,
}

impl Expected {
    /// Reads the manifest's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        match manifest
            .expected
            .iter()
            .find(|entry| entry.reason.trim().is_empty())
        {
            Some(entry) => Err(format!(
                "{}: an expected failure needs a reason",
                entry.cell
            )),
            None => Ok(manifest),
        }
    }

    /// Why this cell is expected to fail, if it is.
    pub fn of(&self, cell: &str) -> Option<Expectation> {
        let entry = self
            .expected
            .iter()
            .find(|e| e.cell == cell || e.cell.contains('*') && matches(&e.cell, cell))?;
        Some(Expectation {
            reason: entry.reason.clone(),
            sometimes: entry.sometimes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_is_readable() {
        Expected::parse(include_str!("../expected.toml")).unwrap();
    }

    #[test]
    fn entries_and_patterns() {
        let text = "[[expected]]\ncell = \"a/*\"\nreason = \"r\"\n[[expected]]\ncell = \"b/x+y\"\nreason = \"s\"\nsometimes = true\n";
        let manifest = Expected::parse(text).unwrap();
        assert_eq!(
            manifest.of("a/x+y"),
            Some(Expectation {
                reason: "r".into(),
                sometimes: false
            })
        );
        assert_eq!(
            manifest.of("b/x+y"),
            Some(Expectation {
                reason: "s".into(),
                sometimes: true
            })
        );
        assert_eq!(manifest.of("b/x+y2"), None);
        assert!(Expected::parse("[[expected]]\ncell = \"a\"\nreason = \" \"\n").is_err());
        assert!(Expected::parse("[[expected]]\ncel = \"a\"\n").is_err());
    }
}
