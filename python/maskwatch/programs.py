"""Training and evaluation: the project's own programs, run as children of this process."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import site
import subprocess
import sys
import sysconfig
import tempfile
from typing import Any, Callable, Iterable, Sequence, Union

PathLike = Union[str, "os.PathLike[str]"]

_EPOCH = re.compile(
    r"Epoch (?P<epoch>\d+)/(?P<epochs>\d+)  loss (?P<loss>\S+)  accuracy (?P<accuracy>\S+)  "
    r"val_loss (?P<val_loss>\S+)  val_accuracy (?P<val_accuracy>\S+)  (?P<seconds>\S+) s"
)


class ProgramFailed(RuntimeError):
    """A program that ended with an error: `returncode` 2 for wrong arguments or input, 1 for a failure at work."""

    def __init__(self, message: str, returncode: int) -> None:
        super().__init__(message)
        self.returncode = returncode


def find_program(name: str) -> str:
    """The path of a program of the project: beside this package's scripts, or on PATH. FileNotFoundError if there is none."""
    folders = [sysconfig.get_path("scripts"), os.path.join(site.getuserbase(), "bin"), os.path.dirname(sys.executable)]
    # pip install --target, and meson's own layout: PREFIX/bin beside PREFIX/lib/python3*/*-packages/maskwatch.
    folders += [str(above / "bin") for above in pathlib.Path(__file__).resolve().parents[1:5]]
    found = shutil.which(name, path=os.pathsep.join(folders)) or shutil.which(name)
    if not found:
        raise FileNotFoundError(f"the program {name} is not installed: it is neither beside this package nor on PATH")
    return found


def run_program(name: str, arguments: Sequence[str]) -> int:
    """Runs a program of the project in this terminal, and returns its exit code: 0, 1 or 2."""
    return subprocess.run([find_program(name), *arguments], check=False).returncode


def train(
    dataset: Union[PathLike, Iterable[PathLike]],
    model: PathLike,
    *,
    weights: PathLike | None = None,
    epochs: int | None = None,
    progress: Callable[[dict[str, Any]], Any] | None = None,
    arguments: Sequence[str] = (),
) -> dict[str, Any]:
    """Trains a classifier and writes it to `model`.

    dataset: a folder with a folder of pictures for each class, or several.
    weights: a pretrained backbone (.safetensors); None trains the whole network from random weights.
    epochs: passes over the pictures; None: as many as the program takes.
    progress: is called after each epoch with its figures: epoch, epochs, loss, accuracy, val_loss, val_accuracy, seconds.
    arguments: more of the program's own, such as ["--size", "96"]; `train_mask_detector --help` lists them.

    Returns the history: a list "epochs" of these figures, the "report" of the classes, "validation_files". ProgramFailed says
    what was wrong. Ctrl-C, or an exception in `progress`, ends the training; with "--resume" in `arguments` the same call goes
    on with the last whole epoch.
    """
    folders = [dataset] if isinstance(dataset, (str, os.PathLike)) else list(dataset)
    model = os.fspath(model)
    with tempfile.TemporaryDirectory(prefix="maskwatch-") as scratch:
        history = os.path.join(scratch, "history.json")
        command = [find_program("train_mask_detector"), "--dataset", *map(os.fspath, folders), "--model", model]
        command += ["--weights", os.fspath(weights)] if weights is not None else ["--scratch"]
        command += ["--epochs", str(epochs)] if epochs is not None else []
        own_history = _value_of("--history", arguments)
        if own_history is None:
            command += ["--history", history]
        if _value_of("--plot", arguments) is None and _value_of("-p", arguments) is None:
            command += ["--plot", os.path.join(scratch, "plot.png")]
        command += list(arguments)

        def line(text: str) -> None:
            seen = _EPOCH.match(text)
            if seen and progress:
                whole = ("epoch", "epochs")
                progress({key: (int if key in whole else float)(value) for key, value in seen.groupdict().items()})

        _run(command, line)
        return json.loads(pathlib.Path(history if own_history is None else own_history).read_text())


def evaluate(
    dataset: Union[PathLike, Iterable[PathLike]], model: PathLike | None = None, *, arguments: Sequence[str] = ()
) -> dict[str, Any]:
    """Evaluates a classifier on folders with a folder of pictures for each class; by default the one that ships.

    Returns what `evaluate_mask_detector --json` prints: a report, the confusion matrix, balanced accuracy. `arguments` as for
    train(); ProgramFailed says what was wrong.
    """
    folders = [dataset] if isinstance(dataset, (str, os.PathLike)) else list(dataset)
    command = [find_program("evaluate_mask_detector"), "--dataset", *map(os.fspath, folders), "--json"]
    if model is not None:
        command += ["--model", os.fspath(model)]
    return json.loads(_run(command + list(arguments), lambda _: None))


def _value_of(option: str, arguments: Sequence[str]) -> str | None:
    for place, argument in enumerate(arguments):
        if argument == option and place + 1 < len(arguments):
            return arguments[place + 1]
        if argument.startswith(f"{option}="):
            return argument[len(option) + 1:]
    return None


def _run(command: list[str], line: Callable[[str], None]) -> str:
    """Standard output, of which `line` gets each line as it comes. Nothing of the child outlives this call."""
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        lines = []
        try:
            assert child.stdout is not None
            for text in child.stdout:
                lines.append(text)
                line(text)
            child.wait()
        finally:
            if child.poll() is None:
                child.terminate()
            child.wait()
            if child.stdout is not None:
                child.stdout.close()
        if child.returncode != 0:
            errors.seek(0)
            said = [text for text in errors.read().splitlines() if text.startswith("error: ")]
            name = os.path.basename(command[0])
            message = said[-1].removeprefix("error: ") if said else f"{name} ended with {child.returncode}"
            raise ProgramFailed(message, child.returncode)
        return "".join(lines)
