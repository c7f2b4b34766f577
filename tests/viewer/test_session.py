"""A browser's thread: the newest wish, small in motion and refined at rest; it ends with its browser."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from saff_fast.playback.path import read_camera_path
from saff_fast.playback.renderer import ShotRenderer
from saff_fast.playback.shot import shot_of
from saff_fast.viewer.click import object_at
from saff_fast.viewer.look import isolated, with_modality, with_time
from saff_fast.viewer.session import Session
from tests.viewer.conftest import camera_of, eventually, final_picture


def start(session, **changes):
    shot = shot_of(session.opened.loaded.model, 0, 0)
    session.change(lambda look: replace(look, camera=camera_of(shot), **changes))
    return final_picture(session)


def test_a_picture_comes_small_and_then_in_full(session, screen):
    drawn = start(session, rows=90)
    assert drawn.shape == (90, 160, 3)
    (first, first_is_final), (last, last_is_final) = screen.pictures[0], screen.pictures[-1]
    assert len(first) < len(last)
    assert (first_is_final, last_is_final) == (False, True)
    assert session.statistics.samples_per_ray > 0
    n = len(screen.pictures)
    time.sleep(0.5)
    assert len(screen.pictures) == n, "at rest nothing is rendered"


def test_the_picture_is_what_the_renderer_makes(session, opened):
    drawn = start(session, rows=36)
    shot = camera_of(shot_of(opened.loaded.model, 0, 0)).shot(36, 0)
    expected = opened.loaded.renderer.render(shot, ["rgb"])["rgb"].numpy()
    np.testing.assert_array_equal(drawn, np.round(expected * 255).astype(np.uint8))


def test_time_changes_the_picture(session):
    before = start(session, rows=36)
    session.change(lambda look: with_time(look, 4.0, 6))
    assert not np.array_equal(before, final_picture(session))


def test_a_refinement_ends_with_the_next_wish(session, screen, monkeypatch):
    begun, asked = threading.Event(), []
    render = ShotRenderer.render

    def slowly(self, shot, modalities, **options):
        if shot.height >= 90:
            answers = []
            asked.append(answers)
            begun.set()
            for _ in range(1000):
                answers.append(options["stop"]())
                if answers[-1]:
                    from saff_fast.playback.renderer import Stopped

                    raise Stopped
                time.sleep(0.01)
        return render(self, shot, modalities, **options)

    monkeypatch.setattr(ShotRenderer, "render", slowly)
    shot = shot_of(session.opened.loaded.model, 0, 0)
    session.change(lambda look: replace(look, camera=camera_of(shot), rows=90))
    assert begun.wait(20)
    session.change(lambda look: with_modality(look, "depth"))
    eventually(lambda: session.statistics.wish == session.wish)
    assert asked[0][-1]  # of the first refinement: the next may have begun to ask
    monkeypatch.undo()
    final_picture(session)


@pytest.mark.parametrize("coarse", [True, False])
def test_a_browser_that_leaves_mid_render_leaves_no_thread(opened, screen, monkeypatch, coarse):
    begun = threading.Event()

    def endless(self, shot, modalities, *, stop, **_):
        from saff_fast.playback.renderer import Stopped

        if coarse or shot.height >= 90:
            begun.set()
            while not stop():
                time.sleep(0.005)
            raise Stopped
        return {"rgb": torch.zeros(shot.height, shot.width, 3)}

    monkeypatch.setattr(ShotRenderer, "render", endless)
    session = Session(opened, screen)
    shot = shot_of(opened.loaded.model, 0, 0)
    session.change(lambda look: replace(look, camera=camera_of(shot), rows=90))
    assert begun.wait(20)
    session.close()
    assert not session.alive
    assert not opened.lock.locked()


def test_what_cannot_be_rendered_is_told_and_the_session_goes_on(session, screen, monkeypatch):
    start(session, rows=36)
    with monkeypatch.context() as patch:
        patch.setattr(ShotRenderer, "render", lambda *_, **__: 1 / 0)
        session.change(lambda look: with_time(look, 2.0, 6))
        eventually(lambda: screen.failures)
    session.change(lambda look: with_time(look, 3.0, 6))
    final_picture(session)


def test_playing_goes_through_the_clip_and_ends(session, screen):
    start(session, rows=36)
    session.play(4.0, loop=False)  # more than a second, so that a loaded machine shows some of it, too
    eventually(lambda: screen.times and screen.times[-1] == (5.0, False))
    times = [time for time, _ in screen.times]
    assert times == sorted(times)
    assert len(set(times)) > 2


def test_a_click_finds_the_object_of_its_pixel(session, opened, screen):
    start(session, rows=36)
    objects, shot = session.objects, camera_of(shot_of(opened.loaded.model, 0, 0)).shot(36, 0)
    labels = replace(opened.loaded.renderer, objects=objects).render(shot, ["labels"])["labels"]
    beside, below = (np.argwhere(np.diff(labels.numpy(), axis=axis)) for axis in (1, 0))
    assert min(len(beside), len(below)) > 5
    for row, column in [*beside[:4], *np.add(beside[:4], (0, 1)), *below[:4], *np.add(below[:4], (1, 0))]:
        hit = object_at(opened.loaded, objects, session.look, shot, ((column + 0.5) / shot.width, (row + 0.5) / 36))
        assert hit.label == labels[row, column]
        assert objects.object_of[hit.cluster] == hit.label
    session.click(40.5 / shot.width, 20.5 / 36)
    assert eventually(lambda: screen.hits)[0].label == labels[20, 40]


def test_isolating_leaves_nothing_else(session, opened):
    start(session, rows=36)
    session.change(lambda look: isolated(with_modality(look, "opacity"), 1))
    alone = final_picture(session)
    expected = replace(opened.loaded.renderer, objects=session.objects).render(
        camera_of(shot_of(opened.loaded.model, 0, 0)).shot(36, 0), ["opacity"], only=frozenset({1})
    )
    from saff_fast.render.colours import share_colours

    np.testing.assert_array_equal(alone, share_colours(expected["opacity"].numpy()))


def test_regrouping_gives_as_many_clusters_as_asked(session, screen):
    start(session, rows=36, modality="labels")
    session.regroup(3, 0.0)
    objects = eventually(lambda: screen.groups)[0]
    assert len(objects.object_of) == 3
    assert session.objects is objects
    session.regroup(3, 1.0)
    eventually(lambda: len(screen.groups) == 2)
    assert screen.groups[1].ids == (), "nothing is more salient than all"


def test_a_path_is_drawn_previewed_and_saved(session, screen, run):
    start(session, rows=36)
    with pytest.raises(ValueError, match="no key"):
        session.preview()
    look = session.look
    session.draft = session.draft.added(look.camera, 0.0, 2.0).added(look.camera, 4.0, 0.4)
    n = len(screen.pictures)
    session.preview()
    eventually(lambda: session._preview is None and len(screen.pictures) > n + 1)
    path = read_camera_path(session.draft.at_rate(10).save(run, "there-and-back"), 6)
    assert path.n_pictures == 5
    assert [key.time for key in path.keys] == [0, 4]
    np.testing.assert_allclose(path.keys[0].c2w, look.camera.c2w)
    for name in ("../x", "", "a/b", "x" * 65, ".hidden"):
        with pytest.raises(ValueError, match="a path's name"):
            session.draft.save(run, name)


def test_side_by_side(opened, screen):
    def grey(look, shot, stop):
        return np.full((shot.height, shot.width, 3), 77, np.uint8)

    session = Session(opened, screen, grey)
    drawn = start(session, rows=90)
    session.close()
    assert drawn.shape == (90, 160, 3)
    assert (drawn[:, 80:] == 77).all()
    assert not (drawn[:, :79] == 77).all()


def test_a_newer_checkpoint_is_shown(run, screen):
    from saff_fast.train.checkpoint import load_checkpoint, save_checkpoint
    from saff_fast.viewer.opened import OpenRun

    opened = OpenRun(run, "cpu")
    session = Session(opened, screen)
    before = start(session, rows=36)
    assert not opened.refresh()
    checkpoint = load_checkpoint(run / "checkpoints")
    for name, tensor in checkpoint.tensors.items():
        if name.startswith("field.") and tensor.is_floating_point():
            tensor.mul_(0.5)
    save_checkpoint(run / "checkpoints", replace(checkpoint, step=checkpoint.step + 1))
    wish = session.wish
    assert opened.refresh()
    assert session.wish > wish
    assert not np.array_equal(before, final_picture(session))
    assert session.statistics.checkpoint == opened.loaded.name
    session.close()
