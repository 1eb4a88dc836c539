//! What `packaging/kubernetes` comes to, rendered as its users do, and valid by Kubernetes's own schemas.

use std::{
    collections::BTreeSet,
    io::{Write, stderr},
};

use anyhow::{Context, Result, bail, ensure};
use local_stack::{KubernetesTools, binaries::workspace};
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

/// The oldest Kubernetes they are for.
const OLDEST: &str = "1.27";

/// Turns on what the chart leaves out by default.
pub const OPTIONS: [&str; 3] = [
    "serviceMonitor.enabled=true",
    "networkPolicy.enabled=true",
    "keda.enabled=true",
];

/// Values of the chart that are not as by default.
const OTHERS: &str =
    "worker.port=6001,worker.shutdownGraceSeconds=90,group.shutdownGraceSeconds=60";

/// The manifests of one way to install.
#[derive(Debug)]
pub struct Manifests {
    /// Which way.
    pub way: String,
    all: Vec<Value>,
}

/// What renders and validates; `None` where it cannot be had, and then it is told which tests are skipped.
///
/// # Errors
/// When that cannot be told.
pub async fn tools() -> Result<Option<KubernetesTools>> {
    match KubernetesTools::find_or_install().await {
        Ok(tools) => Ok(Some(tools)),
        Err(why) => {
            // Past the capture of the test's output: who reads it must see what was not tested.
            writeln!(stderr(), "SKIPPED: no helm, kubectl or schemas: {why}")?;
            Ok(None)
        }
    }
}

/// The manifests of every way to install, rendered once in a process; none without [`tools`].
///
/// # Errors
/// When they cannot be rendered, or are not valid.
pub async fn every_way() -> Result<&'static [Manifests]> {
    static RENDERED: OnceCell<Vec<Manifests>> = OnceCell::const_new();
    match tools().await? {
        Some(tools) => Ok(RENDERED.get_or_try_init(|| render(tools)).await?),
        None => Ok(&[]),
    }
}

async fn render(tools: KubernetesTools) -> Result<Vec<Manifests>> {
    let everything = OPTIONS.join(",");
    Ok(vec![
        Manifests::of_folder(&tools, "base").await?,
        Manifests::of_folder(&tools, "overlays/example").await?,
        Manifests::of_chart(&tools, "").await?,
        Manifests::of_chart(&tools, &everything).await?,
        Manifests::of_chart(&tools, &[&everything, OTHERS].join(",")).await?,
    ])
}

impl Manifests {
    async fn of_folder(tools: &KubernetesTools, folder: &str) -> Result<Self> {
        let path = workspace().join("packaging/kubernetes").join(folder);
        let text = tools.kustomize(&path).await?;
        Self::valid(tools, folder, &text).await
    }

    /// Those of the chart with these values.
    ///
    /// # Errors
    /// When they cannot be rendered, or are not valid.
    pub async fn of_chart(tools: &KubernetesTools, values: &str) -> Result<Self> {
        let chart = workspace().join("packaging/kubernetes/chart");
        let chart = chart.to_str().context("no text")?;
        let args = ["template", "mine", chart, "--namespace", "here"];
        let text = tools
            .helm(&[&args[..], &["--set", values]].concat())
            .await?;
        Self::valid(tools, &format!("chart with {values:?}"), &text).await
    }

    async fn valid(tools: &KubernetesTools, way: &str, text: &str) -> Result<Self> {
        let all = tools.validate(OLDEST, text).await;
        let all = all.with_context(|| way.to_owned())?;
        let way = way.to_owned();
        Ok(Self { way, all })
    }

    /// The kinds there are.
    #[must_use]
    pub fn kinds(&self) -> BTreeSet<&str> {
        let kinds = self.all.iter().map(|manifest| manifest["kind"].as_str());
        kinds.flatten().collect()
    }

    /// Those of a kind.
    #[must_use]
    pub fn of_kind(&self, kind: &str) -> Vec<&Value> {
        let all = self.all.iter();
        all.filter(|manifest| manifest["kind"] == kind).collect()
    }

    /// What runs this program, with its only container.
    ///
    /// # Errors
    /// When nothing does, or more than it alone.
    pub fn deployment(&self, program: &str) -> Result<(&Value, &Value)> {
        for deployment in self.of_kind("Deployment") {
            let containers = &deployment["spec"]["template"]["spec"]["containers"];
            let container = &containers[0];
            if container["command"] == Value::from(vec![program]) {
                ensure!(containers[1].is_null(), "more than {program}: {}", self.way);
                return Ok((deployment, container));
            }
        }
        bail!("nothing runs {program}: {}", self.way)
    }

    /// The manifests of a kind that these labels select, by their own labels or by those of their pods.
    #[must_use]
    pub fn selected(&self, kind: &str, labels: &Value) -> Vec<&Value> {
        let is_selected = |manifest: &&Value| {
            let own = match kind {
                "Deployment" => &manifest["spec"]["template"]["metadata"]["labels"],
                _ => &manifest["metadata"]["labels"],
            };
            let wanted = labels.as_object().into_iter().flatten();
            labels.as_object().is_some_and(|labels| !labels.is_empty())
                && wanted.clone().all(|(name, value)| own[name] == *value)
        };
        let all = self.of_kind(kind).into_iter();
        all.filter(is_selected).collect()
    }
}

/// The name of a manifest.
///
/// # Errors
/// When it has none.
pub fn name(manifest: &Value) -> Result<&str> {
    manifest["metadata"]["name"].as_str().context("no name")
}

/// Every object within a manifest that has this key, such as every one with a `path`.
#[must_use]
pub fn with_key<'a>(value: &'a Value, key: &str) -> Vec<&'a Map<String, Value>> {
    match value {
        Value::Object(object) => {
            let own = object.contains_key(key).then_some(object);
            let inner = object.values().flat_map(|value| with_key(value, key));
            own.into_iter().chain(inner).collect()
        }
        Value::Array(items) => items
            .iter()
            .flat_map(|value| with_key(value, key))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}
