"""Drives the viewer's page in a real Chromium, without a display and without a GPU."""

import io
import shutil

import cv2
import numpy as np
from PIL import Image

from saff_fast.viewer.draw import draw
from tests.viewer.conftest import eventually

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SIZE = {"width": 1200, "height": 480}
SAME = 2.0
"""Mean difference of colours (0 to 255) between a picture and what a browser shows of it: scaled, perhaps as JPEG."""


def why_none():
    """Why no browser can be driven here; None if one can."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not installed"
    return None if executable() else f"there is no browser: none of {', '.join(NAMES)}"


def executable():
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Tab:
    """A tab of the browser, and what the server knows of it."""

    def __init__(self, browser, viewer):
        known = set(viewer.pages)
        self.page = browser.new_context(viewport=SIZE).new_page()  # a window of its own
        self.page.goto(f"http://127.0.0.1:{viewer.port}/")
        (number,) = eventually(lambda: set(viewer.pages) - known)
        self.server = viewer.pages[number]
        self.session = self.server.session
        self.page.get_by_text("Modality").wait_for()
        self.settled()

    def close(self):
        self.page.context.close()

    def settled(self):
        """Wait for the full picture of the newest wish."""

        def is_so():
            statistics = self.session.statistics
            return statistics.final and statistics.wish == self.session.wish

        eventually(is_so)

    def expected(self):
        """The picture of the newest wish."""
        self.settled()
        look = self.session.look
        loaded, shot = self.session.opened.loaded, look.camera.shot(look.full_rows, look.time)
        return draw(loaded, self.session.objects, look, shot, lambda: False)

    def seen(self):
        """What the canvas shows, without notices that lie over it, such as the one that no GPU draws the page."""
        data = self.page.screenshot(clip=self._box(), style=".mantine-Notification-root { display: none }")
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    def difference(self, picture):
        """Mean difference between a picture and what is seen, where no notes lie over it.

        Both in a quarter of the rows: the page draws pictures larger than they are, and what differs from pixel to
        pixel would be another after both changes of size.
        """
        size = picture.shape[1] // 4, picture.shape[0] // 4
        seen, wanted = (cv2.resize(x, size, interpolation=cv2.INTER_AREA).astype(float) for x in (self.seen(), picture))
        below = slice(size[1] // 3, None)
        return float(np.abs(seen[below] - wanted[below]).mean())

    def shows(self, picture):
        """Wait until the canvas shows a picture."""
        eventually(lambda: self.difference(picture) < SAME)

    def number(self, label, value):
        field = self._field(label)
        field.fill(str(value))
        field.press("Enter")

    def text(self, label, value):
        self._field(label).fill(value)

    def choose(self, label, option):
        self.page.get_by_label(label, exact=True).click()
        self.page.get_by_role("option", name=option, exact=True).click()

    def press(self, name):
        self.page.get_by_role("button", name=name, exact=True).click()

    def tab(self, name):
        self.page.get_by_role("tab", name=name).click()

    def click(self, x, y):
        """Click on the canvas, at shares of its width and height."""
        box = self._box()
        self.page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])

    def drag(self, x, y, steps):
        """Drag the canvas by so many pixels, in steps."""
        box = self._box()
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.6
        self.page.mouse.move(*middle)
        self.page.mouse.down()
        self.page.mouse.move(middle[0] + x, middle[1] + y, steps=steps)
        self.page.mouse.up()

    def _box(self):
        return max((c.bounding_box() for c in self.page.locator("canvas").all()), key=lambda b: b["width"])

    def _field(self, label):
        row = f"//label[normalize-space()='{label}']/ancestor::div[contains(@class,'mantine-Flex-root')][1]"
        return self.page.locator(f"{row}//input[not(@type) or @type='text']").locator("visible=true")
