//! A real Prometheus that scrapes services, found on this machine or installed.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::unistd::geteuid;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
    time::timeout,
};

use crate::{
    Service,
    binaries::workspace,
    deadline::wait_until,
    packages::{self, in_path},
};

/// How long it may take until it is ready.
const START_DEADLINE: Duration = Duration::from_secs(30);

/// How long an answer may take.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// The alerts that ship with the project.
const ALERTS: &str = "monitoring/alerts.yml";

/// Prometheus and its tool, as programs.
#[derive(Debug, Clone)]
pub struct PrometheusPrograms {
    server: PathBuf,
    tool: PathBuf,
}

impl PrometheusPrograms {
    /// Looks for them in `PATH`.
    ///
    /// # Errors
    /// The reason, in words, why there are none.
    pub fn find() -> Result<Self, String> {
        let found = |name: &str| in_path(name).ok_or_else(|| format!("there is no `{name}`"));
        Ok(Self {
            server: found("prometheus")?,
            tool: found("promtool")?,
        })
    }

    /// The same, after what is missing has been installed where this may be done: as root.
    ///
    /// # Errors
    /// The reason, in words.
    pub fn find_or_install() -> Result<Self, String> {
        let found = Self::find();
        if found.is_ok() || !geteuid().is_root() {
            return found;
        }
        let installed = packages::install("Prometheus", |manager| match manager {
            "apt-get" => &["prometheus", "--no-install-recommends"],
            _ => &["prometheus"],
        });
        installed.map_err(|cause| format!("{cause:#}"))?;
        Self::find()
    }

    /// Has `promtool check` look at something; `input` is what it reads from standard input.
    ///
    /// # Errors
    /// What it finds fault with.
    pub async fn check(&self, arguments: &[&str], input: &str) -> Result<()> {
        let mut tool = Command::new(&self.tool)
            .arg("check")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot run promtool")?;
        let mut stdin = tool.stdin.take().context("no standard input")?;
        stdin.write_all(input.as_bytes()).await?;
        drop(stdin);
        let output = timeout(ANSWER_DEADLINE, tool.wait_with_output()).await??;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        ensure!(output.status.success(), "promtool: {said}");
        Ok(())
    }
}

/// A Prometheus of our own; it ends, and its directory goes, when this is dropped.
#[derive(Debug)]
pub struct Prometheus {
    // Before the directory: the process ends before its files go.
    _process: Child,
    _directory: TempDir,
    client: reqwest::Client,
    address: String,
}

impl Prometheus {
    /// Starts one that scrapes these services every second and knows the project's alerts.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start(programs: &PrometheusPrograms, services: &[&Service]) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("prometheus-").tempdir()?;
        let config = directory.path().join("prometheus.yml");
        std::fs::write(&config, configuration(services)?)?;
        let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let address = free.to_string();
        let process = Command::new(&programs.server)
            .arg(format!("--config.file={}", config.display()))
            .arg(flag("storage.tsdb.path", &directory.path().join("data")))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start Prometheus")?;
        let started = Self {
            _process: process,
            _directory: directory,
            client: reqwest::Client::builder()
                .no_proxy()
                .timeout(ANSWER_DEADLINE)
                .build()?,
            address,
        };
        wait_until("Prometheus to be ready", START_DEADLINE, async || {
            let answer = started.client.get(started.url("/-/ready")).send().await;
            Ok(answer.is_ok_and(|answer| answer.status().is_success()))
        })
        .await?;
        Ok(started)
    }

    /// What an expression is now: each series with its labels and its value.
    ///
    /// # Errors
    /// When Prometheus does not understand it.
    pub async fn query(&self, expression: &str) -> Result<Vec<(Value, f64)>> {
        let url = self.url("/api/v1/query");
        let url = reqwest::Url::parse_with_params(&url, [("query", expression)])?;
        let answer = self.client.get(url).send().await?;
        let answer: Value = answer.json().await?;
        ensure!(answer["status"] == "success", "{expression}: {answer}");
        let series = answer["data"]["result"].as_array().context("no result")?;
        let value = |series: &Value| {
            let text = series["value"][1].as_str().context("no value")?;
            Ok((series["metric"].clone(), text.parse()?))
        };
        series.iter().map(value).collect()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

fn configuration(services: &[&Service]) -> Result<String> {
    let addresses = services.iter().map(|service| {
        let url = service.url("");
        let address = url.strip_prefix("http://").context("no address")?;
        Ok(format!("{address:?}"))
    });
    let addresses: Vec<_> = addresses.collect::<Result<_>>()?;
    let alerts = workspace().join(ALERTS);
    Ok(format!(
        "global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}\n\
         rule_files: [{alerts:?}]\n\
         scrape_configs:\n  - job_name: consumer-group\n    static_configs:\n      - targets: [{}]\n",
        addresses.join(", ")
    ))
}
