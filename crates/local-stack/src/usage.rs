//! Memory, CPU time and open files of a process, from Linux's `/proc` (proc(5)).

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use nix::unistd::{SysconfVar, sysconf};

/// The most memory the process has held at once, in bytes (`VmHWM`).
///
/// # Errors
/// When the process has ended, or the system has no `/proc`.
pub fn peak_memory_bytes(pid: u32) -> Result<u64> {
    memory(pid, "VmHWM:")
}

/// The memory the process holds now, in bytes (`VmRSS`).
///
/// # Errors
/// When the process has ended, or the system has no `/proc`.
pub fn memory_bytes(pid: u32) -> Result<u64> {
    memory(pid, "VmRSS:")
}

/// The CPU time all threads of the process have used, in user mode and in the kernel.
///
/// # Errors
/// When the process has ended, or the system has no `/proc`.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = read(pid, "stat")?;
    let ticks = cpu_ticks(&stat).with_context(|| format!("no CPU time in `{stat}`"))?;
    let ticks_a_second = sysconf(SysconfVar::CLK_TCK)?.context("the system has no clock ticks")?;
    let micros = ticks * 1_000_000 / u64::try_from(ticks_a_second)?;
    Ok(Duration::from_micros(micros))
}

/// How many file descriptors the process has open.
///
/// # Errors
/// When the process has ended, or the system has no `/proc`.
pub fn open_files(pid: u32) -> Result<usize> {
    let path = format!("/proc/{pid}/fd");
    let open = fs::read_dir(&path).with_context(|| format!("cannot read {path}"))?;
    Ok(open.count())
}

/// How many threads it has.
///
/// # Errors
/// When there is no such process.
pub fn threads(pid: u32) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/task"))?.count())
}

fn read(pid: u32, file: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
}

fn memory(pid: u32, name: &str) -> Result<u64> {
    let status = read(pid, "status")?;
    kibibytes(&status, name)
        .map(|kibibytes| kibibytes * 1024)
        .with_context(|| format!("no {name} of process {pid}: it has ended"))
}

fn kibibytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The fields `utime` and `stime`, the 14th and 15th; the second, the program's name, may hold spaces.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_cpu_times_are_added_whatever_the_program_is_called() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 90 0 0 0 120 34 0 0 20 0 3 0 99 1000 200";
        assert_eq!(cpu_ticks(stat), Some(154));
    }

    #[test]
    fn memory_is_read_in_kibibytes() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(kibibytes(status, "VmHWM:"), Some(2048));
        assert_eq!(kibibytes("Name:\tx\nState:\tZ (zombie)\n", "VmHWM:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn our_own_figures_are_plausible() {
        let pid = std::process::id();
        let (now, peak) = (memory_bytes(pid).unwrap(), peak_memory_bytes(pid).unwrap());
        assert!(now > 100_000 && peak >= now);
        assert!(open_files(pid).unwrap() >= 3);
        assert!(cpu_time(pid).unwrap() < Duration::from_secs(3600));
    }
}
