//! How a node of a scenario is configured.

use serde_json::{Map, Value, json};

/// How a node is to be configured.
#[derive(Debug, Clone, Default)]
pub struct Spec {
    /// Node ID, and the name in logs.
    pub name: String,
    /// Addresses to listen on; empty for none.
    pub binds: Vec<String>,
    /// Addresses of seeds.
    pub seeds: Vec<String>,
    /// Shared secret, when it is not the usual one.
    pub secret: Option<String>,
    /// A key and certificates in PEM.
    pub cert: Option<Value>,
    /// More configuration keys.
    pub more: Map<String, Value>,
}

impl Spec {
    /// A node without listeners and seeds.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// Listens on a port of its own choice.
    pub fn listen(self) -> Self {
        self.bind("127.0.0.1:*")
    }

    /// Listens on this address.
    pub fn bind(mut self, address: impl ToString) -> Self {
        self.binds.push(address.to_string());
        self
    }

    /// Has this seed.
    pub fn seed(mut self, address: impl ToString) -> Self {
        self.seeds.push(address.to_string());
        self
    }

    /// Has another secret.
    pub fn secret(mut self, secret: &str) -> Self {
        self.secret = Some(secret.to_owned());
        self
    }

    /// Has this key and these certificates. They stand in the configuration file: 1.0 takes them
    /// from nowhere else.
    pub fn cert(mut self, pem: &Value) -> Self {
        self.cert = Some(pem.clone());
        self
    }

    /// Has this configuration key.
    pub fn with(mut self, key: &str, value: Value) -> Self {
        self.more.insert(key.to_owned(), value);
        self
    }

    /// The arguments of the command `configure`.
    pub fn args(&self) -> Value {
        let mut args = self.more.clone();
        args.insert("nodeid".to_owned(), json!(self.name));
        args.insert("binds".to_owned(), json!(self.binds));
        args.insert("seeds".to_owned(), json!(self.seeds));
        Value::Object(args)
    }
}
