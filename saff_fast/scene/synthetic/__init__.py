"""The built-in synthetic scene: analytic surfaces, rendered with exact truth of everything.

The generator is frozen: its frames are pinned by a pixel hash (tests/scene/test_synthetic.py), because every published
figure of the demo depends on them.
"""

from saff_fast.scene.synthetic.descriptors import SyntheticBackbone, degraded_disparity
from saff_fast.scene.synthetic.generator import SyntheticFlow, SyntheticScene, SyntheticView
from saff_fast.scene.synthetic.truth import protocol_views, write_synthetic_truth

__all__ = [
    "SyntheticBackbone",
    "SyntheticFlow",
    "SyntheticScene",
    "SyntheticView",
    "degraded_disparity",
    "protocol_views",
    "write_synthetic_truth",
]
