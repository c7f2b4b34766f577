"""Makes torchvision importable beside a CPU-only torch.

torchvision's wheels on PyPI are CUDA builds. Beside a CPU torch their compiled library does not load, and
`import torchvision` stops at registering fakes for operators that then do not exist. timm imports torchvision
unconditionally but calls none of those operators, so declaring their schemas is enough.
"""

import torch

_LIBRARIES: list[torch.library.Library] = []
"""Keeps the declarations alive; a collected library takes its operators with it."""

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def make_torchvision_importable() -> None:
    """Declare torchvision's operators where its own library cannot; does nothing where torchvision imports as it is."""
    if _LIBRARIES or hasattr(torch.ops.torchvision, "nms"):
        return
    try:
        import torchvision  # noqa: F401
    except (RuntimeError, ImportError):
        library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in _SCHEMAS.values():
            library.define(schema)
        _LIBRARIES.append(library)
