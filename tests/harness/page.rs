//! The pages of a service in a real browser.

use std::{ops::Deref, sync::OnceLock};

use anyhow::{Context, Result, ensure};
use local_stack::{Browser, BrowserPrograms, Service, wait_until};
use tokio::sync::{Mutex, MutexGuard};

use crate::PATIENCE;

/// Browsers are heavy: one at a time.
static TURN: Mutex<()> = Mutex::const_new(());

/// A browser that shows a page of a service.
#[derive(Debug)]
pub struct Page {
    browser: Browser,
    _turn: MutexGuard<'static, ()>,
}

impl Deref for Page {
    type Target = Browser;

    fn deref(&self) -> &Browser {
        &self.browser
    }
}

impl Page {
    /// Opens the dashboard and waits until it is live; `None`, with a word about it, where there is no
    /// browser.
    ///
    /// # Errors
    /// When the page does not come to life.
    pub async fn open(group: &Service) -> Result<Option<Self>> {
        let page = Self::at(&group.url("/")).await?;
        if let Some(page) = &page {
            page.wait_for_text("#live", "live").await?;
        }
        Ok(page)
    }

    /// Opens a page; `None`, with a word about it, where there is no browser.
    ///
    /// # Errors
    /// When it does not load.
    pub async fn at(url: &str) -> Result<Option<Self>> {
        let Some(programs) = programs() else {
            return Ok(None);
        };
        let turn = TURN.lock().await;
        let browser = Browser::start(programs).await?;
        let page = Self {
            browser,
            _turn: turn,
        };
        page.browser.open(url).await?;
        Ok(Some(page))
    }

    /// Waits until the element that this CSS selector finds contains a text.
    ///
    /// # Errors
    /// When it does not in time; what it held last is in the error.
    pub async fn wait_for_text(&self, selector: &str, text: &str) -> Result<()> {
        let condition = async |shown: &str| shown.contains(text);
        self.wait_for(selector, text, condition).await
    }

    /// Waits until the text of an element is as `is_so` wants it.
    ///
    /// # Errors
    /// When it is not in time; what it held last is in the error.
    pub async fn wait_for(
        &self,
        selector: &str,
        what: &str,
        is_so: impl AsyncFn(&str) -> bool,
    ) -> Result<()> {
        let what = format!("{selector}: {what}");
        let waited = wait_until(&what, PATIENCE, async || {
            let shown = self.text(selector).await?;
            Ok(is_so(&shown.unwrap_or_default()).await)
        });
        if let Err(cause) = waited.await {
            let shown = self.text(selector).await?;
            return Err(cause).with_context(|| format!("{selector} shows {shown:?}"));
        }
        Ok(())
    }

    /// Fails when the page wrote anything to the console.
    ///
    /// # Errors
    /// With what it wrote.
    pub async fn check_console(&self) -> Result<()> {
        let said = self.console().await?;
        ensure!(said.is_empty(), "the console says {said:?}");
        Ok(())
    }
}

#[expect(
    clippy::print_stderr,
    reason = "a test that is skipped must be seen to be"
)]
fn programs() -> Option<&'static BrowserPrograms> {
    static FOUND: OnceLock<Option<BrowserPrograms>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let found = BrowserPrograms::find();
        if let Err(why) = &found {
            eprintln!("skipped: no page in a browser, because {why}");
        }
        found.ok()
    });
    found.as_ref()
}
