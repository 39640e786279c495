"""The routes of the page. Every request opens the index anew, so that it follows a run under way."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, get_args

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from magid_agents.errors import MagidError
from magid_agents.reading.index import Index
from magid_agents.reading.trace import read_manifest
from magid_agents.reading.what_if import Change, Flip, redecide
from magid_agents.store.rundir import RunDir
from magid_agents.viewer import pages
from magid_agents.viewer.compare_page import MAX_DIFFERENCES, Figures, compare_page, figures
from magid_agents.viewer.query import View
from magid_agents.viewer.render import STATIC, environment
from magid_agents.viewer.security import OnlyThisPage

REFRESH_S = 2.0  # a run that goes on is read again this often at the most
REFRESH_SHARE = 0.1  # of the time, if reading it takes long
FOLLOW_S = 5  # the browser asks again this often while a run goes on
MAX_FLIPS = 200  # listed
STATIC_TYPES = {"view.css": "text/css", "view.js": "text/javascript", "icon.svg": "image/svg+xml"}


class _Run:
    """A run directory that is shown."""

    def __init__(self, number: int, path: Path, name: str) -> None:
        self.number, self.directory, self.name = number, RunDir(path), name
        self._refresh_at = 0.0

    @contextmanager
    def index(self) -> Iterator[Index]:
        begin = time.monotonic()
        due = begin >= self._refresh_at
        with Index.open(self.directory, refresh=due) as index:
            if due:
                end = time.monotonic()
                self._refresh_at = end + max(REFRESH_S, (end - begin) / REFRESH_SHARE)
            yield index


def make_app(paths: Sequence[Path], port: int) -> OnlyThisPage:
    """Return the app over these run directories, for requests to this port of this machine."""
    viewer = _Viewer([_Run(i, path, name) for i, (path, name) in enumerate(_names(paths))])
    routes = [
        Route("/", viewer.first),
        Route("/r/{run:int}", viewer.run),
        Route("/r/{run:int}/dialogues", viewer.dialogues),
        Route("/r/{run:int}/dialogue", viewer.dialogue),
        Route("/r/{run:int}/call", viewer.call),
        Route("/r/{run:int}/what-if", viewer.what_if),
        Route("/r/{run:int}/image/{sha256:str}", viewer.image),
        Route("/compare/{run:int}/{other:int}", viewer.compare),
        Route("/static/{name:str}", static_file),
    ]
    errors: Any = {HTTPException: viewer.error, MagidError: viewer.error}
    return OnlyThisPage(Starlette(routes=routes, exception_handlers=errors), port)


def _names(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """Return each path with the shortest end of it that no other path has."""
    parts = [path.resolve().parts for path in paths]
    names = list[str]()
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            break
    return list(zip(paths, names, strict=True))


def static_file(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC_TYPES:
        raise HTTPException(404, "File not found.")
    return Response((STATIC / name).read_bytes(), media_type=STATIC_TYPES[name])


def _listed(index: Index, flip: Flip) -> dict[str, Any]:
    """Return a flip and the image that it is about: one that failed safety is blurred here too."""
    image = flip.after or flip.before
    shown = pages.picture(index, image, flip.description) if image else None
    return flip._asdict() | {"image": image, "blurred": bool(shown and shown.blurred)}


class _Viewer:
    def __init__(self, runs: Sequence[_Run]) -> None:
        self._runs, self._templates = runs, environment()
        self._compared: tuple[object, Figures] | None = None

    def first(self, _: Request) -> Response:
        return RedirectResponse("/r/0" if len(self._runs) == 1 else "/compare/0/1")

    def run(self, request: Request) -> Response:
        run, view = self._run(request), View.parse(request.query_params)
        with run.index() as index:
            page = pages.run_page(index, view.wanted)
        manifest = read_manifest(run.directory)
        return self._page("run.html", request, run, view=view, page=page, manifest=manifest)

    def dialogues(self, request: Request) -> Response:
        run, view = self._run(request), View.parse(request.query_params)
        with run.index() as index:
            if view.form == "grid":
                total = index.count_moments(view.wanted)
                rows: list[Any] = [
                    (row, row.sha256 and pages.picture(index, row.sha256, row.description))
                    for row in index.moments(view.wanted, view.order, view.offset, view.size)
                ]
            else:
                total = index.count(view.wanted)
                rows = [
                    (row, [pages.picture(index, sha256, row.first_text) for sha256 in row.images])
                    for row in index.dialogues(view.wanted, view.order, view.offset, view.size)
                ]
            checks, causes = index.checks(), list(index.causes())
        found: dict[str, Any] = {"rows": rows, "total": total, "checks": checks, "causes": causes}
        return self._page("dialogues.html", request, run, view=view, **found)

    def dialogue(self, request: Request) -> Response:
        run, view = self._run(request), View.parse(request.query_params)
        name = request.query_params.get("id", "")
        with run.index() as index:
            page = pages.dialogue_page(index, name)
            if page is None:
                raise HTTPException(404, "This run has no such dialogue.")
            before, after = index.neighbours(name, view.wanted, view.order)
        found: dict[str, Any] = {"page": page, "before": before, "after": after, "name": name}
        return self._page("dialogue.html", request, run, view=view, **found)

    def call(self, request: Request) -> Response:
        run = self._run(request)
        name, step = (request.query_params.get(value, "") for value in ("id", "step"))
        with run.index() as index:
            trace = index.trace(name)
        found = next((call for call in trace.calls if call.step == step), None) if trace else None
        if found is None:
            raise HTTPException(404, "This dialogue has no such call.")
        return self._page("call.html", request, run, name=name, call=found)

    def what_if(self, request: Request) -> Response:
        run = self._run(request)
        try:
            moved = {check: float(value) for check, value in request.query_params.items()}
        except ValueError as error:
            raise HTTPException(422, "A threshold must be a number.") from error
        with run.index() as index:
            try:
                told = redecide(index, moved)
            except ValueError as error:  # a value that the check cannot have
                raise HTTPException(422, str(error)) from error
            flips = {change: told.of(change) for change in get_args(Change)}
            listed = [_listed(index, flip) for flip in [*chain(*flips.values())][:MAX_FLIPS]]
        counts = {change: len(found) for change, found in flips.items()}
        return JSONResponse({"counts": counts, "flips": listed, "decided_otherwise": told.decided_otherwise})

    def image(self, request: Request) -> Response:
        run, name = self._run(request), request.path_params["sha256"]
        sha256 = name.removesuffix(".png")
        try:
            path = run.directory.image_path(sha256)
        except ValueError:
            path = None
        if path is None or not path.is_file():
            raise HTTPException(404, "This run has no such image.")
        return FileResponse(path, media_type="image/png")

    def compare(self, request: Request) -> Response:
        left, right = self._run(request), self._run(request, "other")
        only, name = request.query_params.get("only", ""), request.query_params.get("id")
        view = View.parse(request.query_params)
        offset = (view.page - 1) * MAX_DIFFERENCES
        with left.index() as first, right.index() as second:
            if name is not None and first.result(name) is second.result(name) is None:
                raise HTTPException(404, "Neither run has such a dialogue.")
            page = compare_page(first, second, dialogue=name, outcomes_only=only == "outcome", offset=offset)
            totals = self._figures(first, second) if name is None else None
        found: dict[str, Any] = {
            "page": page,
            "figures": totals,
            "only": only,
            "name": name,
            "offset": offset,
        }
        return self._page("compare.html", request, left, other=right, view=view, **found)

    def _figures(self, left: Index, right: Index) -> Figures:
        """Return the figures of two runs. The last ones are kept: a long run's take seconds."""
        key = left.file, left.stamp, right.file, right.stamp
        if self._compared is None or self._compared[0] != key:
            self._compared = key, figures(left, right)
        return self._compared[1]

    def error(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 422
        said = error.detail if isinstance(error, HTTPException) else str(error)
        if request.url.path.endswith("/what-if"):
            return JSONResponse({"error": said}, status)
        return self._page("error.html", request, None, status=status, said=said)

    def _run(self, request: Request, name: str = "run") -> _Run:
        number = request.path_params[name]
        if not 0 <= number < len(self._runs):
            raise HTTPException(404, "There is no such run here.")
        return self._runs[number]

    def _page(
        self, template: str, request: Request, run: _Run | None, status: int = 200, **values: Any
    ) -> Response:
        manifest = run.directory.read_manifest() if run else None
        follow_s = FOLLOW_S if manifest and manifest["status"] == "running" else None
        html = self._templates.get_template(template).render(
            run=run, runs=self._runs, path=request.url.path, status=status, follow_s=follow_s, **values
        )
        # An answer that was rejected may hold half a character, which cannot be encoded.
        return HTMLResponse(html.encode(errors="replace"), status)
