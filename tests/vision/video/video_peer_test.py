#!/usr/bin/env python3
"""Frames of our video source against those of the ffmpeg command: video_peer_test.py VIDEO_FRAMES.

Every picture must have the same bytes as ffmpeg's (8-bit 4:2:0 and 4:4:4 take the same way through swscale;
ffmpeg is told the colour matrix where the file names none), its time must be ffprobe's. Then the same over
HTTP, an MPEG-TS over UDP, and what VideoWriter records as ffprobe sees it.
"""
import functools
import hashlib
import http.server
import json
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[3]
CLIPS = ROOT.parent / "shared/video"
SKIPPED = 77  # meson's code
TEST_PICTURE = "testsrc2=size=160x120:rate=25:duration=2"

# Name of the file, and how ffmpeg encodes its test picture into it.
ENCODINGS = [
    ("b_frames.mp4", "-c:v libx264 -preset veryfast -bf 3 -g 20"),
    ("b_frames.mkv", "-c:v libx264 -preset veryfast -bf 3 -colorspace bt709 -color_range tv"),
    ("b_frames.ts", "-c:v libx264 -preset veryfast -bf 3"),
    ("stream.flv", "-c:v libx264 -preset veryfast"),
    ("raw.h264", "-c:v libx264 -preset veryfast -bf 0"),
    ("odd.mkv", "-c:v libx264 -preset veryfast -vf scale=161:119 -pix_fmt yuv444p"),
    ("full_range.mp4", "-c:v libx264 -preset veryfast -pix_fmt yuvj420p -color_range pc"),
    ("xvid.avi", "-c:v mpeg4 -q:v 4 -bf 2"),
    ("mpeg2.mpg", "-c:v mpeg2video -q:v 4"),
    ("camera.avi", "-c:v mjpeg -q:v 4 -pix_fmt yuvj420p"),
    ("vp8.webm", "-c:v libvpx -b:v 500k -deadline realtime -cpu-used 8"),
    ("lossless.mkv", "-c:v ffv1 -pix_fmt yuv420p"),
    ("palette.gif", "-r 10"),
    ("late.mkv", "-c:v libx264 -preset veryfast -output_ts_offset 7.5"),
    ("uneven.mkv", "-c:v libx264 -preset veryfast -vf select=not(mod(n\\,7))+lt(n\\,9) -fps_mode vfr"),
]


def run(*command):
    return subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, check=True).stdout


def ours(program, source, *options):
    """Lines of each kind: frames as [number, time, width, height], the source's line, the end's."""
    frames, rest = [], {}
    for line in run(program, *options, source).decode().splitlines():
        kind, _, text = line.partition(" ")
        if kind == "frame":
            values = text.split()
            frames.append((int(values[1]), float(values[2]), int(values[3]), int(values[4])))
        else:
            rest[kind] = text
    return frames, rest


def times_of(path):
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "frame=best_effort_timestamp_time"]
    found = json.loads(run(*command, "-of", "json", path))["frames"]
    stamps = [frame.get("best_effort_timestamp_time") for frame in found]
    return None if None in stamps else [float(stamp) - float(stamps[0]) for stamp in stamps]


def pixels_of(path, most):
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", path, "-fps_mode", "passthrough", "-map", "0:v:0"]
    return run(*command, "-frames:v", str(most), "-f", "rawvideo", "-pix_fmt", "rgb24", "-")


def colours_are_named(path):
    entries = "stream=color_space,height,width,pix_fmt"
    stream = json.loads(run("ffprobe", "-v", "error", "-show_entries", entries, "-of", "json", path))["streams"][0]
    high = stream["width"] >= 1280 or stream["height"] > 576
    return not high or "color_space" in stream


def compare(program, path, folder, source=None, most=60):
    raw = pathlib.Path(folder) / "raw"
    frames, rest = ours(program, source or path, "--raw", raw, "--most", str(most))
    pixels, wanted = raw.read_bytes(), pixels_of(path, most)
    assert frames and "error" not in rest, rest
    assert rest["end"] == "", rest["end"]
    assert [frame[0] for frame in frames] == list(range(len(frames)))
    assert len(pixels) == len(wanted), f"{len(frames)} frames of {frames[0][2:]}: {len(pixels)} bytes, not {len(wanted)}"
    if colours_are_named(path):
        assert hashlib.sha256(pixels).digest() == hashlib.sha256(wanted).digest(), "pixels differ"
    times = times_of(path)
    if times is not None:
        worst = max(abs(frame[1] - time) for frame, time in zip(frames, times[:most], strict=True))
        assert worst < 1e-5, f"times differ by {worst} s"
    print(f"{path.name}: {len(frames)} frames of {frames[0][2]}x{frames[0][3]} as ffmpeg's")


def check_files(program, folder):
    for name, options in ENCODINGS:
        path = pathlib.Path(folder) / name
        encode = ["ffmpeg", "-v", "error", "-y", "-nostdin", "-f", "lavfi", "-i", TEST_PICTURE, "-threads", "1"]
        pixels = [] if "pix_fmt" in options or name.endswith("gif") else ["-pix_fmt", "yuv420p"]
        run(*encode, *pixels, *options.split(), path)
        compare(program, path, folder)
    if not CLIPS.exists():
        print("SKIPPED IN PART: ../shared/video is missing")
    for path in sorted(CLIPS.glob("*.mp4")):
        compare(program, path, folder)


def turn(source, path, a, b, c, d):
    """Copies an MP4 with another matrix in its track header (ISO 14496-12, 8.3.2)."""
    bytes_ = bytearray(source.read_bytes())
    at = bytes_.index(b"tkhd") + 4 + 40
    one = 1 << 16
    struct.pack_into(">9i", bytes_, at, a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    path.write_bytes(bytes_)


def check_turned(program, folder):
    source = pathlib.Path(folder) / "b_frames.mp4"
    for name, matrix in [("left", (0, -1, 1, 0)), ("right", (0, 1, -1, 0)), ("over", (-1, 0, 0, -1)),
                         ("mirrored", (-1, 0, 0, 1)), ("flipped", (1, 0, 0, -1))]:  # fmt: skip
        path = pathlib.Path(folder) / f"{name}.mp4"
        turn(source, path, *matrix)
        compare(program, path, folder)


def check_http(program, folder):
    """A file over HTTP from a server that cannot give parts of it."""
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        for name in ["b_frames.mkv", "b_frames.mp4"]:
            compare(program, pathlib.Path(folder) / name, folder, url + name)
        missing = subprocess.run([program, url + "missing.mp4"], stdout=subprocess.PIPE, text=True, check=False)
        assert missing.returncode == 2 and "404" in missing.stdout, missing.stdout
        server.shutdown()


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def check_udp(program, folder):
    url = f"udp://127.0.0.1:{free_udp_port()}"
    send = ["ffmpeg", "-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i", f"{folder}/b_frames.ts"]
    command = [*send, "-c", "copy", "-f", "mpegts", url + "?pkt_size=1316"]
    done = threading.Event()

    def keep_sending():  # ffmpeg ends where nobody listens yet
        while not done.wait(0.2):
            with subprocess.Popen(command, stderr=subprocess.DEVNULL) as sender:
                while sender.poll() is None and not done.wait(0.05):
                    pass
                sender.kill()

    thread = threading.Thread(target=keep_sending)
    thread.start()
    try:
        frames, rest = ours(program, url, "--timeout", "30", "--most", "40")
    finally:
        done.set()
        thread.join()
    assert rest["source"].startswith("1 "), rest  # live
    assert len(frames) == 40 and rest.get("lost") is None, rest
    steps = [b[1] - a[1] for a, b in zip(frames, frames[1:])]
    assert min(steps) > 0 and max(steps) < 0.3, steps
    print(f"UDP: {len(frames)} frames")


def check_writer(program, folder):
    for name, codec in [("out.mp4", "h264"), ("out.mkv", "h264"), ("out.avi", "mpeg4")]:
        path = pathlib.Path(folder) / name
        ours(program, f"{folder}/lossless.mkv", "--record", path)
        entries = "stream=codec_name,width,height,nb_read_frames,avg_frame_rate,pix_fmt"
        found = json.loads(run("ffprobe", "-v", "error", "-count_frames", "-show_entries", entries, "-of", "json", path))
        stream = found["streams"][0]
        assert stream["codec_name"] == codec and stream["pix_fmt"] == "yuv420p", stream
        assert (stream["width"], stream["height"], stream["nb_read_frames"]) == (160, 120, "50"), stream
        assert stream["avg_frame_rate"] == "25/1", stream
        graph = "[0:v]settb=1/25,setpts=N[a];[1:v]settb=1/25,setpts=N[b];[a][b]psnr"
        report = subprocess.run(
            ["ffmpeg", "-nostdin", "-i", path, "-i", f"{folder}/lossless.mkv", "-lavfi", graph, "-f", "null", "-"],
            stderr=subprocess.PIPE, text=True, check=True).stderr  # fmt: skip
        psnr = float(re.search(r"average:([0-9.]+)", report)[1])
        assert psnr > 30, psnr
        print(f"{name}: {codec}, PSNR {psnr:.1f} dB")


def check_interrupt(program):
    graph = "lavfi:testsrc=rate=30,realtime"
    with subprocess.Popen([program, graph], stdout=subprocess.PIPE, text=True) as process:
        for _ in range(5):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        *_, last = process.stdout.read().splitlines()
    assert process.returncode == 0 and last == "end ", last


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    if shutil.which("ffmpeg") is None:
        print("SKIPPED, NOT TESTED: there is no ffmpeg command", file=sys.stderr)
        return SKIPPED
    with tempfile.TemporaryDirectory() as folder:
        check_files(program, folder)
        check_turned(program, folder)
        check_http(program, folder)
        check_udp(program, folder)
        check_writer(program, folder)
    check_interrupt(program)
    return 0


if __name__ == "__main__":
    sys.exit(main())
