"""detect_mask_video --webhook with a receiver that fails in every way and comes back.
Usage: webhook_test.py DETECT_MASK_VIDEO DRAW_VIDEO [TEST ...]"""

import hashlib
import hmac
import http.server
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import unittest

from clip_folder import ClipFolder
from mqtt_broker import free_port, make_certificates

DETECT, DRAW = (os.path.abspath(path) for path in sys.argv[1:3])
WITHOUT_SECRETS = {name: value for name, value in os.environ.items() if not name.startswith("MASKWATCH_WEBHOOK") and name != "DISPLAY"}


class Receiver:
    """Answers requests with the given statuses, one after the other, and then with the last of them. 0: hangs up. Keeps
    (time, status, headers, body) of each."""

    def __init__(self, *statuses, certificate=None):
        self.requests, left = [], list(statuses)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(handler):
                body = handler.rfile.read(int(handler.headers["Content-Length"]))
                status = left.pop(0) if len(left) > 1 else left[0]
                self.requests.append((time.monotonic(), status, handler.headers, body, handler.path))
                if status == 0:
                    handler.close_connection = True
                    return
                handler.send_response(status)
                if status == 429:
                    handler.send_header("Retry-After", "2")
                if status == 301:
                    handler.send_header("Location", "/elsewhere")
                answer = b"" if status == 204 else b"ok"
                if answer:
                    handler.send_header("Content-Length", str(len(answer)))
                handler.end_headers()
                handler.wfile.write(answer)

            def log_message(handler, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # who hangs up
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def accepted(self):
        return [body.decode() for _, status, _, body, _ in self.requests if 200 <= status < 300]

    def end(self):
        self.server.shutdown()
        self.server.server_close()


class Webhook(ClipFolder):
    DRAW = DRAW

    def receiver(self, *statuses, **how):
        receiver = Receiver(*statuses, **how)
        self.addCleanup(receiver.end)
        return receiver

    def run_program(self, address, *arguments, **variables):
        self.remove_logs()
        start = time.monotonic()
        done = subprocess.run([DETECT, "--face", "haar", "--detect-every", "3", "-s", self.clip, "--headless", "--events", "events.jsonl", "--stats", "stats.json", "--webhook", address, *arguments],
                              capture_output=True, text=True, timeout=60, cwd=self.folder, env={**WITHOUT_SECRETS, **variables})  # fmt: skip
        self.assertLess(time.monotonic() - start, 15)
        return done

    def written(self):
        with open(self.at("events.jsonl")) as file:
            return file.read().splitlines()

    def figures(self):
        with open(self.at("stats.json")) as file:
            figures = json.load(file)["sinks"]["webhook"]
        return [figures[name] for name in ("events", "delivered", "dropped", "waiting")]

    def check_fault(self, code, part, *arguments, **variables):
        done = self.run_program(*arguments, **variables)
        self.assertEqual(done.returncode, code, done.stderr)
        fault = done.stderr.splitlines()[-1]
        self.assertTrue(fault.startswith("error: --webhook"), done.stderr)
        self.assertIn(part, fault)
        self.assertEqual(done.stderr.count("error: "), 1)
        return done.stderr

    def test_events_arrive_in_order_and_signed(self):
        receiver = self.receiver(204)
        with open(self.at("token"), "w") as file:
            file.write("a-token\n")
        done = self.run_program(f"http://127.0.0.1:{receiver.port}/hook?to=me", "--webhook-token-file", "token", MASKWATCH_WEBHOOK_SECRET="a secret")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual((receiver.accepted(), len(receiver.requests)), (self.written(), 4))
        self.assertEqual(self.figures(), [4, 4, 0, 0])
        self.assertEqual(len({headers["Idempotency-Key"] for _, _, headers, _, _ in receiver.requests}), 4)
        for _, _, headers, body, path in receiver.requests:
            self.assertEqual((path, headers["Content-Type"], headers["Authorization"]), ("/hook?to=me", "application/json", "Bearer a-token"))
            self.assertEqual(headers["X-Maskwatch-Signature-256"], "sha256=" + hmac.new(b"a secret", body, hashlib.sha256).hexdigest())

    def test_what_fails_for_now_is_sent_again(self):
        receiver = self.receiver(503, 0, 200, 500, 200)
        done = self.run_program(f"http://127.0.0.1:{receiver.port}/")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("the receiver answers with status 503; trying again", done.stderr)
        self.assertIn("connected after", done.stderr)
        self.assertEqual(receiver.accepted(), self.written())
        self.assertEqual(self.figures(), [4, 4, 0, 0])
        times = [when for when, *_ in receiver.requests]
        self.assertGreater(times[1] - times[0], 0.3)
        keys = [headers["Idempotency-Key"] for _, _, headers, _, _ in receiver.requests]
        self.assertEqual((keys[0], keys[0], len(set(keys))), (keys[1], keys[2], 4))

    def test_a_receiver_says_when_it_wants_to_be_asked_again(self):
        receiver = self.receiver(429, 200)
        done = self.run_program(f"http://127.0.0.1:{receiver.port}/", "--live")  # plays for 11 s
        self.assertEqual(done.returncode, 0, done.stderr)
        times = [when for when, *_ in receiver.requests]
        self.assertGreater(times[1] - times[0], 1.9)
        self.assertEqual(receiver.accepted(), self.written())

    def test_what_is_dropped_is_told_and_counted(self):
        receiver = self.receiver(200, 400, 200)
        told = self.check_fault(1, "1 of 4 events were dropped", f"http://127.0.0.1:{receiver.port}/")
        self.assertIn("an event was dropped: the receiver answers with status 400", told)
        self.assertEqual(self.figures(), [4, 3, 1, 0])

    def test_what_is_dropped_after_an_outage_is_not_tried_again(self):
        receiver = self.receiver(200, 503, 400, 200)
        done = self.run_program(f"http://127.0.0.1:{receiver.port}/")
        self.assertEqual(done.returncode, 1, done.stderr)
        for told in ("status 503; trying again", "connected again after", "an event was dropped: the receiver answers with status 400", "error: --webhook"):
            self.assertEqual(done.stderr.count(told), 1, done.stderr)
        self.assertNotIn("400; trying again", done.stderr)
        self.assertEqual(self.figures(), [4, 3, 1, 0])

    def test_receivers_that_refuse_or_are_away(self):
        for status in (404, 401, 301):
            receiver = self.receiver(status)
            self.check_fault(2, f"the receiver answers with status {status}", f"http://127.0.0.1:{receiver.port}/hook/SECRET")
            self.assertEqual({request[4] for request in receiver.requests}, {"/hook/SECRET"})
        told = self.check_fault(1, "4 of 4 events were not delivered: Couldn't connect to server", f"http://127.0.0.1:{free_port()}/SECRET")
        self.assertEqual(told.count("note: "), 1)
        self.assertNotIn("SECRET", told)
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            self.check_fault(1, "4 of 4 events were not delivered: the receiver ", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        self.assertEqual(self.figures(), [4, 0, 0, 4])

    def test_secrets_that_nothing_asks_for_are_told_of(self):
        receiver = self.receiver(204)
        done = self.run_program(f"http://127.0.0.1:{receiver.port}/", MASKWATCH_WEBHOOK_TOKEN="a", MASKWATCH_SERVE_TOKEN="b", MASKWATCH_MQTT_PASSWORD="c")
        told = ["note: MASKWATCH_MQTT_PASSWORD is set, but there is no --mqtt", "note: MASKWATCH_SERVE_TOKEN is set, but there is no --serve"]
        self.assertEqual((done.returncode, done.stderr.splitlines()), (0, told))

    def test_tls(self):
        made = make_certificates(self.folder, "localhost")
        if made is None:
            self.skipTest("SKIPPED, NOT TESTED: openssl is not there")
        receiver = self.receiver(200, certificate=made[1:])
        done = self.run_program(f"https://localhost:{receiver.port}/", "--webhook-ca", made[0])
        self.assertEqual((done.returncode, done.stderr, receiver.accepted()), (0, "", self.written()))
        self.check_fault(2, "certificate", f"https://localhost:{receiver.port}/")
        self.check_fault(2, "127.0.0.1", f"https://127.0.0.1:{receiver.port}/", "--webhook-ca", made[0])
        plain = self.receiver(200)
        self.check_fault(2, "SSL", f"https://127.0.0.1:{plain.port}/")

    def test_bad_options(self):
        for address, part in (("ftp://127.0.0.1/", "http://"), ("127.0.0.1", "understood"), ("http://me:pw@127.0.0.1/", "password"), ("https://127.0.0.1:99999/", "understood")):
            with self.subTest(address):
                told = self.check_fault(2, part, address)
                self.assertNotIn("pw@", told)
        self.check_fault(2, "could not act", "http://127.0.0.1/", "--webhook-ca", "token")
        with open(self.at("odd"), "w") as file:
            file.write("a\tb\n")
        self.check_fault(2, "control characters", "http://127.0.0.1/", "--webhook-token-file", "odd")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
