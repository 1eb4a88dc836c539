"""What the end of a handler says of its message."""
import asyncio
import inspect
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from typing import Any

Message = dict[str, Any]
Entry = Mapping[str, Any] | None
Handler = Callable[[Message], Entry | Awaitable[Entry]]
Outcome = dict[str, Any]

log = logging.getLogger("consumer_group")


class Reject(Exception):
    """Raised by a handler: the message is at fault. Nobody else gets it, it becomes a dead letter."""


class RetryLater(Exception):
    """Raised by a handler: this message again after so many seconds, here or elsewhere."""

    def __init__(self, seconds: float, why: str = "retry later") -> None:
        super().__init__(why)
        self.seconds = seconds


def to_json(content: object) -> str:
    """As JSON, with times, decimals and the like as text. NaN, which JSON does not have, is an error."""
    return json.dumps(content, default=str, allow_nan=False)


async def outcome_of(handler: Handler, threads: Executor, message: Message) -> Outcome:
    """The result of a message, as the group wants it. Whatever else a handler raises is its own failure."""
    try:
        if inspect.iscoroutinefunction(handler):
            entry = await handler(message)
        else:
            entry = await asyncio.get_running_loop().run_in_executor(threads, handler, message)
        to_json(entry)  # What is no JSON fails here, for this message alone.
    except Reject as error:
        log.warning("rejected %s: %s", message["message_id"], error)
        return {"status": 422, "error": str(error)}
    except RetryLater as error:
        return {"status": 500, "error": str(error), "retry_after": error.seconds}
    except Exception as error:
        log.exception("failed %s", message["message_id"])
        return {"status": 500, "error": repr(error)}
    return {"status": 200} if entry is None else {"status": 200, "entry": entry}
