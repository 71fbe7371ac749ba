"""The suite's results as Markdown and as a chart (matplotlib)."""

import pathlib

NAMES = {"maskwatch": "Maskwatch", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "litert": "LiteRT (XNNPACK)",
         "ncnn": "ncnn", "opencv": "OpenCV DNN", "tensorflow": "TensorFlow", "torch": "PyTorch",
         "torch compiled": "PyTorch, compiled", "keras": "Keras (TensorFlow)", "opencv 4": "OpenCV 4", "dlib": "dlib"}  # fmt: skip


def ratio(result, engine, figure="median"):
    """Our figure over the engine's, or None."""
    ours, theirs = result.get("maskwatch", {}).get(figure), result[engine].get(figure)
    return ours / theirs if ours and theirs else None


def case_line(kind, case, result):
    parts = []
    for name, row in result.items():
        if "failed" in row:
            parts.append(f"{name} FAILED: {row['failed'][:80]}")
        elif "median" in row:
            parts.append(f"{name} {row['median']:.3f}" + (f" ({ratio(result, name):.2f})" if name != "maskwatch" else ""))
        else:
            parts.append(f"{name} " + ", ".join(f"{k} {v:.1f}" for k, v in row.items() if isinstance(v, float)))
    return f"{kind} {case}: " + "; ".join(parts)


def megabytes(count):
    return f"{count / 2**20:.0f}" if count else ""


def network_rows(result, batch):
    """Lines of one case; milliseconds are those of a picture in inference, of a step in training."""
    for name, row in result.items():
        if "failed" in row:
            yield f"| {NAMES[name]} | – | – | – | – | – | – | – | {row['failed'].splitlines()[0][:120]} |"
            continue
        shares = [ratio(result, name, figure) if name != "maskwatch" else None for figure in ("median", "best")]
        shares = [f"{share:.2f}" if share else "" for share in shares]
        difference = row.get("difference")
        yield "| {} | {:.3f} | {:.3f}–{:.3f} | {} | {:.3f} | {} | {} | {} | {} runs |".format(
            NAMES[name], row["median"] / batch, row["low"] / batch, row["high"] / batch, shares[0], row["best"] / batch, shares[1],
            f"{difference:.1e}" if isinstance(difference, float) and name != "maskwatch" else "",
            megabytes(row.get("memory")), row["runs"])  # fmt: skip


def plural(threads):
    return f"{threads} thread" + ("" if threads == "1" else "s")


def order(case):
    """The chief network first, then by width and size."""
    width, size, batch, threads = case.split("/")
    return (width, size) != ("1.0", "224"), float(width), int(size), int(batch), int(threads)


def fastest(result):
    return min((n for n in result if n != "maskwatch" and "median" in result[n]),
               key=lambda name: result[name]["median"], default=None)  # fmt: skip


def summary_table(results):
    """Each case of inference and training against ONNX Runtime and against the fastest peer."""
    yield "| case | Maskwatch, ms | ÷ ONNX Runtime | ÷ the fastest peer |"
    yield "|---|---:|---:|---|"
    for kind, title in (("inference", "{}/{}, batch {}, {}: a picture"), ("training", "{}/{}, batch {}, {}: a training step")):
        for case in sorted(results.get(kind, {}), key=order):
            result, (width, size, batch, threads) = results[kind][case], case.split("/")
            peer = fastest(result)
            if peer is None or "median" not in result.get("maskwatch", {}):
                continue
            per = int(batch) if kind == "inference" else 1
            runtime = ratio(result, "onnxruntime") if "onnxruntime" in result else None
            yield "| {} | {:.3f} | {} | {:.2f} ({}) |".format(
                title.format(width, size, batch, plural(threads)), result["maskwatch"]["median"] / per,
                f"{runtime:.2f}" if runtime else "", ratio(result, peer), NAMES[peer])  # fmt: skip


def network_table(kind, cases):
    unit = "ms a picture" if kind == "inference" else "ms a step"
    for case in sorted(cases, key=order):
        result, (width, size, batch, threads) = cases[case], case.split("/")
        yield f"\n**{width}/{size}, batch {batch}, {plural(threads)}**\n"
        yield f"| engine | {unit} | middle half | ours ÷ it | best | ours ÷ it | largest difference | process, MiB | |"
        yield "|---|---:|---:|---:|---:|---:|---:|---:|---|"
        yield from network_rows(result, int(batch) if kind == "inference" else 1)


def pair_table(cases):
    yield "| what | engine | ms | ours ÷ it | agreement |"
    yield "|---|---|---:|---:|---|"
    for case, result in cases.items():
        for name, row in result.items():
            if "failed" in row:
                yield f"| {case} | {NAMES[name]} | – | – | {row['failed']} |"
            else:
                share = "" if name == "maskwatch" else f"{ratio(result, name):.2f}"
                yield f"| {case} | {NAMES[name]} | {row['median']:.3f} | {share} | {row.get('difference', '')} |"


def pipeline_table(cases):
    yield "| data set | program | decoding and resizing, pictures/s | augmentation, pictures/s |"
    yield "|---|---|---:|---:|"
    for case, result in cases.items():
        for name, row in result.items():
            yield f"| {case} | {NAMES[name]} | " + (
                f"– | {row['failed']} |" if "failed" in row else f"{row['load']:.0f} | {row['augment']:.0f} |")  # fmt: skip


def recipe_table(cases):
    yield "| recipe | program | seconds in all (extrapolated) | first epoch, s | later epochs, s | the rest, s | ours ÷ it |"
    yield "|---|---|---:|---:|---|---:|---:|"
    for case, result in cases.items():
        for name, row in result.items():
            if "failed" in row:
                yield f"| {case} | {NAMES[name]} | – | – | – | – | {row['failed']} |"
                continue
            later = ", ".join(f"{s:.1f}" for s in row["epochs"][1:])
            share = "" if name == "maskwatch" else f"{result['maskwatch']['total'] / row['total']:.2f}"
            yield f"| {case} | {NAMES[name]} | {row['total']:.0f} | {row['epochs'][0]:.1f} | {later} | {row['others']:.1f} | {share} |"


SECTIONS = [
    ("inference", "Inference", lambda cases: network_table("inference", cases)),
    ("training", "A full training step: forward with batch statistics, backward, Adam", lambda cases: network_table("training", cases)),
    ("recipe", "The original's recipe: frozen backbone, augmentation, 20 epochs", recipe_table),
    ("pipeline", "The data pipeline alone", pipeline_table),
    ("detectors", "Detectors and landmarks, one thread", pair_table),
]  # fmt: skip


def markdown(results):
    yield f"Processor: {results['processor']}. Engines: " + ", ".join(
        f"{name} {version}" if version else f"{name} (not installed)" for name, version in results["versions"].items()) + "."  # fmt: skip
    yield "\n## In short: our time over theirs, medians\n"
    yield from summary_table(results)
    for kind, title, rows in SECTIONS:
        if results.get(kind):
            yield f"\n## {title}\n"
            yield from rows(results[kind])


def chart(results, path):
    """Bars: how many times our time each engine needs for the chief network."""
    inference, training = (sorted(results.get(kind, {}).items(), key=lambda item: order(item[0]))
                           for kind in ("inference", "training"))  # fmt: skip
    inference = [(case, result) for case, result in inference if case.startswith("1.0/224/")]
    columns = [("batch {}, {}".format(c.split("/")[2], plural(c.split("/")[3])), r) for c, r in inference]
    columns += [("training, {}".format(plural(c.split("/")[3])), r) for c, r in training]
    engines = [n for n in NAMES if n != "maskwatch" and any(r.get(n, {}).get("median") for _, r in columns)]
    if not columns or not engines:
        return
    try:
        from matplotlib.figure import Figure
    except ImportError as failure:
        print(f"no chart: {failure}")
        return
    figure = Figure(figsize=(14, 6), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    width = 0.9 / len(engines)
    for i, name in enumerate(engines):
        shares = [ratio(result, name) if name in result else None for _, result in columns]
        places = [column - 0.45 + width * (i + 0.5) for column in range(len(columns))]
        axes.bar(places, [1 / share if share else 0 for share in shares], width, label=NAMES[name])
    axes.axhline(1, color="black", linewidth=2)
    axes.set_xticks(range(len(columns)), [title for title, _ in columns])
    axes.set_title("MobileNetV2 1.0/224: time of each engine over that of Maskwatch (above 1: slower)")
    axes.set_ylabel("times")
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    figure.legend(loc="outside right upper")
    figure.savefig(path)


def write(results, out):
    (pathlib.Path(out) / "table.md").write_text("\n".join(markdown(results)) + "\n")
    chart(results, pathlib.Path(out) / "chart.png")
