//! Finds Chromium and what drives it on this machine, or installs them.

use std::path::{Path, PathBuf};

use anyhow::Result;
use nix::unistd::geteuid;

use crate::packages::{self, in_path};

/// The browser under its names.
const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// What speaks `WebDriver` for it.
const DRIVER: &str = "chromedriver";

/// A browser and its driver.
#[derive(Debug, Clone)]
pub struct BrowserPrograms {
    browser: PathBuf,
    driver: PathBuf,
}

impl BrowserPrograms {
    /// Looks for them in `PATH`; answers why there is no browser when there is none.
    ///
    /// # Errors
    /// The reason, in words.
    pub fn find() -> Result<Self, String> {
        let browser = BROWSERS.iter().find_map(|name| in_path(name));
        let browser = browser.ok_or_else(|| format!("there is no `{}`", BROWSERS[0]))?;
        let driver = in_path(DRIVER).ok_or_else(|| format!("there is no `{DRIVER}`"))?;
        Ok(Self { browser, driver })
    }

    /// The same, after what is missing has been installed where this may be done: as root, with a
    /// package manager that has it.
    ///
    /// # Errors
    /// The reason, in words.
    pub fn find_or_install() -> Result<Self, String> {
        let found = Self::find();
        if found.is_ok() || !geteuid().is_root() {
            return found;
        }
        let installed = packages::install("Chromium", |manager| match manager {
            "apt-get" => &["chromium", "chromium-driver"],
            "dnf" => &["chromium", "chromedriver"],
            "apk" => &["chromium", "chromium-chromedriver"],
            _ => &[],
        });
        installed.map_err(|cause| format!("{cause:#}"))?;
        Self::find()
    }

    /// The browser.
    #[must_use]
    pub fn browser(&self) -> &Path {
        &self.browser
    }

    /// The driver.
    #[must_use]
    pub fn driver(&self) -> &Path {
        &self.driver
    }
}
