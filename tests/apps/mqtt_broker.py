"""A real mosquitto on loopback, and somebody who listens to it, for tests and measurements."""
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def wait_until(holds, seconds):
    """What `holds` returned last: it is asked until that is true, or the time is over."""
    deadline = time.monotonic() + seconds
    while not (value := holds()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return value


def is_there():
    return shutil.which("mosquitto") is not None and shutil.which("mosquitto_sub") is not None


class Broker:
    """What it promised to keep it keeps on the disk, so that a kill loses nothing."""

    def __init__(self, folder, settings="allow_anonymous true", port=None):
        self.port, self.process, self.folder = port or free_port(), None, folder
        self.file = os.path.join(folder, f"mosquitto-{self.port}.conf")
        keeps = os.path.join(folder, f"kept-{self.port}") + "/"
        os.makedirs(keeps, exist_ok=True)
        with open(self.file, "w") as file:
            file.write(f"persistence true\npersistence_location {keeps}\nautosave_on_changes true\nautosave_interval 1\n"
                       f"max_queued_messages 100000\n{'user root' if os.getuid() == 0 else ''}\nlistener {self.port} 127.0.0.1\n{settings}\n")  # fmt: skip
        self.start()

    def start(self):
        self.process = subprocess.Popen(["mosquitto", "-c", self.file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if not wait_until(self.answers, 10):
            raise RuntimeError("mosquitto does not start: " + self.file)

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()


class Subscriber:
    """mosquitto_sub with a session that survives the broker: (time, topic, retained, bytes) of all that comes."""

    def __init__(self, port, topic="#", options=()):
        command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(port), "-t", topic, "-q", "1", "-c", "-i", "watcher", "-F", "%t %r %x", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.messages = []
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            topic, retained, payload = line.rstrip("\n").rsplit(" ", 2)
            self.messages.append((time.time(), topic, retained == "1", bytes.fromhex(payload)))

    def of(self, topic):
        return [payload for _, name, _, payload in list(self.messages) if name == topic]

    def texts(self, topic):
        return [payload.decode() for payload in self.of(topic)]

    def jsons(self, topic):
        return [json.loads(payload) for payload in self.of(topic)]

    def end(self):
        self.process.terminate()
        self.process.wait()
        self.thread.join()
        self.process.stdout.close()


def make_certificates(folder, host):
    """(authority, certificate, key) for a broker of this name; None where there is no openssl."""
    if shutil.which("openssl") is None:
        return None
    names = [os.path.join(folder, f"{host}.{kind}") for kind in ("ca.pem", "pem", "key")]
    authority, certificate, key = names
    authority_key, request, extension = (os.path.join(folder, f"{host}.{kind}") for kind in ("ca.key", "csr", "ext"))
    with open(extension, "w") as file:
        file.write(f"subjectAltName=DNS:{host}\n")
    for command in (["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", authority_key, "-out", authority, "-days", "2", "-subj", "/CN=test authority", "-addext", "basicConstraints=critical,CA:TRUE"],
                    ["req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={host}"],
                    ["x509", "-req", "-in", request, "-CA", authority, "-CAkey", authority_key, "-CAcreateserial", "-days", "2", "-out", certificate, "-extfile", extension]):  # fmt: skip
        subprocess.run(["openssl", *command], check=True, capture_output=True)
    return names
