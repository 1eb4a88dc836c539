//! A headless Chromium, driven as a person would: over `WebDriver`
//! (<https://www.w3.org/TR/webdriver2/>).

mod programs;

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use base64::prelude::{BASE64_STANDARD, Engine};
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

pub use self::programs::BrowserPrograms;

/// How long the driver may take until it listens.
const START_DEADLINE: Duration = Duration::from_secs(20);

/// How often the driver is started until it listens.
const DRIVER_TRIES: u32 = 3;

/// How long one step in the browser may take.
const STEP_DEADLINE: Duration = Duration::from_secs(60);

/// How an element is named in answers of the driver (`WebDriver`, section 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one page; it ends with this value.
#[derive(Debug)]
pub struct Browser {
    /// Ends when this is dropped.
    _driver: Child,
    client: reqwest::Client,
    session: String,
    process: Option<i32>,
    /// What the browser keeps; dropped last.
    _home: TempDir,
}

impl Browser {
    /// Starts a browser with an empty page.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start(programs: &BrowserPrograms) -> Result<Self> {
        let home = tempfile::tempdir()?;
        let (driver, port) = start_driver(programs, &home).await?;
        let mut browser = Self {
            _driver: driver,
            client: reqwest::Client::builder().timeout(STEP_DEADLINE).build()?,
            session: format!("http://127.0.0.1:{port}/session"),
            process: None,
            _home: home,
        };
        let wishes = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": {
                "binary": programs.browser(),
                "args": ARGUMENTS,
            },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        }}});
        let begun = browser.post("", &wishes).await?;
        let id = begun["sessionId"].as_str().context("no session")?;
        browser.session = format!("{}/{id}", browser.session);
        let process = begun["capabilities"]["goog:processID"].as_i64();
        browser.process = process.and_then(|id| i32::try_from(id).ok());
        Ok(browser)
    }

    /// Goes to a page and waits until it is loaded.
    ///
    /// # Errors
    /// When it does not load.
    pub async fn open(&self, url: &str) -> Result<()> {
        self.post("/url", &json!({ "url": url })).await?;
        Ok(())
    }

    /// Runs the body of a function in the page; answers what it returns.
    ///
    /// # Errors
    /// When it throws.
    pub async fn run(&self, script: &str) -> Result<Value> {
        let call = json!({ "script": script, "args": [] });
        self.post("/execute/sync", &call).await
    }

    /// The text a person sees in the first element that this CSS selector finds, which is none while
    /// that is hidden; `None` without such an element.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub async fn text(&self, selector: &str) -> Result<Option<String>> {
        let selector = Value::from(selector);
        let script = format!(
            "const found = document.querySelector({selector}); \
             return found && (found.checkVisibility() ? found.innerText : '')"
        );
        Ok(self.run(&script).await?.as_str().map(str::to_owned))
    }

    /// Clicks on the first element that this CSS selector finds, as a mouse would.
    ///
    /// # Errors
    /// When there is none, or it is hidden or covered.
    pub async fn click(&self, selector: &str) -> Result<()> {
        let wanted = json!({ "using": "css selector", "value": selector });
        let found = self.post("/element", &wanted).await?;
        let element = found[ELEMENT].as_str().context("no element")?;
        let path = format!("/element/{element}/click");
        self.post(&path, &json!({})).await?;
        Ok(())
    }

    /// Pretends a screen of this size, with a preference for light or dark colours.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub async fn look_through(&self, width: u32, height: u32, colours: &str) -> Result<()> {
        let screen = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500,
        });
        self.command("Emulation.setDeviceMetricsOverride", screen)
            .await?;
        let media = json!({
            "features": [{ "name": "prefers-color-scheme", "value": colours }],
        });
        self.command("Emulation.setEmulatedMedia", media).await?;
        Ok(())
    }

    /// A command of the `DevTools` protocol (<https://chromedevtools.github.io/devtools-protocol/>).
    ///
    /// # Errors
    /// When the browser refuses it.
    pub async fn command(&self, name: &str, parameters: Value) -> Result<Value> {
        let command = json!({ "cmd": name, "params": parameters });
        self.post("/goog/cdp/execute", &command).await
    }

    /// What the page wrote to the console since the last time, errors of loading included.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub async fn console(&self) -> Result<Vec<String>> {
        let log = self.log("browser").await?;
        let texts = log.iter().map(|entry| entry["message"].as_str());
        Ok(texts.flatten().map(str::to_owned).collect())
    }

    /// The URLs that were asked for since the last time.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub async fn requests(&self) -> Result<Vec<String>> {
        let mut urls = Vec::new();
        for entry in self.log("performance").await? {
            let event: Value = serde_json::from_str(entry["message"].as_str().unwrap_or("{}"))?;
            let event = &event["message"];
            if event["method"] == "Network.requestWillBeSent" {
                let url = event["params"]["request"]["url"].as_str();
                urls.extend(url.map(str::to_owned));
            }
        }
        Ok(urls)
    }

    /// What is on the screen, as PNG.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub async fn screenshot(&self) -> Result<Vec<u8>> {
        let answer = self.command("Page.captureScreenshot", json!({})).await?;
        let text = answer["data"].as_str().context("no picture")?;
        BASE64_STANDARD
            .decode(text)
            .context("the picture is no base64")
    }

    async fn log(&self, kind: &str) -> Result<Vec<Value>> {
        let log = self.post("/se/log", &json!({ "type": kind })).await?;
        Ok(log.as_array().cloned().unwrap_or_default())
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("{}{path}", self.session);
        let answer = self.client.post(&url).json(body).send().await?;
        let is_fine = answer.status().is_success();
        let mut answer: Value = answer.json().await?;
        if !is_fine {
            let why = &answer["value"];
            bail!("{path} {body}: {} {}", why["error"], why["message"]);
        }
        Ok(answer["value"].take())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver cannot end its browser when it is killed. The browser leads a group of its own.
        if let Some(process) = self.process {
            for process in [-process, process] {
                let _gone_already = signal::kill(Pid::from_raw(process), Signal::SIGKILL);
            }
        }
    }
}

/// Root needs `--no-sandbox`, and the shared memory of containers is small; the rest keeps the
/// browser from calling home.
const ARGUMENTS: [&str; 11] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--hide-scrollbars",
    "--window-size=1280,900",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
];

/// Starts the driver; answers where it listens. The port it picks is free for IPv4, and it ends when the same is not
/// free for IPv6; so it has another try.
async fn start_driver(programs: &BrowserPrograms, home: &TempDir) -> Result<(Child, u16)> {
    let mut tries = 0;
    loop {
        tries += 1;
        let mut driver = Command::new(programs.driver())
            .arg("--port=0")
            .env("TMPDIR", home.path())
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the driver of the browser")?;
        let stdout = driver.stdout.take().context("no standard output")?;
        match timeout(START_DEADLINE, port_of(stdout)).await? {
            Ok(port) => return Ok((driver, port)),
            Err(cause) if tries == DRIVER_TRIES => return Err(cause),
            Err(_) => {}
        }
    }
}

/// Reads from the driver's output where it listens.
async fn port_of(output: impl tokio::io::AsyncRead + Unpin) -> Result<u16> {
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await? {
        if let Some((_, port)) = line.split_once("successfully on port ") {
            return Ok(port.trim_end_matches('.').parse()?);
        }
    }
    bail!("the driver of the browser does not listen")
}
