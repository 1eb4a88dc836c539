"""What schemathesis cannot know of our formats: see crates/protocol/src/schemas.rs."""

import json

import schemathesis
from hypothesis import strategies as st

# Names under .invalid never resolve (RFC 2606): the group tries to reach whom it registers.
schemathesis.openapi.format(
    "host-and-port",
    st.builds("{}.invalid:{}".format, st.from_regex(r"[a-z0-9_-]{1,63}", fullmatch=True), st.integers(1, 65535)),
)

schemathesis.openapi.format("worker-name", st.from_regex(r"[a-z0-9._-]{1,128}", fullmatch=True))
# Of no lease there is.
schemathesis.openapi.format(
    "lease", st.builds("{:016x}-{}-511-0-{:016x}".format, *[st.integers(0, 2**63)] * 3)
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


@schemathesis.hook
def before_call(context, case, kwargs):
    """The names of workers that fetch stand in answers under the name of an id, which it would send as one."""
    is_membership = case.path in {"/register", "/unregister", "/checkMembership"}
    is_positive = case.meta is None or not case.meta.generation.mode.is_negative
    if is_membership and is_positive and isinstance(case.body, dict):
        if ":" not in str(case.body.get("consumer_id", ":")):
            case.body["consumer_id"] = "name.invalid:1"
    # A request that waits is answered late, as it asked.
    if case.path == "/messages/lease" and is_positive and isinstance(case.body, dict):
        case.body["wait_seconds"] = 0
