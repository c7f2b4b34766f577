from rich.console import Console

from saff_fast.evaluate.table import print_table


def test_shows_scores_and_dashes_what_is_absent():
    results = {
        "protocol": "saff-clean",
        "scene": "demo",
        "seconds": 61.4,
        "splits": {"input": {"psnr": 31.234, "ssim": 0.95, "fg_jaccard": 0.8125}},
        "held_out": {"static_psnr": 28.5},
        "depth_median_rel_error": 0.0312,
    }
    console = Console(record=True, width=100, quiet=False, file=None)
    with console.capture() as capture:
        print_table(results, console)
    text = capture.get()
    for part in ("demo", "61 s", "31.23", "0.950", "0.812", "-", "28.50 dB", "0.0312"):
        assert part in text
    assert "EPE" not in text
