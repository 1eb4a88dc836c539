//! What the page of an API opens on: each call with its method, its path and a sentence.

use utoipa::openapi::{OpenApi, PathItem, Tag, path::Operation};

/// One call of the API.
struct Call<'a> {
    method: &'static str,
    path: &'a str,
    operation: &'a Operation,
}

/// The overview as HTML: a table for each tag of the description, in their order.
pub(super) fn html(api: &OpenApi) -> String {
    let calls: Vec<_> = api.paths.paths.iter().flat_map(calls).collect();
    let tags = api.tags.iter().flatten();
    let sections: String = tags.map(|tag| section(tag, &calls)).collect();
    let info = &api.info;
    format!(
        "<h1>{title} <small>{version}</small></h1>\n<p>{about}</p>\n{sections}",
        title = text(&info.title),
        version = text(&info.version),
        about = text(info.description.as_deref().unwrap_or_default()),
    )
}

/// The calls of one path.
fn calls<'a>((path, item): (&'a String, &'a PathItem)) -> impl Iterator<Item = Call<'a>> {
    let methods = [
        ("GET", &item.get),
        ("POST", &item.post),
        ("PUT", &item.put),
        ("PATCH", &item.patch),
        ("DELETE", &item.delete),
    ];
    methods.into_iter().filter_map(move |(method, operation)| {
        let operation = operation.as_ref()?;
        Some(Call {
            method,
            path,
            operation,
        })
    })
}

/// The calls of one tag; empty when there are none.
fn section(tag: &Tag, calls: &[Call<'_>]) -> String {
    let own = calls.iter().filter(|call| call.has_tag(&tag.name));
    let rows: String = own.map(Call::row).collect();
    if rows.is_empty() {
        return rows;
    }
    format!(
        "<h2>{name}</h2>\n<p>{about}</p>\n<table>\n{rows}</table>\n",
        name = text(&tag.name),
        about = text(tag.description.as_deref().unwrap_or_default()),
    )
}

impl Call<'_> {
    fn has_tag(&self, name: &str) -> bool {
        let tags = self.operation.tags.iter().flatten();
        tags.into_iter().any(|tag| tag == name)
    }

    /// A row, whose path leads to the call's own page.
    fn row(&self) -> String {
        format!(
            "<tr><td class=\"method\">{method}</td><td><a href=\"#?route={place}-{path}\">{path}</a></td>\
             <td>{sentence}</td></tr>\n",
            method = self.method,
            place = self.method.to_lowercase(),
            path = text(self.path),
            sentence = text(self.operation.summary.as_deref().unwrap_or_default()),
        )
    }
}

/// Text as HTML; what stands between backticks is code.
fn text(plain: &str) -> String {
    let escaped = plain
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;");
    let mut html = String::with_capacity(escaped.len());
    for (number, part) in escaped.split('`').enumerate() {
        if number > 0 {
            html.push_str(if number % 2 == 1 { "<code>" } else { "</code>" });
        }
        html.push_str(part);
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_code_is_marked() {
        assert_eq!(
            text("a < `b & \"c\"` > d"),
            "a &lt; <code>b &amp; &quot;c&quot;</code> &gt; d"
        );
    }
}
