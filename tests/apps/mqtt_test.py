"""detect_mask_video --mqtt with a real mosquitto: what is published, a broker that is killed and comes back, brokers that refuse.
Usage: mqtt_test.py DETECT_MASK_VIDEO DRAW_VIDEO [TEST ...]"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import unittest

from clip_folder import ClipFolder
from mqtt_broker import Broker, Subscriber, free_port, is_there, make_certificates, wait_until

DETECT, DRAW = (os.path.abspath(path) for path in sys.argv[1:3])
SKIPPED = 77  # meson's code
TOPIC = "home/door"
WITHOUT_PASSWORD = {name: value for name, value in os.environ.items() if not name.startswith("MASKWATCH_MQTT") and name != "DISPLAY"}


def lines(path):
    with open(path) as file:
        return file.read().splitlines()


class Mqtt(ClipFolder):
    DRAW = DRAW

    def broker(self, settings="allow_anonymous true"):
        broker = Broker(self.folder, settings)
        self.addCleanup(broker.end)
        return broker

    def subscriber(self, broker):
        subscriber = Subscriber(broker.port)
        self.addCleanup(subscriber.end)
        time.sleep(0.3)
        return subscriber

    def command(self, address, *arguments):
        return [DETECT, "--face", "haar", "--detect-every", "3", "-s", self.clip, "--headless", "--mqtt", address, *arguments]

    def run_program(self, address, *arguments, **variables):
        return subprocess.run(self.command(address, *arguments), capture_output=True, text=True, timeout=60, cwd=self.folder, env={**WITHOUT_PASSWORD, **variables})

    def check_fault(self, part, address, *arguments, code=2, notes=0, **variables):
        start = time.monotonic()
        done = self.run_program(address, *arguments, **variables)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertLess(time.monotonic() - start, 15)
        *told, fault = done.stderr.splitlines()
        self.assertTrue(fault.startswith("error: "), done.stderr)
        self.assertIn(part, fault)
        self.assertEqual(len(told), notes, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        return done.stderr


class Published(Mqtt):
    def test_events_counts_snapshot_and_discovery(self):
        broker = self.broker()
        watcher = self.subscriber(broker)
        done = self.run_program(f"mqtt://127.0.0.1:{broker.port}/{TOPIC}/", "--events", "events.jsonl", "--stats", "stats.json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(wait_until(lambda: watcher.texts(TOPIC + "/availability")[-1:] == ["offline"], 5))
        self.assertEqual(watcher.texts(TOPIC + "/availability"), ["online", "offline"])
        self.assertEqual(watcher.texts(TOPIC + "/events"), lines(self.at("events.jsonl")))
        self.assertEqual(sorted(event["event"] for event in watcher.jsons(TOPIC + "/events")), ["appear", "appear", "leave", "leave"])
        states = watcher.jsons(TOPIC + "/state")
        self.assertEqual((states[-1]["people"], states[-1]["people_seen"], states[-1]["source"]), (0, 2, "ok"))
        for snapshot in watcher.of(TOPIC + "/snapshot"):
            self.assertEqual((snapshot[:2], snapshot[-2:]), (b"\xff\xd8", b"\xff\xd9"))
        self.assertGreaterEqual(len(watcher.of(TOPIC + "/snapshot")), 1)
        self.check_discovery(watcher)
        self.check_retained(broker, states[-1])
        with open(self.at("stats.json")) as file:
            figures = json.load(file)["sinks"]["mqtt"]
        self.assertEqual([figures[name] for name in ("events", "delivered", "dropped", "waiting", "outages")], [4, 4, 0, 0, 0])

    def check_discovery(self, watcher):
        configs = [(topic, json.loads(payload)) for _, topic, _, payload in watcher.messages if topic.startswith("homeassistant/")]
        components = sorted(topic.split("/")[1] for topic, _ in configs)
        self.assertEqual(components, ["binary_sensor"] * 2 + ["camera", "event"] + ["sensor"] * 4)
        self.assertEqual(len({config["unique_id"] for _, config in configs}), len(configs))
        self.assertEqual(len({json.dumps(config["device"]) for _, config in configs}), 1)
        published = {topic for _, topic, _, _ in watcher.messages}
        for topic, config in configs:
            self.assertRegex(topic, r"^homeassistant/[a-z_]+/[A-Za-z0-9_-]+/[a-z_]+/config$")
            self.assertEqual(config["availability_topic"], TOPIC + "/availability")
            self.assertIn(config.get("state_topic", config.get("topic")), published)

    def check_retained(self, broker, state):
        """What somebody sees who comes later."""
        later = Subscriber(broker.port, options=["-i", "later"])
        self.addCleanup(later.end)
        self.assertTrue(wait_until(lambda: later.of(TOPIC + "/snapshot"), 5))
        self.assertEqual(later.jsons(TOPIC + "/state"), [state])
        self.assertEqual(later.texts(TOPIC + "/availability"), ["offline"])
        self.assertEqual(later.texts(TOPIC + "/events"), [])

    def test_what_is_told_can_be_chosen(self):
        broker = self.broker()
        watcher = self.subscriber(broker)
        done = self.run_program(f"mqtt://127.0.0.1:{broker.port}/a%20b", "--mqtt-discovery", "off", "--mqtt-snapshot-every", "0")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(wait_until(lambda: watcher.texts("a b/availability")[-1:] == ["offline"], 5))
        self.assertEqual({topic for _, topic, _, _ in watcher.messages}, {"a b/availability", "a b/state", "a b/events"})


class Outages(Mqtt):
    def watch(self, broker, *arguments):
        process = subprocess.Popen(self.command(f"mqtt://127.0.0.1:{broker.port}/{TOPIC}", "--loop", "--live", "--events", "live.jsonl", "--stats", "live.json", *arguments),
                                   cwd=self.folder, env=WITHOUT_PASSWORD, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_a_broker_that_is_killed_and_comes_back_gets_every_event(self):
        broker = self.broker()
        watcher = self.subscriber(broker)
        process = self.watch(broker)
        self.assertTrue(wait_until(lambda: watcher.of(TOPIC + "/events"), 20))
        for _ in range(2):
            broker.kill()
            written = len(lines(self.at("live.jsonl")))
            self.assertTrue(wait_until(lambda: len(lines(self.at("live.jsonl"))) > written, 20))
            broker.start()
            self.assertTrue(wait_until(lambda: lines(self.at("live.jsonl"))[written] in watcher.texts(TOPIC + "/events"), 10))
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=15)
        self.assertEqual(process.returncode, 0, errors)
        self.assertEqual(errors.count("connected again after"), 2, errors)
        written = lines(self.at("live.jsonl"))
        self.assertTrue(wait_until(lambda: set(written) <= set(watcher.texts(TOPIC + "/events")), 5))
        with open(self.at("live.json")) as file:
            stats = json.load(file)
        figures = stats["sinks"]["mqtt"]
        self.assertEqual([figures[name] for name in ("events", "delivered", "dropped", "outages")], [len(written), len(written), 0, 2])
        self.assertEqual(stats["dropped"], 0)  # the video never waited
        self.assertEqual(watcher.texts(TOPIC + "/availability")[-1], "offline")

    def test_a_program_that_is_killed_is_offline(self):
        broker = self.broker()
        watcher = self.subscriber(broker)
        process = self.watch(broker)
        self.assertTrue(wait_until(lambda: watcher.texts(TOPIC + "/availability") == ["online"], 20))
        process.kill()
        self.assertTrue(wait_until(lambda: watcher.texts(TOPIC + "/availability") == ["online", "offline"], 5))

    def test_a_broker_that_comes_late(self):
        port = free_port()
        process = subprocess.Popen(self.command(f"mqtt://127.0.0.1:{port}/{TOPIC}", "--loop", "--live"), cwd=self.folder, env=WITHOUT_PASSWORD, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        self.assertEqual(process.stderr.readline(), f"note: --mqtt mqtt://127.0.0.1:{port}/{TOPIC}: Connection refused; trying again\n")
        late = Broker(self.folder, port=port)
        self.addCleanup(late.end)
        self.assertIn("connected after", process.stderr.readline())
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=15), 0)

    def test_nobody_answers(self):
        self.check_fault("4 of 4 events were not delivered: Connection refused", f"mqtt://127.0.0.1:{free_port()}/a", code=1, notes=1)
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            self.check_fault("events were not delivered", f"mqtt://127.0.0.1:{silent.getsockname()[1]}/a", code=1)


class Refused(Mqtt):
    def test_passwords(self):
        passwords = self.at("passwords")
        subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "camera", "right one"], check=True, capture_output=True)
        os.chmod(passwords, 0o644)
        broker = self.broker(f"allow_anonymous false\npassword_file {passwords}")
        address = f"mqtt://camera@127.0.0.1:{broker.port}/a"
        for variables in ({}, {"MASKWATCH_MQTT_PASSWORD": "wrong one"}):
            told = self.check_fault("does not let this user in", address, **variables)
            self.assertNotIn("wrong one", told)
        with open(self.at("password"), "w") as file:
            file.write("right one\nanother line\n")
        for options, variables in (([], {"MASKWATCH_MQTT_PASSWORD": "right one"}), (["--mqtt-password-file", "password"], {})):
            done = self.run_program(address, *options, **variables)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_tls(self):
        made = make_certificates(self.folder, "localhost")
        elsewhere = make_certificates(self.folder, "elsewhere.example")
        if made is None:
            self.skipTest("SKIPPED, NOT TESTED: openssl is not there")
        tls = "allow_anonymous true\ncertfile {1}\nkeyfile {2}"
        broker, other, plain = self.broker(tls.format(*made)), self.broker(tls.format(*elsewhere)), self.broker()
        watcher = Subscriber(broker.port, options=["--cafile", made[0], "-h", "localhost"])
        self.addCleanup(watcher.end)
        time.sleep(0.5)
        done = self.run_program(f"mqtts://localhost:{broker.port}/a", "--mqtt-ca", made[0])
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(wait_until(lambda: len(watcher.of("a/events")) == 4, 5))
        self.check_fault("certificate verify failed", f"mqtts://localhost:{broker.port}/a")
        self.check_fault("certificate verify failed", f"mqtts://localhost:{broker.port}/a", "--mqtt-ca", elsewhere[0])
        self.check_fault("no TLS connection", f"mqtts://localhost:{other.port}/a", "--mqtt-ca", elsewhere[0])  # of another name
        self.check_fault("no TLS connection", f"mqtts://localhost:{plain.port}/a", "--mqtt-ca", made[0])
        self.check_fault("mqtts:// if it wants TLS", f"mqtt://localhost:{broker.port}/a", code=1, notes=1)

    def test_bad_options(self):
        with open(self.at("empty"), "w"):
            pass
        there = "mqtt://127.0.0.1:1/a"
        told = self.check_fault("MASKWATCH_MQTT_PASSWORD", "mqtt://camera:hunter2@127.0.0.1/a")
        self.assertNotIn("hunter2", told)
        for address, part in (("http://127.0.0.1/a", "mqtts://"), ("mqtt:///a", "no host"), ("mqtt://127.0.0.1", "no topic"), ("mqtt://127.0.0.1:0/a", "port"), ("mqtt://127.0.0.1:x/a", "port"),
                              ("mqtt://127.0.0.1/a/#", "topic"), ("mqtt://127.0.0.1/$SYS/a", "broker"), ("mqtt://127.0.0.1/a%0", "hexadecimal"), ("mqtt://127.0.0.1/a%ff", "UTF-8"), ("mqtt://us%00er@127.0.0.1/a", "the user holds control"), ("mqtt://[::1/a", "]")):  # fmt: skip
            with self.subTest(address):
                self.check_fault(part, address)
        self.check_fault("names no user", there, "--mqtt-password-file", "empty")
        self.check_fault("MASKWATCH_MQTT_PASSWORD: the address of --mqtt names no user", there, MASKWATCH_MQTT_PASSWORD="x")
        self.check_fault("first line is empty", "mqtt://camera@127.0.0.1/a", "--mqtt-password-file", "empty")
        self.check_fault("missing", "mqtt://camera@127.0.0.1/a", "--mqtt-password-file", "missing")
        self.check_fault("could not act", there, "--mqtt-ca", "empty")
        self.check_fault("missing", "mqtts://127.0.0.1/a", "--mqtt-ca", "missing")
        for prefix in ("#", "", "a/", "a b", "$a", "a\nb", "a\udcff", "a\x7f", "a" * 1001):
            with self.subTest(prefix):
                self.check_fault("--mqtt-discovery", there, "--mqtt-discovery", prefix)
        done = subprocess.run([DETECT, "-s", self.clip, "--headless", "--mqtt-snapshot-every", "3"], capture_output=True, text=True)
        self.assertEqual((done.returncode, "requires --mqtt" in done.stderr), (2, True), done.stderr)


if __name__ == "__main__":
    if not is_there():
        print("SKIPPED, NOT TESTED: mosquitto and mosquitto_sub are not there (Debian: mosquitto, mosquitto-clients)", file=sys.stderr)
        sys.exit(SKIPPED)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
