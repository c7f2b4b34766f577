"""The space that the fields of a scene live in."""

from jaxtyping import Float
from torch import Tensor

from saff_fast.errors import UserError
from saff_fast.fields.scene_field import FieldKind
from saff_fast.geometry.spaces import NdcSpace
from saff_fast.scene.scene import Scene
from saff_fast.train.depth_prior import nearest_plane
from saff_fast.train.model import KINDS


def space_around(
    scene: Scene, inverse_depths: Float[Tensor, "n_frames height width"], kind: FieldKind = "hash"
) -> NdcSpace:
    """The space that fields of a scene live in; UserError where its cameras face several ways."""
    try:
        return KINDS[kind].space(scene.cameras, nearest_plane(inverse_depths))
    except ValueError as error:
        raise UserError(
            f"{scene.name}: the cameras must all face one way (a forward-facing capture), but some look "
            "backwards; use a part of the video in which the camera does not turn around"
        ) from error
