#!/usr/bin/env bash
# Guess: in a model quantized with quantize_dynamic, the answer for an example is the same whatever
# else is in its batch, as in float32: weights have fixed scales, and rows do not meet in a product.
# Seen (onnxruntime 1.32.0, onnx 1.23.2): activations get one scale for the whole tensor, measured
# in each call, also with per_channel=True. An example beside a row of larger numbers is rounded on
# a coarser grid and answered otherwise. Numbers that count for nothing, such as padding, count too.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cat > batch.py <<'PYTHON'
import logging
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

logging.disable(logging.WARNING)
random = np.random.default_rng(0)
weights = random.normal(size=(16, 3)).astype(np.float32)
graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "w"], ["y"])],
    "one product",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 16])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
    [numpy_helper.from_array(weights, "w")],
)
opset = [helper.make_opsetid("", 20)]
onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), "float.onnx")
quantize_dynamic("float.onnx", "int8.onnx", weight_type=QuantType.QInt8, per_channel=True)
example = random.normal(size=(1, 16)).astype(np.float32)
batch = np.concatenate([example, 40 * example])
print(f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}")
moved = {}
for name in ("float", "int8"):
    session = onnxruntime.InferenceSession(f"{name}.onnx", providers=["CPUExecutionProvider"])
    [alone], [beside] = (session.run(None, {"x": x})[0][:1] for x in (example, batch))
    moved[name] = float(np.abs(alone - beside).max())
    print(f"{name}: alone {alone.round(3)}, beside a larger row {beside.round(3)}")
sys.exit(not (moved["float"] < 1e-5 and moved["int8"] > 0.1))
PYTHON
venv/bin/python batch.py
