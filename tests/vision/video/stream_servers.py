"""Servers on loopback that stream a clip in a loop and can be cut, for tests of video sources.

`Rtsp` speaks RTSP 1.0 with RTP interleaved in the connection (RFC 2326, RFC 6184); `Http` sends an MPEG-TS
without a length, as encoders do. The ffmpeg command makes what is sent.
"""
import contextlib
import re
import socket
import struct
import subprocess
import threading
import time

FPS = 30


def make_clip(path, source, gop=15):
    """H.264 of what ffmpeg's options `source` give, with a key frame every `gop` frames; the container is the path's."""
    encode = ["-c:v", "libx264", "-preset", "ultrafast", "-g", str(gop), "-threads", "1", "-pix_fmt", "yuv420p"]
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-nostdin", *source, *encode, path], check=True)
    return path


def test_picture(seconds, size="320x240"):
    """For make_clip: FFmpeg's own."""
    return ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate={FPS}:duration={seconds}"]


class Server:
    """Accepts connections on a port that stays the same; `cut` closes all, `back` listens again.

    What is `stalled` falls silent and goes on later. Who comes while the server `hangs` never hears anything.
    """

    def __init__(self):
        self.address = ("127.0.0.1", 0)
        self.clients, self.lock, self.stalled, self.hangs = set(), threading.Lock(), False, False
        self.back()

    def back(self):
        self.listener = socket.create_server(self.address)
        self.address = self.listener.getsockname()
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.clients.add(client)
            threading.Thread(target=self.run, args=(client,), daemon=True).start()

    def run(self, client):
        try:
            if self.hangs:
                while client.recv(65536):
                    pass
            else:
                self.serve(client)
        except (OSError, ValueError):
            pass  # the client went, or was cut off
        finally:
            with self.lock:
                self.clients.discard(client)
            client.close()

    def cut(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.drop()

    def drop(self):
        """Closes all connections."""
        with self.lock:
            for client in self.clients:
                with contextlib.suppress(OSError):  # it has gone already
                    client.shutdown(socket.SHUT_RDWR)


def access_units(annex_b):
    """The NAL units of each picture of a raw H.264 stream."""
    units = []
    starts = [m for m in re.finditer(b"\x00\x00\x01", annex_b)]
    ends = [m.start() for m in starts[1:]] + [len(annex_b)]
    for start, end in zip(starts, ends):
        nal = annex_b[start.end():end].rstrip(b"\0")
        is_picture = nal[0] & 31 in (1, 5)
        if not units or (has_picture and not (is_picture and not nal[1] & 128)):
            units.append([])
            has_picture = False
        has_picture = has_picture or is_picture
        units[-1].append(nal)
    return units


class Rtsp(Server):
    LARGEST = 1400  # bytes of a packet's load

    def __init__(self, clip):
        command = ["ffmpeg", "-v", "error", "-nostdin", "-i", clip, "-c", "copy", "-f", "h264", "-"]
        self.pictures = access_units(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        super().__init__()

    def url(self, login=""):
        return f"rtsp://{login}127.0.0.1:{self.address[1]}/live"

    def serve(self, client):
        session = "Session: 12345678"
        sdp = ("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
               "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track1\r\n")  # fmt: skip
        with client.makefile("rb") as requests:
            while True:
                method, headers = self.request(requests)
                while self.stalled:
                    time.sleep(0.02)
                if method == "DESCRIBE":
                    self.reply(client, headers, "Content-Type: application/sdp", body=sdp)
                elif method == "SETUP" and "TCP" not in headers["transport"]:
                    self.reply(client, headers, status="461 Unsupported Transport")
                elif method == "SETUP":
                    self.reply(client, headers, session, "Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
                elif method == "PLAY":
                    self.reply(client, headers, session)
                    threading.Thread(target=self.play, args=(client,), daemon=True).start()
                else:
                    self.reply(client, headers, "Public: DESCRIBE, SETUP, PLAY, TEARDOWN")

    def request(self, requests):
        line = requests.readline()
        while line[:1] == b"$":  # a packet of RTCP
            rest = line[1:4] + requests.read(max(0, 4 - len(line)))
            requests.read(max(0, struct.unpack(">H", rest[1:3])[0] + 4 - len(line)))
            line = requests.readline()
        if not line:
            raise ValueError("the client went")
        headers = {}
        while (header := requests.readline().decode().strip()):
            key, _, value = header.partition(":")
            headers[key.lower()] = value.strip()
        if "cseq" not in headers:
            raise ValueError("the client went before the end of its request")
        return line.decode().split()[0], headers

    def reply(self, client, headers, *lines, status="200 OK", body=""):
        head = [f"RTSP/1.0 {status}", f"CSeq: {headers['cseq']}", *lines, f"Content-Length: {len(body)}"]
        client.sendall(("\r\n".join(head) + "\r\n\r\n" + body).encode())

    def packets(self, nal):
        if len(nal) <= self.LARGEST:
            return [nal]
        parts = [nal[i:i + self.LARGEST] for i in range(1, len(nal), self.LARGEST)]
        flags = [128 if i == 0 else 64 if i == len(parts) - 1 else 0 for i in range(len(parts))]
        return [bytes([nal[0] & 0xE0 | 28, flag | nal[0] & 31]) + part for flag, part in zip(flags, parts)]

    def play(self, client):
        sequence, start = 0, time.monotonic()
        try:
            for number in range(1 << 30):
                wait = start + number / FPS - time.monotonic()
                if wait > 0:
                    time.sleep(wait)
                while self.stalled:
                    time.sleep(0.02)
                out = b""
                picture = self.pictures[number % len(self.pictures)]
                loads = [(load, nal is picture[-1]) for nal in picture for load in self.packets(nal)]
                for i, (load, _) in enumerate(loads):
                    marker = 128 if i == len(loads) - 1 else 0
                    stamp = number * 90000 // FPS & 0xFFFFFFFF
                    rtp = struct.pack(">BBHII", 128, 96 | marker, sequence & 0xFFFF, stamp, 1) + load
                    out += struct.pack(">cBH", b"$", 0, len(rtp)) + rtp
                    sequence += 1
                client.sendall(out)
        except OSError:
            pass  # the client went, or was cut off


class Http(Server):
    """Sends the clip again and again, with timestamps that go on, for at most `seconds` a connection."""

    def __init__(self, clip, seconds=60):
        command = ["ffmpeg", "-v", "error", "-nostdin", "-stream_loop", "-1", "-i", clip, "-t", str(seconds)]
        mpegts = [*command, "-c", "copy", "-f", "mpegts", "-"]
        self.stream = subprocess.run(mpegts, stdout=subprocess.PIPE, check=True).stdout
        self.seconds = seconds
        super().__init__()

    def url(self):
        return f"http://127.0.0.1:{self.address[1]}/live.ts"

    def serve(self, client):
        while b"\r\n\r\n" not in client.recv(65536):
            pass
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nConnection: close\r\n\r\n")
        sent, start = 0, time.monotonic()
        while sent < len(self.stream):
            while self.stalled:
                time.sleep(0.02)
            due = int(len(self.stream) * (time.monotonic() - start + 0.1) / self.seconds)
            client.sendall(self.stream[sent:due])
            sent = max(sent, due)
            time.sleep(0.02)
