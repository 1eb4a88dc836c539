//! `GET /openapi.json` and `GET /docs`: what is described is what there is, and what is committed.

use std::{collections::BTreeSet, env, fs};

use anyhow::{Context, Result, ensure};
use harness::{
    PATIENCE, PrivateRedis, Service, calls,
    services::{consumer_without_group, group, redis},
};
use local_stack::binaries::workspace;
use reqwest::{
    Client, Method, Response, StatusCode,
    header::{ALLOW, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
};
use serde_json::Value;

/// When set, the committed descriptions are written anew.
const UPDATE: &str = "UPDATE_OPENAPI";

/// Both services, by the names of their committed descriptions.
async fn services(redis: &PrivateRedis) -> Result<[(&'static str, Service); 2]> {
    Ok([
        ("consumer-group-app", group(redis, &[]).await?),
        ("consumer-app", consumer_without_group(redis, 1, &[]).await?),
    ])
}

async fn description(service: &Service) -> Result<Value> {
    Ok(calls::get(service, "/openapi.json").await?.body)
}

/// The methods and paths of a description.
fn routes(description: &Value) -> Result<BTreeSet<(String, String)>> {
    let paths = description["paths"].as_object().context("no paths")?;
    let of_path = |(path, methods): (&String, &Value)| {
        let methods = methods.as_object().into_iter().flatten();
        let of_method = |(method, _): (&String, _)| (method.to_uppercase(), path.clone());
        methods.map(of_method).collect::<Vec<_>>()
    };
    Ok(paths.iter().flat_map(of_path).collect())
}

/// The paths that `protocol::http` names.
fn known_paths() -> Result<BTreeSet<String>> {
    let source = fs::read_to_string(workspace().join("crates/protocol/src/http.rs"))?;
    let path = |line: &str| {
        let (_, value) = line.strip_prefix("pub const ")?.split_once(": &str = \"")?;
        let path = value.strip_suffix("\";")?;
        path.starts_with('/').then(|| path.to_owned())
    };
    Ok(source.lines().filter_map(path).collect())
}

async fn answer(service: &Service, method: Method, path: &str) -> Result<Response> {
    let client = Client::builder().no_proxy().timeout(PATIENCE).build()?;
    Ok(client.request(method, service.url(path)).send().await?)
}

/// The methods a path takes, as the refusal of another one tells; none when there is no such path.
async fn allowed(service: &Service, path: &str) -> Result<Vec<String>> {
    let answer = answer(service, Method::PATCH, path).await?;
    if answer.status() == StatusCode::NOT_FOUND {
        return Ok(Vec::new());
    }
    ensure!(
        answer.status() == StatusCode::METHOD_NOT_ALLOWED,
        "{path}: {answer:?}"
    );
    let allow = answer.headers().get(ALLOW).context("no Allow")?;
    Ok(allow.to_str()?.split(',').map(str::to_owned).collect())
}

#[tokio::test]
async fn the_committed_descriptions_are_those_of_the_services() -> Result<()> {
    let redis = redis().await?;
    for (name, service) in services(&redis).await? {
        let file = workspace().join(format!("docs/openapi/{name}.json"));
        if env::var_os(UPDATE).is_some() {
            let text = answer(&service, Method::GET, "/openapi.json").await?;
            fs::write(&file, text.text().await?)?;
        }
        let committed: Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
        assert!(
            description(&service).await? == committed,
            "docs/openapi/{name}.json is not what {name} answers to GET /openapi.json. To write it anew: \
             {UPDATE}=1 cargo xtask test the_committed_descriptions"
        );
    }
    Ok(())
}

#[tokio::test]
async fn every_described_route_exists() -> Result<()> {
    let redis = redis().await?;
    for (name, service) in services(&redis).await? {
        let routes = routes(&description(&service).await?)?;
        assert!(routes.len() >= 6, "{name}: {routes:?}");
        for (method, path) in routes {
            let allowed = allowed(&service, &path).await?;
            assert!(
                allowed.contains(&method),
                "{name}: {method} {path}: {allowed:?}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_path_of_the_protocol_is_described_where_it_exists() -> Result<()> {
    let redis = redis().await?;
    let mut unheard_of = known_paths()?;
    assert!(unheard_of.len() >= 9, "{unheard_of:?}");
    for (name, service) in services(&redis).await? {
        let routes = routes(&description(&service).await?)?;
        for path in known_paths()? {
            for method in allowed(&service, &path).await? {
                unheard_of.remove(&path);
                // What axum answers wherever there is a GET.
                let is_described =
                    method == "HEAD" || routes.contains(&(method.clone(), path.clone()));
                assert!(
                    is_described,
                    "{name}: {method} {path} has no #[utoipa::path]"
                );
            }
        }
    }
    assert!(unheard_of.is_empty(), "no service has {unheard_of:?}");
    Ok(())
}

#[tokio::test]
async fn a_description_names_its_version_and_is_text_for_people() -> Result<()> {
    let redis = redis().await?;
    for (name, service) in services(&redis).await? {
        let description = description(&service).await?;
        let openapi = description["openapi"].as_str().context("no version")?;
        assert!(openapi.starts_with("3.1."), "{openapi}");
        assert_eq!(description["info"]["title"], name);
        assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
        let text = description.to_string();
        assert!(
            !text.contains("[`"),
            "{name}: a link of rustdoc is in a description"
        );
        for (path, methods) in description["paths"].as_object().context("no paths")? {
            for (method, operation) in methods.as_object().context("no methods")? {
                assert!(operation["summary"].is_string(), "{name}: {method} {path}");
                assert!(operation["tags"].is_array(), "{name}: {method} {path}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_consumer_describes_only_the_routes_it_has() -> Result<()> {
    let redis = redis().await?;
    for (args, has_one, has_many) in [
        (["--intake", "pull"], false, false),
        (["--maxBatch", "1"], true, false),
    ] {
        let consumer = consumer_without_group(&redis, 1, &args).await?;
        let description = description(&consumer).await?;
        let paths = &description["paths"];
        assert_eq!(paths["/processMessage"].is_object(), has_one, "{args:?}");
        assert_eq!(paths["/processMessages"].is_object(), has_many, "{args:?}");
        assert!(paths["/health"].is_object(), "{args:?}");
    }
    Ok(())
}

/// The values of `src`, `href` and `spec-url` in a page.
fn sources(page: &str) -> Vec<&str> {
    let of = |name: &str| {
        let mut after: Vec<_> = page.split(name).skip(1).collect();
        after.retain_mut(|rest| {
            *rest = rest.split('"').next().unwrap_or_default();
            !rest.is_empty()
        });
        after
    };
    ["src=\"", "href=\"", "spec-url=\""].map(of).concat()
}

#[tokio::test]
async fn the_page_needs_nothing_but_the_service() -> Result<()> {
    let redis = redis().await?;
    for (name, service) in services(&redis).await? {
        let page = answer(&service, Method::GET, "/docs").await?;
        assert_eq!(page.status(), StatusCode::OK, "{name}");
        assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str()?.to_owned();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{policy}"
        );
        assert!(
            !policy.contains("http") && !policy.contains('*'),
            "{policy}"
        );
        let page = page.text().await?;
        assert!(!page.contains("//"), "{name}: {page}");
        let sources = sources(&page);
        assert!(sources.len() >= 3, "{sources:?}");
        let is_file = |source: &&&str| **source != "data:," && !source.starts_with('#');
        for source in sources.iter().filter(is_file) {
            let loaded = answer(&service, Method::GET, &format!("/{source}")).await?;
            assert_eq!(loaded.status(), StatusCode::OK, "{source}");
            let kind = loaded.headers()[CONTENT_TYPE].to_str()?.to_owned();
            if source.ends_with(".js") {
                assert_eq!(kind, "text/javascript; charset=utf-8");
                assert_eq!(loaded.headers()[CONTENT_ENCODING], "gzip");
                // The magic number of gzip (RFC 1952, 2.3.1).
                assert!(loaded.bytes().await?.starts_with(&[0x1f, 0x8b]));
            } else {
                assert_eq!(kind, "application/json", "{source}");
            }
        }
    }
    Ok(())
}
