//! The configuration file that Perl's `aemp` and this crate share.

mod lock;
mod read;
mod update;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};
use serde_json::{Map, Value};

use super::error::ConfigError;
use super::relaxed;

/// The environment variables that decide where the configuration file is. A plain struct, so that
/// tests need not change the process's environment.
///
/// ```
/// use aemp::config::Environment;
/// let environment = Environment { home: Some("/home/ruth".into()), ..Environment::default() };
/// assert_eq!(environment.rc_path(), Some("/home/ruth/.perl-anyevent-mp".into()));
/// let none = Environment { rc: Some("".into()), ..environment };
/// assert_eq!(none.rc_path(), None);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `PERL_ANYEVENT_MP_RC`: the file itself. Set but empty means: no file.
    pub rc: Option<OsString>,
    /// `HOME`: the file is `.perl-anyevent-mp` in it.
    pub home: Option<OsString>,
    /// `APPDATA`: where there is no home, the file is `perl-anyevent-mp` in it.
    pub appdata: Option<OsString>,
}

impl Environment {
    /// The environment of this process.
    ///
    /// ```
    /// use aemp::config::Environment;
    /// assert_eq!(Environment::from_process().home, std::env::var_os("HOME"));
    /// ```
    pub fn from_process() -> Environment {
        Environment {
            rc: std::env::var_os("PERL_ANYEVENT_MP_RC"),
            home: std::env::var_os("HOME"),
            appdata: std::env::var_os("APPDATA"),
        }
    }

    /// Where the configuration file is; it need not exist. `None` if no variable names a place, or
    /// if `PERL_ANYEVENT_MP_RC` is empty, which is the way to run without a configuration.
    ///
    /// See [`Environment`] for an example.
    pub fn rc_path(&self) -> Option<PathBuf> {
        if let Some(rc) = &self.rc {
            return (!rc.is_empty()).then(|| PathBuf::from(rc));
        }
        let set = |var: &Option<OsString>| var.clone().filter(|v| !v.is_empty());
        let home = set(&self.home).map(|home| Path::new(&home).join(".perl-anyevent-mp"));
        home.or_else(|| set(&self.appdata).map(|dir| Path::new(&dir).join("perl-anyevent-mp")))
    }
}

/// The contents of the configuration file: a JSON object of global settings, with the profiles in
/// its member `profile`. Members that nobody knows are kept.
///
/// ```
/// use aemp::config::RcFile;
/// let mut rc = RcFile::default();
/// rc.profile_mut("seed").unwrap().insert("binds".into(), "*:4040".into());
/// assert_eq!(rc.profile("seed").unwrap().unwrap()["binds"], "*:4040");
/// ```
#[derive(Debug, Clone)]
pub struct RcFile {
    path: Option<PathBuf>,
    root: Map<String, Value>,
    dirty: bool,
    /// What was in the file when it was read; `None` if there was none, or nothing in it.
    read: Option<Vec<u8>>,
}

impl Default for RcFile {
    /// An empty configuration that belongs to no file.
    fn default() -> RcFile {
        let mut root = Map::new();
        root.insert("version".to_owned(), Value::from(1));
        RcFile {
            path: None,
            root,
            dirty: false,
            read: None,
        }
    }
}

impl RcFile {
    /// The most octets that a configuration file may have.
    ///
    /// ```
    /// assert_eq!(aemp::config::RcFile::MAX_OCTETS, 1024 * 1024);
    /// ```
    pub const MAX_OCTETS: usize = read::MAX_OCTETS;

    /// Reads the file, for example the one of [`Environment::rc_path`]. No path, or a file that
    /// does not exist or holds nothing but blanks, is an empty configuration.
    ///
    /// A file that holds a secret and that others than its owner can read or write is used, but
    /// logged at level 2, once, with the command that mends it.
    ///
    /// # Errors
    ///
    /// The file exists and cannot be read, is no regular file (or a link to one), has more than
    /// [`MAX_OCTETS`](Self::MAX_OCTETS), is not relaxed JSON (with line and column), or is not an
    /// object. (Perl starts without any configuration in these cases, and would overwrite the file
    /// at the next change.) Or its `version` is another than 1. (No release of Perl's has written
    /// another, or looks at it. So whoever wrote that file knows settings that would be
    /// misunderstood here.)
    ///
    /// ```
    /// use aemp::config::RcFile;
    /// # let dir = tempfile::tempdir()?;
    /// let path = dir.path().join("rc");
    /// assert!(!RcFile::load(path.clone())?.root().contains_key("nodeid")); // no file yet
    /// std::fs::write(&path, "{ \"nodeid\": \"ruth\", # a comment\n}")?;
    /// assert_eq!(RcFile::load(path)?.root()["nodeid"], "ruth");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load(path: impl Into<Option<PathBuf>>) -> Result<RcFile, ConfigError> {
        let Some(path) = path.into() else {
            return Ok(RcFile::default());
        };
        let contents = read::read(&path)?;
        let (octets, metadata) = match contents {
            Some((octets, metadata)) if !octets.trim_ascii().is_empty() => (octets, metadata),
            nothing => {
                return Ok(RcFile {
                    path: Some(path),
                    read: nothing
                        .map(|(octets, _)| octets)
                        .filter(|octets| !octets.is_empty()),
                    ..RcFile::default()
                });
            }
        };
        match relaxed::parse_bytes(&octets) {
            Ok(Value::Object(root)) => {
                read::warn_of_exposure(&path, &metadata, &root);
                check_version(&path, root.get("version"))?;
                Ok(RcFile {
                    path: Some(path),
                    root,
                    dirty: false,
                    read: Some(octets),
                })
            }
            Ok(_) => Err(ConfigError::Shape {
                file: path.display().to_string(),
                what: "the configuration".to_owned(),
                expected: "an object",
            }),
            Err(error) => Err(ConfigError::Parse {
                path,
                line: error.line,
                column: error.column,
                message: error.message,
            }),
        }
    }

    /// The file this was read from and will be saved to.
    ///
    /// See [`save`](Self::save) for an example.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The whole configuration: global settings, `version`, and the profiles in `profile`.
    ///
    /// ```
    /// assert_eq!(aemp::config::RcFile::default().root()["version"], 1);
    /// ```
    pub fn root(&self) -> &Map<String, Value> {
        &self.root
    }

    /// The same, to change.
    ///
    /// ```
    /// let mut rc = aemp::config::RcFile::default();
    /// rc.root_mut().insert("nodeid".into(), "ruth".into());
    /// assert_eq!(rc.root()["nodeid"], "ruth");
    /// assert!(rc.is_dirty());
    /// ```
    pub fn root_mut(&mut self) -> &mut Map<String, Value> {
        self.dirty = true;
        &mut self.root
    }

    /// The settings of one profile, without what it inherits; `None` if there is no such profile.
    ///
    /// # Errors
    ///
    /// The member `profile` of the file, or the profile in it, is neither an object nor null.
    ///
    /// ```
    /// let mut rc = aemp::config::RcFile::default();
    /// assert!(rc.profile("seed")?.is_none());
    /// rc.root_mut().insert("profile".into(), "not an object".into());
    /// assert!(rc.profile("seed").is_err());
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn profile(&self, name: &str) -> Result<Option<&Map<String, Value>>, ConfigError> {
        match self.root.get("profile") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(profiles)) => match profiles.get(name) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::Object(profile)) => Ok(Some(profile)),
                Some(_) => Err(self.not_an_object(format!("profile {name:?}"))),
            },
            Some(_) => Err(self.not_an_object("`profile`".to_owned())),
        }
    }

    /// The settings of one profile to change; an empty profile is made if there is none.
    ///
    /// # Errors
    ///
    /// As [`RcFile::profile`]; nothing was changed then.
    ///
    /// ```
    /// let mut rc = aemp::config::RcFile::default();
    /// rc.profile_mut("seed")?.insert("binds".into(), "*:4040".into());
    /// assert_eq!(rc.profile("seed")?.unwrap()["binds"], "*:4040");
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn profile_mut(&mut self, name: &str) -> Result<&mut Map<String, Value>, ConfigError> {
        self.profile(name)?;
        self.dirty = true;
        let profiles = object_in(&mut self.root, "profile");
        Ok(object_in(profiles, name))
    }

    /// Removes a profile; whether there was one.
    ///
    /// # Errors
    ///
    /// The member `profile` of the file is neither an object nor null.
    ///
    /// ```
    /// let mut rc = aemp::config::RcFile::default();
    /// rc.profile_mut("seed")?;
    /// assert!(rc.remove_profile("seed")?);
    /// assert!(!rc.remove_profile("seed")?);
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn remove_profile(&mut self, name: &str) -> Result<bool, ConfigError> {
        let removed = match self.root.get_mut("profile") {
            None | Some(Value::Null) => false,
            Some(Value::Object(profiles)) => profiles.remove(name).is_some(),
            Some(_) => return Err(self.not_an_object("`profile`".to_owned())),
        };
        self.dirty |= removed;
        Ok(removed)
    }

    /// Whether anything was changed since loading or saving.
    ///
    /// See [`save`](Self::save) for an example.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// The file's contents as they would be saved.
    ///
    /// ```
    /// assert_eq!(aemp::config::RcFile::default().to_json(), "{\n   \"version\" : 1\n}\n");
    /// ```
    pub fn to_json(&self) -> String {
        pretty(&self.root)
    }

    /// Writes the configuration back, if it was changed. The file is replaced in one step, so a
    /// reader sees the old contents or the new; the old ones are kept in the file's name with `~`
    /// appended. Only the owner can read the new file, as it holds the secret. A symbolic link
    /// stays one: the file it leads to is replaced.
    ///
    /// Comments do not survive. (Nor do they when Perl saves.)
    ///
    /// # Errors
    ///
    /// There is no path, the configuration is too long to be read again, or the system refuses one
    /// of the steps; the file is then as it was.
    ///
    /// ```
    /// use aemp::config::RcFile;
    /// # let dir = tempfile::tempdir()?;
    /// let path = dir.path().join("rc");
    /// let mut rc = RcFile::load(path.clone())?;
    /// assert_eq!(rc.path(), Some(path.as_path()));
    /// rc.root_mut().insert("nodeid".into(), "ruth".into());
    /// assert!(rc.is_dirty());
    /// rc.save()?;
    /// assert!(!rc.is_dirty());
    /// assert_eq!(RcFile::load(path)?.root()["nodeid"], "ruth");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save(&mut self) -> Result<(), ConfigError> {
        if self.dirty {
            self.replace(|_| true)?;
            self.dirty = false;
        }
        Ok(())
    }

    /// Writes the configuration over what is in the file by now (`None`: there is no file), if
    /// `may` agrees to that; whether it did.
    fn replace(&self, may: impl FnOnce(Option<&[u8]>) -> bool) -> Result<bool, ConfigError> {
        let path = self.path.as_deref().ok_or(ConfigError::NoFile)?;
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let json = self.to_json();
        if json.len() > Self::MAX_OCTETS {
            return Err(ConfigError::TooLarge {
                path: target,
                most: Self::MAX_OCTETS,
            });
        }
        let failed = |source| ConfigError::Write {
            path: target.clone(),
            source,
        };
        let fresh = fresh_name(&target);
        let replaced = write_private(&fresh, json.as_bytes())
            .map_err(failed)
            .and_then(|()| {
                let lock = lock::lock(&target).map_err(failed)?;
                let replaced = put_in_place(&target, &fresh, may);
                if lock.is_new && !matches!(replaced, Ok(true)) {
                    let _ = fs::remove_file(&target);
                }
                replaced
            });
        if !matches!(replaced, Ok(true)) {
            // A left-over file is worth less than the error that is told.
            let _ = fs::remove_file(&fresh);
        }
        replaced
    }

    fn not_an_object(&self, what: String) -> ConfigError {
        ConfigError::Shape {
            file: self
                .path
                .as_ref()
                .map_or("configuration".to_owned(), |p| p.display().to_string()),
            what,
            expected: "an object",
        }
    }
}

/// Has the fresh file take the place of the target, if `may` agrees to what is there; whether it
/// did. Somebody who takes no lock may write between the two: where the system can exchange files,
/// that is seen.
fn put_in_place(
    target: &Path,
    fresh: &Path,
    may: impl FnOnce(Option<&[u8]>) -> bool,
) -> Result<bool, ConfigError> {
    let failed = |source| ConfigError::Write {
        path: target.to_owned(),
        source,
    };
    keep_previous(target).map_err(failed)?;
    let now = read::read(target)?.map(|(octets, _)| octets);
    // An empty file counts as none, and there may be one that holds a lock.
    if !may(now.as_deref().filter(|octets| !octets.is_empty())) {
        return Ok(false);
    }
    if now.is_some() && exchange(fresh, target) {
        let before = fs::read(fresh).map_err(failed)?;
        if Some(&before) == now.as_ref() {
            fs::remove_file(fresh).map_err(failed)?;
            return Ok(true);
        }
        // Somebody who takes no lock has written just between both: that must not be lost.
        exchange(fresh, target);
        return Ok(false);
    }
    fs::rename(fresh, target).map_err(failed)?;
    Ok(true)
}

/// Has two files change their names in one step, so that it can be seen what was replaced. False if
/// the system can't do that.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn exchange(one: &Path, other: &Path) -> bool {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).is_ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn exchange(_: &Path, _: &Path) -> bool {
    false
}

/// Refuses a version that nobody has told us about. All releases of Perl's write 1 and look at
/// none; a file without one was written by hand.
fn check_version(path: &Path, version: Option<&Value>) -> Result<(), ConfigError> {
    let is_known = match version {
        None | Some(Value::Null) => true,
        Some(Value::Number(number)) => number.as_f64() == Some(1.0),
        // As everywhere in the file, a text is as good as a number: Perl does not tell them apart.
        Some(Value::String(text)) => text == "1",
        Some(_) => false,
    };
    match version {
        Some(version) if !is_known => Err(ConfigError::Version {
            path: path.to_owned(),
            version: version.to_string().chars().take(20).collect(),
        }),
        _ => Ok(()),
    }
}

/// The object under a key, made if there is none.
fn object_in<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let slot = map.entry(key).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    match slot {
        Value::Object(object) => object,
        _ => unreachable!("just made an object"),
    }
}

/// The layout of Perl's files: indented by three columns, with blanks around each colon.
struct PerlFormatter(PrettyFormatter<'static>);

impl Formatter for PerlFormatter {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b" : ")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

/// JSON to read as Perl writes it, with a newline at the end; the keys are sorted.
pub(super) fn pretty(map: &Map<String, Value>) -> String {
    let mut out = Vec::new();
    let format = PerlFormatter(PrettyFormatter::with_indent(b"   "));
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, format);
    map.serialize(&mut serializer)
        .expect("JSON values can be written to memory");
    out.push(b'\n');
    String::from_utf8(out).expect("JSON text is UTF-8")
}

/// A name in the same directory that no other process and no other call uses.
fn fresh_name(target: &Path) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    with_suffix(target, &format!("~new{}-{count}~", std::process::id()))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes a file that only its owner can read, down to the disk.
fn write_private(path: &Path, octets: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(octets)?;
    file.sync_all()
}

/// Keeps the present contents under the name with `~`: a second link to them, or a copy where links
/// are not to be had. A copy as well where others can get at the contents: only the owner can read
/// the copy, and a link would leave the secret where it was.
fn keep_previous(target: &Path) -> io::Result<()> {
    let kept = fresh_name(target);
    let linked = match fs::metadata(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // There is nothing to be kept.
        Ok(metadata) if metadata.len() == 0 => return Ok(()),
        Ok(metadata) if !read::is_private(&metadata) => None,
        _ => fs::hard_link(target, &kept).ok(),
    };
    if linked.is_none() {
        write_private(&kept, &fs::read(target)?)?;
    }
    // In one step, for somebody else may be doing the same.
    let renamed = fs::rename(&kept, with_suffix(target, "~"));
    // If both are the same file already, renaming one to the other leaves both.
    let _ = fs::remove_file(&kept);
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn env(rc: Option<&str>, home: Option<&str>, appdata: Option<&str>) -> Option<String> {
        let env = Environment {
            rc: rc.map(OsString::from),
            home: home.map(OsString::from),
            appdata: appdata.map(OsString::from),
        };
        env.rc_path().map(|p| p.to_string_lossy().into_owned())
    }

    #[test]
    fn path_rule() {
        assert_eq!(env(Some("rc"), Some("h"), None).as_deref(), Some("rc"));
        assert_eq!(
            env(None, Some("h"), Some("a")).as_deref(),
            Some("h/.perl-anyevent-mp")
        );
        assert_eq!(
            env(None, Some(""), Some("a")).as_deref(),
            Some("a/perl-anyevent-mp")
        );
        assert_eq!(env(Some(""), Some("h"), None), None);
        assert_eq!(env(None, None, None), None);
    }

    #[test]
    fn missing_file_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let rc = RcFile::load(dir.path().join("none")).unwrap();
        assert_eq!(Value::Object(rc.root().clone()), json!({"version": 1}));
        assert!(!rc.is_dirty());
    }

    #[test]
    fn an_empty_file_counts_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rc");
        for blank in ["", "\n", " \t\r\n\n"] {
            fs::write(&path, blank).unwrap();
            let mut rc = RcFile::load(path.clone()).unwrap();
            assert_eq!(Value::Object(rc.root().clone()), json!({"version": 1}));
            rc.root_mut().insert("nodeid".into(), "ruth".into());
            rc.save().unwrap();
            assert_eq!(RcFile::load(path.clone()).unwrap().root()["nodeid"], "ruth");
        }
        fs::write(&path, "# nothing but a comment").unwrap();
        assert!(RcFile::load(path).is_err());
    }

    #[test]
    fn faults_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rc");
        fs::write(&path, "{\n  \"secret\": oops\n}").unwrap();
        let text = RcFile::load(path.clone()).unwrap_err().to_string();
        assert!(text.contains("rc:2:13: "), "{text}");

        fs::write(&path, "[]").unwrap();
        let text = RcFile::load(path.clone()).unwrap_err().to_string();
        assert!(
            text.ends_with("rc: the configuration must be an object"),
            "{text}"
        );

        fs::write(&path, "{\"profile\":{\"a\":7}}").unwrap();
        let mut rc = RcFile::load(path).unwrap();
        let text = rc.profile_mut("a").unwrap_err().to_string();
        assert!(text.ends_with("profile \"a\" must be an object"), "{text}");
        assert!(!rc.is_dirty());
    }

    #[test]
    fn save_replaces_and_keeps_the_previous() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rc");
        let first = "{ \"mine\": [1,], # keep me\n \"profile\": null }";
        fs::write(&path, first).unwrap();
        let mut rc = RcFile::load(path.clone()).unwrap();
        rc.save().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), first);

        rc.profile_mut("p")
            .unwrap()
            .insert("nodeid".into(), "ü".into());
        rc.save().unwrap();
        assert!(!rc.is_dirty());
        let again = RcFile::load(path.clone()).unwrap();
        assert_eq!(
            Value::Object(again.root().clone()),
            json!({"mine": [1], "profile": {"p": {"nodeid": "ü"}}})
        );
        assert_eq!(fs::read_to_string(dir.path().join("rc~")).unwrap(), first);
        rc.remove_profile("p").unwrap();
        rc.save().unwrap();
        let backup = fs::read_to_string(dir.path().join("rc~")).unwrap();
        assert!(backup.contains("nodeid"), "{backup}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "left-overs");
    }

    #[test]
    fn nowhere_to_save() {
        let mut rc = RcFile::default();
        rc.save().unwrap();
        rc.root_mut();
        assert!(matches!(rc.save(), Err(ConfigError::NoFile)));

        let dir = tempfile::tempdir().unwrap();
        let mut rc = RcFile::load(dir.path().join("no/such/rc")).unwrap();
        rc.root_mut();
        assert!(matches!(rc.save(), Err(ConfigError::Write { .. })));
        assert!(rc.is_dirty());
    }

    #[cfg(unix)]
    #[test]
    fn private_and_through_links() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        let link = dir.path().join("link");
        fs::write(&real, "{}").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut rc = RcFile::load(link.clone()).unwrap();
        rc.root_mut().insert("secret".into(), "x".into());
        rc.save().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let mode = fs::metadata(&real).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(fs::read_to_string(&real).unwrap().contains("secret"));
        let backup = fs::metadata(dir.path().join("real~")).unwrap();
        assert_eq!(backup.permissions().mode() & 0o777, 0o600);
        rc.root_mut().insert("secret".into(), "y".into());
        rc.save().unwrap();
        let backup = fs::read_to_string(dir.path().join("real~")).unwrap();
        assert!(backup.contains("\"x\""), "{backup}");
    }

    #[test]
    fn the_length_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rc");
        let padded = |octets: usize| "{\"nodeid\":\"n\"}".to_owned() + &" ".repeat(octets - 14);
        fs::write(&path, padded(RcFile::MAX_OCTETS)).unwrap();
        let mut rc = RcFile::load(path.clone()).unwrap();
        assert_eq!(rc.root()["nodeid"], "n");

        fs::write(&path, padded(RcFile::MAX_OCTETS + 1)).unwrap();
        let text = RcFile::load(path.clone()).unwrap_err().to_string();
        assert!(
            text.ends_with(
                "rc: the configuration has more than 1048576 octets, which are the most"
            ),
            "{text}"
        );

        // What could not be read again is not written.
        let long = "c".repeat(RcFile::MAX_OCTETS);
        rc.root_mut().insert("cert".into(), long.into());
        assert!(matches!(rc.save(), Err(ConfigError::TooLarge { .. })));
        assert_eq!(fs::read(&path).unwrap().len(), RcFile::MAX_OCTETS + 1);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "left-overs");
    }

    #[cfg(unix)]
    #[test]
    fn only_regular_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let made = std::process::Command::new("mkfifo")
            .arg(at("fifo"))
            .status();
        assert!(made.unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("link")).unwrap();
        for (path, what) in [
            (at("."), "a directory"),
            (at("fifo"), "a FIFO (named pipe)"),
            (at("socket"), "a socket"),
            (at("link"), "a device"),
        ] {
            let text = RcFile::load(path.clone()).unwrap_err().to_string();
            let wanted = format!(
                "{}: the configuration has to be a regular file, and this is {what}",
                path.display()
            );
            assert_eq!(text, wanted);
        }
    }

    #[test]
    fn versions() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rc");
        let load = |version: &str| {
            fs::write(&path, format!("{{ {version} }}")).unwrap();
            RcFile::load(path.clone())
        };
        for known in [
            "",
            "\"version\": 1",
            "\"version\": \"1\"",
            "\"version\": null",
        ] {
            assert!(load(known).is_ok(), "{known}");
        }
        for unknown in ["99", "0", "1.5", "\"2\"", "[1]", "true"] {
            let text = load(&format!("\"version\": {unknown}"))
                .unwrap_err()
                .to_string();
            let wanted = format!(
                "rc: the configuration is of version {unknown}, and this aemp knows version 1 only"
            );
            assert!(text.ends_with(&wanted), "{text}");
        }
    }
}
