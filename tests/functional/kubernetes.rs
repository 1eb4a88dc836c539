//! What `packaging/kubernetes` holds, as helm and kustomize render it, against the programs it is for.
//!
//! Every rendering is valid by the schemas of Kubernetes itself, or nothing of this passes; of the custom
//! resources of KEDA and the Prometheus Operator only the fields that we use are known to be right. There is
//! no cluster here: that a real one takes them, and what its network does, is not tested.

use std::{collections::BTreeMap, fs, process::Command};

use anyhow::{Context, Result, ensure};
use harness::{
    calls,
    manifests::{Manifests, OPTIONS, every_way, name, tools, with_key},
    services::{binaries, consumer, group, redis},
};
use local_stack::binaries::workspace;
use serde_json::{Value, json};

/// The programs that run in pods.
const PROGRAMS: [&str; 2] = ["consumer-group-app", "consumer-app"];

/// What the chart has only when it is asked for.
const OPTIONAL: [&str; 3] = ["ServiceMonitor", "NetworkPolicy", "ScaledObject"];

/// What stands in place of a secret here.
const SECRET: &str = "redis://user:password@redis:6379";

/// The settings of a container, as the program itself understands its environment.
async fn settings(program: &str, container: &Value) -> Result<BTreeMap<String, String>> {
    let path = binaries().await?;
    let path = match program {
        "consumer-app" => &path.consumer,
        _ => &path.group,
    };
    let mut command = Command::new(path);
    command.arg("--checkConfig").current_dir(workspace());
    let variables = container["env"].as_array().context("no environment")?;
    let mut names = Vec::new();
    for variable in variables {
        let name = variable["name"].as_str().context("no name")?;
        let is_secret = variable["valueFrom"]["secretKeyRef"].is_object();
        assert_eq!(name.ends_with("__REDIS__URL"), is_secret, "{name}");
        let value = match is_secret {
            true => SECRET,
            false => variable["value"].as_str().context("no value")?,
        };
        command.env(name, value);
        names.push(name);
    }
    let output = command.output()?;
    ensure!(output.status.success(), "{program}: {output:?}");
    let told = String::from_utf8(output.stdout)?;
    for name in names {
        let mut words = told.split_whitespace();
        assert!(words.any(|word| word == name), "{program} reads no {name}");
    }
    let rows = told.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    });
    Ok(rows.collect())
}

/// A setting that is a number.
fn number(settings: &BTreeMap<String, String>, key: &str) -> Result<u64> {
    let value = settings.get(key).with_context(|| format!("no {key}"))?;
    value.parse().with_context(|| format!("{key}={value}"))
}

/// The only manifest of a kind that these labels select.
fn only<'a>(manifests: &'a Manifests, kind: &str, labels: &Value) -> Result<&'a Value> {
    let found = manifests.selected(kind, labels);
    ensure!(found.len() == 1, "{}: {labels} in {kind}", manifests.way);
    Ok(found[0])
}

/// The service that leads to the pods of a deployment; it does so at the port the program listens at.
fn service<'a>(manifests: &'a Manifests, deployment: &Value, port: u64) -> Result<&'a Value> {
    let services = manifests.of_kind("Service").into_iter();
    let mut services = services.filter(|service| {
        let found = manifests.selected("Deployment", &service["spec"]["selector"]);
        found == [deployment]
    });
    let service = services.next().context("no service")?;
    let expected = json!([{ "name": "http", "port": port, "targetPort": "http" }]);
    assert_eq!(service["spec"]["ports"], expected, "{}", manifests.way);
    Ok(service)
}

#[tokio::test]
async fn variables_are_settings_and_ports_and_names_those_of_the_programs() -> Result<()> {
    for manifests in every_way().await? {
        let mut names = Vec::new();
        let mut told = Vec::new();
        for program in PROGRAMS {
            let (deployment, container) = manifests.deployment(program)?;
            let settings = settings(program, container).await?;
            assert_eq!(settings["rest_api.host"], "0.0.0.0");
            let port = number(&settings, "rest_api.port")?;
            let expected = json!([{ "name": "http", "containerPort": port }]);
            assert_eq!(container["ports"], expected, "{}", manifests.way);
            names.push(name(service(manifests, deployment, port)?)?);
            let pod = &deployment["spec"]["template"]["spec"];
            let limit = pod["terminationGracePeriodSeconds"].as_u64();
            let grace = number(&settings, "service.shutdown_grace_seconds")?;
            // With time to unregister, or to write dead letters.
            assert!(limit.context("no limit")? >= grace + 20, "{program}");
            told.push(settings);
        }
        let [group, worker] = &told[..] else {
            unreachable!("two programs");
        };
        assert_eq!(worker["consumer_group_app.host"], names[0]);
        assert_eq!(worker["consumer_group_app.port"], group["rest_api.port"]);
        assert_eq!(worker["consumer.advertised_host"], "-", "it finds its own");
        let room = number(group, "consumers.max_consumer_group_size")?;
        let (workers, _) = manifests.deployment("consumer-app")?;
        let scaled = manifests.of_kind("ScaledObject");
        let most = match scaled.first() {
            Some(scaled) => scaled["spec"]["maxReplicaCount"].as_u64(),
            None => workers["spec"]["replicas"].as_u64(),
        };
        let most = most.context("as many as you like")?;
        // An update starts a quarter more before it ends the old ones.
        assert!(most + most.div_ceil(4) <= room, "{}", manifests.way);
    }
    Ok(())
}

#[tokio::test]
async fn the_programs_answer_what_probes_and_prometheus_ask() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let consumer = consumer(&redis, &group, &[]).await?;
    for manifests in every_way().await? {
        for (program, service) in PROGRAMS.into_iter().zip([&group, &consumer]) {
            let (_, container) = manifests.deployment(program)?;
            for (probe, path) in [
                ("startupProbe", "/health"),
                ("readinessProbe", "/ready"),
                ("livenessProbe", "/health"),
            ] {
                let asked = &container[probe]["httpGet"];
                assert_eq!(asked, &json!({ "path": path, "port": "http" }), "{probe}");
                assert_eq!(calls::get(service, path).await?.status, 200, "{path}");
            }
            for monitor in manifests.of_kind("ServiceMonitor") {
                let endpoint = &monitor["spec"]["endpoints"][0];
                let path = endpoint["path"].as_str().context("no path")?;
                assert_eq!(endpoint["port"], "http");
                let page = reqwest::get(service.url(path)).await?;
                assert!(page.error_for_status()?.text().await?.contains("# TYPE "));
            }
        }
        for scaled in manifests.of_kind("ScaledObject") {
            let query = &scaled["spec"]["triggers"][0]["metadata"]["query"];
            let query = query.as_str().context("no query")?;
            // Never the sum: each replica tells the number of all.
            let rest = query.strip_prefix("max(").context("not the largest")?;
            let (metric, labels) = rest.split_once('{').context("no labels")?;
            let page = reqwest::get(group.url("/metrics")).await?.text().await?;
            assert!(page.contains(&format!("# TYPE {metric} gauge")), "{query}");
            let (deployment, _) = manifests.deployment("consumer-group-app")?;
            let of_group = name(service(manifests, deployment, 5000)?)?;
            assert!(
                labels.contains(&format!("service=\"{of_group}\"")),
                "{query}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_selects_finds_what_it_is_for() -> Result<()> {
    for manifests in every_way().await? {
        for kind in ["Deployment", "PodDisruptionBudget", "NetworkPolicy"] {
            let all = manifests.of_kind(kind);
            assert!(all.len() == 2 || kind == "NetworkPolicy" && all.is_empty());
            for one in all {
                let selector = &one["spec"]["podSelector"];
                let selector = match selector.is_null() {
                    true => &one["spec"]["selector"],
                    false => selector,
                };
                let found = only(manifests, "Deployment", &selector["matchLabels"])?;
                assert_eq!(name(found)?, name(one)?, "{kind}");
            }
        }
        for monitor in manifests.of_kind("ServiceMonitor") {
            let labels = &monitor["spec"]["selector"]["matchLabels"];
            assert_eq!(manifests.selected("Service", labels).len(), 2);
        }
        for scaled in manifests.of_kind("ScaledObject") {
            let (workers, _) = manifests.deployment("consumer-app")?;
            assert_eq!(scaled["spec"]["scaleTargetRef"]["name"], name(workers)?);
            let replicas = &workers["spec"]["replicas"];
            assert!(replicas.is_null(), "two would say how many there are");
        }
        // The group is let through to workers, and workers are let in by the group.
        for policy in manifests.of_kind("NetworkPolicy") {
            for peer in with_key(policy, "podSelector") {
                let labels = &peer["podSelector"]["matchLabels"];
                if peer.contains_key("policyTypes") || labels.is_null() {
                    continue;
                }
                let found = only(manifests, "Deployment", labels)?;
                assert_ne!(name(found)?, name(policy)?);
            }
            let to_workers = &policy["spec"]["egress"][0]["ports"][0]["port"];
            let (_, worker) = manifests.deployment("consumer-app")?;
            let port = &worker["ports"][0]["containerPort"];
            assert!(to_workers.is_null() || to_workers == port);
        }
    }
    Ok(())
}

#[tokio::test]
async fn pods_have_no_rights_and_state_what_they_need() -> Result<()> {
    let dockerfile = fs::read_to_string(workspace().join("Dockerfile"))?;
    for manifests in every_way().await? {
        for program in PROGRAMS {
            let (deployment, container) = manifests.deployment(program)?;
            let pod = &deployment["spec"]["template"]["spec"];
            assert_eq!(pod["automountServiceAccountToken"], false);
            let user = &pod["securityContext"];
            assert_eq!(user["runAsNonRoot"], true);
            let own = format!("USER {}:", user["runAsUser"]);
            assert!(dockerfile.contains(&own), "{user}");
            let rights = json!({
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            });
            assert_eq!(container["securityContext"], rights);
            for key in ["/requests/cpu", "/requests/memory", "/limits/memory"] {
                assert!(container["resources"].pointer(key).is_some(), "{key}");
            }
            let image = container["image"].as_str().context("no image")?;
            let tag = format!("consumer-group:{}", env!("CARGO_PKG_VERSION"));
            assert!(image.ends_with(&tag), "{image}");
        }
        let (group, _) = manifests.deployment("consumer-group-app")?;
        assert_eq!(group["spec"]["replicas"], 2);
    }
    Ok(())
}

#[tokio::test]
async fn the_chart_has_no_fault_and_leaves_out_what_nobody_asked_for() -> Result<()> {
    let Some(tools) = tools().await? else {
        return Ok(());
    };
    let chart = workspace().join("packaging/kubernetes/chart");
    let chart_path = chart.to_str().context("no text")?;
    tools.helm(&["lint", "--strict", chart_path]).await?;
    let about = fs::read_to_string(chart.join("Chart.yaml"))?;
    let version = format!("appVersion: {}\n", env!("CARGO_PKG_VERSION"));
    assert!(about.contains(&version), "{about}");
    let plain = Manifests::of_chart(&tools, "").await?;
    for kind in OPTIONAL {
        assert!(!plain.kinds().contains(kind), "{kind}");
    }
    for (option, kind) in OPTIONS.into_iter().zip(OPTIONAL) {
        let with = Manifests::of_chart(&tools, option).await?;
        let added: Vec<_> = with.kinds().difference(&plain.kinds()).copied().collect();
        assert_eq!(added, [kind], "{option}");
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_of_another_make_gets_references_and_a_readiness_probe_of_its_own() -> Result<()> {
    let Some(tools) = tools().await? else {
        return Ok(());
    };
    let values = "worker.env.POD_IP.fieldRef.fieldPath=status.podIP,worker.readinessPath=/health";
    let manifests = Manifests::of_chart(&tools, values).await?;
    let (_, container) = manifests.deployment("consumer-app")?;
    let address = json!({
        "name": "POD_IP",
        "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } },
    });
    let variables = container["env"].as_array().context("no environment")?;
    assert!(variables.contains(&address), "{variables:?}");
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/health");
    Ok(())
}
