"""Priors that a scene lacks: training goes on without them and says so."""

from saff_fast.scene.scene import Scene

_WITHOUT = {
    "depth": "its losses are off, and the whole space is searched",
    "optical flow": "its losses are off, and depth is scaled to the scene's bounds",
    "evidence of motion": "what moves is left to the colours",
    "semantics": "their losses are off, and the run cannot be segmented",
    "saliency": "it is taken as 0 everywhere",
}


def has_depth(scene: Scene) -> bool:
    """Whether disparities say anything, and are trusted anywhere: without them they are the same everywhere."""
    return bool(scene.disparities.max() > scene.disparities.min() and scene.depth_confidences.any())


def missing_data(scene: Scene) -> list[str]:
    """What a scene lacks: of depth, optical flow, evidence of motion, semantics and saliency."""
    has = {
        "depth": has_depth(scene),
        "optical flow": bool(scene.flow_masks_fw.any() or scene.flow_masks_bw.any()),
        "evidence of motion": bool(scene.motion_masks.any()),
        "semantics": scene.semantics.shape[-1] > 0,
        "saliency": bool(scene.saliencies.any()),
    }
    return [name for name, known in has.items() if not known]


def missing_priors(scene: Scene) -> list[str]:
    """What a scene lacks and what training does without it, a sentence each."""
    return [f"The scene has no {name}: {_WITHOUT[name]}." for name in missing_data(scene)]
