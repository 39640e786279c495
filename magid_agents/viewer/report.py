"""The report: one HTML file that opens by double click, from the same templates as the page.

Images stand inside as thumbnails, of a bounded sample of the dialogues. What failed safety is blurred in the
file itself, so that it cannot be made visible.
"""

import base64
import hashlib
import io
from collections.abc import Iterable
from pathlib import Path

from PIL import Image, ImageFilter

from magid_agents.reading.index import Index
from magid_agents.reading.query import Filter, Order
from magid_agents.reading.trace import read_manifest
from magid_agents.store.rundir import RunDir, write_atomically
from magid_agents.viewer.pages import DialoguePage, Picture, dialogue_page, run_page
from magid_agents.viewer.query import View
from magid_agents.viewer.render import environment, static

MAX_DIALOGUES = 60
THUMBNAIL_PX = 128
BLUR_PX = 24
QUALITY = 82

# What a reader looks for first, and how many of each at the most.
INTERESTING: tuple[tuple[Filter, Order, int], ...] = (
    (Filter(status="failed"), "input", 8),
    (Filter(outcome="rewritten"), "nearest", 15),
    (Filter(outcome="dropped"), "nearest", 12),
    (Filter(), "nearest", 10),
    (Filter(), "input", MAX_DIALOGUES),
)


def write_report(directory: RunDir, out: Path | None = None) -> Path:
    """Write the report of a run, into its directory if no other place is named, and return where it is.

    Raises RunDirError if the directory holds no run, OSError if the report cannot be written.
    """
    target = out or directory.report
    with Index.open(directory) as index:
        page = run_page(index, Filter())
        sample = [(name, shown, _marks(shown)) for name, shown in _sample(index)]
    pictures = (picture for _, shown, _ in sample for picture in _pictures(shown))
    css, js = static("view.css"), static("report.js")
    html = (
        environment()
        .get_template("report.html")
        .render(
            name=directory.path.resolve().name,
            manifest=read_manifest(directory),
            page=page,
            sample=sample,
            images=_thumbnails(directory, pictures),
            view=View(),
            run=None,
            css=_Trusted(css),
            js=_Trusted(js),
            hashes={"css": _hash(css), "js": _hash(js)},
        )
    )
    write_atomically(target, html.encode(errors="replace"))
    return target


class _Trusted(str):
    """Our own text, which is not escaped."""

    def __html__(self) -> str:
        return self


def _sample(index: Index) -> list[tuple[str, DialoguePage]]:
    """Return dialogues worth looking at, in input order."""
    chosen: dict[str, None] = {}
    for wanted, order, most in INTERESTING:
        for row in index.dialogues(wanted, order, limit=most):
            if len(chosen) < MAX_DIALOGUES:
                chosen[row.id] = None
    shown = ((name, dialogue_page(index, name)) for name in index.in_order(chosen))
    return [(name, page) for name, page in shown if page is not None]


def _marks(page: DialoguePage) -> list[str]:
    """Return the names by which the report's filter selects the dialogue."""
    if page.trace.failure:
        return ["failed"]
    if not page.trace.finished:
        return ["under_way"]
    outcomes = page.trace.decisions.outcomes
    kept = [outcome.illustration for outcome in outcomes if outcome.illustration]
    marks = {
        "accepted": bool(kept),
        "rewritten": any(illustration.attempts > 1 for illustration in kept),
        "dropped": len(kept) < len(outcomes),
        "none": not outcomes,
    }
    return [mark for mark, holds in marks.items() if holds]


def _pictures(page: DialoguePage) -> Iterable[Picture]:
    for moment in page.moments:
        if moment.picture:
            yield moment.picture
        yield from (candidate.picture for attempt in moment.attempts for candidate in attempt.candidates)


def _thumbnails(directory: RunDir, pictures: Iterable[Picture]) -> dict[str, str]:
    """Return the data URI of each image by its SHA-256; an empty image for one whose file is gone."""
    made: dict[str, str] = {}
    for picture in pictures:
        if picture.sha256 not in made:
            made[picture.sha256] = _thumbnail(directory.image_path(picture.sha256), blurred=picture.blurred)
    return made


def _thumbnail(path: Path, *, blurred: bool) -> str:
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except OSError:
        image = Image.new("RGB", (1, 1), "grey")
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    if blurred:
        image = image.filter(ImageFilter.GaussianBlur(BLUR_PX))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
