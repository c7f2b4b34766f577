"""Modes as pictures and videos."""

import sys

import numpy as np
import pytest
from PIL import Image

from saff_fast.cli.main import main
from saff_fast.errors import UserError
from saff_fast.files import read_image, write_image
from saff_fast.playback.video import write_gif, write_mp4


def write_pictures(folder, n, height=15, width=21):
    paths = [folder / f"{k}.png" for k in range(n)]
    for k, path in enumerate(paths):
        write_image(path, np.full((height, width, 3), (60 * k, 100, 200 - 50 * k), np.uint8))
    return paths


def test_mp4_holds_the_pictures(tmp_path):
    av = pytest.importorskip("av", reason="PyAV is not installed")
    pictures = write_pictures(tmp_path, 4)
    write_mp4(tmp_path / "v.mp4", pictures, 12.5)
    with av.open(str(tmp_path / "v.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.average_rate) == 12.5
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 4
    for frame, path in zip(frames, pictures, strict=True):
        assert frame.shape == (16, 22, 3)
        assert np.abs(frame[:15, :21].astype(int) - read_image(path)).max() <= 8


def test_without_pyav_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=r"pip install 'saff-fast\[video\]'"):
        write_mp4(tmp_path / "v.mp4", write_pictures(tmp_path, 1), 10)
    assert not (tmp_path / "v.mp4").exists()


def test_gif_is_endless(tmp_path):
    write_gif(tmp_path / "v.gif", write_pictures(tmp_path, 3), 10)
    with Image.open(tmp_path / "v.gif") as image:
        assert (image.n_frames, image.size, image.info["duration"], image.info["loop"]) == (3, (21, 15), 100, 0)


def files(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("images/*.png")}


def test_a_mode_leaves_pictures_and_videos_and_goes_on(finished, capsys):
    pytest.importorskip("av", reason="PyAV is not installed")
    out = finished / "fixed-camera"
    command = ["render", str(finished), "fixed-camera", "--modalities", "rgb,depth,static", "--scale", "0.5"]
    assert main(command) == 0
    assert {path.name for path in out.iterdir()} == {
        *("images", "depths", "images_rig", "rendered.json"),
        *(f"{name}.{end}" for name in ("rgb", "depth", "static") for end in ("mp4", "gif")),
    }
    before = files(out)
    assert sorted(before) == [f"{k:03d}.png" for k in range(6)]
    assert read_image(out / "images" / "000.png").shape == (18, 32, 3)
    (out / "images" / "003.png").unlink()
    assert main(command) == 0
    assert {name for name, time in files(out).items() if before[name] != time} == {"003.png"}
    assert main([*command, "--camera", "2"]) == 0
    assert all(before[name] != time for name, time in files(out).items())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--scale", "0"], "--scale must be in (0, 100]"),
        (["--fps", "-1"], "--fps must be in (0, 1000]"),
        (["--modalities", "rgb,colour"], "--modalities must be among rgb, "),
        (["--camera", "1"], "--camera must be left out of mode views"),
        (["path", "--path", "nowhere.json"], "nowhere.json must be a readable file"),
        (["fixed-camera", "--modalities", "labels"], "must be segmented"),
        (["--max-memory", "1M"], "--max-memory must be at least"),
    ],
)
def test_bad_requests_end_in_a_sentence(finished, capsys, options, said):
    assert main(["render", str(finished), *options]) == 2
    assert said in capsys.readouterr().err


def test_a_run_without_a_checkpoint_is_told_so(tmp_path, capsys):
    assert main(["render", str(tmp_path), "fixed-camera"]) == 2
    assert "meta.json" in capsys.readouterr().err
