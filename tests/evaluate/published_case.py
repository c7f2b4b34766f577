"""Hand-made masks and pictures of the 60 views that trigger what is odd in the published scripts.

`PUBLISHED` holds what those scripts (brownvc/saff at fd76b9d) printed for them, with scikit-image's defaults of 0.19.3:
`evaluate_ours.py`, `evaluate_fg_ours.py` and `evaluate_recon_ours.py`, means by split.
"""

import numpy as np

from saff_fast.render.views import protocol_views

HEIGHT, WIDTH, N_FRAMES = 24, 32, 24
VIEWS = protocol_views(N_FRAMES)


def truth(view):
    """Two objects side by side that wander; none in view 53."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    if view.id != 53:
        shift = (view.time + view.pose) % 8
        labels[4:14, 2 + shift : 10 + shift] = 60
        labels[6:18, 10 + shift : 18 + shift] = 140
    return labels


def predicted(view):
    """The objects, one row too low: 3 and 4, which share a channel in the published colours, or 1 and 2 at odd times.

    Nothing is found in views 36 and 53, and nothing is background in view 50.
    """
    if view.id in (36, 53):
        return np.zeros((HEIGHT, WIDTH), np.uint8)
    labels = np.roll(truth(view) // 60, 1, axis=0)
    names = [0, 1, 2] if view.time % 2 else [0, 3, 4]
    found = np.asarray(names, np.uint8)[labels]
    return np.where(found == 0, 8, found).astype(np.uint8) if view.id == 50 else found


def picture(time, camera):
    """What camera `camera`, from 0, sees: 48 x 64 pixels, of which every second is kept."""
    rows, columns = np.mgrid[:48, :64]
    waves = 100 + 60 * np.sin((columns + 3 * time) / 7) + 40 * np.cos((rows + 5 * camera) / 5)
    return np.repeat(waves[..., None], 3, axis=2).astype(np.uint8) + np.array([0, 10, 20], np.uint8)


def render(view):
    """The picture of the view's own time and camera, every second pixel, a little too dark."""
    return (picture(view.time, view.pose % 12)[::2, ::2] * 0.95).astype(np.uint8)


PUBLISHED = {
    "input": {
        "ari": 0.8191871892766877,
        "fg_ari": 0.41319499385116654,
        "fg_jaccard": 0.8333333333333334,
        "psnr": 31.95567923814188,
        "ssim": 0.997215989069625,
    },
    "fix_cam0": {
        "ari": 0.7860578004465288,
        "fg_ari": 0.43108477167920733,
        "fg_jaccard": 0.7971014492753624,
        "psnr": 22.544819654025737,
        "ssim": 0.9226138126308376,
    },
    "fix_time0": {
        "ari": 0.7377485541515031,
        "fg_ari": 0.09161686064800251,
        # Jaccard index: not a number.
        "psnr": 19.46353544082629,
        "ssim": 0.7510608631215722,
    },
}
