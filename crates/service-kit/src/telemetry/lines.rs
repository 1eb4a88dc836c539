//! How a log line looks beyond what `tracing-subscriber` does: the id of the request it belongs to, and escapes in
//! place of what may harm who reads it.

use std::{
    fmt::{self, Write},
    time::SystemTime,
};

use humantime::format_rfc3339_millis;
use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Writer, debug_fn},
        time::FormatTime,
    },
    registry::LookupSpan,
};

use super::LogFormat;
use crate::{
    escape::{self, Escaping},
    request_id,
};

/// The time of a line to the millisecond: more tells nobody anything, and makes lines longer.
pub(super) struct Milliseconds;

impl FormatTime for Milliseconds {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", format_rfc3339_millis(SystemTime::now()))
    }
}

/// The lines of `inner`, with what is ours.
pub(super) struct Lines<F> {
    pub(super) format: LogFormat,
    pub(super) inner: F,
}

impl<S, N, F> FormatEvent<S, N> for Lines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let id = request_id::current();
        if self.format == LogFormat::Text && id.is_none() {
            return self.inner.format_event(context, writer, event);
        }
        let mut line = String::new();
        let inner = Writer::new(&mut line);
        self.inner.format_event(context, inner, event)?;
        let line = line.trim_end();
        match self.format {
            LogFormat::Text => {
                // It holds nothing that would have to be escaped.
                let id = id.map(|id| format!(" request.id={id}"));
                writeln!(writer, "{line}{}", id.unwrap_or_default())
            }
            LogFormat::Json => {
                let line = match id {
                    Some(id) => with_request_id(line, id).ok_or(fmt::Error)?,
                    None => line.to_owned(),
                };
                escape::write_json(&mut writer, &line)?;
                writeln!(writer)
            }
        }
    }
}

/// The fields of the text log: as `tracing-subscriber` writes them, with harmful characters as escapes.
pub(super) fn text_fields() -> impl for<'w> FormatFields<'w> + 'static {
    debug_fn(|writer, field, value| match field.name() {
        "message" => write!(Escaping(writer), "{value:?}"),
        // Libraries that log by the crate `log` have their place in the code here.
        name if name.starts_with("log.") => Ok(()),
        name => {
            let (italic, dim, plain) = match writer.has_ansi_escapes() {
                true => ("\x1b[3m", "\x1b[2m", "\x1b[0m"),
                false => ("", "", ""),
            };
            write!(writer, " {italic}{name}{plain}{dim}={plain}")?;
            write!(Escaping(writer), "{value:?}")
        }
    })
}

/// A line of JSON with the id of the request that it is about; `None` when it is no object.
fn with_request_id(line: &str, id: String) -> Option<String> {
    let mut fields: Map<String, Value> = serde_json::from_str(line).ok()?;
    fields.insert("request.id".to_owned(), Value::String(id));
    serde_json::to_string(&fields).ok()
}
