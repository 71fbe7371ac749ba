"""Engines as processes that are asked in turn. Those whose turn it is not are stopped, so that threads that wait by
spinning take nothing from the one that is measured."""

import ctypes
import json
import os
import pathlib
import signal
import statistics
import subprocess

import numpy


PR_SET_PDEATHSIG = 1


def end_with_parent():
    """A stopped engine would never learn that nobody asks any more."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Failure(Exception):
    """What an engine could not do, in its own words."""


class Engine:
    """A process that answers each line with a line of JSON: bench/nn/serve or worker.py."""

    def __init__(self, name, command, threads, log):
        # Worker threads of OpenMP, MKL and others are told as well as asked for. PyTorch compiles in the process itself:
        # the processes that it would start for that are not stopped with it.
        environment = dict(
            os.environ, OMP_NUM_THREADS=str(threads), TORCHINDUCTOR_COMPILE_THREADS="1", TF_CPP_MIN_LOG_LEVEL="3",
            PYTHONWARNINGS="ignore")  # fmt: skip
        self.name, self.samples, self.difference, self.memory, self.failed = name, [], None, None, None
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1, env=environment,
            process_group=0, preexec_fn=end_with_parent)  # fmt: skip

    def wait_until_ready(self):
        self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failure(f"ended with code {self.process.wait()}")
        answer = json.loads(line)
        if isinstance(answer, dict):
            raise Failure(answer["failed"])
        return answer

    def ask(self, request):
        self.process.stdin.write(request + "\n")
        return self.read()

    def pause(self):
        os.killpg(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.killpg(self.process.pid, signal.SIGCONT)

    def end(self):
        self.resume()
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process.stdout.close()

    def peak_memory(self):
        """The most bytes that the process ever held; of a peer, Python and the framework with it."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), None)

    def logits(self, path):
        self.ask(f"output {path}")
        return numpy.fromfile(path, numpy.float32)


def runs_for(milliseconds, budget):
    """Runs that fill a turn of `budget` seconds: two to a hundred, of which the first does not count."""
    return int(min(100, max(2, 1 + budget * 1e3 / milliseconds)))


def measure(engines, rounds, budget):
    """Every engine in turn, beginning with another one each round. The first run of a turn finds cold caches: it does
    not count. Engines that fail keep what they said in `failed`."""
    for engine in engines:
        engine.resume()
        try:
            engine.warm = min(engine.ask("run 3"))
        except Failure as failure:
            engine.failed = str(failure)
        engine.pause()
    for turn in range(rounds):
        shift = turn % len(engines)
        for engine in engines[shift:] + engines[:shift]:
            if engine.failed:
                continue
            engine.resume()
            engine.samples += engine.ask(f"run {runs_for(engine.warm, budget)}")[1:]
            engine.pause()


def figures(samples):
    """Median and the quarter points around it."""
    if len(samples) < 2:
        samples = samples * 2
    low, _, high = statistics.quantiles(samples, n=4)
    return {"median": statistics.median(samples), "low": low, "high": high, "best": min(samples), "runs": len(samples)}
