//! Memory in small pages only.

/// Has the system give this process no transparent huge pages (`PR_SET_THP_DISABLE`, `prctl(2)`), Linux alone.
///
/// The allocator asks for them. With them, whoever touches one byte gets 2 MiB, and a service at rest takes much more
/// memory. Without them it is as fast (docs/benchmarks.md).
pub(crate) fn do_without() {
    #[cfg(target_os = "linux")]
    if let Err(cause) = nix::sys::prctl::set_thp_disable(true) {
        tracing::debug!(%cause, "cannot do without huge pages");
    }
}
