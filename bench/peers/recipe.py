"""The original's recipe (frozen backbone, augmentation, 20 epochs) and its data pipeline, beside the Keras program."""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import engines

HERE = pathlib.Path(__file__).resolve().parent
EPOCHS = 20
THREADS = 2


def keras_program(args, dataset, log, pictures=None):
    few = ["--pictures", str(pictures)] if pictures else []
    command = [sys.executable, HERE / "keras_recipe.py", dataset, "--threads", str(THREADS)] + few
    engine = engines.Engine("keras", command, THREADS, log)
    engine.wait_until_ready()
    return engine


def dataset_of(args):
    return args.shared / "datasets/mask1376"


def missing(args):
    return {"maskwatch": {"failed": f"{dataset_of(args)} is not there"}}


def our_pipeline(args, epochs, pictures=None):
    """What bench/apps/batches prints."""
    command = [args.build / "bench/apps/batches", dataset_of(args), "--threads", str(THREADS), "--epochs", str(epochs)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def pipeline(args, log):
    """Pictures a second: decoding and resizing, and augmentation."""
    case = "mask1376/224"
    if not dataset_of(args).exists():
        yield case, missing(args)
        return
    ours, theirs = {"load": [], "augment": []}, {"load": [], "augment": []}
    keras = keras_program(args, dataset_of(args), log, 200 if args.quick else None)
    try:
        seconds, pictures = keras.ask("load")
        theirs["load"].append(pictures / seconds)
        for _ in range(2 if args.quick else 5):
            keras.pause()
            answer = our_pipeline(args, 1 if args.quick else 2)
            ours["load"] += answer["load"]
            ours["augment"] += answer["augment"]
            keras.resume()
            seconds, pictures = keras.ask("batches 5")
            theirs["augment"].append(pictures / seconds)
    finally:
        keras.end()
    yield case, {
        name: {"load": statistics.median(rates["load"]), "augment": statistics.median(rates["augment"])}
        for name, rates in (("maskwatch", ours), ("keras", theirs))
    }  # fmt: skip


def our_training(args, weights, folder, epochs):
    """[wall seconds, seconds of each epoch]"""
    start = time.perf_counter()
    history = pathlib.Path(folder) / "history.json"
    subprocess.run(
        [args.build / "apps/train_mask_detector", "-d", dataset_of(args), "--weights", weights, "--epochs", str(epochs),
         "-m", f"{folder}/model.safetensors", "-p", f"{folder}/plot.png", "--history", history, "--threads", str(THREADS)],
        check=True, stdout=subprocess.DEVNULL)  # fmt: skip
    return time.perf_counter() - start, [e["seconds"] for e in json.loads(history.read_text())["epochs"]]


def extrapolated(total, epochs):
    """Seconds of the whole recipe: what is not an epoch, the first epoch, and the median of the others for the rest."""
    others = epochs[1:] or epochs
    return total - sum(epochs) + epochs[0] + (EPOCHS - 1) * statistics.median(others)


def epochs(args, log):
    """With --quick the Keras program has a share of the pictures, and its times are those over the share."""
    case = f"mask1376/{EPOCHS} epochs"
    if not dataset_of(args).exists():
        yield case, missing(args)
        return
    count = 2 if args.quick else 4
    weights = args.models / "1.0_224/model.safetensors"
    if not weights.exists():
        command = [sys.executable, HERE / "networks.py", weights.parent, "1.0", "224", "1", "32"]
        subprocess.run(command, check=True, stdout=log, stderr=log)
    start = time.perf_counter()
    keras = keras_program(args, dataset_of(args), log, 100 if args.quick else None)
    ready = time.perf_counter() - start
    share = keras.ask("load")[1] / sum(1 for _ in dataset_of(args).glob("*/*"))
    try:
        theirs = [t / 1e3 for t in keras.ask("run 1")]
        keras.pause()
        with tempfile.TemporaryDirectory() as folder:
            total, ours = our_training(args, weights, folder, count)
        keras.resume()
        theirs += [t / 1e3 for t in keras.ask(f"run {count - 1}")]
    finally:
        keras.end()
    yield case, {
        "maskwatch": {"total": extrapolated(total, ours), "epochs": ours, "others": total - sum(ours)},
        "keras": {"total": extrapolated(ready + sum(theirs), theirs) / share, "epochs": [t / share for t in theirs],
                  "others": ready / share},
    }
