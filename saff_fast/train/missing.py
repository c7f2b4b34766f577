"""Priors that a scene lacks: training goes on without them and says so."""

from saff_fast.scene.scene import Scene


def has_depth(scene: Scene) -> bool:
    """Whether disparities say anything: that of a scene without them is the same everywhere."""
    return bool(scene.disparities.max() > scene.disparities.min())


def missing_priors(scene: Scene) -> list[str]:
    """What a scene lacks and what training does without it, a sentence each."""
    sentences = {
        "depth: its terms are off, and the whole space is searched": not has_depth(scene),
        "optical flow: its terms are off, and depth is scaled to the scene's bounds": not bool(
            scene.flow_masks_fw.any() or scene.flow_masks_bw.any()
        ),
        "evidence of motion: what moves is left to the colours": not bool(scene.motion_masks.any()),
        "semantics: their terms are off, and the run cannot be segmented": scene.semantics.shape[-1] == 0,
        "saliency: it is taken as 0 everywhere": not bool(scene.saliencies.any()),
    }
    return [f"The scene has no {sentence}." for sentence, is_missing in sentences.items() if is_missing]
