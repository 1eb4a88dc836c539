"""What schemathesis cannot know of our formats: see crates/protocol/src/schemas.rs."""

import json

import schemathesis
from hypothesis import strategies as st

# Names under .invalid never resolve (RFC 2606): the group tries to reach whom it registers.
schemathesis.openapi.format(
    "host-and-port",
    st.builds("{}.invalid:{}".format, st.from_regex(r"[a-z0-9_-]{1,63}", fullmatch=True), st.integers(1, 65535)),
)

LINE = st.builds(
    lambda message_id, others: json.dumps({**others, "message_id": message_id}),
    st.text(min_size=1, max_size=64),
    st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8), max_size=3),
)
schemathesis.openapi.format("message-lines", st.lists(LINE, max_size=5).map("\n".join))


@schemathesis.serializer("application/x-ndjson")
def lines(ctx, value):
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "surrogatepass")


@schemathesis.hook
def filter_case(context, case):
    """Whatever is sent as lines is text, so that nothing breaks the schema of lines; what is wrong inside a line is
    answered line by line, and has tests of its own."""
    is_lines = case.media_type == "application/x-ndjson"
    return not (is_lines and case.meta is not None and case.meta.generation.mode.is_negative)
