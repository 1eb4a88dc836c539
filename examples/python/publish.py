"""Publishes messages: publish.py [URL] [COUNT].

With the http:// URL of a group each message is acknowledged. With a redis:// URL (it needs redis-py) they are
published on the channel: who is subscribed just then hears them.

Environment, with the default:
  GROUP=http://127.0.0.1:5000  URL of the group, when none is given
"""
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid


def post(url, lines):
    """Tries until the group has them. Sent twice they are duplicates, so nothing is done twice."""
    headers = {"Content-Type": "application/x-ndjson"}
    request = urllib.request.Request(url + "/messages", "\n".join(lines).encode(), headers)
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)["created"]
        except urllib.error.HTTPError as error:
            if error.code < 500:
                raise SystemExit(f"{error}: {error.read().decode()}") from error
            print(f"{error}, trying again")
        except OSError as error:
            print(f"{error}, trying again")
        time.sleep(1)


def publish(url, lines):
    """Publishes each; counts those that somebody heard."""
    import redis

    channel = redis.Redis.from_url(url)
    return sum(channel.publish("messages:published", line) > 0 for line in lines)


def main():
    url = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("GROUP") or "http://127.0.0.1:5000"
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    messages = [{"message_id": str(uuid.uuid4()), "number": number} for number in range(count)]
    lines = [json.dumps(message) for message in messages]
    taken = post(url, lines) if url.startswith("http") else publish(url, lines)
    print(f"{taken} of {count} messages were taken")
    sys.exit(taken < count)


if __name__ == "__main__":
    main()
