"""The baselines in Python, one command a line on stdin, one answer a line on stdout.

`load PATH`: float32 scores. `rule`: the paper's rule in PyTorch as its authors write it, a full sort; answers
"MILLISECONDS KEPT". `partition KEPT`: numpy.partition of the absolute values at that count, and nothing else.
"""

import sys
import time

import numpy
import torch

scores = None
magnitudes = None


def rule():
    importance = torch.from_numpy(scores).abs()
    weights = importance / importance.sum()
    n_eff = 1 / (weights * weights).sum()
    ranked, _ = torch.sort(importance, descending=True)
    mask = importance >= ranked[int(n_eff) - 1]
    return int(mask.sum())


def partition(kept):
    numpy.partition(magnitudes, magnitudes.size - kept)


print(f"torch {torch.__version__} ({torch.get_num_threads()} threads), numpy {numpy.__version__}", flush=True)
for line in sys.stdin:
    command, *arguments = line.split()
    start = time.perf_counter()
    answer = 0
    if command == "load":
        scores = numpy.fromfile(arguments[0], dtype="<f4")
        magnitudes = numpy.abs(scores)
    elif command == "rule":
        answer = rule()
    elif command == "partition":
        partition(int(arguments[0]))
    print((time.perf_counter() - start) * 1000, answer, flush=True)
