//! A network of its own for some processes, joined to this machine's by one cable that can be cut.
//!
//! A Linux network namespace with a pair of virtual interfaces: `veth(4)`, `ip-netns(8)`. What a cut keeps
//! from passing is lost and not even acknowledged, as on a broken network, which no proxy can do.
//!
//! The rules are the namespace's own: this machine's firewall is not touched. Namespace, interfaces and
//! rules go with the value; what a killed process left is removed by the next that needs a network.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context, Result, bail};
use nix::unistd::geteuid;

use crate::packages::{self, in_path};

/// The programs this needs.
const TOOLS: [&str; 2] = ["ip", "iptables"];

/// How the names of our namespaces begin; the process id follows.
const NAME: &str = "pn";

/// The range of addresses that are for tests of networks and occur in no other: RFC 2544, 198.18.0.0/15.
const RANGE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);

/// How many networks of four addresses are in it.
const NETWORKS: u32 = 1 << 15;

/// The interface's name inside.
const INSIDE: &str = "eth0";

/// What does not get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing, in either direction.
    Everything,
    /// Nothing to or from the servers at this TCP port outside.
    Server(u16),
    /// What the servers at this TCP port outside say; what is said to them arrives.
    AnswersOf(u16),
}

/// The network. [`Service::start_in`](crate::Service::start_in) starts a service there.
#[derive(Debug)]
pub struct PrivateNetwork {
    name: String,
    outside: Ipv4Addr,
    inside: Ipv4Addr,
}

impl PrivateNetwork {
    /// Why there can be none on this machine; `None` when there can.
    #[must_use]
    pub fn why_not() -> Option<&'static str> {
        static WHY_NOT: OnceLock<Option<String>> = OnceLock::new();
        WHY_NOT.get_or_init(why_not).as_deref()
    }

    /// As [`PrivateNetwork::why_not`], after what was missing has been installed where that is possible.
    ///
    /// # Errors
    /// When the package manager fails.
    pub fn why_not_even_installed() -> Result<Option<&'static str>> {
        if geteuid().is_root() && TOOLS.iter().any(|tool| in_path(tool).is_none()) {
            packages::install("A tool for networks", |manager| match manager {
                "apt-get" => &["iproute2", "iptables"],
                "dnf" => &["iproute", "iptables-nft"],
                "apk" => &["iproute2", "iptables"],
                _ => &[],
            })?;
        }
        Ok(Self::why_not())
    }

    /// A network that lets everything through.
    ///
    /// # Errors
    /// When there can be none, or the system refuses any of what it takes.
    pub fn create() -> Result<Self> {
        static SWEPT: OnceLock<()> = OnceLock::new();
        SWEPT.get_or_init(remove_abandoned);
        let (name, number) = unused_name()?;
        let (outside, inside) = addresses(number)?;
        run(&["ip", "netns", "add", &name])?;
        // From here on dropping it removes what there is of it.
        let network = Self {
            name,
            outside,
            inside,
        };
        network.join()?;
        Ok(network)
    }

    /// Where those inside find this machine.
    #[must_use]
    pub fn outside(&self) -> Ipv4Addr {
        self.outside
    }

    /// Where this machine finds those inside.
    #[must_use]
    pub fn inside(&self) -> Ipv4Addr {
        self.inside
    }

    /// Services started inside from now on ask this name server for names.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn ask_for_names(&self, server: Ipv4Addr) -> Result<()> {
        let directory = self.settings();
        std::fs::create_dir_all(&directory)?;
        let text = format!("nameserver {server}\n");
        Ok(std::fs::write(directory.join("resolv.conf"), text)?)
    }

    /// What `ip netns exec` puts in place of files in `/etc`: `ip-netns(8)`.
    fn settings(&self) -> PathBuf {
        Path::new("/etc/netns").join(&self.name)
    }

    /// From now on this does not get through, and all else does.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn cut(&self, cut: Cut) -> Result<()> {
        self.heal()?;
        let drop_in = ["-A", "INPUT", "-i", INSIDE, "-j", "DROP"];
        let drop_out = ["-A", "OUTPUT", "-o", INSIDE, "-j", "DROP"];
        match cut {
            Cut::Everything => {
                self.iptables(&drop_in)?;
                self.iptables(&drop_out)
            }
            Cut::Server(port) => {
                let port = port.to_string();
                self.iptables(&[&drop_in[..], &["-p", "tcp", "--sport", &port]].concat())?;
                self.iptables(&[&drop_out[..], &["-p", "tcp", "--dport", &port]].concat())
            }
            Cut::AnswersOf(port) => {
                let port = port.to_string();
                self.iptables(&[&drop_in[..], &["-p", "tcp", "--sport", &port]].concat())
            }
        }
    }

    /// From now on everything gets through.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn heal(&self) -> Result<()> {
        self.iptables(&["-F"])
    }

    /// The start of a command line that runs the rest of it inside.
    pub(crate) fn prefix(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.name]
    }

    fn join(&self) -> Result<()> {
        let (name, outside) = (&self.name, format!("{}/30", self.outside));
        let inside = format!("{}/30", self.inside);
        run(&[
            "ip", "link", "add", name, "type", "veth", "peer", "name", INSIDE, "netns", name,
        ])?;
        run(&["ip", "addr", "add", &outside, "dev", name])?;
        run(&["ip", "link", "set", name, "up"])?;
        run(&["ip", "-n", name, "addr", "add", &inside, "dev", INSIDE])?;
        run(&["ip", "-n", name, "link", "set", INSIDE, "up"])?;
        run(&["ip", "-n", name, "link", "set", "lo", "up"])
    }

    fn iptables(&self, args: &[&str]) -> Result<()> {
        run(&[&self.prefix()[..], &["iptables", "-w"], args].concat())
    }
}

impl Drop for PrivateNetwork {
    fn drop(&mut self) {
        remove(&self.name);
        drop(std::fs::remove_dir_all(self.settings()));
    }
}

fn why_not() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("this is no Linux".to_owned());
    }
    if !geteuid().is_root() {
        return Some("this does not run as root".to_owned());
    }
    if let Some(tool) = TOOLS.iter().find(|tool| in_path(tool).is_none()) {
        return Some(format!("there is no `{tool}`"));
    }
    let (name, _) = unused_name().ok()?;
    let permitted = run(&["ip", "netns", "add", &name])
        .and_then(|()| run(&["ip", "netns", "exec", &name, "iptables", "-w", "-F"]));
    remove(&name);
    permitted.err().map(|cause| cause.to_string())
}

/// A name nobody else uses, and a number for the addresses.
fn unused_name() -> Result<(String, u32)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    // An interface's name has at most 15 characters.
    let name = format!("{NAME}{process}x{number}");
    if name.len() > 15 {
        bail!("the name {name} is too long for an interface");
    }
    Ok((name, process.wrapping_mul(64).wrapping_add(number)))
}

/// The addresses outside and inside of the first network from `number` on that is not in use.
fn addresses(number: u32) -> Result<(Ipv4Addr, Ipv4Addr)> {
    for number in number..number.saturating_add(NETWORKS) {
        let first = RANGE.to_bits() + (number % NETWORKS) * 4;
        let [outside, inside] = [1, 2].map(|offset| Ipv4Addr::from_bits(first + offset));
        let network = format!("{}/30", Ipv4Addr::from_bits(first));
        if output(&["ip", "-4", "-o", "addr", "show", "to", &network])?.is_empty() {
            return Ok((outside, inside));
        }
    }
    bail!("every network of {RANGE}/15 is in use")
}

/// Removes what processes left that were killed.
fn remove_abandoned() {
    let names = output(&["ip", "netns", "list"]).unwrap_or_default();
    for name in names.lines().filter_map(|line| line.split(' ').next()) {
        if process_of(name).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            remove(name);
        }
    }
}

/// The process that made a namespace, if its name is one of ours.
fn process_of(name: &str) -> Option<u32> {
    let (process, _number) = name.strip_prefix(NAME)?.split_once('x')?;
    process.parse().ok()
}

/// Removes a namespace and its cable, or what there is of them.
fn remove(name: &str) {
    drop(run(&["ip", "link", "del", name]));
    drop(run(&["ip", "netns", "del", name]));
}

fn run(command: &[&str]) -> Result<()> {
    output(command).map(drop)
}

fn output(command: &[&str]) -> Result<String> {
    let line = command.join(" ");
    let (program, args) = command.split_first().context("no command")?;
    let output = Command::new(program)
        .args(args)
        .output()
        .with_context(|| format!("cannot run `{line}`"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}` failed: {}", why.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests;
