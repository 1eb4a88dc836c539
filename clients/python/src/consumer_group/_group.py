"""What a program uses: each call blocks, or is awaited as `…_async`."""
import asyncio
import contextlib
import functools
import os
import signal
import socket
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, ParamSpec, TypeVar

from ._calls import insist
from ._outcome import Handler, to_json
from ._pull import PullWorker
from ._push import PushWorker

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_URL = "http://127.0.0.1:5000"


class Published(NamedTuple):
    created: int
    duplicate: int


def _blocking(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, R]:
    """The same in an event loop of its own."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return asyncio.run(function(*args, **kwargs))

    return call


@contextlib.contextmanager
def _stopped_by_signals(given: asyncio.Event | None) -> Iterator[asyncio.Event]:
    stop, loop = given or asyncio.Event(), asyncio.get_running_loop()
    is_ours = given is None and threading.current_thread() is threading.main_thread()
    signals = (signal.SIGINT, signal.SIGTERM) if is_ours else ()
    for name in signals:
        loop.add_signal_handler(name, stop.set)
    try:
        yield stop
    finally:
        for name in signals:
            loop.remove_signal_handler(name)


class Group:
    """A group, by its URL."""

    def __init__(self, url: str = DEFAULT_URL) -> None:
        self.url = url.rstrip("/")

    async def publish_async(
        self, messages: Mapping[str, Any] | Iterable[Mapping[str, Any]], *, patience: float = 60.0
    ) -> Published:
        """Publishes a message or several, up to 16 MiB; returns when they are in the queue.

        Tries again for `patience` seconds; the ids see to it that nothing is done twice. Raises `GroupError`
        when the group refuses them or does not answer in time.
        """
        several = [messages] if isinstance(messages, Mapping) else messages
        lines = "\n".join(map(to_json, several))
        return Published(**await insist(self.url, "/messages", lines, patience))

    async def work_async(
        self, handler: Handler, *, name: str | None = None, concurrency: int = 8, max_messages: int = 100,
        wait_seconds: int = 20, lease_seconds: int = 30, stop: asyncio.Event | None = None,
    ) -> None:
        """Works on messages that it asks the group for, until `stop`, SIGTERM or SIGINT.

        About half a second of work is leased ahead, `max_messages` at most. A worker that dies keeps its
        messages from others for `lease_seconds`.
        """
        name = name or f"{socket.gethostname()}-{os.getpid()}"
        with ThreadPoolExecutor(concurrency) as threads, _stopped_by_signals(stop) as ending:
            await PullWorker(
                handler, threads, self.url, name, concurrency, max_messages, wait_seconds, lease_seconds,
                ending, asyncio.Semaphore(concurrency),
            ).run()

    publish = _blocking(publish_async)
    work = _blocking(work_async)


async def serve_async(
    handler: Handler, port: int = 5001, *, host: str = "127.0.0.1", advertised_host: str | None = None,
    group: str = DEFAULT_URL, concurrency: int = 8, max_batch: int = 50, stop: asyncio.Event | None = None,
) -> None:
    """Works on messages that the group sends to this port, until `stop`, SIGTERM or SIGINT.

    The group reaches it at `advertised_host`, which is `host` if it is not given.
    """
    consumer_id = f"{advertised_host or host}:{port}"
    health = {"status": 200, "concurrency": concurrency, "max_batch": max_batch}
    places = asyncio.Semaphore(concurrency)
    with ThreadPoolExecutor(concurrency) as threads, _stopped_by_signals(stop) as ending:
        worker = PushWorker(handler, threads, group.rstrip("/"), consumer_id, health, places)
        await worker.run(host, port, ending)


serve = _blocking(serve_async)
