//! Prometheus for tests, where it can be had.

use std::io::{Write, stderr};

use anyhow::Result;
use local_stack::PrometheusPrograms;

/// The programs; `None` where they cannot be had, and then it is told which tests are skipped.
///
/// # Errors
/// When that cannot be told.
pub fn programs() -> Result<Option<PrometheusPrograms>> {
    match PrometheusPrograms::find_or_install() {
        Ok(programs) => Ok(Some(programs)),
        Err(why) => {
            // Past the capture of the test's output: who reads it must see what was not tested.
            writeln!(stderr(), "SKIPPED: no Prometheus: {why}")?;
            Ok(None)
        }
    }
}
