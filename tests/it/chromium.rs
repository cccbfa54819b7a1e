//! A browser without a window, driven over the DevTools protocol through its pipe: no driver program, no port, no network.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// A page in a browser of its own.
pub(crate) struct Page {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: Option<String>,
    /// Whether the page is there whole.
    loaded: bool,
    calls: u64,
    /// Every URL that the page asked for.
    pub(crate) requests: Vec<String>,
    /// Every exception and every message of the browser about the page.
    pub(crate) complaints: Vec<String>,
    _profile: tempfile::TempDir,
}

impl Page {
    /// Opens a file from disk, as somebody does who double-clicks it.
    pub(crate) fn open(file: &Path) -> Self {
        crate::peers::are_there(&["chromium"]);
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
        let mut page =
            Self { process, to, from, session: None, loaded: false, calls: 0, requests, complaints, _profile: profile };
        let target = page.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = page.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        page.session = attached["sessionId"].as_str().map(ToOwned::to_owned);
        for domain in ["Page", "Runtime", "Network", "Log"] {
            page.call(&format!("{domain}.enable"), json!({}));
        }
        page.call("Page.navigate", json!({ "url": format!("file://{}", file.display()) }));
        // The blank page that was there before may also tell that it has loaded.
        while page.evaluate("location.protocol === 'file:' && document.readyState === 'complete'") != json!(true) {
            while !std::mem::take(&mut page.loaded) {
                page.hear();
            }
        }
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
            let mut answer = self.hear();
            if answer["id"] == json!(self.calls) {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].take();
            }
        }
    }

    /// The browser's next message; what it tells about the page is kept.
    fn hear(&mut self) -> Value {
        let mut message = Vec::new();
        self.from.read_until(0, &mut message).unwrap();
        assert_eq!(message.pop(), Some(0), "the browser ended");
        let message: Value = serde_json::from_slice(&message).unwrap();
        match message["method"].as_str() {
            Some("Network.requestWillBeSent") => {
                self.requests.push(message["params"]["request"]["url"].as_str().unwrap_or_default().to_owned());
            }
            Some("Runtime.exceptionThrown" | "Log.entryAdded") => self.complaints.push(message["params"].to_string()),
            Some("Page.loadEventFired") => self.loaded = true,
            _ => {}
        }
        message
    }

    /// What an expression comes to in the page; promises are waited for.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.call("Runtime.evaluate", parameters);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// Waits until the page says of an element what `condition`, over its `dataset`, asks for.
    pub(crate) fn until(&mut self, element: &str, condition: &str) {
        self.evaluate(&format!(
            "new Promise(done => {{
                const {{ dataset }} = document.getElementById('{element}'), look = () => ({condition}) && done(true);
                new MutationObserver(look).observe(document.getElementById('{element}'), {{ attributes: true }});
                look();
            }})"
        ));
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
