"""detect_mask_video --serve as browsers, scrapers and strangers meet it.
Usage: serve_test.py DETECT_MASK_VIDEO DRAW_VIDEO [TEST ...]"""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vision", "video"))
import stream_servers  # noqa: E402
from clip_folder import ClipFolder  # noqa: E402
from mqtt_broker import wait_until  # noqa: E402

DETECT, DRAW = (os.path.abspath(path) for path in sys.argv[1:3])
WITHOUT_DISPLAY = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MASKWATCH_SERVE_TOKEN")}


class Serve(ClipFolder):
    DRAW, SIZE = DRAW, (320, 240)

    def serve(self, *arguments, source=None, address="127.0.0.1:0", **variables):
        """The program, at work; where it serves is in self.port."""
        played = ["-s", source] if source else ["-s", self.clip, "--loop", "--live"]
        process = subprocess.Popen([DETECT, "--face", "haar", "--detect-every", "3", "--headless", *played, "--stats", self.at("stats.json"), "--serve", address, *arguments],
                                   cwd=self.folder, env={**WITHOUT_DISPLAY, **variables}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.note = process.stderr.readline()
        self.assertRegex(self.note, r"^note: --serve: http://[^ ]+:\d+/")
        self.port = int(re.search(r":(\d+)/", self.note)[1])
        return process

    def end(self, process):
        process.send_signal(signal.SIGTERM)
        start = time.monotonic()
        self.assertEqual((process.wait(timeout=15), process.stderr.read()), (0, ""))
        self.assertLess(time.monotonic() - start, 5)
        with open(self.at("stats.json")) as file:
            return json.load(file)

    def get(self, path, method="GET", headers=None, body=None):
        """(status, headers, bytes)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def status(self, path, **how):
        return self.get(path, **how)[0]

    def watch(self, path="/stream.mjpg"):
        """A viewer who has asked for the stream."""
        viewer = socket.create_connection(("127.0.0.1", self.port), 10)
        self.addCleanup(viewer.close)
        viewer.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        return viewer

    def pictures_in(self, viewer, seconds):
        viewer.settimeout(1)
        deadline, bytes_read = time.monotonic() + seconds, b""
        while time.monotonic() < deadline:
            try:
                more = viewer.recv(1 << 16)
            except TimeoutError:
                continue
            if not more:
                break
            bytes_read += more
        return bytes_read.count(b"--maskwatch-picture\r\nContent-Type: image/jpeg\r\n")


class Pages(Serve):
    def test_everything_that_can_be_looked_at(self):
        process = self.serve("--events", "events.jsonl")
        self.assertTrue(wait_until(lambda: json.loads(self.get("/state")[2])["people"] == 1, 15))
        state = json.loads(self.get("/state")[2])
        self.assertEqual([event["event"] for event in state["events"]][-1], "appear")
        self.assertEqual(set(state), {"people", "mask", "no_mask", "worn_wrongly", "people_seen", "source", "description", "fps", "events"})
        status, headers, page = self.get("/")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/html; charset=utf-8"))
        self.assertIn(b"/stream.mjpg", page)
        self.assertNotIn(b"http://", page)  # nothing from elsewhere
        self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
        self.assertEqual(int(headers["Content-Length"]), len(page))
        self.assertEqual(self.get("/healthz")[::2], (200, b"ok\n"))
        status, headers, picture = self.get("/snapshot.jpg")
        self.assertEqual((status, headers["Content-Type"], picture[:2], picture[-2:]), (200, "image/jpeg", b"\xff\xd8", b"\xff\xd9"))
        self.assertGreater(self.pictures_in(self.watch(), 3), 10)
        self.check_metrics()
        status, headers, nothing = self.get("/", method="HEAD")
        self.assertEqual((status, int(headers["Content-Length"]), nothing), (200, len(page), b""))
        for path in ("/", "/stream.mjpg", "/snapshot.jpg", "/state", "/metrics", "/healthz"):
            kinds = [self.type_of(path, method) for method in ("GET", "HEAD")]
            self.assertEqual((path, kinds[1]), (path, kinds[0]))
        self.assertEqual((self.status("/nowhere"), self.status("/", method="POST", body="x" * 100_000)), (404, 405))
        self.end(process)

    def type_of(self, path, method):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path)
        try:
            return connection.getresponse().headers["Content-Type"]
        finally:
            connection.close()

    def check_metrics(self):
        status, headers, text = self.get("/metrics")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
        values = dict(line.rsplit(" ", 1) for line in text.decode().splitlines() if not line.startswith("#"))
        self.assertGreater(float(values["maskwatch_frames_shown_total"]), 10)
        self.assertGreater(float(values['maskwatch_delay_seconds{stage="total",quantile="0.99"}']), 0)
        self.assertEqual((values["maskwatch_source_up"], values["maskwatch_frames_dropped_total"]), ("1", "0"))
        if shutil.which("promtool"):
            checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
            self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, b""))
        else:
            print("NOT TESTED: promtool is not there (Debian: prometheus)", file=sys.stderr)

    def test_a_lost_source_is_not_healthy(self):
        server = stream_servers.Http(stream_servers.make_clip(self.at("stream.mp4"), ["-i", self.clip]), 60)
        process = self.serve("--timeout", "1", source=server.url())
        self.assertTrue(wait_until(lambda: self.status("/healthz") == 200, 10))
        server.cut()
        self.assertTrue(wait_until(lambda: self.status("/healthz") == 503, 15))
        self.assertIn(b"maskwatch_source_up 0\n", self.get("/metrics")[2])
        self.assertNotEqual(json.loads(self.get("/state")[2])["source"], "ok")
        self.assertEqual(self.status("/snapshot.jpg"), 503)  # none comes
        server.back()
        self.assertTrue(wait_until(lambda: self.status("/healthz") == 200, 20))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=15), 0)


class Strangers(Serve):
    def test_a_token_is_asked_for(self):
        with open(self.at("token"), "w") as file:
            file.write("0123abc-DEF\n")
        process = self.serve("--serve-token-file", "token")
        for path in ("/", "/stream.mjpg", "/snapshot.jpg", "/state", "/metrics", "/healthz", "/?token=", "/state?token=0123abc-DE", "/nowhere"):
            status, headers, page = self.get(path)
            self.assertEqual((path, status), (path, 401))
            self.assertNotIn(b"0123abc", page)
        self.assertIn("Bearer", headers["WWW-Authenticate"])
        self.assertIn(b'name="token"', page)
        self.assertEqual(self.status("/state", headers={"Authorization": "Bearer 0123abc-DEF"}), 200)
        self.assertEqual(self.status("/state", headers={"Authorization": "Bearer 0123abc-DEG"}), 401)
        self.assertEqual(self.status("/state?token=0123abc-DEF"), 200)
        status, headers, _ = self.get("/?token=0123abc-DEF")
        self.assertEqual((status, headers["Location"]), (303, "/"))
        self.assertIn("HttpOnly", headers["Set-Cookie"])
        self.assertEqual(self.status("/", headers={"Cookie": headers["Set-Cookie"].split(";")[0], "Host": "camera.example"}), 200)
        self.end(process)

    def test_only_this_machine_may_look_unless_told(self):
        process = self.serve()
        self.assertEqual(self.status("/", headers={"Host": "evil.example"}), 403)
        self.assertEqual([self.status("/", headers={"Host": host}) for host in ("localhost:80", "127.0.0.1", "[::1]:80")], [200] * 3)
        self.assertNotIn("everybody", self.note)
        self.end(process)
        process = self.serve(address="0.0.0.0:0")
        self.assertIn("shows the video to everybody who reaches it", self.note)
        self.assertEqual(self.status("/", headers={"Host": "camera.example"}), 200)
        self.end(process)

    def test_slow_readers_hold_nothing_up(self):
        process = self.serve()
        idle = [self.watch() for _ in range(8)]  # who ask and never read
        half = socket.create_connection(("127.0.0.1", self.port), 10)
        self.addCleanup(half.close)
        half.sendall(b"GET / HT")  # and never goes on
        self.assertGreater(self.pictures_in(self.watch(), 4), 15)
        self.assertEqual(self.status("/healthz"), 200)
        for viewer in idle:
            viewer.close()
        self.assertEqual(half.recv(100), b"")  # cut off after a while
        stats = self.end(process)
        self.assertEqual(stats["dropped"], 0)
        self.assertLess(stats["latency_ms"]["draw"]["p99"], 100)

    def test_slow_senders_shut_nobody_out(self):
        """More than there may be connections, who send a byte each now and then."""
        process = self.serve()
        slow = [socket.create_connection(("127.0.0.1", self.port), 10) for _ in range(70)]
        for client in slow:
            self.addCleanup(client.close)
        request = b"GET /" + b"x" * 100
        begin = time.monotonic()
        for i in range(24):
            for client in slow[:64]:
                try:
                    client.send(request[i : i + 1])
                except OSError:  # cut off
                    pass
            time.sleep(0.5)
        self.assertEqual(self.status("/healthz"), 200)
        self.assertLess(time.monotonic() - begin, 16)
        self.end(process)

    def test_what_is_not_a_request(self):
        process = self.serve()
        for bytes_sent in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"x" * 20_000):
            with socket.create_connection(("127.0.0.1", self.port), 10) as stranger:
                stranger.sendall(bytes_sent)
                self.assertTrue(stranger.recv(1000).startswith(b"HTTP/1.1 400 Bad Request\r\n"))
        viewers = [self.watch() for _ in range(17)]
        answers = [viewer.recv(100).split(b"\r\n")[0] for viewer in viewers]
        self.assertEqual(answers, [b"HTTP/1.1 200 OK"] * 16 + [b"HTTP/1.1 503 Service Unavailable"])
        self.end(process)

    def test_bad_options(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            with open(self.at("odd"), "w") as file:
                file.write("two words\n")
            away = ("Address already in use", "Cannot assign")
            for part, *options in (("Address already in use", f"127.0.0.1:{taken.getsockname()[1]}"), ("port", "127.0.0.1:http"), ("port", "127.0.0.1:70000"), ("address", ":8080"),
                                   ("[ ]", "::1:80"), ("no.such.host.invalid", "no.such.host.invalid:80"), ("Cannot assign", "192.0.2.1:8080"), ("no address can carry", "0", "--serve-token-file", "odd")):  # fmt: skip
                with self.subTest(options):
                    done = subprocess.run([DETECT, "--face", "haar", "-s", self.clip, "--headless", "--serve", *options], capture_output=True, text=True, cwd=self.folder, env=WITHOUT_DISPLAY, timeout=30)
                    self.assertEqual((done.returncode, done.stderr.count("\n")), (1 if part in away else 2, 1), done.stderr)
                    self.assertTrue(done.stderr.startswith("error: --serve"))
                    self.assertIn(part, done.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
