"""What writes ONNX files, by name: checked before TensorFlow is imported, so that its kernels can still be chosen."""

from importlib.util import find_spec

from common.errors import FlagError

PACKAGES = ("onnx", "onnxruntime", "tf2onnx")


def check_packages() -> None:
    """Checks that what writes ONNX files is installed.

    Raises:
      FlagError: it is not.
    """
    lacking = [name for name in PACKAGES if find_spec(name) is None]
    if lacking:
        raise FlagError(f"--export_onnx needs {', '.join(lacking)}; pip install bert-estimator[onnx]")
