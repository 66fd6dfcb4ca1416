//! Changing the configuration file while others change it as well.

use std::path::PathBuf;

use super::RcFile;
use crate::config::error::ConfigError;

impl RcFile {
    /// Reads the file, has it changed, and writes it back if it was; what the change returns.
    ///
    /// Nothing that somebody else writes meanwhile is lost: programs of this crate take turns, and
    /// if the file is no more what was read when it is to be replaced, the change is made again, on
    /// what is there by then. Perl's `aemp` does nothing of that kind: it writes at its end what it
    /// read at its start, with its own change, so what was written in between by anybody is lost.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load), of the change, and of [`save`](Self::save). The file is then
    /// as it was.
    ///
    /// ```
    /// use aemp::config::{ConfigError, RcFile};
    /// # let dir = tempfile::tempdir()?;
    /// let path = dir.path().join("rc");
    /// let old = RcFile::update(path.clone(), |rc| {
    ///     Ok::<_, ConfigError>(rc.root_mut().insert("nodeid".into(), "ruth".into()))
    /// })?;
    /// assert_eq!(old, None);
    /// assert_eq!(RcFile::load(path)?.root()["nodeid"], "ruth");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update<T, E: From<ConfigError>>(
        path: impl Into<Option<PathBuf>>,
        mut change: impl FnMut(&mut RcFile) -> Result<T, E>,
    ) -> Result<T, E> {
        let path = path.into();
        loop {
            let mut rc = RcFile::load(path.clone())?;
            let result = change(&mut rc)?;
            // Whoever is in our way has made a change, so not all can wait for ever.
            if !rc.dirty || rc.replace(|now| now == rc.read.as_deref())? {
                return Ok(result);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_others_write_meanwhile_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rc");
        let mut rounds = 0;
        RcFile::update(path.clone(), |rc| {
            rounds += 1;
            // Somebody who takes no lock.
            if rounds <= 2 {
                fs::write(&path, format!("{{\"round\": {rounds}}}")).unwrap();
            }
            rc.root_mut().insert("ours".into(), rounds.into());
            Ok::<_, ConfigError>(())
        })
        .unwrap();
        let rc = RcFile::load(path).unwrap();
        assert_eq!(
            (&rc.root()["round"], &rc.root()["ours"]),
            (&2.into(), &3.into())
        );
    }

    #[test]
    fn many_at_once_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rc");
        std::thread::scope(|scope| {
            for n in 0..20 {
                let path = path.clone();
                scope.spawn(move || {
                    for round in 0..5 {
                        RcFile::update(path.clone(), |rc| {
                            rc.root_mut().insert(format!("{n}-{round}"), 1.into());
                            Ok::<_, ConfigError>(())
                        })
                        .unwrap();
                    }
                });
            }
        });
        let rc = RcFile::load(path).unwrap();
        assert_eq!(rc.root().len(), 100 + 1, "{:?}", rc.root());
        // The file and what it was before, nothing else.
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_change_that_fails_or_changes_nothing_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rc");
        let failed: Result<(), ConfigError> = RcFile::update(path.clone(), |rc| {
            rc.root_mut();
            Err(ConfigError::NoFile)
        });
        assert!(failed.is_err());
        RcFile::update(path.clone(), |_| Ok::<_, ConfigError>(())).unwrap();
        assert!(!path.exists());
    }
}
