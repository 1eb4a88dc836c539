"""A worker that asks the group for messages: leases them, extends the leases while it works, settles them."""
import asyncio
import contextlib
import time
from concurrent.futures import Executor
from dataclasses import dataclass, field

from ._calls import Answer, GroupError, insist, post
from ._outcome import Handler, Message, Outcome, log, outcome_of, to_json

# How much work is leased ahead, in seconds: more would keep it from others.
AHEAD_SECONDS = 0.5

# How much is settled in one request, about: the group takes 16 MiB, and an entry of 1 MiB.
SETTLE_BYTES = 4 << 20


@dataclass
class PullWorker:
    handler: Handler
    threads: Executor
    group: str
    name: str
    concurrency: int
    max_messages: int
    wait_seconds: int
    lease_seconds: int
    stop: asyncio.Event
    places: asyncio.Semaphore
    took: float = AHEAD_SECONDS  # For a message, about.
    held: set[str] = field(default_factory=set)  # Leases that are not settled.
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    outcomes: asyncio.Queue[Outcome] = field(default_factory=asyncio.Queue)
    has_room: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        helpers = [asyncio.create_task(self.extend()), asyncio.create_task(self.settle())]
        try:
            while not self.stop.is_set():
                await self.lease()
            await asyncio.gather(*self.tasks)
            await self.outcomes.join()
        finally:
            for task in (*helpers, *self.tasks):
                task.cancel()

    async def lease(self) -> None:
        ahead = max(self.concurrency, int(self.concurrency * AHEAD_SECONDS / max(self.took, 1e-6)))
        most, held = min(self.max_messages, ahead), len(self.held)
        if most // 2 < held and min(self.concurrency, most) <= held:
            self.has_room.clear()
            await self.has_room.wait()
            return
        answer = await self.ask_for(most - held)
        if answer.status == 200:
            for leased in answer.content["messages"]:
                self.held.add(leased["lease"])
                task = asyncio.create_task(self.process(leased["lease"], leased["message"]))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)
        elif not self.stop.is_set():
            log.warning("cannot lease from %s, trying again: %s", self.group, answer)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.stop.wait(), answer.pause(2))

    async def ask_for(self, count: int) -> Answer:
        """Ends when the worker is to stop: the group hands out nothing to who is gone."""
        content = {"consumer_id": self.name, "max_messages": count, "wait_seconds": self.wait_seconds,
                   "lease_seconds": self.lease_seconds}
        asking = asyncio.create_task(post(self.group, "/messages/lease", content, self.wait_seconds + 10.0))
        stopping = asyncio.create_task(self.stop.wait())
        await asyncio.wait({asking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if asking.done():
            return asking.result()
        asking.cancel()
        return Answer(0, "stopped")

    async def process(self, lease: str, message: Message) -> None:
        async with self.places:
            if lease not in self.held:
                return  # It has ended: another has the message.
            outcome: Outcome = {"status": 503, "error": "the worker is ending"}  # The message goes back.
            if not self.stop.is_set():
                began = time.monotonic()
                outcome = await outcome_of(self.handler, self.threads, message)
                self.took += (time.monotonic() - began - self.took) / 8
        self.outcomes.put_nowait({"lease": lease, **outcome})

    async def settle(self) -> None:
        while True:
            outcomes, size = [await self.outcomes.get()], 0
            while not self.outcomes.empty() and size < SETTLE_BYTES:
                outcomes.append(self.outcomes.get_nowait())
                size += len(to_json(outcomes[-1]))
            try:
                await self.say(outcomes)
            except GroupError as error:
                log.warning("not settled, so worked on again: %s", error)
            self.held.difference_update(outcome["lease"] for outcome in outcomes)
            self.has_room.set()
            for _ in outcomes:
                self.outcomes.task_done()

    async def say(self, outcomes: list[Outcome]) -> None:
        """Says it again while Redis does not answer, and the leases last."""
        deadline = time.monotonic() + self.lease_seconds
        while outcomes:
            content, patience = {"outcomes": outcomes}, deadline - time.monotonic()
            answer = await insist(self.group, "/messages/settle", content, patience)
            results = list(zip(outcomes, answer["results"]))
            if failed := [result for _, result in results if result["status"] not in (200, 503)]:
                log.warning("not settled: %s", failed)
            outcomes = [outcome for outcome, result in results if result["status"] == 503]
            if outcomes and time.monotonic() > deadline:
                raise GroupError(f"Redis does not answer for {len(outcomes)} messages")
            await asyncio.sleep(min(1.0, len(outcomes)))

    async def extend(self) -> None:
        while True:
            await asyncio.sleep(self.lease_seconds / 3)
            if leases := list(self.held):
                content = {"leases": leases, "lease_seconds": self.lease_seconds}
                answer = await post(self.group, "/messages/extend", content)
                if answer.status == 200:
                    results = zip(leases, answer.content["results"])
                    self.held -= {lease for lease, result in results if result["status"] == 409}
                    self.has_room.set()
