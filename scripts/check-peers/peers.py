"""Prunes an ONNX model with a peer of the product, in a process of its own, and prints as JSON what that took.

    peers.py VERB MODEL OUTPUT [CALIBRATION]

`masks` and `channels` are onnxsim's, at half of the weights of every row or of the channels of every layer; `repaired` fits what is left by its ridge regression. `torch-channels` is Torch-Pruning's, of a chain of
layers, which is rebuilt in PyTorch and exported again. Imports are not counted in `seconds`, since a program that prunes has made them.
"""

import importlib.metadata
import json
import re
import sys
import time
import warnings

import numpy as np
import onnx
from onnx import numpy_helper

AMOUNT = 0.5


def main(verb, path, output, calibration=None):
    prune = load_torch() if verb == "torch-channels" else load_onnxsim(verb, calibration)
    start = time.perf_counter()
    pruned, repair = prune(onnx.load(path), output)
    if pruned is not None:
        onnx.save(pruned, output)
    seconds = time.perf_counter() - start
    names = ["torch", "torch-pruning"] if verb == "torch-channels" else ["onnxsim"]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    print(json.dumps({"seconds": seconds, "repair": repair, "peak": peak_bytes(), "versions": versions}))


def load_onnxsim(verb, calibration):
    import onnxruntime  # noqa: F401  what onnxsim runs models with, imported here so that it is not counted
    import onnxsim

    def prune(model, _output):
        if verb == "masks":
            return onnxsim.prune_magnitude_cpp(model, AMOUNT), None
        if any(node.op_type == "BatchNormalization" for node in model.graph.node):
            model, _ = onnxsim.simplify(model)  # it takes no channels in front of one
        pruned = onnxsim.apply_structured_pruning_cpp(model, AMOUNT)
        if verb == "channels":
            return pruned, None
        batches = [{model.graph.input[0].name: np.load(calibration)}]
        start = time.perf_counter()
        repaired = onnxsim.apply_pruning_finetune_cpp(model, pruned, batches)
        return repaired, time.perf_counter() - start

    return prune


def load_torch():
    import torch
    import torch_pruning

    warnings.filterwarnings("ignore")

    def prune(model, output):
        network = torch.nn.Sequential(*layers_of(torch, model)).eval()
        shape = [dim.dim_value or 1 for dim in model.graph.input[0].type.tensor_type.shape.dim]
        example = torch.zeros(shape)
        importance = torch_pruning.importance.MagnitudeImportance(p=2)
        torch_pruning.pruner.MagnitudePruner(
            network, example, importance, pruning_ratio=AMOUNT, ignored_layers=[network[-1]]
        ).step()
        ends = (model.graph.input[0].name, model.graph.output[0].name)
        torch.onnx.export(
            *(network, example, output),
            dynamo=False,
            input_names=ends[:1],
            output_names=ends[1:],
            dynamic_axes={name: {0: "n"} for name in ends},
        )
        return None, None

    return prune


def layers_of(torch, model):
    """Modules of the nodes, which stand one behind the other."""
    stored = {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in model.graph.initializer}

    class Mean(torch.nn.Module):
        def forward(self, x):
            return x.mean((2, 3))

    for node in model.graph.node:
        tensors = [stored[name] for name in node.input if name in stored]
        given = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        if node.op_type == "Conv":
            filters, channels, *kernel = tensors[0].shape
            padding = given["pads"][:2]
            layer = torch.nn.Conv2d(channels, filters, kernel, padding=padding, bias=len(tensors) > 1)
        elif node.op_type == "BatchNormalization":
            layer = torch.nn.BatchNorm2d(len(tensors[0]), eps=given["epsilon"])
            layer.running_mean, layer.running_var = tensors[2:]
        elif node.op_type == "Gemm":
            units, features = tensors[0].shape
            layer = torch.nn.Linear(features, units)
        else:
            plain = {"Relu": torch.nn.ReLU, "Flatten": torch.nn.Flatten, "ReduceMean": Mean}
            yield torch.nn.MaxPool2d(2) if node.op_type == "MaxPool" else plain[node.op_type]()
            continue
        layer.weight.data = tensors[0]
        if layer.bias is not None:
            layer.bias.data = tensors[1]
        yield layer


def peak_bytes():
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1)) * 1024


main(*sys.argv[1:])
