"""The log of a run for TensorBoard."""

from pathlib import Path
from typing import Any, Self

from saff_fast.errors import UserError
from saff_fast.render.colours import Picture


class TensorBoard:
    """Writes event files; losses and PSNR under the published prefix `train/`.

    Raises:
        UserError: if the package is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UserError(
                "--tensorboard needs the package tensorboard, which is not installed; "
                "install it with `pip install 'saff-fast[log]'`"
            ) from error
        self._open = lambda step: SummaryWriter(folder, purge_step=step)
        self._writer: Any = None

    def begin(self, step: int) -> None:
        """Go on after `step`; what was written of later steps is no longer shown."""
        self.close()
        self._writer = self._open(step + 1)

    def metrics(self, entry: dict[str, Any]) -> None:
        """An entry of metrics.jsonl: each loss term, their sum, PSNR, and the others under `rates/`."""
        terms = entry["loss"]
        scalars = {f"train/{name}": value for name, value in terms.items()}
        scalars |= {"train/loss": sum(terms.values()), "train/psnr": entry["psnr"]}
        others = (name for name in entry if name not in ("step", "loss", "psnr"))
        for name, value in {**scalars, **{f"rates/{name}": entry[name] for name in others}}.items():
            self._writer.add_scalar(name, value, entry["step"])

    def picture(self, step: int, picture: Picture) -> None:
        """The preview after `step`."""
        self._writer.add_image("preview", picture, step, dataformats="HWC")

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> Self:
        """Itself; nothing is written before `begin`."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()
