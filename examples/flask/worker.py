"""A worker with Flask. Change `work`; the rest can stay. Werkzeug's server is meant for development.

Environment, with the defaults:
  HOST=127.0.0.1               address to listen on; 0.0.0.0 for all
  PORT=5001                    port to listen on
  ADVERTISED_HOST=             host at which the group reaches this worker; HOST if it is not given
  GROUP=http://127.0.0.1:5000  URL of the group
"""
import logging
import os
import signal
import sys
import threading
import time

import flask
import requests
import werkzeug.serving

HOST = os.environ.get("HOST") or "127.0.0.1"
PORT = int(os.environ.get("PORT") or 5001)
ADVERTISED_HOST = os.environ.get("ADVERTISED_HOST") or HOST
GROUP = os.environ.get("GROUP") or "http://127.0.0.1:5000"
CONSUMER_ID = f"{ADVERTISED_HOST}:{PORT}"

logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
logging.getLogger("werkzeug").setLevel(logging.WARNING)  # Requests are not logged.
app = flask.Flask(__name__)


class BadMessage(Exception):
    """The message is at fault: no other worker gets it, it becomes a dead letter."""


def work(message):
    """The fields of the message's entry. Whatever this raises but BadMessage has another worker try."""
    return {"shouted": message["message_id"].upper()}


@app.get("/health")
def health():
    return {"message": "Application is running", "concurrency": 16}  # How many messages it has at once.


@app.post("/processMessage")
def process_message():
    message = flask.request.get_json(force=True, silent=True)  # None when it is no JSON.
    if not isinstance(message, dict) or not isinstance(message.get("message_id"), str):
        logging.info("rejected what is no message")
        return {"error": "this is no object with a string message_id"}, 400
    message_id = message["message_id"]
    try:
        entry = work(message)
    except BadMessage as error:
        logging.info("rejected %s: %s", message_id, error)
        return {"error": str(error)}, 400
    except Exception as error:  # A bug or a full disk: no fault of the message.
        logging.info("failed %s: %r", message_id, error)
        return {"error": repr(error)}, 500
    logging.info("processed %s", message_id)
    return {"entry": entry}  # The group records it, once for each message.


def group_agrees(path):
    """Calls the group about this worker; whether it answers 200."""
    try:
        return requests.post(GROUP + path, json={"consumer_id": CONSUMER_ID}, timeout=5).ok
    except requests.RequestException:
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
    server = werkzeug.serving.make_server(HOST, PORT, app, threaded=True)
    server.daemon_threads = False  # server_close() waits for what runs.
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
