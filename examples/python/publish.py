"""Publishes messages: publish.py [URL] [COUNT]. With an http:// URL of a group each is acknowledged;
with a redis:// URL (it needs redis-py) they are published on the channel."""
import json, sys, time, urllib.error, urllib.request, uuid

def post(url, lines):
    """Until the group says that it has them. Sent twice they are duplicates, so nothing is done twice."""
    headers = {"Content-Type": "application/x-ndjson"}
    request = urllib.request.Request(url + "/messages", "\n".join(lines).encode(), headers)
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)["created"]
        except urllib.error.HTTPError as error:
            if error.code < 500:
                raise SystemExit(f"{error}: {error.read().decode()}")
            print(error, "- trying again")
        except OSError as error:
            print(error, "- trying again")
        time.sleep(1)

def publish(url, lines):
    """To whoever is subscribed just now; with no group there nobody hears it."""
    import redis
    channel = redis.Redis.from_url(url)
    return sum(channel.publish("messages:published", line) > 0 for line in lines)

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:5000"
count = int(sys.argv[2]) if len(sys.argv) > 2 else 10
lines = [json.dumps({"message_id": str(uuid.uuid4()), "number": n}) for n in range(count)]
taken = (post if url.startswith("http") else publish)(url, lines)
print(f"{taken} of {count} messages were taken")
sys.exit(taken < count)
