"""A whole worker with Flask: change `work`, the rest can stay. Werkzeug's server is meant for development."""
import os, signal, sqlite3, sys, threading, time
import flask, requests, werkzeug.serving
PORT, GROUP = int(os.environ.get("PORT", "5001")), os.environ.get("GROUP", "http://127.0.0.1:5000")
app, lock, at_once = flask.Flask(__name__), threading.Lock(), threading.Semaphore(16)
db = sqlite3.connect("results.db", check_same_thread=False)
db.executescript("""PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS results (message_id TEXT PRIMARY KEY, result TEXT)""")
def work(message):
    return message["message_id"].upper()

@app.get("/health")
def health():
    return {"message": "Application is running"}

@app.post("/processMessage")
def process():  # What it raises is answered 500, and another worker gets the message.
    message = flask.request.get_json()  # 400 when it is no JSON: to the dead letters.
    if not isinstance(message, dict) or "message_id" not in message:
        flask.abort(400)
    if not at_once.acquire(blocking=False):
        return {"error": "busy"}, 429, {"Retry-After": "1"}
    try:
        row = message["message_id"], work(message)
        with lock, db:  # Id and result in one step: a message that comes twice has one result.
            is_new = db.execute("INSERT OR IGNORE INTO results VALUES (?, ?)", row).rowcount
    finally:
        at_once.release()
    print(f"{'processed' if is_new else 'seen before:'} {row[0]}\n", end="", flush=True)
    return {} if is_new else {"result": "duplicate"}
def tell_group(path):
    try: return requests.post(GROUP + path, json={"consumer_id": f"127.0.0.1:{PORT}"}, timeout=5).ok
    except requests.RequestException: return False
server = werkzeug.serving.make_server("127.0.0.1", PORT, app, threaded=True)
server.daemon_threads = False
threading.Thread(target=server.serve_forever).start()
for name in (signal.SIGINT, signal.SIGTERM): signal.signal(name, lambda *_: sys.exit())
try:
    while True: time.sleep(10 if tell_group("/checkMembership") or tell_group("/register") else 1)
finally: tell_group("/unregister"), server.shutdown(), server.server_close()  # Waits for what runs.
