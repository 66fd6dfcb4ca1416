//! Chromium without a screen, told what to do over a pipe (the DevTools protocol).

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::LIMIT;

/// One page in a browser, which ends with its test.
pub struct Browser {
    process: Child,
    input: File,
    answers: mpsc::Receiver<Value>,
    last: u64,
    session: Option<String>,
    _home: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.send("Browser.close", json!({}));
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) {
            if let Ok(Some(_)) = self.process.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20)); // a look again, not a wait
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The browser that is there: `$AEMP_BROWSER`, or one of the usual names.
fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("AEMP_BROWSER") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let files = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let mut files = files;
    files.find(|file| file.is_file())
}

impl Browser {
    /// Starts it with a page of that width; `None` if there is no browser.
    pub fn open(address: &str, width: u32) -> Option<Browser> {
        let Some(program) = program() else {
            eprintln!("NOT RUN: there is no Chromium (AEMP_BROWSER may name it)");
            return None;
        };
        let home = tempfile::tempdir().unwrap();
        let (input, output) = (home.path().join("in"), home.path().join("out"));
        let made = Command::new("mkfifo").args([&input, &output]).status();
        assert!(made.unwrap().success());
        // It reads what to do from the third file, and writes what came of it to the fourth.
        let script = "in=$1 out=$2; shift 2; exec \"$@\" 3<\"$in\" 4>\"$out\"";
        let mut arguments: Vec<OsString> = vec!["-c".into(), script.into(), "sh".into()];
        arguments.extend([input.clone().into(), output.clone().into(), program.into()]);
        let mut profile = OsString::from("--user-data-dir=");
        profile.push(home.path().join("profile"));
        arguments.push(profile);
        arguments.extend(
            [
                "--headless",
                "--remote-debugging-pipe",
                "--no-first-run",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
            ]
            .map(Into::into),
        );
        if nix::unistd::geteuid().is_root() {
            arguments.push("--no-sandbox".into());
        }
        let process = Command::new("sh")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // In the order in which the shell opens them.
        let input = File::options().write(true).open(input).unwrap();
        let mut output = BufReader::new(File::open(output).unwrap());
        let (tell, answers) = mpsc::channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while let Ok(1..) = output.read_until(0, &mut message) {
                message.pop();
                if let Ok(message) = serde_json::from_slice(&message) {
                    let _ = tell.send(message);
                }
                message.clear();
            }
        });
        let mut browser = Browser {
            process,
            input,
            answers,
            last: 0,
            session: None,
            _home: home,
        };
        let page = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let target = json!({"targetId": page["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", target);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        let size =
            json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600});
        browser.call("Emulation.setDeviceMetricsOverride", size);
        browser.call("Page.navigate", json!({"url": address}));
        Some(browser)
    }

    fn send(&mut self, method: &str, params: Value) -> std::io::Result<u64> {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        self.input.write_all(format!("{message}\0").as_bytes())?;
        Ok(self.last)
    }

    /// Has it do something, and gives what came of it.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params).unwrap();
        loop {
            let answer = self.answers.recv_timeout(LIMIT * 3);
            let answer = answer.unwrap_or_else(|_| panic!("no answer to {method}"));
            if answer["id"] == id {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    /// The value of an expression in the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let result = self.call("Runtime.evaluate", params);
        assert!(
            result["exceptionDetails"].is_null(),
            "{expression}: {result}"
        );
        result["result"]["value"].clone()
    }

    /// The text of the page, as who looks at it sees it.
    pub fn text(&mut self) -> String {
        let text = self.value("document.body?.innerText ?? ''");
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the text of the page is as wanted.
    pub fn until(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let text = self.text();
            if wanted(&text) {
                return text;
            }
            assert!(begun.elapsed() < LIMIT * 3, "the page stays\n{text}");
            std::thread::sleep(Duration::from_millis(50)); // a look again, not a wait
        }
    }
}
