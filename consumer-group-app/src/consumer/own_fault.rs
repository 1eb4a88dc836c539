//! Tells the group's own faults from those of its consumers.

use std::{error::Error, io, sync::Arc, time::Duration};

use nix::errno::Errno;
use protocol::ConsumerId;
use service_kit::{log_throttle::LogThrottle, telemetry::chain};
use tracing::error;

/// How often a fault that lasts is logged again.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Watches for connections that fail on this side; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct OwnFaults(Arc<LogThrottle>);

impl OwnFaults {
    pub(crate) fn new() -> Self {
        Self(Arc::new(LogThrottle::every(LOG_EVERY)))
    }

    /// The error in words when it is this process's or this machine's fault, which is logged.
    pub(crate) fn notice(
        &self,
        consumer: &ConsumerId,
        error: &(dyn Error + 'static),
    ) -> Option<String> {
        let advice = advice(error)?;
        let error = chain(error);
        if let Some(suppressed) = self.0.due() {
            error!(consumer.id = %consumer, error, suppressed,
                "cannot connect to consumers, by a fault on this side: {advice}");
        }
        Some(error)
    }
}

/// What the system said, of all that an error has as its cause.
pub(crate) fn io_causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a io::Error> {
    let mut next = Some(error);
    let causes = std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    });
    causes.filter_map(|cause| cause.downcast_ref())
}

/// What to do about the error when it is this side's fault.
///
/// `EHOSTUNREACH` is not among them: a host that is down on the same network looks so (connect(2), arp(7)).
fn advice(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let code = io_causes(error).find_map(io::Error::raw_os_error)?;
    let advice = match Errno::from_raw(code) {
        Errno::EMFILE => {
            "this process has no file descriptor left; raise its limit (ulimit -n, LimitNOFILE=)"
        }
        Errno::ENFILE => "this machine has no file descriptor left; raise fs.file-max",
        Errno::ENOMEM | Errno::ENOBUFS => "this machine has no memory left for connections",
        Errno::EADDRNOTAVAIL => {
            "this machine has no local port left; widen net.ipv4.ip_local_port_range"
        }
        Errno::ENETUNREACH | Errno::ENETDOWN => {
            "this machine has no route there; look at its network"
        }
        Errno::EPERM => "this machine's firewall forbids it; look at its rules",
        _ => return None,
    };
    Some(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot connect")]
    struct Wrapped(#[source] io::Error);

    fn is_own(code: Errno) -> bool {
        advice(&Wrapped(io::Error::from(code))).is_some()
    }

    #[test]
    fn what_this_side_lacks_is_its_own_fault() {
        for code in [
            Errno::EMFILE,
            Errno::ENFILE,
            Errno::ENOMEM,
            Errno::EADDRNOTAVAIL,
            Errno::ENETUNREACH,
        ] {
            assert!(is_own(code), "{code}");
        }
    }

    #[test]
    fn what_the_other_side_does_is_not() {
        for code in [
            Errno::ECONNREFUSED,
            Errno::ECONNRESET,
            Errno::EHOSTUNREACH,
            Errno::ETIMEDOUT,
        ] {
            assert!(!is_own(code), "{code}");
        }
        assert_eq!(advice(&io::Error::from(io::ErrorKind::TimedOut)), None);
    }
}
