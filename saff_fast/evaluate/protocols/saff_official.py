"""The `saff-official` protocol: the numbers of the published scripts, with what is odd in them (method/03, section 6).

- Labels pass through the published colours, which makes one of the labels 2, 3 and 7.
- View 36 counts, though it repeats an input view.
- A frame without any object has no Jaccard index, and neither has then the split; its fg-ARI is 1, as scikit-learn
  says of no pixels.
- Novel views are compared with pictures one time, or one camera, too early; pictures are resized by taking the pixel at
  the lower index; SSIM has a data range of 2; LPIPS sees colours in [0, 1] in place of [-1, 1].
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import skimage.metrics
from jaxtyping import Int, UInt8
from numpy import ndarray

from saff_fast.evaluate.image_metrics import psnr
from saff_fast.evaluate.mask_metrics import ari, fg_ari, jaccard
from saff_fast.evaluate.protocols.protocol import Protocol
from saff_fast.evaluate.published_colours import published_labels, published_picture
from saff_fast.evaluate.rig import SPLITS, is_scored_as_published
from saff_fast.evaluate.subject import MaskPair, Subject
from saff_fast.evaluate.summary import filled
from saff_fast.evaluate.tally import Tally
from saff_fast.evaluate.truth import resize_nearest
from saff_fast.files import read_image
from saff_fast.segment.renders import View

_structural_similarity: Any = skimage.metrics.structural_similarity


def score(subject: Subject) -> dict[str, Any]:
    """Means over the views of each split, as published; `undefined` names what has no mean for want of one frame's."""
    pairs = {pair.truth.view.id: pair for pair in subject.scene_pairs()}
    return _score(subject.renders.views, pairs, subject.options.seed, subject)


def score_masks(pairs: Sequence[MaskPair], seed: int) -> dict[str, Any]:
    """Scores of label maps alone."""
    return _score([pair.truth.view for pair in pairs], {pair.truth.view.id: pair for pair in pairs}, seed, None)


def _score(views: Iterable[View], pairs: dict[int, MaskPair], seed: int, subject: Subject | None) -> dict[str, Any]:
    tally = Tally()
    undefined: dict[str, set[str]] = {}
    for view in views:
        if not is_scored_as_published(view):
            continue
        scores = {} if subject is None else _score_picture(subject, view)
        if view.id in pairs:
            scores |= score_published(pairs[view.id].truth.labels, pairs[view.id].predicted)
        tally.add(view, scores)
        undefined.setdefault(view.split, set()).update(key for key, value in scores.items() if np.isnan(value))
    means = tally.means()
    splits = {
        split: {key: value for key, value in means[split].items() if key not in undefined[split]}
        for split in SPLITS
        if split in means
    }
    return filled(
        {
            "splits": filled(splits),
            "undefined": filled({split: sorted(keys) for split, keys in undefined.items()}),
            **({} if subject is None else subject.absent()),
            **tally.results(seed),
        }
    )


def score_published(truth: Int[ndarray, "h w"], predicted: Int[ndarray, "h w"]) -> dict[str, float]:
    """ARI, fg-ARI and Jaccard index of a frame, as the published scripts compute them."""
    labels = published_labels(published_picture(resize_nearest(predicted, *truth.shape)))
    foreground = truth != 0
    return {
        "ari": ari(truth, labels),
        "fg_ari": fg_ari(truth, labels) if foreground.any() else 1.0,
        "fg_jaccard": jaccard(foreground, labels != 0),
    }


def _score_picture(subject: Subject, view: View) -> dict[str, float]:
    picture = published_truth(subject, view)
    if picture is None:
        return {}
    rgb = subject.renders.rgb(view)
    settings = {"win_size": 7, "data_range": 2.0, "channel_axis": 2}
    similarity = _structural_similarity(picture / 255, rgb / 255, **settings)
    scores = {"psnr": psnr(rgb, picture), "ssim": float(similarity)}
    return scores | subject.lpips("lpips", rgb, picture, published=True)


def published_truth(subject: Subject, view: View) -> UInt8[ndarray, "height width 3"] | None:
    """The picture that the published script compares a view with: of novel views the one before."""
    pose, time = view.pose, int(view.time)
    if view.split == "fix_cam0":
        time -= 1
    elif view.split == "fix_time0":
        pose -= 1
    path = subject.truth.rig_file("mv_images", pose, time, "jpg")
    if path is None:
        return None
    return _resize_lower(read_image(path), subject.renders.height, subject.renders.width)


def _resize_lower(picture: UInt8[ndarray, "h w 3"], height: int, width: int) -> UInt8[ndarray, "height width 3"]:
    """Each pixel takes the value at its upper left corner (torch's `nearest`)."""
    rows = np.arange(height) * picture.shape[0] // height
    columns = np.arange(width) * picture.shape[1] // width
    return picture[rows[:, None], columns]


PROTOCOL = Protocol(
    "saff-official", "the published scripts' numbers, with their colour merge and offsets", score, score_masks
)
