import base64
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from saff_fast.errors import UserError
from saff_fast.report.page import write_report
from saff_fast.report.panels import PANELS, WIDTH, measure
from saff_fast.scene import writer
from saff_fast.scene.reader import read_scene

VOID = {"meta", "img", "circle", "polyline", "path"}


class Page(HTMLParser):
    """Checks that elements close in order, and collects what the page shows and what it would load."""

    def __init__(self, text):
        super().__init__()
        self.open, self.loads, self.tags, self.texts = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.loads += [value for name, value in attributes if name in ("src", "href", "xlink:href")]

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def pictures(text):
    found = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", text)
    return [cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR) for data in found]


def test_one_file_with_every_prior_of_every_frame(made):
    path = write_report(made.folder)
    assert path == made.folder / "report.html"
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert not [load for load in page.loads if not load.startswith(("data:image/jpeg;base64,", "#frame-"))]
    assert "http" not in text
    assert page.tags.count("section") == 5
    for title in PANELS:
        assert text.count(f"<figcaption>{title}</figcaption>") == (4 if title.startswith("flow") else 5)
    found = pictures(text)
    assert len(found) == 5 * len(PANELS) - 2
    assert {picture.shape for picture in found} == {(round(18 * WIDTH / 32), WIDTH, 3)}
    assert "Nothing looks wrong." in page.texts


def test_names_are_text(made):
    page = Page(write_report(made.folder).read_text(encoding="utf-8"))
    assert not {"b", "i"} & set(page.tags)
    assert "Priors of a <i>scene" in page.texts
    assert "3: <b>3&" in page.texts


def test_warnings_stand_first_and_at_their_frame(made):
    writer.write_confidence(made.folder, made.names[2], np.full((18, 32), 0.1))
    text = write_report(made.folder).read_text(encoding="utf-8")
    assert text.count("mean confidence 0.10") == 2
    assert text.index("mean confidence 0.10") < text.index("<section")
    assert '<a href="#frame-2">' in text
    assert 'id="frame-2"' in text
    assert "Nothing looks wrong." not in text


def test_a_scene_with_little_in_it_is_shown(made):
    for part in ("sparse/points.npz", *(f"semantics/{name}.npz" for name in made.names)):
        (made.folder / part).unlink()
    (made.folder / "semantics").rmdir()
    text = write_report(made.folder).read_text(encoding="utf-8")
    assert ">features<" not in text
    assert text.count("<svg") == 1


def test_an_incomplete_scene_is_refused_and_no_page_left(made):
    (made.folder / "motion_masks" / f"{made.names[1]}.png").unlink()
    with pytest.raises(UserError, match="motion_masks"):
        write_report(made.folder)
    assert not (made.folder / "report.html").exists()


def test_panels_show_what_they_say(made):
    made.write_flow(2, "fwd", np.arange(18 * 32).reshape(18, 32) % 32 < 16)
    scene = read_scene(made.folder)
    scales = measure(scene)
    drawn = {title: draw(scene, 2, scales) for title, draw in PANELS.items()}
    np.testing.assert_array_equal(drawn["picture"], scene.images[2])
    red, green, _ = drawn["motion"][7, 7].astype(int)
    assert red > green + 100
    assert len(set(drawn["motion"][15, 15].tolist())) == 1, "grey where nothing moves"
    near, far = drawn["depth"][1, 5].astype(int), drawn["depth"][16, 5].astype(int)
    assert near[0] > near[2]
    assert far[2] > far[0]
    flow = drawn["flow to the next frame"].astype(int)
    assert flow[:, :16].sum() > 3 * flow[:, 16:].sum(), "dark where inconsistent"
    assert drawn["saliency"][7, 7].sum() > drawn["saliency"][15, 15].sum()
    features = scene.semantics[2, ..., :3].float().numpy()
    middle = (features > scales.features[0]).all(-1) & (features < scales.features[1]).all(-1)
    order = np.argsort(features[middle][:, 0])
    assert (np.diff(drawn["features"][middle][order][:, 0].astype(int)) >= 0).all()
