"""How a module becomes a file: operator set, number format, quantization, onnxruntime's optimizers."""

import inspect
import tempfile
from pathlib import Path

import onnx
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.optimizer import optimize_model

from common import BATCH, by_name

EXAMPLES = 3
# Sizes at which artifacts run; the exporter sees another.
BATCHES = (1, 5)


def first(source, name, value, count):
    """The first samples, where the input counts them."""
    for axis, open_axis in axes_of(source, name).items():
        if open_axis is BATCH:
            return value.narrow(axis, 0, count)
    return value


def axes_of(source, name):
    return {} if name in source.constants else source.axes.get(name, {0: BATCH})


def plain(module, source, path, opset=18, dtype=None):
    inputs = [first(source, name, value, EXAMPLES) for name, value in source.inputs.items()]
    if dtype is not None:
        module = module.to(dtype)
        inputs = [value.to(dtype) if value.is_floating_point() else value for value in inputs]
    axes = [axes_of(source, name) for name in source.inputs]
    torch.onnx.export(
        module,
        tuple(inputs),
        str(path),
        dynamo=True,
        opset_version=opset,
        input_names=list(source.inputs),
        output_names=list(source.outputs),
        dynamic_shapes=shapes_like(module, axes),
        external_data=False,
        verbose=False,
    )


def shapes_like(module, axes):
    """Dynamic shapes by parameter; those of `*tensors` stand in one tuple."""
    parameters = list(inspect.signature(module.forward).parameters.values())
    if parameters[-1].kind != inspect.Parameter.VAR_POSITIONAL:
        return tuple(axes)
    single = len(parameters) - 1
    return (*axes[:single], tuple(axes[single:]))


def opset23(module, source, path):
    plain(module, source, path, opset=23)


def fp16(module, source, path):
    plain(module, source, path, dtype=torch.float16)


def bf16(module, source, path):
    plain(module, source, path, dtype=torch.bfloat16)


def kept_norms(module, source, path):
    """BatchNormalizations stay nodes of their own: the module is exported before the exporter's optimizer folds them."""
    inputs = [first(source, name, value, EXAMPLES) for name, value in source.inputs.items()]
    axes = [axes_of(source, name) for name in source.inputs]
    program = torch.onnx.export(
        module, tuple(inputs), dynamo=True, opset_version=18, optimize=False, verbose=False,
        input_names=list(source.inputs), output_names=list(source.outputs), dynamic_shapes=shapes_like(module, axes),
    )
    program.save(str(path), external_data=False)


class Samples(CalibrationDataReader):
    def __init__(self, source):
        count = len(next(iter(source.inputs.values())))
        self.feeds = iter(
            {name: by_name(value[i : i + 1]) for name, value in source.inputs.items()} for i in range(min(4, count))
        )

    def get_next(self):
        return next(self.feeds, None)


def from_plain(change):
    """Writes the plain model first and changes it."""

    def write(module, source, path):
        with tempfile.TemporaryDirectory() as folder:
            dense = Path(folder) / "model.onnx"
            plain(module, source, dense)
            change(dense, source, path)

    return write


def static(form):
    return from_plain(lambda dense, source, path: quantize(dense, source, path, form))


def quantize(dense, source, path, form):
    prepared = dense.with_name("prepared.onnx")
    quant_pre_process(str(dense), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared), str(path), Samples(source), quant_format=form, per_channel=True,
        weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8,
    )


def dynamic(dense, source, path):
    prepared = dense.with_name("prepared.onnx")
    quant_pre_process(str(dense), str(prepared), skip_symbolic_shape=True)
    quantize_dynamic(str(prepared), str(path), weight_type=QuantType.QInt8)


def int4(is_symmetric):
    def write(dense, source, path):
        quantizer = MatMulNBitsQuantizer(onnx.load(dense), block_size=16, is_symmetric=is_symmetric)
        quantizer.process()
        quantizer.model.save_model_to_file(str(path), use_external_data_format=False)

    return from_plain(write)


def optimized(level):
    def write(dense, source, path):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = level
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(str(dense), options, providers=["CPUExecutionProvider"])

    return from_plain(write)


def by_transformers(dense, source, path):
    model = optimize_model(str(dense), model_type=source.optimizer, num_heads=source.heads[0], hidden_size=32, opt_level=0)
    model.save_model_to_file(str(path))


LEVELS = onnxruntime.GraphOptimizationLevel
VARIANTS = {
    "plain": plain,
    "opset23": opset23,
    "fp16": fp16,
    "bf16": bf16,
    "batchnorm": kept_norms,
    "qdq": static(QuantFormat.QDQ),
    "qoperator": static(QuantFormat.QOperator),
    "dynamic": from_plain(dynamic),
    "int4": int4(True),
    "int4-asymmetric": int4(False),
    "ort-basic": optimized(LEVELS.ORT_ENABLE_BASIC),
    "ort-extended": optimized(LEVELS.ORT_ENABLE_EXTENDED),
    "ort-transformers": from_plain(by_transformers),
}
