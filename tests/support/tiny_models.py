"""Writes the small ONNX files in `tests/data`; needs onnx. Run `python -m tests.support.tiny_models` to renew them."""

from __future__ import annotations

from pathlib import Path

DATA = Path(__file__).parents[1] / "data"
OPSET, IR_VERSION = 13, 7


def main() -> None:
    """Write them all."""
    from onnx import TensorProto, helper

    def value(name, shape, kind=TensorProto.FLOAT):
        return helper.make_tensor_value_info(name, kind, shape)

    def weights(name, shape):
        size = shape[0] * shape[1]
        return helper.make_tensor(name, TensorProto.FLOAT, shape, [(i % 7 - 3) / 8 for i in range(size)])

    def save(name, nodes, inputs, outputs, initializers=(), opset=OPSET):
        graph = helper.make_graph(nodes, name, inputs, outputs, list(initializers))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION,
                                  producer_name="joulelab-tests")
        (DATA / f"{name}.onnx").write_bytes(model.SerializeToString())

    node = helper.make_node
    dense = [node("MatMul", ["x", "w"], ["h"]), node("Relu", ["h"], ["y"])]
    save("tiny", dense, [value("x", ["N", 8])], [value("y", ["N", 4])], [weights("w", [8, 4])])
    save("tiny_fixed_batch", dense, [value("x", [2, 8])], [value("y", [2, 4])], [weights("w", [8, 4])])
    save("tiny_future_opset", dense, [value("x", ["N", 8])], [value("y", ["N", 4])], [weights("w", [8, 4])], 99)
    save("tiny_nan", [node("Abs", ["x"], ["a"]), node("Neg", ["a"], ["b"]), node("Log", ["b"], ["y"])],
         [value("x", ["N", 8])], [value("y", ["N", 8])])
    save("tiny_two_inputs", [node("Gather", ["table", "ids"], ["e"]), node("Mul", ["e", "mask"], ["y"])],
         [value("ids", ["N", 4], TensorProto.INT64), value("mask", ["N", 4, 1])], [value("y", ["N", 4, 3])],
         [weights("table", [2, 3])])


if __name__ == "__main__":
    main()
