"""A worker that the group sends messages to."""
import asyncio
import contextlib
import json
import time
from concurrent.futures import Executor
from dataclasses import dataclass

from ._calls import Answer, post
from ._outcome import Handler, Outcome, log, outcome_of, to_json


@dataclass
class PushWorker:
    """An HTTP server for the group, which does without most of HTTP."""

    handler: Handler
    threads: Executor
    group: str
    consumer_id: str
    health: Outcome
    places: asyncio.Semaphore
    connections: int = 0
    under_way: int = 0
    last_request: float = 0.0

    async def run(self, host: str, port: int, stop: asyncio.Event) -> None:
        server = await asyncio.start_server(self.serve, host, port, backlog=128)
        await self.stay_registered(stop)
        await self.call("/unregister")
        # What was sent just now still comes; then the group closes its connections, or is silent.
        self.last_request = time.monotonic()
        while self.under_way or (self.connections and time.monotonic() - self.last_request < 1.0):
            await asyncio.sleep(0.02)
        server.close()

    async def call(self, path: str) -> Answer:
        return await post(self.group, path, {"consumer_id": self.consumer_id})

    async def stay_registered(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            pause = 10.0
            if (await self.call("/checkMembership")).status != 200:
                answer = await self.call("/register")
                if answer.status == 200:
                    log.info("registered %s with %s", self.consumer_id, self.group)
                else:
                    log.warning("cannot register with %s, trying again: %s", self.group, answer)
                    pause = 1.0
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.under_way += 1
                try:
                    writer.write(await self.answer(head.decode("latin-1"), reader))
                    await writer.drain()
                finally:
                    self.under_way, self.last_request = self.under_way - 1, time.monotonic()
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            pass  # It broke off, or is no HTTP.
        finally:
            self.connections -= 1
            writer.close()

    async def answer(self, head: str, reader: asyncio.StreamReader) -> bytes:
        request, *lines = head.splitlines()
        headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        began = time.monotonic()
        match request.split(" ")[:2]:
            case ["GET", "/health"]:
                content = self.health
            case ["POST", "/processMessage"]:
                content = await self.process(body)
            case ["POST", "/processMessages"]:
                results = await asyncio.gather(*map(self.process, body.rstrip(b"\n").split(b"\n")))
                content = {"status": 200, "results": results}
            case _:
                content = {"status": 404, "error": "there is no such path"}
        answer, pause = to_json(content).encode(), content.get("retry_after")
        fields = [f"HTTP/1.1 {content['status']} ", f"Content-Length: {len(answer)}"]
        fields += [f"Server-Timing: work;dur={(time.monotonic() - began) * 1000:.3f}"]
        fields += [] if pause is None else [f"Retry-After: {pause}"]
        return "\r\n".join([*fields, "Content-Type: application/json", "", ""]).encode() + answer

    async def process(self, line: bytes) -> Outcome:
        try:
            message = json.loads(line)
            message["message_id"]
        except (ValueError, TypeError, KeyError) as error:
            return {"status": 400, "error": f"this is no message: {error!r}"}
        async with self.places:
            return await outcome_of(self.handler, self.threads, message)
