//! Memory in small pages only.

/// Has the system give this process no transparent huge pages (`PR_SET_THP_DISABLE`, `prctl(2)`), Linux alone.
///
/// The allocator asks for them. With them a service at rest takes twice the memory, because each piece of what is
/// touched costs 2 MiB; without them it is as fast.
pub(crate) fn do_without() {
    #[cfg(target_os = "linux")]
    if let Err(cause) = nix::sys::prctl::set_thp_disable(true) {
        tracing::debug!(%cause, "cannot do without huge pages");
    }
}
