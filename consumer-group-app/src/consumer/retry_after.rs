//! When a consumer asks to be tried again.

use std::time::{Duration, SystemTime};

use serde_json::Value;

/// The value of `Retry-After`: seconds, also a fraction of them, or an HTTP date (RFC 9110, 10.2.3). What is
/// past is no wait at all; what is neither is nothing.
pub(crate) fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return of_seconds(seconds);
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// The same as JSON: a number or a text.
pub(crate) fn of_json(value: &Value) -> Option<Duration> {
    match value {
        Value::Number(seconds) => of_seconds(seconds.as_f64()?),
        Value::String(text) => parse(text, SystemTime::now()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn of_seconds(seconds: f64) -> Option<Duration> {
    let wait = Duration::try_from_secs_f64(seconds.max(0.0));
    seconds.is_finite().then(|| wait.unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn it_is_a_number_of_seconds_or_a_date() {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = at(784_111_747);
        for (value, expected) in [
            ("30", Some(30.0)),
            (" 1.5 ", Some(1.5)),
            ("0", Some(0.0)),
            ("-7", Some(0.0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30.0)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(30.0)),
            ("Sun Nov  6 08:49:37 1994", Some(30.0)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0.0)),
            ("soon", None),
            ("", None),
            ("inf", None),
            ("NaN", None),
        ] {
            let expected = expected.map(Duration::from_secs_f64);
            assert_eq!(parse(value, now), expected, "{value}");
        }
        assert_eq!(parse("1e300", now), Some(Duration::MAX));
    }

    #[test]
    fn in_json_it_is_a_number_or_a_text() {
        assert_eq!(of_json(&json!(2)), Some(Duration::from_secs(2)));
        assert_eq!(of_json(&json!(0.5)), Some(Duration::from_millis(500)));
        assert_eq!(of_json(&json!("3")), Some(Duration::from_secs(3)));
        assert_eq!(of_json(&json!(-1)), Some(Duration::ZERO));
        assert_eq!(of_json(&json!({})), None);
    }
}
