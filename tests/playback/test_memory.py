"""Renders that are larger than memory would allow at once."""

import subprocess
import sys

import pytest

from saff_fast.errors import UserError
from saff_fast.playback.files import files_of
from saff_fast.playback.memory import bounded
from saff_fast.playback.views import PROTOCOL

HEIGHT, WIDTH, LIMIT = 2160, 3840, 4.0
RENDER_4K = """
import resource, sys
from pathlib import Path
from saff_fast.playback.files import files_of, write_view
from saff_fast.playback.memory import bounded
from saff_fast.playback.renderer import ShotRenderer
from saff_fast.playback.shot import shot_of
from saff_fast.playback.views import PROTOCOL
from saff_fast.train.rendering import load_run

run, out, height, width, limit = *map(Path, sys.argv[1:3]), *map(int, sys.argv[3:5]), float(sys.argv[5])
model, files = load_run(run, "cpu"), files_of(PROTOCOL)
shot = shot_of(model, 2, 2).resized(height, width)
write_view(bounded(ShotRenderer(model), limit, height * width, files), shot, files, out / "0")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def test_tiles_shrink_with_the_memory_and_end(renderer):
    files = files_of(PROTOCOL)
    plenty = bounded(renderer, 1000, 100, files)
    assert plenty.tile_bytes == renderer.tile_bytes
    with pytest.raises(UserError, match=r"--max-memory must be at least [\d.]+G for 100000000000 pixels") as refused:
        bounded(renderer, 8, 10**11, files)
    least = float(str(refused.value).split("at least ")[1].split("G")[0])
    assert bounded(renderer, least + 0.5, 10**11, files).tile_bytes <= 2**29


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss is in KiB on Linux only")
def test_a_4k_frame_of_all_maps_stays_within_4_gib(finished, tmp_path):
    arguments = map(str, (finished, tmp_path, HEIGHT, WIDTH, LIMIT))
    done = subprocess.run([sys.executable, "-c", RENDER_4K, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < LIMIT
    assert {path.name for path in tmp_path.iterdir()} == {f"0_{file.suffix}" for file in files_of(PROTOCOL)}
