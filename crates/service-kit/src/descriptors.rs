//! How many descriptors, and so connections, the process may have.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::warn;

/// The most descriptors a service asks for: more would only cost memory.
const MAX_DESCRIPTORS: u64 = 65_536;

/// Raises the soft limit as far as the hard one lets it. Login shells and many containers have 1,024, for the sake of
/// programs that use `select`; a connection to each consumer and from each client is soon more.
pub(crate) fn raise_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let wanted = hard.min(MAX_DESCRIPTORS);
        match soft < wanted {
            true => setrlimit(Resource::RLIMIT_NOFILE, wanted, hard),
            false => Ok(()),
        }
    });
    if let Err(cause) = raised {
        warn!(%cause, "cannot raise the limit of open files; it stays as it is");
    }
}

/// How many the process may have; the most a service asks for where the system does not say.
pub(crate) fn limit() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(MAX_DESCRIPTORS, |(soft, _)| soft)
}
