"""A worker with Python's asyncio, standard library alone (3.9 or later), for work that waits for others.
Change `work`; the rest can stay.

Environment, with the defaults:
  HOST=127.0.0.1               address to listen on; 0.0.0.0 for all
  PORT=5001                    port to listen on
  ADVERTISED_HOST=             host at which the group reaches this worker; HOST if it is not given
  GROUP=http://127.0.0.1:5000  URL of the group
"""
import asyncio
import contextlib
import http.client
import json
import logging
import os
import signal
import sys
import urllib.request

HOST = os.environ.get("HOST") or "127.0.0.1"
PORT = int(os.environ.get("PORT") or 5001)
ADVERTISED_HOST = os.environ.get("ADVERTISED_HOST") or HOST
GROUP = os.environ.get("GROUP") or "http://127.0.0.1:5000"
CONSUMER_ID = f"{ADVERTISED_HOST}:{PORT}"

logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
answering = set()  # The connections with a request under way.


class BadMessage(Exception):
    """The message is at fault: no other worker gets it, it becomes a dead letter."""


async def work(message):
    """The fields of the message's entry. Whatever this raises but BadMessage has another worker try."""
    return {"shouted": message["message_id"].upper()}


def parse(body):
    try:
        message = json.loads(body)
    except ValueError as error:
        raise BadMessage(f"this is no JSON: {error}") from error
    if not isinstance(message, dict) or not isinstance(message.get("message_id"), str):
        raise BadMessage("this is no object with a string message_id")
    return message


async def process(body):
    """The answer to one message, with its HTTP status."""
    message_id = "(no id)"
    try:
        message = parse(body)
        message_id = message["message_id"]
        entry = await work(message)
    except BadMessage as error:
        logging.info("rejected %s: %s", message_id, error)
        return {"status": 400, "error": str(error)}
    except Exception as error:  # A bug or a full disk: no fault of the message.
        logging.info("failed %s: %r", message_id, error)
        return {"status": 500, "error": repr(error)}
    logging.info("processed %s", message_id)
    return {"status": 200, "entry": entry}  # The group records it, once for each message.


async def answer(request, body):
    """The answer to a request, with its HTTP status."""
    if request == "GET /health":
        # How many messages may come in one request, and how many it has at once.
        return {"status": 200, "max_batch": 50, "concurrency": 100}
    if request == "POST /processMessages":  # One message a line, all of them at once.
        lines = body.rstrip(b"\n").split(b"\n")
        return {"status": 200, "results": await asyncio.gather(*map(process, lines))}
    if request == "POST /processMessage":
        return await process(body)
    return {"status": 404, "error": "there is no such path"}


async def serve_connection(reader, writer):
    """Answers one request after the other, until the group closes the connection."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            answering.add(writer)
            request, *headers = head.decode("latin-1").splitlines()
            headers = dict(line.lower().split(": ", 1) for line in headers if ": " in line)
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            content = await answer(request.rpartition(" ")[0], body)
            text = json.dumps(content, default=str).encode()  # Times and the like as text.
            head = f"HTTP/1.1 {content['status']} \r\nContent-Type: application/json\r\n"
            writer.write(f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text)
            await writer.drain()
            answering.discard(writer)
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
        pass  # It broke off, or is no HTTP.
    finally:
        answering.discard(writer)
        writer.close()


def group_agrees(path):
    """Calls the group about this worker; whether it answers 200."""
    body = json.dumps({"consumer_id": CONSUMER_ID}).encode()
    request = urllib.request.Request(GROUP + path, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5):
            return True
    except (OSError, http.client.HTTPException):  # It is not there, or says no.
        return False


async def stay_registered(ending):
    while not ending.is_set():
        pause = 0
        if await asyncio.to_thread(group_agrees, "/checkMembership"):
            pause = 10
        elif await asyncio.to_thread(group_agrees, "/register"):
            logging.info("registered %s with %s", CONSUMER_ID, GROUP)
        else:
            logging.info("cannot register with %s, trying again", GROUP)
            pause = 1
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(ending.wait(), pause)


async def main():
    ending = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, ending.set)
    server = await asyncio.start_server(serve_connection, HOST, PORT, backlog=128)
    await stay_registered(ending)
    await asyncio.to_thread(group_agrees, "/unregister")
    server.close()
    while answering:  # Finishes what runs.
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main())
