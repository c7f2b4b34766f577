"""Reads what `render` left in a run folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray
from torch import Tensor

from saff_fast.errors import UserError
from saff_fast.files import read_image, read_json, read_labels, read_npy, read_npz
from saff_fast.geometry.cameras import Cameras

_SAME = 0.05
"""Relative depth up to which a point is the one that is seen in another view."""


@dataclass(frozen=True)
class View:
    """One rendered picture: a camera at a time."""

    id: int
    """Number in the file names."""
    split: str
    """`input`, `fix_cam0`, `fix_time0`, or a name of the user's own."""
    pose: int
    """Frame whose camera it is seen from."""
    time: float
    """Frame index of its time."""


class ViewMaps(Protocol):
    """What segmentation looks at: the maps of some views of one size, wherever they are kept."""

    @property
    def height(self) -> int:
        """Rows of every view."""

    @property
    def width(self) -> int:
        """Columns of every view."""

    def semantics(self, view: View) -> Float[Tensor, "height width n_semantic"]:
        """Rendered semantic features, not normalised."""

    def grey(self, view: View, kind: str) -> Float[Tensor, "height width"]:
        """One map (`blend`, `sal`) in [0, 1], float32."""

    def dynamic(self, view: View) -> Float[Tensor, "height width"]:
        """Dynamic share of each pixel, in [0, 1]."""

    def moving(self, view: View) -> Float[Tensor, "height width"]:
        """Evidence that each pixel moves, in [0, 1]."""


@dataclass(frozen=True)
class Renders:
    """The folder `render/` of a run and what `views.json` says of it."""

    folder: Path
    scene: Path
    height: int
    width: int
    n_frames: int
    held_out: tuple[int, ...]
    """Frames that training did not see."""
    views: tuple[View, ...]
    cameras: Cameras | None = None
    """One a view; None where the list does not say them."""

    def trained_inputs(self) -> list[View]:
        """The input views that training saw."""
        return [view for view in self.views if view.split == "input" and view.pose not in self.held_out]

    def rgb(self, view: View) -> UInt8[ndarray, "height width 3"]:
        """The rendered picture."""
        return self._sized(view, "rgb.png", read_image(self.path(view, "rgb.png")))

    def grey(self, view: View, kind: str) -> Float[Tensor, "height width"]:
        """One 8-bit map (`blend`, `sal`, `opacity`) in [0, 1], float32."""
        image = read_labels(self.path(view, f"{kind}.png"))
        return torch.from_numpy(self._sized(view, f"{kind}.png", image).astype(np.float32) / 255)

    def dynamic(self, view: View) -> Float[Tensor, "height width"]:
        """Dynamic share of each pixel, in [0, 1]."""
        return self.grey(view, "blend")

    def moving(self, view: View) -> Float[Tensor, "height width"]:
        """Evidence that each pixel moves, in [0, 1]: its dynamic share, or the motion seen in its frame if more.

        What moves little is rendered well by the static field, and only the frames themselves tell that it moves. A
        view of the same time as a frame sees the frame's motion where it sees the same points.
        """
        dynamic = self.dynamic(view)
        if self.path(view, "motion.png").is_file():
            return torch.maximum(dynamic, self.grey(view, "motion"))
        points = self.points(view) if view.split != "input" else None
        same_time = [v for v in self.trained_inputs() if v.time == view.time and self.path(v, "motion.png").is_file()]
        if points is None or not same_time:
            return dynamic
        rows, columns, visible = self.sight(points.reshape(-1, 3), same_time[0], self.depth(same_time[0]))
        motion = self.grey(same_time[0], "motion")[rows, columns] * torch.from_numpy(visible)
        return torch.maximum(dynamic, motion.reshape(dynamic.shape))

    def depth(self, view: View) -> Float[ndarray, "height width"]:
        """Depth along camera z in the scene's units."""
        return self._sized(view, "depth.npy", read_npy(self.path(view, "depth.npy")))

    def points(self, view: View) -> Float[ndarray, "height width 3"] | None:
        """Where in the world what each pixel shows is; None where the list does not say the cameras."""
        if self.cameras is None:
            return None
        pixels = self.cameras.pixel_grid()
        origins, directions = self.cameras.world_rays(torch.full((len(pixels),), self.views.index(view)), pixels)
        depth = torch.from_numpy(self.depth(view)).reshape(-1, 1)
        return (origins + depth * directions).reshape(self.height, self.width, 3).numpy()

    def sight(
        self, points: Float[ndarray, "n 3"], view: View, depth: Float[ndarray, "height width"]
    ) -> tuple[Int[ndarray, " n"], Int[ndarray, " n"], Bool[ndarray, " n"]]:
        """Row and column of points in a view of this depth, and whether they are what is seen there.

        The list must say the cameras.
        """
        assert self.cameras is not None
        camera = torch.full((len(points),), self.views.index(view))
        pixels, z = (values.numpy() for values in self.cameras.project(camera, torch.from_numpy(points)))
        places = np.floor(pixels).astype(np.int64)
        inside = ((places >= 0) & (places < [self.width, self.height])).all(axis=1) & (z > 0)
        columns, rows = places.clip(0, [self.width - 1, self.height - 1]).T
        return rows, columns, inside & (np.abs(z - depth[rows, columns]) < _SAME * z)

    def flow(self, view: View, key: str) -> Float[ndarray, "height width 2"]:
        """Optical flow in pixels of an input view; `key` is `fwd` or `bwd`."""
        return self._sized(view, "flow.npz", read_npz(self.path(view, "flow.npz"), key)[key])

    def semantics(self, view: View) -> Float[Tensor, "height width n_semantic"]:
        """Rendered semantic features as stored: float16, not normalised."""
        path = self.path(view, "dino.pt")
        try:
            feature = torch.load(path, weights_only=True)
        except FileNotFoundError as error:
            raise UserError(f"{path} must exist, but there is no such file; render again.") from error
        except Exception as error:  # torch.load raises whatever its parts raise; all mean a damaged file here.
            raise UserError(f"{path} must hold a tensor, but it does not load; render again.") from error
        return self._sized(view, "dino.pt", feature)

    def path(self, view: View, name: str) -> Path:
        """File `<id>_<name>` of a view."""
        return self.folder / f"{view.id}_{name}"

    def _sized(self, view: View, name: str, array: Any) -> Any:
        if tuple(array.shape[:2]) != (self.height, self.width):
            raise UserError(
                f"{self.path(view, name)} must be {self.width}x{self.height} as views.json says, got "
                f"{array.shape[1]}x{array.shape[0]}; run `saff-fast render` again."
            )
        return array


def read_renders(run: Path) -> Renders:
    """What was rendered into `run`; UserError when nothing was or the list is damaged."""
    path = run / "render" / "views.json"
    if not path.is_file():
        raise UserError(f"{run} must hold rendered views, but {path} is missing; run `saff-fast render {run}` first.")
    content = read_json(path)
    try:
        views = tuple(View(int(v["id"]), v["split"], int(v["pose"]), float(v["time"])) for v in content["views"])
        return Renders(
            folder=path.parent,
            scene=Path(content["scene"]),
            height=int(content["height"]),
            width=int(content["width"]),
            n_frames=int(content["n_frames"]),
            held_out=tuple(int(frame) for frame in content["held_out"]),
            views=views,
            cameras=_cameras(content),
        )
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} must list the views as `render` writes them, got {error!r}; render again.") from error


def _cameras(content: dict[str, Any]) -> Cameras | None:
    if not all("c2w" in view and "intrinsics" in view for view in content["views"]):
        return None
    n = len(content["views"])
    c2w = torch.tensor([view["c2w"] for view in content["views"]], dtype=torch.float32).reshape(n, 3, 4)
    intrinsics = torch.tensor([view["intrinsics"] for view in content["views"]], dtype=torch.float32).reshape(n, 4)
    return Cameras(c2w, intrinsics, int(content["height"]), int(content["width"]))
