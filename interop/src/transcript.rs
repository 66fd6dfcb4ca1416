//! What was said in a cell, written down as it is said.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};

use crate::fault::{Fault, Result, short};

/// Everything that was said between harness and drivers, one JSON line each, with the time.
#[derive(Debug, Clone)]
pub struct Transcript {
    file: Arc<Mutex<File>>,
    begun: Instant,
}

impl Transcript {
    /// Begins an empty transcript in this file.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(Fault::io(path.display().to_string()))?;
        Ok(Self {
            file: Arc::new(Mutex::new(file)),
            begun: Instant::now(),
        })
    }

    /// Adds a line.
    pub fn write(&self, node: &str, what: &str, value: &Value) {
        let text = value.to_string();
        let value = if text.len() > 4096 {
            json!(short(&text))
        } else {
            value.clone()
        };
        let line = json!({ "at": self.begun.elapsed().as_secs_f64(), "node": node, what: value });
        let _ = writeln!(
            self.file.lock().unwrap_or_else(PoisonError::into_inner),
            "{line}"
        );
    }
}
