"""What is known of a frame's inverse depth before it is made dense."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Support:
    """Inverse depths, and how far each is to be trusted."""

    inverse_depth: Float[np.ndarray, "h w"]
    weight: Float[np.ndarray, "h w"]
    """Trust, 0 where nothing is known, 1 where a match is certain, more at matched points."""
