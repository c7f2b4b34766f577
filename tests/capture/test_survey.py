from pathlib import Path

import cv2
import numpy as np
import pytest

from saff_fast.capture.frames import Frames
from saff_fast.capture.survey import survey
from saff_fast.errors import UserError

SOURCE = Path("clip.mp4")


def texture(seed, colour):
    """A picture of random shapes around one colour."""
    random = np.random.default_rng(seed)
    image = np.full((120, 200, 3), colour, np.uint8)
    for _ in range(150):
        centre, size = random.integers(0, (240, 120)), random.integers(3, 14, 2)
        shade = np.clip(np.array(colour) + random.integers(-60, 60, 3), 0, 255)
        cv2.rectangle(image, centre.tolist(), (centre + size).tolist(), shade.tolist(), -1)
    return image


def panned(image, n_frames):
    return [np.roll(image, -2 * i, axis=1) for i in range(n_frames)]


def frames_of(images):
    return Frames(tuple(f"frame {i}" for i in range(len(images))), lambda i: images[i])


FIRST, SECOND = texture(0, (150, 90, 60)), texture(1, (60, 110, 150))


def test_one_shot_passes():
    survey(SOURCE, frames_of(panned(FIRST, 8)), has_cameras=False)


@pytest.mark.parametrize("cut", [1, 5, 8])
def test_a_cut_is_found_where_it_is(cut):
    images = panned(FIRST, cut) + panned(SECOND, 9 - cut)
    with pytest.raises(UserError) as error:
        survey(SOURCE, frames_of(images), has_cameras=False)
    assert str(error.value) == (
        f"clip.mp4 must be one shot, but there is a cut before frame {cut}, the frame {cut} of 9; "
        "choose one side of it with --end or --start."
    )


def test_a_flash_is_no_cut():
    images = panned(FIRST, 9)
    images[4] = SECOND  # nothing in it matches
    survey(SOURCE, frames_of(images), has_cameras=False)


def test_a_light_that_is_switched_is_no_cut():
    images = panned(FIRST, 9)
    images[5:] = [(image * 0.6).astype(np.uint8) for image in images[5:]]
    survey(SOURCE, frames_of(images), has_cameras=False)


def test_a_rig_that_jumps_is_no_cut():
    """Changes that are large throughout, as when few frames are chosen of a long video."""
    images = [texture(seed, (150 - 20 * (seed % 2), 90, 60 + 50 * (seed % 3))) for seed in range(9)]
    survey(SOURCE, frames_of(images), has_cameras=False)


def test_a_frame_without_texture_is_named():
    noise = np.random.default_rng(0).normal(128, 4, (120, 200, 3)).astype(np.uint8)
    images = panned(FIRST, 5)
    images[3] = noise
    with pytest.raises(UserError, match=r"clip\.mp4 must show texture in every frame, but frame 3 has \d+ corners"):
        survey(SOURCE, frames_of(images), has_cameras=False)


def test_known_cameras_excuse_cuts_and_flatness_but_not_damage():
    images = [*panned(FIRST, 3), *panned(SECOND, 3), np.zeros_like(FIRST)]
    survey(SOURCE, frames_of(images), has_cameras=True)

    def read(index):
        raise UserError("frame does not decode")

    with pytest.raises(UserError, match="frame does not decode"):
        survey(SOURCE, Frames(("a",), read), has_cameras=True)
