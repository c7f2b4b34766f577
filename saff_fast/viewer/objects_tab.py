"""Controls of objects: choose, name, colour, isolate, remove, merge, split, find anew, save."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from saff_fast.playback.objects import ObjectModel
from saff_fast.viewer.edits import merged, named, recoloured, split, title
from saff_fast.viewer.look import isolated, number, removed, with_everything

if TYPE_CHECKING:
    from saff_fast.viewer.page import Page

_NOTHING = "0: background"
_MOST_CLUSTERS = 32
_THRESHOLD, _HIGHEST_THRESHOLD = 0.07, 1.0


class ObjectsTab:
    """The second tab."""

    def __init__(self, page: "Page") -> None:
        self._page, self._session = page, page.session
        self._label, self._cluster = 0, -1
        gui, objects = page.client.gui, self._session.objects
        k = 8 if objects is None else len(objects.object_of)
        self._hint = gui.add_markdown("Click on the picture to select an object.")
        self._chosen = gui.add_dropdown("Object", self._titles(), initial_value=_NOTHING)
        self._name = gui.add_text("Name", "")
        self._colour = gui.add_rgb("Colour", (0, 0, 0))
        show = gui.add_button_group("Show", ("Isolate", "Remove", "All"))
        self._other = gui.add_dropdown("Merge into", self._titles(), initial_value=_NOTHING)
        merge, cut = gui.add_button("Merge"), gui.add_button("Split off what was clicked")
        self._n_clusters = gui.add_slider("Clusters", 2, _MOST_CLUSTERS, 1, min(max(k, 2), _MOST_CLUSTERS))
        self._threshold = gui.add_slider("Saliency threshold", 0.0, _HIGHEST_THRESHOLD, 0.005, _THRESHOLD)
        save, discard = gui.add_button("Save edits"), gui.add_button("Back to what is saved")

        page.on_update(self._chosen, lambda value: self.select(self._label_of(value), -1))
        page.on_update(self._name, self._rename)
        page.on_update(self._colour, self._recolour)
        show.on_click(page.guarded(lambda event: self._show(event.target.value)))
        page.on_click(merge, self._merge)
        page.on_click(cut, lambda: self._session.post("split", self._split))
        page.on_update(self._n_clusters, lambda _: self._regroup())
        page.on_update(self._threshold, lambda _: self._regroup())
        page.on_click(save, self._save)
        page.on_click(discard, self._discard)

    def select(self, label: int, cluster: int) -> None:
        """Show an object as the selected one, and what belongs to it."""
        objects = self._session.objects
        label = label if objects is not None and label in objects.ids else 0
        self._label, self._cluster = label, cluster
        self._chosen.value = _NOTHING if objects is None or not label else title(objects, label)
        self._name.value = "" if objects is None else objects.names.get(label, "")
        palette = [] if objects is None else objects.palette.tolist()
        self._colour.value = tuple(palette[label]) if label < len(palette) else (0, 0, 0)
        where = f", cluster {cluster}" if cluster >= 0 else ""
        self._hint.content = f"Selected: **{self._chosen.value}**{where}"
        self._session.change(lambda look: replace(look, selected=label))

    def list_objects(self) -> None:
        """Offer other objects, of other clusters."""
        self._cluster = -1
        self._list()

    def _list(self) -> None:
        """Offer the objects that there are now."""
        titles, objects = self._titles(), self._session.objects
        kept = self._label if objects is not None and self._label in objects.ids else 0
        self._chosen.options = self._other.options = titles
        self.select(kept, self._cluster)

    def _titles(self) -> tuple[str, ...]:
        objects = self._session.objects
        return (_NOTHING, *(() if objects is None else (title(objects, label) for label in objects.ids)))

    def _known(self) -> ObjectModel:
        objects = self._session.objects
        if objects is None:
            raise ValueError("the run has no objects yet; find some with the sliders below")
        return objects

    def _edit(self, change: Callable[[ObjectModel], ObjectModel]) -> None:
        self._session.edit(change(self._known()))
        self._list()

    def _rename(self, name: Any) -> None:
        self._edit(lambda objects: named(objects, self._label, str(name)))

    def _recolour(self, colour: Any) -> None:
        rgb = tuple(round(number(value, 0, 255)) for value in colour)
        self._edit(lambda objects: recoloured(objects, self._label, rgb))

    def _show(self, wanted: Any) -> None:
        if wanted == "All":
            self._session.change(with_everything)
        elif wanted in ("Isolate", "Remove"):
            self._known()
            change = isolated if wanted == "Isolate" else removed
            self._session.change(lambda look: change(replace(look, selected=0), self._label))

    def _merge(self) -> None:
        into = self._label_of(self._other.value)
        self._edit(lambda objects: merged(objects, self._label, into))

    def _split(self) -> None:
        """Runs in the session's thread, since the survey may have to be rendered first."""
        with self._page.opened.lock:
            features = self._page.opened.loaded.survey.features
        objects = self._known()
        changed, label = split(objects, self._cluster, features.to(objects.prototypes.device))
        self._session.edit(changed)
        self._list()
        self.select(label, self._cluster)

    def _regroup(self) -> None:
        n_clusters = round(number(self._n_clusters.value, 2, _MOST_CLUSTERS))
        self._session.change(with_everything)
        self._session.regroup(n_clusters, number(self._threshold.value, 0, _HIGHEST_THRESHOLD))

    def _save(self) -> None:
        path = self._known().save(self._page.opened.folder)
        self._page.notify("Saved", f"{path}; render and export follow it")

    def _discard(self) -> None:
        self._session.edit(self._page.opened.objects())
        self.list_objects()

    @staticmethod
    def _label_of(value: Any) -> int:
        number_of, _, _ = str(value).partition(":")
        if not number_of.isdecimal():
            raise ValueError(f"an object is chosen by its number, got {str(value)[:40]!r}")
        return int(number_of)
