//! How a log line looks beyond what `tracing-subscriber` does: the id of the request it belongs to, sentences
//! that need no fields, and escapes in place of what may harm who reads it.

use std::fmt::{self, Write};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Writer, debug_fn},
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

use super::{LogFormat, SENTENCE};
use crate::{
    escape::{self, Escaping},
    request_id,
};

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
        if self.format == LogFormat::Text && event.metadata().name() == SENTENCE {
            return sentence(writer, event);
        }
        let id = request_id::current();
        if self.format == LogFormat::Text && id.is_none() {
            return self.inner.format_event(context, writer, event);
        }
        let mut line = String::new();
        let inner = Writer::new(&mut line);
        self.inner.format_event(context, inner, event)?;
        let line = line.trim_end();
        // The id holds nothing that either format would have to escape.
        let id = id.as_ref();
        match self.format {
            LogFormat::Text => {
                let id = id.map(|id| format!(" request.id={id}"));
                writeln!(writer, "{line}{}", id.unwrap_or_default())
            }
            LogFormat::Json => {
                let line = line.strip_suffix('}').unwrap_or(line);
                escape::write_json(&mut writer, line)?;
                let id = id.map(|id| format!(r#","request.id":"{id}""#));
                writeln!(writer, "{}}}", id.unwrap_or_default())
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

/// Writes time, level and message.
fn sentence(mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
    let (dim, colour, plain) = match writer.has_ansi_escapes() {
        true => ("\x1b[2m", colour(*event.metadata().level()), "\x1b[0m"),
        false => ("", "", ""),
    };
    writer.write_str(dim)?;
    SystemTime.format_time(&mut writer)?;
    let level = event.metadata().level();
    write!(writer, "{plain} {colour}{level:>5}{plain} ")?;
    let mut message = Message(writer, Ok(()));
    event.record(&mut message);
    let Message(mut writer, written) = message;
    written?;
    writeln!(writer)
}

/// The colours `tracing-subscriber` gives to levels.
fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

/// Writes an event's message and none of its other fields.
struct Message<'w>(Writer<'w>, fmt::Result);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.1 = write!(Escaping(&mut self.0), "{value:?}");
        }
    }
}
