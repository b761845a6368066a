"""Exports the models of the catalogue that are not there yet, each into a folder of its own.

    python export.py FOLDER [NAME ...]

A folder holds `model.onnx`, `inputs/`, `constants/` and `labels.npy` as a dataset takes them, feeds of `batch-N/`, and `about.json`. Prints a line of JSON for each model:
its name, kind and variant, `error` where it could not be made, and `skipped` where others are named.
"""

import hashlib
import json
import sys
import traceback
from pathlib import Path

import numpy
import torch

import formats
from catalogue import ENTRIES
from common import by_name, stir

# What every export hangs on beside the file that it stands in.
SHARED = [Path(__file__).with_name(name) for name in ("common.py", "formats.py")]


def key_of(entry):
    text = b"".join(Path(path).read_bytes() for path in [entry.file, *SHARED])
    return hashlib.sha256(text + torch.__version__.encode()).hexdigest()


def make(entry, variant, folder):
    """Writes the model of an entry as a variant has it, with its data."""
    torch.manual_seed(0)
    source = entry.make()
    module = stir(source.module).eval()
    labels = source.labels
    if labels is None:
        with torch.no_grad():
            given = module(*source.inputs.values())
        first = given[0] if isinstance(given, (tuple, list)) else given
        labels = first + 0.1 * torch.randn_like(first)
    write = formats.VARIANTS[variant]
    write(module, source, folder / "model.onnx")
    for name, value in source.inputs.items():
        if variant == "fp16" and value.is_floating_point():
            value = value.half()
        save(folder / ("constants" if name in source.constants else "inputs"), name, value)
        for batch in formats.BATCHES:
            save(folder / f"batch-{batch}", name, formats.first(source, name, value, batch))
    save(folder, "labels", labels)
    return {"heads": source.heads}


def save(folder, name, value):
    folder.mkdir(exist_ok=True)
    numpy.save(folder / f"{name}.npy", by_name(value))


def reason_of(error):
    """What the exporter says beneath its advice."""
    text = str(error).split("Exception summary")[-1]
    lines = [line for line in text.splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]


def clear(folder):
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def main(folder, names):
    for entry in ENTRIES:
        for variant in ("plain", *entry.variants):
            name = entry.name if variant == "plain" else f"{entry.name}-{variant}"
            known = {"name": name, "kind": entry.kind, "variant": variant}
            if names and name not in names:
                print(json.dumps({**known, "skipped": True}), flush=True)
                continue
            place = Path(folder) / name
            about = place / "about.json"
            key = key_of(entry)
            made = json.loads(about.read_text()) if about.exists() else {}
            if made.get("key") != key or "error" in made:
                made = {**known, "key": key}
                place.mkdir(parents=True, exist_ok=True)
                clear(place)
                try:
                    made.update(make(entry, variant, place))
                except Exception as error:
                    traceback.print_exc()
                    made["error"] = reason_of(error)
                about.write_text(json.dumps(made))
            print(json.dumps(made), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
