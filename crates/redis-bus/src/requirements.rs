//! What a server must be able to do, looked at once when a service starts.

use std::time::Duration;

use tokio::time::sleep;

use crate::{BusError, Connection, script::Script, server_check::info};

/// The first version of Redis that knows scripts with `#!lua`, which the services write with.
const NEEDED: u32 = 7;

/// How long after a Redis that did not tell it is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Why a server is of no use, however long one waits.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// Its version is older than is needed.
    #[error(
        "Redis at {at} is version {found}, and {NEEDED}.0 or later is needed: upgrade it, or name another with \
         --redisServerHost, --redisServerPort or --redisUrl"
    )]
    TooOld {
        /// Address, without user and password.
        at: String,
        /// `redis_version` as the server says it.
        found: String,
    },
    /// It does not run scripts.
    #[error(
        "Redis at {at} does not run scripts, which all is written with: let this user do so with `ACL SETUSER \
         <user> +eval +evalsha`, and use version {NEEDED}.0 or later"
    )]
    NoScripts {
        /// Address, without user and password.
        at: String,
        /// Redis's own words.
        source: BusError,
    },
}

/// Returns once Redis has said that it is of no use; where it is of use, or is not there, that is never.
pub async fn until_unusable(connection: Connection) -> Unusable {
    loop {
        match unusable(&connection).await {
            Ok(Some(unusable)) => return unusable,
            Ok(None) => break,
            Err(_) => sleep(ASK_AGAIN).await,
        }
    }
    drop(connection);
    std::future::pending().await
}

/// Why the server is of no use; `None` when it will do.
///
/// # Errors
/// [`BusError`] when Redis cannot be reached, or does not tell now, such as while it loads its data.
pub async fn unusable(connection: &Connection) -> Result<Option<Unusable>, BusError> {
    let at = connection.endpoint().at();
    match info(connection, "server").await {
        Ok(lines) => {
            if let Some(found) = lines.get("redis_version").filter(|found| is_too_old(found)) {
                let (at, found) = (at.to_owned(), found.clone());
                return Ok(Some(Unusable::TooOld { at, found }));
            }
        }
        // Managed servers may not tell; the script does.
        Err(BusError::Refused { .. }) => {}
        Err(cause) => return Err(cause),
    }
    let script = Script::new("#!lua flags=no-writes\nreturn 1");
    let ran = connection.script::<u64>(&script, |command| {
        command.arg(0);
    });
    match ran.await {
        Ok(_) => Ok(None),
        Err(source) if denies_scripts(&source) => {
            let at = at.to_owned();
            Ok(Some(Unusable::NoScripts { at, source }))
        }
        Err(cause) => Err(cause),
    }
}

/// Whether this version, such as `6.2.14`, is older than is needed. What is no version is left to the script.
fn is_too_old(version: &str) -> bool {
    let major = version.split('.').next();
    major
        .and_then(|major| major.parse::<u32>().ok())
        .is_some_and(|major| major < NEEDED)
}

/// Whether Redis will never run scripts for this user: the user may not, the commands are renamed, or the script
/// is in a form that Redis does not know yet.
fn denies_scripts(cause: &BusError) -> bool {
    let BusError::Refused { source, .. } = cause else {
        return false;
    };
    let words = source.to_string();
    let is_unknown = ["unknown command", "compiling script"]
        .iter()
        .any(|text| words.contains(text));
    source.code() == Some("NOPERM") || is_unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_before_7_are_too_old_and_what_is_no_version_is_left_to_the_script() {
        for old in ["6.2.14", "2.8.24", "6.3.4", "5"] {
            assert!(is_too_old(old), "{old}");
        }
        for fit in [
            "7.0.0",
            "7.2.4",
            "8.0.1",
            "10.1",
            "255.255.255",
            "",
            "unstable",
        ] {
            assert!(!is_too_old(fit), "{fit}");
        }
    }

    fn refused(code: &str, words: &str) -> BusError {
        let source = redis::make_extension_error(code.to_owned(), Some(words.to_owned()));
        let at = "redis:6379".to_owned();
        BusError::Refused { at, source }
    }

    #[test]
    fn only_what_will_not_change_by_waiting_denies_scripts() {
        let lasting = [
            (
                "NOPERM",
                "this user has no permissions to run the 'evalsha' command",
            ),
            (
                "ERR",
                "unknown command 'EVALSHA', with args beginning with:",
            ),
            (
                "ERR",
                "Error compiling script (new function): user_script:1: unexpected symbol near '#'",
            ),
        ];
        for (code, words) in lasting {
            assert!(denies_scripts(&refused(code, words)), "{code} {words}");
        }
        for code in ["LOADING", "BUSY", "NOAUTH", "MASTERDOWN", "ERR"] {
            assert!(!denies_scripts(&refused(code, "try again")), "{code}");
        }
    }
}
