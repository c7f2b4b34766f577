"""Renders that are larger than memory would allow at once."""

import subprocess
import sys
from dataclasses import replace

import pytest

from saff_fast.errors import UserError
from saff_fast.playback.files import files_of
from saff_fast.playback.memory import bounded, bytes_of_files, bytes_of_pictures
from saff_fast.playback.shot import shot_of
from saff_fast.playback.views import PROTOCOL

HEIGHT, WIDTH, LIMIT = 2160, 3840, 4.0
RENDER_4K = """
import sys
from pathlib import Path
import torch
from saff_fast.playback.files import files_of, write_view
from saff_fast.playback.memory import bounded, bytes_of_files
from saff_fast.playback.renderer import ShotRenderer
from saff_fast.playback.shot import shot_of
from saff_fast.playback.views import PROTOCOL
from saff_fast.train.memory_limit import peak
from saff_fast.train.rendering import load_run

run, out, height, width, limit = *map(Path, sys.argv[1:3]), *map(int, sys.argv[3:5]), float(sys.argv[5])
model, files = load_run(run, "cpu"), files_of(PROTOCOL)
shot = shot_of(model, 2, 2).resized(height, width)
renderer = ShotRenderer(model)
renderer = bounded(renderer, limit, height * width, bytes_of_files(renderer, PROTOCOL))
write_view(renderer, shot, files, out / "0")
print(peak(torch.device("cpu")) / 2**30)
"""


def test_tiles_shrink_with_the_memory_and_end(renderer):
    held = bytes_of_files(renderer, PROTOCOL)
    plenty = bounded(renderer, 1000, 100, held)
    assert plenty.tile_bytes == renderer.tile_bytes
    with pytest.raises(UserError, match=r"--max-memory must be at least [\d.]+G for 100000000000 pixels") as refused:
        bounded(renderer, 8, 10**11, held)
    least = float(str(refused.value).split("at least ")[1].split("G")[0])
    assert bounded(renderer, least + 0.5, 10**11, held).tile_bytes <= 2**29


def test_times_between_frames_hold_more(renderer):
    shot = shot_of(renderer.model, 1, 1)
    at_frames = bytes_of_pictures(renderer, [shot], ["rgb", "depth"])
    assert at_frames == 3 + 3 + 2 * 3
    assert bytes_of_pictures(renderer, [shot, shot.at(1.5)], ["rgb", "depth"]) > at_frames + 300


def test_held_out_frames_hold_more(renderer):
    held_out = replace(renderer, model=replace(renderer.model, held_out=(1,)))
    shot, shown = shot_of(renderer.model, 1, 1), ["rgb", "depth"]
    for of, what in ((bytes_of_pictures, ([shot], shown)), (bytes_of_files, (shown,))):
        assert of(held_out, *what) > of(renderer, *what) + 300


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is of this process on Linux only")
def test_a_4k_frame_of_all_maps_stays_within_4_gib(finished, tmp_path):
    arguments = map(str, (finished, tmp_path, HEIGHT, WIDTH, LIMIT))
    done = subprocess.run([sys.executable, "-c", RENDER_4K, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < LIMIT
    assert {path.name for path in tmp_path.iterdir()} == {f"0_{file.suffix}" for file in files_of(PROTOCOL)}
