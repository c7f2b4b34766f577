"""The progress line."""

from dataclasses import replace

from saff_fast.cli.progress import ProgressLine, describe, describe_stage
from saff_fast.priors.stages import StageProgress
from saff_fast.train.record import Progress


def test_describes_a_run():
    progress = Progress(250, 1500, 120.0, rays_per_second=31250.0, psnr=27.414, samples_per_ray=12.34)
    text = "step 250/1500, 31.2 k rays/s, 12.3 samples/ray, PSNR 27.41 dB, 2:00 min left"
    assert describe(progress) == text
    assert describe(replace(progress, steps=None)) == text.replace("/1500", "")


def test_describes_a_stage():
    assert describe_stage(StageProgress("cameras", 0, 0, 9.0)) == "cameras"
    text = describe_stage(StageProgress("flow", done=30, total=90, seconds=10.0, kept=10))
    assert text == "flow 30/90, 2.0/s, 0:30 min left"


def test_a_log_gets_a_line_now_and_then(capsys):
    with ProgressLine() as line:
        for k in range(100):
            line.show(f"line {k}")
    assert capsys.readouterr().out == "line 0\n"
