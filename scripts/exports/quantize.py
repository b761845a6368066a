"""Quantizes a model in every form that onnxruntime's quantizer writes from one.

    python quantize.py MODEL CALIBRATION.npy FOLDER

Writes `FORM.onnx` into the folder. Forms that would leave every weight as it was are left out.
"""

import logging
import sys
from pathlib import Path

import numpy
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from onnxruntime.quantization.shape_inference import quant_pre_process

BATCH = 32
# The quantizer tells of every node.
logging.disable(logging.WARNING)


class Batches(CalibrationDataReader):
    def __init__(self, name, values):
        self.feeds = iter({name: values[i : i + BATCH]} for i in range(0, len(values), BATCH))

    def get_next(self):
        return next(self.feeds, None)


def static(form, weights):
    def write(model, batches, path):
        quantize_static(
            model, path, batches, quant_format=form, per_channel=True, weight_type=weights, activation_type=QuantType.QUInt8
        )

    return write


def dynamic(model, _, path):
    quantize_dynamic(model, path, weight_type=QuantType.QInt8)


def blocks(model, _, path):
    quantizer = MatMulNBitsQuantizer(onnx.load(model), block_size=32, is_symmetric=True)
    quantizer.process()
    quantizer.model.save_model_to_file(path, use_external_data_format=False)


FORMS = {
    "qdq-int8": static(QuantFormat.QDQ, QuantType.QInt8),
    "qdq-int4": static(QuantFormat.QDQ, QuantType.QInt4),
    "qoperator": static(QuantFormat.QOperator, QuantType.QInt8),
    "dynamic": dynamic,
    "matmul-nbits": blocks,
}


def holds_integers(path):
    kinds = {onnx.TensorProto.INT8, onnx.TensorProto.UINT8, onnx.TensorProto.INT4, onnx.TensorProto.UINT4}
    return any(tensor.data_type in kinds and len(tensor.dims) > 1 for tensor in onnx.load(path).graph.initializer)


def main(model, calibration, folder):
    prepared = str(Path(folder) / "prepared.onnx")
    quant_pre_process(model, prepared, skip_symbolic_shape=True)
    name = onnx.load(model).graph.input[0].name
    values = numpy.load(calibration)
    for form, write in FORMS.items():
        path = Path(folder) / f"{form}.onnx"
        write(prepared, Batches(name, values), str(path))
        if not holds_integers(path):
            path.unlink()
    Path(prepared).unlink()


if __name__ == "__main__":
    main(*sys.argv[1:])
