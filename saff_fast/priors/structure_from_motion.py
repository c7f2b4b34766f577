"""Structure from motion by COLMAP, by harder and harder attempts (Schoenberger and Frahm, CVPR 2016; Pan et al., 2024).

Frames of one video are few, alike and close together. Two mappers serve them: the global one (GLOMAP), which weighs all
pairs at once and drifts least, and the incremental one, begun from pairs and points of far smaller angles than COLMAP
asks for by default.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool

PRIOR_FOCAL_LENGTH = 1.2
"""First guess of the focal length, in widths of the longer side (COLMAP's own guess)."""
MAX_EXHAUSTIVE = 60
"""Frames up to which each is matched with every other; more are matched with those near in time."""
PLAUSIBLE_FOCAL_LENGTHS = (0.35, 3.0)
"""Of a camera, as shares of the longer side of its pictures: fields of view of 110 to 19 degrees."""
GOOD_ERROR = 1.0
"""Mean reprojection error, in pixels, under which a model with all frames ends the search."""
MIN_ANGLE = 0.5
"""Angle, in degrees, between rays from which on a point counts: video turns slowly about far things."""
ROBUST_SCALE = 0.5
"""Reprojection error, in pixels, from which on an observation loses its say in the last adjustment."""
MAX_ERROR = 2.0
"""Reprojection error, in pixels, of the worst observations kept."""
MIN_FEATURES = 40
"""Features a frame, on average, under which a video has too little texture to be matched."""


@dataclass(frozen=True)
class Effort:
    """How hard features are looked for."""

    max_features: int
    peak_threshold: float
    affine_shape: bool
    guided: bool
    """Whether matches are looked for once more along the epipolar lines."""


EFFORTS = (
    Effort(2048, 0.0067, affine_shape=False, guided=False),
    Effort(4096, 0.0067, affine_shape=False, guided=True),
    Effort(6144, 0.002, affine_shape=True, guided=True),
)
"""In the order in which they are tried. Guided matches are more, and less exact: only where others do not suffice."""


class PairwiseMatches:
    """Features of all frames and their matches, in a COLMAP database that can be mapped again and again.

    Args:
        folder: Holds the frames under `images/`; the database and the models are written beside them.
        files: Names of the frames.
        effort: How hard to look.
        seed: Of the random sampling.
    """

    def __init__(self, folder: Path, files: Sequence[str], effort: Effort, seed: int):
        import pycolmap

        pycolmap.logging.minloglevel = int(pycolmap.logging.FATAL)
        pycolmap.set_random_seed(seed)
        self._images, self._files, self._seed = folder / "images", list(files), seed
        self._folder = folder / f"features-{effort.max_features}"
        self._folder.mkdir()
        self._database = self._folder / "database.db"
        self._extract(effort)
        self._match(effort)

    def _extract(self, effort: Effort) -> None:
        import pycolmap

        options = pycolmap.FeatureExtractionOptions()
        options.num_threads = 1  # pictures are numbered as they are done, and all that follows depends on the numbers
        options.sift.max_num_features = effort.max_features
        options.sift.peak_threshold = effort.peak_threshold
        options.sift.estimate_affine_shape = effort.affine_shape
        reader = pycolmap.ImageReaderOptions(camera_model="SIMPLE_RADIAL")
        bitmap = pycolmap.Bitmap.read(self._images / self._files[0], as_rgb=False)
        focal = PRIOR_FOCAL_LENGTH * max(bitmap.width, bitmap.height)
        # Given parameters count as a prior: pairs are then related by calibrated cameras, which planes do not confuse.
        reader.camera_params = f"{focal}, {bitmap.width / 2}, {bitmap.height / 2}, 0"
        mode = pycolmap.CameraMode.SINGLE
        pycolmap.extract_features(
            self._database,
            self._images,
            image_names=self._files,
            camera_mode=mode,
            reader_options=reader,
            extraction_options=options,
        )

    def _match(self, effort: Effort) -> None:
        import pycolmap

        matching = pycolmap.FeatureMatchingOptions()
        matching.guided_matching = effort.guided
        match = pycolmap.match_exhaustive if len(self._files) <= MAX_EXHAUSTIVE else pycolmap.match_sequential
        match(self._database, matching_options=matching, verification_options=self._verification())

    def _verification(self):
        import pycolmap

        options = pycolmap.TwoViewGeometryOptions()
        options.ransac.random_seed = self._seed
        return options

    def n_features(self) -> float:
        """Features a frame, on average."""
        import pycolmap

        with pycolmap.Database.open(self._database) as database:
            return database.num_keypoints() / len(self._files)

    def homography_share(self) -> float:
        """Share of the matched pairs of frames that one homography explains, as where the camera only turns."""
        import pycolmap

        kind = pycolmap.TwoViewGeometryConfiguration
        with pycolmap.Database.open(self._database) as database:
            _, geometries = database.read_two_view_geometries()
        flat = {kind.PLANAR, kind.PANORAMIC, kind.PLANAR_OR_PANORAMIC}
        return sum(geometry.config in flat for geometry in geometries) / max(len(geometries), 1)

    def drop(self, masks: Sequence[Bool[np.ndarray, "h w"]]) -> None:
        """Forget the matches of features inside `masks`, one a frame and at its size, and verify all pairs again."""
        import pycolmap

        with pycolmap.Database.open(self._database) as database:
            kept = {}
            for image in database.read_all_images():
                mask = masks[self._files.index(image.name)]
                x, y = np.floor(database.read_keypoints(image.image_id)[:, :2]).astype(int).T
                height, width = mask.shape
                kept[image.image_id] = ~mask[y.clip(0, height - 1), x.clip(0, width - 1)]
            pairs, matches = database.read_all_matches()
            database.clear_matches()
            database.clear_two_view_geometries()
            for pair, rows in zip(pairs, matches, strict=True):
                a, b = pycolmap.pair_id_to_image_pair(pair)
                database.write_matches(a, b, rows[kept[a][rows[:, 0]] & kept[b][rows[:, 1]]])
        pycolmap.geometric_verification(self._database, two_view_geometry_options=self._verification())

    def map_globally(self):
        """The largest model of the global mapper, or None."""
        import pycolmap

        options = pycolmap.GlobalPipelineOptions()
        options.random_seed = self._seed
        # Several threads sum in no fixed order; mapping takes seconds on one.
        options.num_threads = options.mapper.num_threads = 1
        return self._largest(pycolmap.global_mapping, options)

    def map_incrementally(self):
        """The largest model of the incremental mapper, begun from whatever little parallax there is, or None."""
        import pycolmap

        options = pycolmap.IncrementalPipelineOptions()
        options.random_seed = options.mapper.random_seed = options.triangulation.random_seed = self._seed
        options.num_threads = options.mapper.num_threads = 1
        options.extract_colors = False
        options.min_model_size = 3
        options.mapper.init_min_tri_angle = 1.0
        options.mapper.init_min_num_inliers = 30
        options.mapper.abs_pose_min_num_inliers = 12
        options.mapper.filter_min_tri_angle = options.triangulation.min_angle = MIN_ANGLE
        return self._largest(pycolmap.incremental_mapping, options)

    def _largest(self, mapping, options):
        models = mapping(self._database, self._images, self._folder / "sparse", options)
        return max(models.values(), key=rank, default=None)


def rank(model) -> tuple[int, bool, int, float]:
    """Orders models from worst to best: registered frames, a good error or not, points, error."""
    if model is None:
        return 0, False, 0, 0.0
    error = model.compute_mean_reprojection_error()
    good = error < GOOD_ERROR and all(has_plausible_focal_length(camera) for camera in model.cameras.values())
    return model.num_reg_images(), good, model.num_points3D(), -error


def has_plausible_focal_length(camera) -> bool:
    """Whether a camera is one that people film with.

    Where little parallax is seen and things move, a far camera of a tiny field of view explains nearly as many matches
    as the true one, with poses that mean nothing.
    """
    low, high = (share * max(camera.width, camera.height) for share in PLAUSIBLE_FOCAL_LENGTHS)
    return low < camera.focal_length < high


def is_good(model, n_frames: int) -> bool:
    """Whether a model holds all frames with an error that calls for no further attempt."""
    return rank(model)[:2] == (n_frames, True)


def refine(model, distorted: bool = True, n_rounds: int = 2):
    """A copy of the model after adjustments with Cauchy's loss, between which the worst observations are dropped.

    The mappers adjust by least squares with errors up to 4 pixels. In video, whose rays meet at small angles, swaying
    plants and matches that slip along repeated texture bend the path of such cameras by several percent.

    Args:
        model: pycolmap's Reconstruction.
        distorted: Whether the camera's distortion is adjusted too, or else stays as it is.
        n_rounds: Number of adjustments.
    """
    import pycolmap

    refined = pycolmap.Reconstruction(model)
    options = pycolmap.BundleAdjustmentOptions()
    options.refine_extra_params = distorted
    options.print_summary = False
    options.ceres.loss_function_type = pycolmap.LossFunctionType.CAUCHY
    options.ceres.loss_function_scale = ROBUST_SCALE
    options.ceres.solver_options.num_threads = 1
    for _ in range(n_rounds):
        config = pycolmap.BundleAdjustmentConfig()
        for image_id in refined.images:
            config.add_image(image_id)
        config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
        pycolmap.create_default_bundle_adjuster(options, config, refined).solve()
        pycolmap.ObservationManager(refined).filter_all_points3D(MAX_ERROR, MIN_ANGLE)
        refined.update_point_3d_errors()
    return refined
