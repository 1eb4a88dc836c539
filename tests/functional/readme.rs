//! The commands of README, run one after the other as a newcomer does, with what README says of them.
//!
//! They run in a network of their own, because they use the ports that README names.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Stdio,
};

use anyhow::{Context, Result, ensure};
use harness::services::binaries;
use local_stack::binaries::workspace;
use tokio::process::Command;

/// What the commands need beside what README has the newcomer install.
const TOOLS: [&str; 5] = ["unshare", "ip", "python3", "curl", "redis-cli"];

/// What the script of all commands begins with.
const HEAD: &str = r#"
set -eu
trap 'kill -KILL $(jobs -p) 2> /dev/null || true' EXIT
within_a_minute() {
    for _ in $(seq 600); do
        if eval "$1" > /dev/null 2>&1; then return; fi
        sleep 0.1
    done
    echo "not within a minute: $1" >&2
    exit 1
}
active() { curl -s localhost:5000/status | grep -o '"state":"active"' | wc -l; }
ip link set lo up
redis-server --port 6379 --save '' > redis.log &
within_a_minute 'redis-cli ping'
"#;

/// The shell commands of a section, block by block.
fn blocks(readme: &str, heading: &str) -> Result<Vec<String>> {
    let (_, section) = readme
        .split_once(&format!("\n## {heading}\n"))
        .with_context(|| format!("README has no section {heading}"))?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("```sh\n").skip(1);
    let blocks = blocks.filter_map(|rest| rest.split("```").next());
    Ok(blocks.map(str::to_owned).collect())
}

/// All commands as one script, with a look at what each brings about.
fn script(readme: &str) -> Result<String> {
    let mut script = HEAD.to_owned();
    let mut step = |line: &str| {
        script.push_str(line);
        script.push('\n');
    };
    let try_it = blocks(readme, "Try it")?;
    ensure!(
        try_it
            .first()
            .is_some_and(|block| block == "cargo xtask demo\n")
    );
    step("cargo xtask demo > demo.log");
    step("grep -q '10,000 published = 10,000 processed + 0 failed' demo.log");

    let run_it = blocks(readme, "Run it")?;
    let [start, look, ..] = run_it.as_slice() else {
        anyhow::bail!("README does not say how to run it");
    };
    let (services, publish): (Vec<_>, Vec<_>) = start
        .lines()
        .partition(|line| line.contains(" -p consumer-"));
    ensure!(services.len() == 3 && publish.len() == 1, "{start}");
    for (number, service) in services.iter().enumerate() {
        step(&format!(
            "{service} > service-{number}.log 2>&1 & service_{number}=$!"
        ));
    }
    step("within_a_minute 'test $(active) = 2'");
    step(publish[0]);
    step("within_a_minute 'test $(redis-cli XLEN messages:processed) = 1000'");
    step(look);

    step("kill -INT $service_1 $service_2; wait $service_1 $service_2");
    let worker = blocks(readme, "Your first worker in five minutes")?;
    let [prepare, publish, look, ..] = worker.as_slice() else {
        anyhow::bail!("README does not say how to write a worker");
    };
    let (copy, start) = prepare.trim_end().split_once('\n').context("no worker")?;
    step(copy);
    step(&format!("{start} > worker.log 2>&1 &"));
    step("within_a_minute 'test $(active) = 1'");
    step(&format!("test \"$({})\" = 1", publish.trim_end()));
    step("within_a_minute 'grep -qx \"processed order-1\" worker.log'");
    let look = look.trim_end();
    step(&format!("within_a_minute '{look} | grep -qx ORDER-1'"));
    Ok(script)
}

/// The lines that the demo prints, without what differs from run to run: `#` in place of words with digits, and one line
/// in place of several alike.
fn outline(printed: &str) -> Vec<String> {
    let lines = printed.lines().filter(|line| !line.starts_with('$'));
    let lines = lines.map(|line| {
        let words = line.split_whitespace().map(|word| {
            let has_digit = word.contains(|letter: char| letter.is_ascii_digit());
            if has_digit { "#" } else { word }
        });
        words.collect::<Vec<_>>().join(" ")
    });
    let mut outline: Vec<_> = lines.collect();
    outline.dedup();
    outline
}

/// Why the commands cannot be run here, if so.
async fn why_not() -> Result<Option<String>> {
    for tool in TOOLS {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {tool}")])
            .stdout(Stdio::null())
            .status();
        if !found.await?.success() {
            return Ok(Some(format!("there is no `{tool}`")));
        }
    }
    let allowed = Command::new("unshare")
        .args(["--net", "true"])
        .stderr(Stdio::null())
        .status();
    let is_allowed = allowed.await?.success();
    Ok((!is_allowed).then(|| "a network of its own needs root".to_owned()))
}

/// A folder that looks like a clone of this repository; cargo works in the repository itself, where all is compiled.
fn clone_in(folder: &Path) -> Result<()> {
    symlink(workspace().join("examples"), folder.join("examples"))?;
    let bin = folder.join("bin");
    fs::create_dir(&bin)?;
    let cargo = bin.join("cargo");
    let line = format!(
        "#!/bin/sh\ncd '{}' && exec '{}' \"$@\"\n",
        workspace().display(),
        env!("CARGO")
    );
    fs::write(&cargo, line)?;
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

#[tokio::test]
async fn the_commands_of_the_readme_do_what_it_says() -> Result<()> {
    if let Some(why) = why_not().await? {
        println!("skipped: {why}");
        return Ok(());
    }
    // Compiled before, so that nothing waits for the compiler.
    binaries().await?;
    let readme = fs::read_to_string(workspace().join("README.md"))?;
    let folder = tempfile::tempdir()?;
    clone_in(folder.path())?;
    let path = std::env::var("PATH")?;
    let path = format!("{}:{path}", folder.path().join("bin").display());
    let run = Command::new("unshare")
        .args(["--net", "--kill-child", "--pid", "--fork", "bash", "-c"])
        .arg(script(&readme)?)
        .current_dir(folder.path())
        .env("PATH", path)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = run.await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    let printed = fs::read_to_string(folder.path().join("demo.log"))?;
    let documented = fs::read_to_string(workspace().join("docs/demo.txt"))?;
    assert_eq!(outline(&documented), outline(&printed), "docs/demo.txt");
    Ok(())
}
