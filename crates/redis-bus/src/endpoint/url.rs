//! A URL that names a Redis: checked before the parts of it are believed.
//!
//! The general rules of URLs take `redis://default:57#x@host` for the port 57 of a host `default`, although a
//! person means a password. Where a password could be taken for something else, the URL is refused; no text
//! of an error holds any part of it.

use std::{fmt, str::FromStr};

use redis::{ConnectionInfo, IntoConnectionInfo};
use serde::{Deserialize, Deserializer};

use crate::BusError;

const FORM: &str =
    "expected a URL as redis://[user:password@]host[:port][/database], rediss://… or unix:/path";
const FRAGMENT: &str = "a # has no meaning in a URL of Redis; in a user name or password write %23";
const SPACE: &str = "there is white space in it; in a user name or password write %20";
const LATE_LOGIN: &str = "there is an @ after the host; in a user name or password write %2F for /, \
                          %3F for ?, and %40 for @";
const HOST: &str = "there is no host in it";
const COLON: &str =
    "there is a colon in the host; an IPv6 address stands in brackets, a login before an @";
const PORT: &str = "the port is not 1 to 65535; in a user name or password write %2F for /, %3A for :, \
                    and %40 for @";
const DATABASE: &str = "the database is not a number from 0 to 2147483647";
const PARAMETER: &str =
    "there is an unknown parameter after the ?; a unix: URL knows db, user and pass, others none";

/// A URL that names a Redis. It may hold a password, so it is never shown.
#[derive(Clone)]
pub struct RedisUrl(pub(super) ConnectionInfo);

impl RedisUrl {
    /// Says what is wrong with a text, if anything; no part of the text is in the answer.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(text: &str) -> Result<(), String> {
        let url = text.parse::<Self>();
        url.map(drop).map_err(|error| error.to_string())
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisUrl(hidden)")
    }
}

impl FromStr for RedisUrl {
    type Err = BusError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check(text).map_err(BusError::BadUrl)?;
        let info = text
            .into_connection_info()
            .map_err(|_may_quote_the_url| BusError::BadUrl(FORM))?;
        Ok(Self(info))
    }
}

impl<'de> Deserialize<'de> for RedisUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn check(text: &str) -> Result<(), &'static str> {
    let (scheme, rest) = text.split_once(':').ok_or(FORM)?;
    if rest.contains('#') {
        return Err(FRAGMENT);
    }
    match scheme.to_ascii_lowercase().as_str() {
        "unix" | "redis+unix" | "valkey+unix" => {
            let query = rest.split_once('?').map(|(_, query)| query);
            check_parameters(
                query.unwrap_or_default(),
                &["db", "user", "pass", "protocol"],
            )
        }
        "redis" | "rediss" | "valkey" | "valkeys" => {
            check_server(rest.strip_prefix("//").ok_or(FORM)?)
        }
        _ => Err(FORM),
    }
}

/// What stands after `redis://`.
fn check_server(text: &str) -> Result<(), &'static str> {
    if text.contains(char::is_whitespace) {
        return Err(SPACE);
    }
    let (authority, rest) = text.split_at(text.find(['/', '?']).unwrap_or(text.len()));
    if rest.contains('@') {
        return Err(LATE_LOGIN);
    }
    let (_, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    // The colons of an IPv6 address stand in brackets.
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (place, "6379"),
    };
    if host.is_empty() {
        return Err(HOST);
    }
    if host.contains(':') && !host.starts_with('[') {
        return Err(COLON);
    }
    if !is_number(port, 1, 65_535) {
        return Err(PORT);
    }
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let database = path.trim_matches('/');
    if !database.is_empty() {
        check_database(database)?;
    }
    check_parameters(query, &["protocol"])
}

fn check_parameters(query: &str, known: &[&str]) -> Result<(), &'static str> {
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if !known.contains(&name) {
            return Err(PARAMETER);
        }
        if name == "db" {
            check_database(value)?;
        }
    }
    Ok(())
}

fn check_database(text: &str) -> Result<(), &'static str> {
    is_number(text, 0, 2_147_483_647)
        .then_some(())
        .ok_or(DATABASE)
}

fn is_number(text: &str, least: u64, most: u64) -> bool {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain
        && text
            .parse()
            .is_ok_and(|number| (least..=most).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_can_be_meant_is_taken() {
        for text in [
            "redis://h",
            "REDIS://h:1/",
            "rediss://:p:a@ss@h:1/2?protocol=resp3",
            r"redis://u:x\tamper9\@h:1",
            "redis://u:%23%2F%3F@[::1]:1/2",
            "redis://[::1]",
            "redis://h.:1",
            "valkeys://h",
            "unix:/run/a b@c.sock?db=1&user=u&pass=p@/:%23",
            "unix:///run/r.sock",
        ] {
            assert!(text.parse::<RedisUrl>().is_ok(), "{text}");
        }
    }

    #[test]
    fn what_can_be_mistaken_is_refused_in_words_that_hold_nothing_of_it() {
        for (text, why) in [
            ("h:1", FORM),
            ("redis:h", FORM),
            ("http://h", FORM),
            ("redis://u:57#s3cret@h", FRAGMENT),
            ("rediss://h#insecure", FRAGMENT),
            ("redis://u:5 7@h", SPACE),
            ("redis://u:57/s3cret@h", LATE_LOGIN),
            ("redis://u:57?s3cret@h", LATE_LOGIN),
            ("redis://", HOST),
            ("redis://:1", HOST),
            ("redis://u:s3cret", PORT),
            ("redis://h:0", PORT),
            ("redis://h:+1", PORT),
            ("redis://::1", COLON),
            ("redis://u:s3cret:1", COLON),
            ("redis://h/-1", DATABASE),
            ("redis://h/1/2", DATABASE),
            ("unix:/r?db=x", DATABASE),
            ("redis://h?db=1", PARAMETER),
            ("unix:/r?password=s3cret", PARAMETER),
        ] {
            assert_eq!(RedisUrl::check(text).unwrap_err(), why, "{text}");
        }
    }
}
