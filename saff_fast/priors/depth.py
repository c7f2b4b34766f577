"""Dense inverse depth of every frame from flow, a plane sweep and matched points, with trust in each pixel."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from saff_fast.geometry.cameras import Cameras
from saff_fast.priors.flow import FrameFlows
from saff_fast.priors.membrane import membrane
from saff_fast.priors.support import Support
from saff_fast.priors.triangulation import fit_inverse_depth
from saff_fast.priors.two_view import relative_view

NEIGHBOURS = (-2, -1, 1, 2)
"""Frames whose flow is triangulated, relative to the frame at hand."""
N_STEPS = 4
RESIDUAL_SCALE = 0.5
"""Miss, in pixels, that a good match of a static point has."""
TOLERANCE = 0.03
"""Error of inverse depth, as a share of the largest, up to which a pixel's triangulation counts as certain."""
POINT_WEIGHT = 4.0
"""Say of a matched point compared with that of a pixel's certain flow."""
SMOOTHNESS = 0.5
"""Say of an edge between alike neighbours compared with that of a pixel's certain flow."""
MAX_HEIGHT = 144
"""Rows at which the interpolation is solved; matches are no finer."""
DISAGREEMENT = 0.05
"""Relative difference of inverse depths over which flow and sweep cease to agree."""
SWEEP_SAY = 8.0
"""How many times its own trust the flow's has to be to outdo the sweep where they disagree."""
ALONE = 0.3
"""Trust in the one where the other disagrees, compared with that where it agrees."""
MOVER_CONFIDENCE = 0.1
"""Trust in what is filled in for movers."""
MOVER_PERCENTILE = 95
"""Which of the inverse depths around a mover it takes: nearly the largest, where a few may be wrong."""


def triangulate(
    flows: FrameFlows, cameras: Cameras, frame: int, moving: Float[np.ndarray, "h w"], max_inverse_depth: float
) -> Support:
    """Inverse depth of each pixel that best explains its flow to the four nearest frames, as if nothing moved.

    Trust falls with the distance between flow targets and projections, with evidence of motion, and where the baseline
    is too short to tell depths apart.
    """
    neighbours = [frame + step for step in NEIGHBOURS if 0 <= frame + step < len(flows)]
    views = [relative_view(cameras, frame, neighbour) for neighbour in neighbours]
    matches = [flows.between(frame, neighbour) for neighbour in neighbours]
    start = np.full((cameras.height, cameras.width), max_inverse_depth / 4)
    fit = fit_inverse_depth(views, matches, start, (0, max_inverse_depth), N_STEPS)
    total = np.maximum(fit.weight, 1e-6)
    certainty = fit.curvature * (TOLERANCE * max_inverse_depth / RESIDUAL_SCALE) ** 2
    weight = np.exp(-fit.missed / total / (2 * RESIDUAL_SCALE**2)) * certainty / (1 + certainty) * (1 - moving)
    return Support(fit.inverse_depth, weight * (total > 0.5))


def fuse(flow: Support, swept: Support) -> Support:
    """One support of two: the mean by trust where they agree, and one of them, less trusted, where they do not.

    The sweep sees many frames and wide baselines, so it errs seldom where matches are ambiguous or surfaces end, and
    has the say in general; but at the borders, where few frames look, it hardly trusts itself. The flow, at the
    pictures' full size, is finer where both are right.
    """
    difference = (flow.inverse_depth - swept.inverse_depth) / np.maximum(swept.inverse_depth, 1e-12)
    agreement = np.exp(-((difference / DISAGREEMENT) ** 2) / 2)
    # Where nothing was swept, there is nothing to disagree with.
    agreement = np.where(swept.weight > 0, agreement, 1)
    sweep_leads = SWEEP_SAY * swept.weight >= flow.weight
    weights = flow.weight * np.where(sweep_leads, agreement, 1), swept.weight * np.where(sweep_leads, 1, agreement)
    total = weights[0] + weights[1]
    inverse = (weights[0] * flow.inverse_depth + weights[1] * swept.inverse_depth) / np.maximum(total, 1e-12)
    return Support(inverse, total * (ALONE + (1 - ALONE) * agreement))


def add_points(
    support: Support, pixels: Float[np.ndarray, "n_points 2"], depths: Float[np.ndarray, " n_points"]
) -> Support:
    """The support with matched points (pixel x, y, inside of the frame; depth along camera z) where they are seen."""
    inverse, weight = support.inverse_depth.copy(), support.weight.copy()
    x, y = np.floor(pixels).astype(int).T
    inverse[y, x] = 1 / depths
    weight[y, x] = POINT_WEIGHT
    return Support(inverse, weight)


def densify(
    support: Support, image: UInt8[np.ndarray, "h w 3"], moving: Float[np.ndarray, "h w"]
) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """Inverse depth everywhere, and trust in it, 0 to 1.

    Support is interpolated by a membrane whose edges are as stiff as neighbouring colours are alike (a weighted
    Laplacian, as in Levin et al. 2004). Movers have no support of their own. A mover hides what is around it, so it is
    at least as near as the nearest of that, which for one that stands on the ground is the ground under it: each
    connected mover is filled with the 95th percentile of the inverse depths around it.
    """
    height, width = image.shape[:2]
    rows = min(height, MAX_HEIGHT)
    size = (round(width * rows / height), rows)
    weight = cv2.resize(support.weight, size, interpolation=cv2.INTER_AREA)
    weighted = cv2.resize(support.weight * support.inverse_depth, size, interpolation=cv2.INTER_AREA)
    guide = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float64) / 255
    # A trace of the mean everywhere keeps the system solvable where nothing is known.
    mean = weighted.sum() / max(weight.sum(), 1e-12)
    inverse = membrane(weight + 1e-6, weighted + 1e-6 * mean, guide, SMOOTHNESS)
    movers = (cv2.resize(moving, size, interpolation=cv2.INTER_AREA) > 0.5).astype(np.uint8)
    inverse = _fill_movers(inverse, movers)
    reach = cv2.GaussianBlur(weight, (0, 0), max(rows / 36, 2))
    confidence = reach / (reach + 0.1)
    confidence = np.where(movers > 0, MOVER_CONFIDENCE, confidence)
    return tuple(cv2.resize(x.astype(np.float32), (width, height)) for x in (inverse, confidence))


def _fill_movers(inverse: Float[np.ndarray, "h w"], movers: UInt8[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Each connected mover at nearly the nearest of what surrounds it, at least 2 pixels away."""
    filled = inverse.copy()
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    count, labels = cv2.connectedComponents(movers)
    for label in range(1, count):
        mover = (labels == label).astype(np.uint8)
        ring: Bool[np.ndarray, "h w"] = (cv2.dilate(mover, disk, iterations=2) > cv2.dilate(mover, disk)) & (
            movers == 0
        )
        if ring.any():
            filled[mover > 0] = np.percentile(inverse[ring], MOVER_PERCENTILE)
    return filled
