"""Mean field of the dense CRF by pydensecrf, whose kernels are approximated on a permutohedral lattice."""

from types import ModuleType

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast.errors import UserError
from saff_fast.segment.crf.energy import PairwiseTerm


def mean_field(
    unary: Float[Tensor, "n_pixels n_labels"], terms: list[PairwiseTerm], n_iterations: int
) -> Float[Tensor, "n_pixels n_labels"]:
    """Marginals after some updates, in time linear in the pixels.

    Args:
        unary: Energy of each label.
        terms: The pairwise terms.
        n_iterations: Updates.

    Raises:
        UserError: if pydensecrf is missing.
    """
    crf = _pydensecrf()
    n_pixels, n_labels = unary.shape
    model = crf.DenseCRF(n_pixels, n_labels)
    model.setUnaryEnergy(np.ascontiguousarray(unary.T.numpy(), np.float32))
    for term in terms:
        features = np.ascontiguousarray(term.features.T.numpy(), np.float32)
        model.addPairwiseEnergy(
            features, compat=term.weight, kernel=crf.DIAG_KERNEL, normalization=crf.NORMALIZE_SYMMETRIC
        )
    return torch.from_numpy(np.array(model.inference(n_iterations)).T.copy())


def is_installed() -> bool:
    """Whether pydensecrf can be imported."""
    try:
        _pydensecrf()
    except UserError:
        return False
    return True


def _pydensecrf() -> ModuleType:
    try:
        import pydensecrf.densecrf
    except ImportError as error:
        raise UserError(
            "backend pydensecrf needs the package, which is not installed; run `pip install 'saff-fast[crf]'` "
            "or set backend=torch"
        ) from error
    return pydensecrf.densecrf
