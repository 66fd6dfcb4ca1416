//! How cells are chosen by name.

/// Does `pattern` match the name? With `*` it must match from end to end, without it is looked for
/// inside.
pub fn matches(pattern: &str, name: &str) -> bool {
    if !pattern.contains('*') {
        return name.contains(pattern);
    }
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let (last, middle) = parts.split_last().unwrap_or((&"", &[]));
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        let name = "echo/perl-1.30+rust";
        for pattern in [
            "echo",
            "perl-1.30",
            "*",
            "echo/*",
            "*+rust",
            "e*1.30*rust",
            "*1.30*",
        ] {
            assert!(matches(pattern, name), "{pattern}");
        }
        for pattern in ["1.0", "rust/*", "echo/*perl", "*rust+*"] {
            assert!(!matches(pattern, name), "{pattern}");
        }
    }
}
