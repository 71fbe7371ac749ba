"""The suite's results as Markdown and as a chart (gnuplot)."""

import pathlib
import subprocess

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


def network_table(kind, cases):
    unit = "ms a picture" if kind == "inference" else "ms a step"
    for case, result in cases.items():
        width, size, batch, threads = case.split("/")
        yield f"\n**{width}/{size}, batch {batch}, {threads} thread{'s' if threads != '1' else ''}**\n"
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
    for kind, title, rows in SECTIONS:
        if results.get(kind):
            yield f"\n## {title}\n"
            yield from rows(results[kind])


def chart(results, path):
    """Bars: how many times our time each engine needs for the chief network."""
    inference = [(c, r) for c, r in results.get("inference", {}).items() if c.startswith("1.0/224/")]
    training = list(results.get("training", {}).items())
    columns = [("batch {2}, {3} thread(s)".format(*c.split("/")), r) for c, r in inference]
    columns += [("training step, {3} thread(s)".format(*c.split("/")), r) for c, r in training]
    engines = [n for n in NAMES if n != "maskwatch" and any(r.get(n, {}).get("median") for _, r in columns)]
    if not columns or not engines:
        return
    lines = ["case " + " ".join(f'"{NAMES[n]}"' for n in engines)]
    for title, result in columns:
        shares = [ratio(result, n) if n in result else None for n in engines]
        lines.append(f'"{title}" ' + " ".join(f"{1 / s:.3f}" if s else "0" for s in shares))
    script = f"""
$data << END
{chr(10).join(lines)}
END
set terminal pngcairo size 1400,600 font 'sans,11'
set output '{path.name}'
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.9 noborder
set grid ytics
set key outside right
set title 'MobileNetV2 1.0/224: time of each engine over that of Maskwatch (above 1: slower)'
set ylabel 'times'
set yrange [0:*]
set arrow from graph 0, first 1 to graph 1, first 1 nohead lw 2 lc rgb 'black' front
plot for [i=2:{len(engines) + 1}] $data using i:xtic(1) title columnheader
"""
    try:
        subprocess.run(["gnuplot"], input=script, text=True, cwd=path.parent, check=True)
    except (OSError, subprocess.CalledProcessError) as failure:
        print(f"no chart: {failure}")


def write(results, out):
    (pathlib.Path(out) / "table.md").write_text("\n".join(markdown(results)) + "\n")
    chart(results, pathlib.Path(out) / "chart.png")
