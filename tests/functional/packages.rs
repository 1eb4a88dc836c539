//! What `packaging/release` makes: an archive and a Debian package that work on a machine without Rust.
//!
//! The programs in them are those of the tests, because building them for a release takes minutes. Beside them, what
//! `cargo package` makes of the libraries.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use harness::{
    Bus, PATIENCE, PrivateRedis, Service,
    services::{binaries, id_of, redis, wait_until_joined, wait_until_subscribed},
    status::wait_for_status,
};
use local_stack::binaries::{cargo, workspace};
use serde_json::json;
use tempfile::TempDir;
use tokio::{process::Command, sync::OnceCell, time::timeout};

/// The programs there are.
const PROGRAMS: [&str; 3] = ["consumer-group-app", "consumer-app", "publisher"];

/// What a worker in Rust is built from.
const LIBRARIES: [&str; 4] = ["protocol", "service-kit", "redis-bus", "consumer-kit"];

/// All that a command is told of its surroundings.
const BARE: [&str; 2] = ["-i", "PATH=/usr/bin:/bin"];

/// How long the packing may take: ten seconds of work, on a machine that has much else to do.
const PACKING: Duration = Duration::from_secs(180);

/// Files as a release has them.
struct Packages {
    directory: TempDir,
    version: String,
}

impl Packages {
    /// Those that are made once for all tests.
    async fn made() -> Result<&'static Self> {
        static MADE: OnceCell<Packages> = OnceCell::const_new();
        MADE.get_or_try_init(Self::make).await
    }

    async fn make() -> Result<Self> {
        let programs = &binaries().await?.publisher;
        let directory = tempfile::tempdir()?;
        let mut command = Command::new(workspace().join("packaging/release"));
        command.arg("--binaries");
        command.arg(programs.parent().context("no directory")?);
        command.arg("--out").arg(directory.path());
        let packed = timeout(PACKING, command.kill_on_drop(true).output()).await??;
        ensure!(packed.status.success(), "{packed:?}");
        let version = run(Command::new(programs).arg("--version")).await?;
        let version = version.split(' ').nth(1).context("no version")?.to_owned();
        Ok(Self { directory, version })
    }

    /// The file with this end.
    fn file(&self, end: &str) -> Result<Option<PathBuf>> {
        for entry in fs::read_dir(self.directory.path())? {
            let path = entry?.path();
            if path.to_string_lossy().ends_with(end) {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// The archive, unpacked into an empty directory: that directory, and the one in it.
    async fn unpacked(&self) -> Result<(TempDir, PathBuf)> {
        let place = tempfile::tempdir()?;
        let archive = self.file(".tar.gz")?.context("no archive")?;
        let mut tar = bare(place.path(), "tar", &["-xzf"]);
        run(tar.arg(&archive)).await?;
        let name = archive.file_name().context("no name")?.to_string_lossy();
        let name = name.trim_end_matches(".tar.gz");
        let start = format!("consumer-group-{}-", self.version);
        ensure!(name.starts_with(&start), "{name}");
        let root = place.path().join(name);
        Ok((place, root))
    }

    /// The Debian package, unpacked; none where Debian's tools are not there.
    async fn installed(&self) -> Result<Option<TempDir>> {
        let Some(package) = self.file(".deb")? else {
            return Ok(None);
        };
        let place = tempfile::tempdir()?;
        let mut unpack = Command::new("dpkg-deb");
        unpack.arg("-x").arg(&package).arg(place.path());
        run(&mut unpack).await?;
        Ok(Some(place))
    }
}

/// A command line that knows nothing of this machine but where its basic programs are.
fn bare(directory: &Path, program: &str, args: &[&str]) -> Command {
    let mut command = Command::new("env");
    command.args(BARE).arg(program).args(args);
    command.current_dir(directory).kill_on_drop(true);
    command
}

async fn output(command: &mut Command) -> Result<Output> {
    Ok(timeout(PATIENCE, command.output()).await??)
}

/// Runs a command that must succeed, and answers what it said.
async fn run(command: &mut Command) -> Result<String> {
    let output = output(command).await?;
    ensure!(output.status.success(), "{command:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Starts a service of the archive, in the archive.
async fn start(root: &Path, program: &str, redis: &PrivateRedis, args: &[&str]) -> Result<Service> {
    let path = format!("bin/{program}");
    let own = ["--logFormat", "json", "--restApiPort", "0"];
    let port = redis.port_text();
    let at = ["--redisServerPort", &port];
    let command = bare(root, &path, &[&own[..], &at, args].concat());
    Service::spawn_other(Path::new(program), command)?
        .listening()
        .await
}

#[tokio::test]
async fn the_archive_works_on_a_machine_without_rust() -> Result<()> {
    let packages = Packages::made().await?;
    let (_place, root) = packages.unpacked().await?;
    let redis = redis().await?;
    let mut group = start(&root, "consumer-group-app", &redis, &[]).await?;
    wait_until_subscribed(&group).await?;
    let to_group = ["--consumerGroupAppPort", group.port_text()];
    let mut consumer = start(&root, "consumer-app", &redis, &to_group).await?;
    wait_until_joined(&group, &id_of(&consumer)?).await?;
    let port = redis.port_text();
    let publish = ["--count", "20", "--redisServerPort", &port];
    run(&mut bare(&root, "bin/publisher", &publish)).await?;
    wait_for_status(&group, &json!({ "processed": 20 })).await?;
    assert_eq!(Bus::of(&redis).processed().await?.len(), 20);
    let healthy = ["--checkHealth", "--restApiPort", group.port_text()];
    run(&mut bare(&root, "bin/consumer-group-app", &healthy)).await?;
    consumer.terminate(PATIENCE).await?;
    group.terminate(PATIENCE).await?;
    for service in [&group, &consumer] {
        let logged = service.logs().join("\n");
        assert!(!logged.contains("no settings file"), "{logged}");
    }
    Ok(())
}

#[tokio::test]
async fn the_archive_has_all_that_the_documents_speak_of() -> Result<()> {
    let packages = Packages::made().await?;
    let (_place, root) = packages.unpacked().await?;
    for program in PROGRAMS {
        for file in [
            format!("bin/{program}"),
            format!("man/man1/{program}.1"),
            format!("completions/bash/{program}"),
            format!("completions/zsh/_{program}"),
            format!("completions/fish/{program}.fish"),
        ] {
            let size = fs::metadata(root.join(&file))
                .with_context(|| file.clone())?
                .len();
            assert!(size > 0, "{file} is empty");
        }
    }
    let mut lost = Vec::new();
    for folder in ["", "docs", "docs/openapi"] {
        let folder = root.join(folder);
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "md") {
                continue;
            }
            let text = fs::read_to_string(&path)?;
            let links = text.split("](").skip(1);
            let links = links.filter_map(|rest| rest.split([')', '#']).next());
            let links = links.filter(|link| !link.contains("://") && !folder.join(link).exists());
            lost.extend(links.map(|link| format!("{}: {link}", path.display())));
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
    Ok(())
}

#[tokio::test]
async fn the_checksums_are_of_what_is_there() -> Result<()> {
    let packages = Packages::made().await?;
    let directory = packages.directory.path();
    let told = run(bare(directory, "sha256sum", &["-c", "SHA256SUMS"]).env("LC_ALL", "C")).await?;
    let files = fs::read_dir(directory)?.count();
    assert_eq!(told.lines().count(), files - 1, "{told}");
    Ok(())
}

#[tokio::test]
async fn the_debian_package_installs_programs_settings_and_units() -> Result<()> {
    let packages = Packages::made().await?;
    let Some(root) = packages.installed().await? else {
        println!("skipped: there is no dpkg-deb");
        return Ok(());
    };
    let package = packages.file(".deb")?.context("no package")?;
    let mut field = Command::new("dpkg-deb");
    let version = run(field.arg("-f").arg(&package).arg("Version")).await?;
    assert_eq!(version.trim(), packages.version);
    for program in PROGRAMS {
        let path = format!("usr/bin/{program}");
        run(&mut bare(root.path(), &path, &["--checkConfig"])).await?;
    }
    for unit in ["consumer-group-app", "consumer-app"] {
        let file = root.path().join(format!("etc/consumer-group/{unit}.env"));
        // A password may come into it.
        assert_eq!(fs::metadata(file)?.permissions().mode() & 0o777, 0o600);
    }
    let targets = Path::new("/usr/lib/systemd/system");
    if !targets.join("sysinit.target").exists() {
        println!("skipped: the units, because there is no systemd");
        return Ok(());
    }
    check_units(root.path(), targets).await
}

/// Has systemd look at the units as they are installed, among the targets of this machine.
async fn check_units(root: &Path, targets: &Path) -> Result<()> {
    let installed = root.join("usr/lib/systemd/system");
    for entry in fs::read_dir(targets)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "target") {
            fs::copy(&path, installed.join(path.file_name().context("no name")?))?;
        }
    }
    for unit in ["consumer-group-app.service", "consumer-app@5001.service"] {
        let mut verify = Command::new("systemd-analyze");
        verify.args(["verify", "--man=no", "--root"]).arg(root);
        let output = output(verify.arg(unit)).await?;
        // A key it does not know is no failure to it, but a line.
        let said = String::from_utf8(output.stderr)?;
        ensure!(output.status.success() && said.is_empty(), "{unit}: {said}");
    }
    Ok(())
}

/// Whether what was packed builds is left to who releases it, because that takes minutes.
#[tokio::test]
async fn the_libraries_a_worker_is_built_from_can_be_packed() -> Result<()> {
    let place = tempfile::tempdir()?;
    let mut command = cargo();
    command.args(["package", "--no-verify", "--offline", "--allow-dirty"]);
    command.arg("--target-dir").arg(place.path());
    for library in LIBRARIES {
        command.args(["--package", library]);
    }
    let packed = Command::from(command).kill_on_drop(true).output();
    let packed = timeout(PACKING, packed).await??;
    ensure!(packed.status.success(), "{packed:?}");
    for library in LIBRARIES {
        let version = env!("CARGO_PKG_VERSION");
        let file = format!("package/{library}-{version}.crate");
        assert!(place.path().join(&file).is_file(), "{file}");
    }
    Ok(())
}
