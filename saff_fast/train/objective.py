"""The objective that a run trains, chosen by `ExperimentConfig.objective`."""

import dataclasses
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from saff_fast.errors import UserError
from saff_fast.scene.scene import Scene
from saff_fast.train import published_step, step
from saff_fast.train.batch import Batch
from saff_fast.train.budget import SampleBudget
from saff_fast.train.config import ExperimentConfig
from saff_fast.train.missing import missing_data
from saff_fast.train.model import SceneModel
from saff_fast.train.published_config import Moment

_PUBLISHED_WEIGHTS = {
    "optical flow": "w_optical_flow",
    "depth": "w_depth",
    "semantics": "dino_coe",
    "saliency": "sal_coe",
}
"""Weight of the published loss that needs what a scene may lack."""


@dataclass(frozen=True)
class Objective:
    """The losses of a run."""

    config: ExperimentConfig

    def moving_rays(self, moment: Moment, n_rays: int) -> int:
        """How many of `n_rays` are drawn where motion is likely; the published ones are in the first stage only."""
        config = self.config
        return 0 if config.objective == "published" and config.published.phase(moment).masked else n_rays

    def losses(
        self,
        model: SceneModel,
        batch: Batch,
        moment: Moment,
        progress: Float[Tensor, ""],
        budget: SampleBudget | None = None,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Weighted loss terms of a batch by name, and statistics for the log; reading either waits for the device.

        Args:
            model: Fields, renderer, cameras.
            batch: The rays.
            moment: When in the run this is, for what the host decides.
            progress: Its progress on the device, which a captured step can be told anew.
            budget: Lengths of the sample buffers; without one they are as long as needed.
        """
        config, inputs = self.config, (model, batch.targets, batch.jitter, batch.n_moving)
        if config.objective == "published":
            capacity = None if budget is None else budget.capacity
            return published_step.batch_losses(*inputs, config.published, moment, capacity)
        return step.batch_losses(*inputs, config.loss, progress, budget)


def objective_for(config: ExperimentConfig, scene: Scene) -> Objective:
    """The objective of a run on this scene: published losses that need what the scene lacks are off.

    Raises:
        UserError: if no loss is left.
    """
    lacking = [data for data in missing_data(scene) if data in _PUBLISHED_WEIGHTS]
    off = {_PUBLISHED_WEIGHTS[data]: 0.0 for data in lacking}
    try:
        return Objective(dataclasses.replace(config, published=dataclasses.replace(config.published, **off)))
    except ValueError as error:
        raise UserError(
            f"{scene.name}: has no {', '.join(lacking)}, and no other loss has a weight; set published.w_render"
        ) from error


def losses_off(config: ExperimentConfig) -> list[str]:
    """What is to be said, once, of published losses that are not trained because their weight is 0."""
    zero = [name for name, weight in config.published.weights.items() if weight == 0]
    if config.objective == "published" and zero:
        return [f"Losses with a weight of 0 are off: {', '.join(zero)}."]
    return []
