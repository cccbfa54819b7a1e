//! A browser without a window, driven over the DevTools protocol through its pipe: no driver program, no port, no network.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A page in a browser of its own.
pub(crate) struct Page {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: Option<String>,
    calls: u64,
    /// Every URL that the page asked for.
    pub(crate) requests: Vec<String>,
    /// Every exception and every message of the browser about the page.
    pub(crate) complaints: Vec<String>,
    _profile: tempfile::TempDir,
}

/// Makes sure that Chromium is there: installs it where that is possible, and says what to do where it is not.
fn is_there() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let runs = || {
            let mut command = Command::new("chromium");
            command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        if !runs() && rustix::process::getuid().is_root() {
            let install =
                "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium";
            let _tried = Command::new("sh").args(["-c", install]).stdout(Stdio::null()).status();
        }
        assert!(runs(), "Chromium is needed as `chromium`; on Debian: apt-get install chromium");
    });
}

impl Page {
    /// Opens a file from disk, as somebody does who double-clicks it.
    pub(crate) fn open(file: &Path) -> Self {
        is_there();
        let profile = tempfile::tempdir().unwrap();
        let start = "exec chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --disable-extensions \
                     --remote-debugging-pipe --user-data-dir=\"$0\" 3<&0 4>&1 >/dev/null 2>/dev/null";
        let mut process = Command::new("sh")
            .args(["-c", start])
            .arg(profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let to = process.stdin.take().unwrap();
        let from = BufReader::new(process.stdout.take().unwrap());
        let (requests, complaints) = (Vec::new(), Vec::new());
        let mut page = Self { process, to, from, session: None, calls: 0, requests, complaints, _profile: profile };
        let target = page.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = page.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        page.session = attached["sessionId"].as_str().map(ToOwned::to_owned);
        for domain in ["Page", "Runtime", "Network", "Log"] {
            page.call(&format!("{domain}.enable"), json!({}));
        }
        page.call("Page.navigate", json!({ "url": format!("file://{}", file.display()) }));
        page.until("document.readyState === 'complete' && location.protocol === 'file:'");
        page
    }

    /// Calls a method of the protocol, and waits for its answer.
    pub(crate) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.calls += 1;
        let mut message = json!({ "id": self.calls, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(message.to_string().as_bytes()).unwrap();
        self.to.write_all(b"\0").unwrap();
        self.to.flush().unwrap();
        loop {
            let mut answer = Vec::new();
            self.from.read_until(0, &mut answer).unwrap();
            assert_eq!(answer.pop(), Some(0), "the browser ended");
            let mut answer: Value = serde_json::from_slice(&answer).unwrap();
            if answer["id"] == json!(self.calls) {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].take();
            }
            match answer["method"].as_str() {
                Some("Network.requestWillBeSent") => {
                    self.requests.push(answer["params"]["request"]["url"].as_str().unwrap_or_default().to_owned());
                }
                Some("Runtime.exceptionThrown" | "Log.entryAdded") => self.complaints.push(answer["params"].to_string()),
                _ => {}
            }
        }
    }

    /// What an expression comes to in the page; promises are waited for.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.call("Runtime.evaluate", parameters);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// Waits until an expression is true.
    pub(crate) fn until(&mut self, expression: &str) {
        let begun = Instant::now();
        while self.evaluate(expression) != json!(true) {
            assert!(begun.elapsed() < Duration::from_secs(600), "never true: {expression}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Chooses files in the element that `selector` names.
    pub(crate) fn choose(&mut self, selector: &str, files: &[&Path]) {
        let root = self.call("DOM.getDocument", json!({}))["root"]["nodeId"].clone();
        let node = self.call("DOM.querySelector", json!({ "nodeId": root, "selector": selector }))["nodeId"].clone();
        self.call("DOM.setFileInputFiles", json!({ "files": files, "nodeId": node }));
    }

    /// Drops files in the middle of the page.
    pub(crate) fn drop_files(&mut self, files: &[&Path]) {
        for kind in ["dragEnter", "dragOver", "drop"] {
            let data = json!({ "items": [], "files": files, "dragOperationsMask": 1 });
            self.call("Input.dispatchDragEvent", json!({ "type": kind, "x": 200, "y": 200, "data": data }));
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _killed = self.process.kill();
        let _ended = self.process.wait();
    }
}
