"""A worker with Python's standard library alone (3.9 or later). Change `work`; the rest can stay.

Environment, with the defaults:
  HOST=127.0.0.1               address to listen on; 0.0.0.0 for all
  PORT=5001                    port to listen on
  ADVERTISED_HOST=             host at which the group reaches this worker; HOST if it is not given
  GROUP=http://127.0.0.1:5000  URL of the group
"""
import http.client
import json
import logging
import os
import signal
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOST = os.environ.get("HOST") or "127.0.0.1"
PORT = int(os.environ.get("PORT") or 5001)
ADVERTISED_HOST = os.environ.get("ADVERTISED_HOST") or HOST
GROUP = os.environ.get("GROUP") or "http://127.0.0.1:5000"
CONSUMER_ID = f"{ADVERTISED_HOST}:{PORT}"

logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")


class BadMessage(Exception):
    """The message is at fault: no other worker gets it, it becomes a dead letter."""


def work(message):
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


def process(body):
    """The answer to one message, with its HTTP status."""
    message_id = "(no id)"
    try:
        message = parse(body)
        message_id = message["message_id"]
        entry = work(message)
    except BadMessage as error:
        logging.info("rejected %s: %s", message_id, error)
        return {"status": 400, "error": str(error)}
    except Exception as error:  # A bug or a full disk: no fault of the message.
        logging.info("failed %s: %r", message_id, error)
        return {"status": 500, "error": repr(error)}
    logging.info("processed %s", message_id)
    return {"status": 200, "entry": entry}  # The group records it, once for each message.


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # Connections are kept,
    timeout = 20  # for more seconds than the group keeps them.
    wbufsize = -1  # Head and body go out in one write.

    def do_GET(self):
        self.close_connection = True
        self.answer(200, {"message": "Application is running", "max_batch": 50})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/processMessages":  # One message a line.
            lines = body.rstrip(b"\n").split(b"\n")
            self.answer(200, {"results": [process(line) for line in lines]})
        elif self.path == "/processMessage":
            answer = process(body)
            self.answer(answer["status"], answer)
        else:
            self.answer(404, {"error": "there is no such path"})

    def answer(self, status, content):
        body = json.dumps(content, default=str).encode()  # Times and the like as text.
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Requests are not logged: `process` says what became of each message."""


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # How many connections may wait to be accepted.
    daemon_threads = False  # server_close() waits for what runs.


def group_agrees(path):
    """Calls the group about this worker; whether it answers 200."""
    body = json.dumps({"consumer_id": CONSUMER_ID}).encode()
    request = urllib.request.Request(GROUP + path, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5):
            return True
    except (OSError, http.client.HTTPException):  # It is not there, or says no.
        return False


def stay_registered():
    while True:
        if group_agrees("/checkMembership"):
            time.sleep(10)
        elif group_agrees("/register"):
            logging.info("registered %s with %s", CONSUMER_ID, GROUP)
        else:
            logging.info("cannot register with %s, trying again", GROUP)
            time.sleep(1)


def main():
    server = Server((HOST, PORT), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: sys.exit())
        stay_registered()
    finally:
        group_agrees("/unregister")
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    main()
