"""A worker by the client: MODE is push, pull, push_async or pull_async."""
import asyncio
import logging
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "clients/python/src"))
from consumer_group import Group, Reject, RetryLater, serve, serve_async

MODE, PORT, GROUP = os.environ["MODE"], int(os.environ["PORT"]), os.environ["GROUP"]
logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="%(message)s")
log = logging.getLogger("worker")
log.setLevel(logging.INFO)
seen = set()


def entry_of(message):
    message_id = message["message_id"]
    if "is_bad" in message:
        raise Reject("it is bad")
    if "is_early" in message and message_id not in seen:
        seen.add(message_id)
        raise RetryLater(0.3, "too early")
    shouted = message["text"].upper() if "is_broken" in message else message_id.upper()
    log.info("processed %s", message_id)
    return {"shouted": shouted}


def handle(message):
    time.sleep(4 if "is_slow" in message else 0.01)
    return entry_of(message)


async def handle_async(message):
    await asyncio.sleep(4 if "is_slow" in message else 0.01)
    return entry_of(message)


if MODE == "push":
    serve(handle, PORT, group=GROUP)
elif MODE == "push_async":
    asyncio.run(serve_async(handle_async, PORT, group=GROUP))
elif MODE == "pull":
    Group(GROUP).work(handle, name=f"pull-{PORT}", lease_seconds=3)
else:
    asyncio.run(Group(GROUP).work_async(handle_async, name=f"pull-{PORT}", lease_seconds=3))
log.info("ended")
