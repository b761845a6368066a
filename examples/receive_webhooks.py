import base64
import hashlib
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

# While one secret takes the place of another: both, with a space between.
SECRETS = [
    base64.b64decode(secret.removeprefix("whsec_")) for secret in os.environ["WEBHOOK_SECRETS"].split()
]
MOST_SECONDS = 300
seen = set()


def is_genuine(headers, body):
    sent_at = headers.get("webhook-timestamp", "")
    if not sent_at.isdecimal() or abs(time.time() - int(sent_at)) > MOST_SECONDS:
        return False
    signed = f"{headers.get('webhook-id', '')}.{sent_at}.".encode() + body
    ours = [base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)) for secret in SECRETS]
    theirs = [one.removeprefix("v1,").encode() for one in headers.get("webhook-signature", "").split()]
    return any(hmac.compare_digest(a, b) for a in ours for b in theirs)


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if not is_genuine(self.headers, body):
            self.send_error(401)
            return
        # The same id may come again: after a lost answer, or when somebody has asked for it.
        if self.headers["webhook-id"] not in seen:
            seen.add(self.headers["webhook-id"])
            event = json.loads(body)
            print(event["type"], event["data"]["links"]["self"], flush=True)
        # Answer first and work later: after 10 seconds it counts as lost.
        self.send_response(204)
        self.end_headers()


server = HTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Receiver)
print(f"listening on {server.server_port}", flush=True)
server.serve_forever()
