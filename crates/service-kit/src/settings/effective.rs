//! The effective settings as a table, for `--checkConfig`. No secret is in it.

use super::{Loaded, Program};

/// What stands in place of a secret.
const MASK: &str = "***";

/// What stands in place of a value where there is none.
const NONE: &str = "-";

/// What the name of a secret ends in, of a key or of a URL's parameter.
const SECRET_NAMES: [&str; 6] = ["pass", "password", "pwd", "secret", "token", "key"];

impl Program {
    /// Every setting, a line each: its key, its value, where that was given, and the default it is given instead of.
    ///
    /// ```text
    /// key         value                      source
    /// redis.host  127.0.0.1                  default
    /// redis.port  6380                       file config/sample-app.properties (default 6379)
    /// redis.url   rediss://user:***@example  environment variable SAMPLE_APP__REDIS__URL
    /// ```
    #[must_use]
    pub fn effective(&self, loaded: &Loaded) -> String {
        let head = ["key", "value", "source"].map(str::to_owned);
        let rows = self.settings().map(|setting| {
            let key = setting.key;
            let (value, mut source) = match loaded.merged.get(key) {
                Some(("", origin)) => (NONE.to_owned(), origin.brief()),
                Some((value, origin)) => (masked(key, value), origin.brief()),
                None => (NONE.to_owned(), "default".to_owned()),
            };
            if let Some(default) = setting.default.filter(|default| *default != value) {
                source = format!("{source} (default {default})");
            }
            [key.to_owned(), value, source]
        });
        let rows: Vec<_> = [head].into_iter().chain(rows).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
        let (keys, values) = (width(0).unwrap_or(0), width(1).unwrap_or(0));
        rows.iter()
            .map(|[key, value, source]| format!("{key:keys$}  {value:values$}  {source}\n"))
            .collect()
    }

    /// The settings that are not as by default, as `key=value`, without secrets.
    pub(crate) fn changed(&self, loaded: &Loaded) -> String {
        let given = |key: &str| Some(loaded.merged.get(key)?.0);
        let settings = self.settings();
        let changed = settings.filter(|setting| given(setting.key) != setting.default);
        let shown = changed.map(|setting| {
            let value = given(setting.key).unwrap_or(NONE);
            format!("{}={}", setting.key, masked(setting.key, value))
        });
        shown.collect::<Vec<_>>().join(" ")
    }
}

/// A value without what is secret about it, and on one line.
fn masked(key: &str, value: &str) -> String {
    if is_secret(key) {
        return MASK.to_owned();
    }
    let shown = without_parameters(&without_login(value));
    shown.replace(char::is_control, " ")
}

/// Whether a key, or a parameter's name, is that of a secret.
fn is_secret(name: &str) -> bool {
    let last = name.rsplit(['.', '_', '-']).next().unwrap_or_default();
    SECRET_NAMES.contains(&last.to_lowercase().as_str())
}

/// A URL without its password. All between the scheme and the last `@` counts as the login, because a
/// password may hold any character; a login without a colon may be a password whose user was forgotten.
fn without_login(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else {
        return value.to_owned();
    };
    let Some((login, place)) = rest.rsplit_once('@') else {
        return value.to_owned();
    };
    let user = login.split_once(':').map(|(user, _)| format!("{user}:"));
    let user = user.unwrap_or_default();
    format!("{scheme}://{user}{MASK}@{place}")
}

/// A URL whose parameters hide the values of secrets.
fn without_parameters(value: &str) -> String {
    let Some((path, parameters)) = value.split_once('?') else {
        return value.to_owned();
    };
    let shown: Vec<_> = parameters
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some((name, _)) if is_secret(name) => format!("{name}={MASK}"),
            _ => parameter.to_owned(),
        })
        .collect();
    format!("{path}?{}", shown.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_is_masked_and_nothing_else() {
        for (value, shown) in [
            ("127.0.0.1", "127.0.0.1"),
            ("messages:published", "messages:published"),
            ("redis://host:1/2", "redis://host:1/2"),
            ("redis://user:pa:ss@host:1", "redis://user:***@host:1"),
            ("rediss://:p@/s?s@host", "rediss://:***@host"),
            ("redis://secret@host", "redis://***@host"),
            (
                "unix:/run/r.sock?db=1&user=u&pass=s3cret",
                "unix:/run/r.sock?db=1&user=u&pass=***",
            ),
            ("a\nb", "a b"),
        ] {
            assert_eq!(masked("redis.url", value), shown);
        }
        assert_eq!(masked("redis.password", "s3cret"), MASK);
        assert_eq!(masked("telemetry.api_key", "s3cret"), MASK);
    }
}
