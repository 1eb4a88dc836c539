//! What a program was built from, as `--version` and the metrics say it.

use std::fmt::{self, Display, Formatter};

/// What stands for a commit or a date that is not known.
const UNKNOWN: &str = "unknown";

/// Version, commit and date of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Build {
    /// The version of the sources, such as `0.1.0`.
    pub version: &'static str,
    /// The commit of the sources, shortened, or `unknown`.
    pub commit: &'static str,
    /// The day of the build in UTC, such as `2026-01-31`, or `unknown`.
    pub date: &'static str,
}

impl Build {
    /// A build of which only the version is known.
    #[must_use]
    pub const fn of_version(version: &'static str) -> Self {
        Self {
            version,
            commit: UNKNOWN,
            date: UNKNOWN,
        }
    }

    /// The labels of a metric: their names, and their values.
    pub(crate) fn labels(&self) -> [[&'static str; 3]; 2] {
        [
            ["version", "commit", "build_date"],
            [self.version, self.commit, self.date],
        ]
    }
}

impl Display for Build {
    /// `0.1.0 (commit 0123456789ab, built 2026-01-31)`
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            version,
            commit,
            date,
        } = self;
        write!(formatter, "{version} (commit {commit}, built {date})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_told_in_one_line() {
        let build = Build {
            commit: "0123456789ab",
            date: "2026-01-31",
            ..Build::of_version("0.1.0")
        };
        let told = "0.1.0 (commit 0123456789ab, built 2026-01-31)";
        assert_eq!(build.to_string(), told);
        let told = "1.0.0 (commit unknown, built unknown)";
        assert_eq!(Build::of_version("1.0.0").to_string(), told);
    }
}
