//! What the programs of this workspace are built from.
//!
//! A package of its own, which nothing but the programs depends on: after a commit only it and they are compiled
//! again, and no library. See `build.rs` for where commit and date come from.

use service_kit::build::Build;

/// The build of this workspace.
pub const BUILD: Build = Build {
    version: env!("CARGO_PKG_VERSION"),
    commit: env!("BUILD_STAMP_COMMIT"),
    date: env!("BUILD_STAMP_DATE"),
};
