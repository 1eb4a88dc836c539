"""Calls to the group."""
import asyncio
import contextlib
import itertools
import json
import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ._outcome import log, to_json

# Threads of our own: those of the loop may all be busy with what handlers do.
_threads = ThreadPoolExecutor(16, thread_name_prefix="consumer-group-call")


class GroupError(Exception):
    """The group refused what it was asked, or did not answer in time."""


class Answer(NamedTuple):
    """What the group answered; status 0 when it did not."""

    status: int
    content: Any
    retry_after: float | None = None

    def pause(self, attempt: int) -> float:
        """Seconds to wait before the next attempt: what the group says, or longer each time, up to 5."""
        return self.retry_after or random.uniform(0.5, 1.0) * min(5.0, 0.2 * 2.0 ** min(attempt, 10))


async def insist(url: str, path: str, content: object, patience: float) -> Any:
    """Posts until the group has done it, for so many seconds; for what may be asked twice."""
    deadline = time.monotonic() + patience
    for attempt in itertools.count():
        answer = await post(url, path, content, timeout=30.0)
        if answer.status in (200, 202):
            return answer.content
        pause = answer.pause(attempt)
        is_refused = 300 <= answer.status < 500 and answer.status not in (408, 429)
        if is_refused or time.monotonic() + pause > deadline:
            raise GroupError(f"{url}{path}: {answer.status or 'no answer'} {answer.content}")
        log.info("%s%s: %s, trying again", url, path, answer)
        await asyncio.sleep(pause)


async def post(url: str, path: str, content: object, timeout: float = 10.0) -> Answer:
    """Posts an object as JSON, or a text as lines. When it is cancelled, the connection ends."""
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "127.0.0.1", parts.port, timeout=timeout)
    try:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(_threads, _exchange, connection, parts.path + path, content)
    except asyncio.CancelledError:
        with contextlib.suppress(OSError, AttributeError):
            connection.sock.shutdown(socket.SHUT_RDWR)  # Wakes the thread up.
        raise


def _exchange(connection: HTTPConnection, path: str, content: object) -> Answer:
    is_lines = isinstance(content, str)
    body = str(content) if is_lines else to_json(content)
    headers = {"Content-Type": f"application/{'x-ndjson' if is_lines else 'json'}", "Connection": "close"}
    try:
        connection.request("POST", path, body.encode(), headers)
        response = connection.getresponse()
        text, pause = response.read(), response.headers.get("Retry-After", "")
        return Answer(response.status, json.loads(text), float(pause) if pause.isdigit() else None)
    except (OSError, HTTPException, ValueError) as error:  # ValueError: no JSON, so not the group's.
        return Answer(0, repr(error))
    finally:
        connection.close()
