"""A whole worker, with Python's standard library alone: change `work`, the rest can stay."""
import json, os, signal, sqlite3, sys, threading, time, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
PORT, GROUP = os.environ.get("PORT", "5001"), os.environ.get("GROUP", "http://127.0.0.1:5000")
db, lock = sqlite3.connect("results.db", check_same_thread=False), threading.Lock()
db.execute("CREATE TABLE IF NOT EXISTS results (message_id TEXT PRIMARY KEY, result TEXT)")
class BadMessage(Exception): "For `work` to raise: the message is at fault, and goes to the dead letters."
def work(message):  # Whatever else it raises, such as a KeyError, sends the message to another worker.
    return message["message_id"].upper()
def process(body):
    try: name = (message := json.loads(body))["message_id"]
    except (ValueError, KeyError, TypeError): return {"status": 400, "error": "this is no message"}
    try:
        row = name, work(message)
        with lock, db:  # Id and result in one step: a message that comes twice has one result.
            is_new = db.execute("INSERT OR IGNORE INTO results VALUES (?, ?)", row).rowcount
    except Exception as error:
        return {"status": 400 if isinstance(error, BadMessage) else 500, "error": repr(error)}
    print(f"{'processed' if is_new else 'seen before:'} {name}\n", end="", flush=True)
    return {"status": 200} if is_new else {"status": 200, "result": "duplicate"}
class Handler(BaseHTTPRequestHandler):
    protocol_version, timeout = "HTTP/1.1", 20  # Keeps connections for longer than the group does.
    def do_GET(self): self.answer({"status": 200, "max_batch": 50}); self.close_connection = True
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        many = body.split(b"\n")[:-1] if self.path == "/processMessages" else []
        self.answer({"status": 200, "results": list(map(process, many))} if many else process(body))
    def answer(self, said):
        body, head = json.dumps(said), f"HTTP/1.1 {said['status']} \r\nContent-Length: "
        self.wfile.write(f"{head}{len(body)}\r\n\r\n{body}".encode())
class Server(ThreadingHTTPServer): request_queue_size, daemon_threads = 128, False
def tell_group(path, body=json.dumps({"consumer_id": f"127.0.0.1:{PORT}"}).encode()):
    request = urllib.request.Request(GROUP + path, body, {"Content-Type": "application/json"})
    try: return urllib.request.urlopen(request, timeout=5).status == 200
    except OSError: return False  # It is not there, or says no.
threading.Thread(target=(server := Server(("127.0.0.1", int(PORT)), Handler)).serve_forever).start()
for name in (signal.SIGINT, signal.SIGTERM): signal.signal(name, lambda *_: sys.exit())
try:
    while True: time.sleep(10 if tell_group("/checkMembership") or tell_group("/register") else 1)
finally: tell_group("/unregister"), server.shutdown(), server.server_close()  # Waits for what runs.
