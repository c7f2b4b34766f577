"""What every capture made of picture files amounts to, whatever format told of it."""

from dataclasses import dataclass
from pathlib import Path

from saff_fast.capture.cameras import KnownCameras
from saff_fast.scene.reader import SceneFrames


@dataclass(frozen=True)
class Listing:
    """Pictures in the order of time, with what is known of them."""

    source: Path
    """What the user passed, for messages."""
    pictures: list[Path]
    cameras: KnownCameras | None = None
    """Of all pictures."""
    others: tuple[Path, ...] = ()
    """Further files that were read."""
    scene: SceneFrames | None = None
    """The scene folder whose priors are kept."""
    notes: tuple[str, ...] = ()
    """What the user should know, a sentence each."""
