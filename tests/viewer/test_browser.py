"""The page in a browser, by keyboard alone, over runs made with the embedded models."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from tests import embedded_run
from tests.viewer.browser import Complaints, chromium
from tests.viewer.pages import serving

FULL, FEWER = "all-attempts", "two-attempts"  # the runs: of the second, one image less was accepted
PAGES = (
    "/r/0",
    "/r/0/dialogues",
    "/r/0/dialogues?outcome=dropped&form=grid",
    "/r/0/dialogues?text=nobody+said+this",
    "/r/0/dialogue?id=zoo-day",
    "/r/0/call?id=zoo-day&step=0001/1/write",
    "/compare/0/1",
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of both runs."""
    folder = embedded_run.copy_to(tmp_path_factory.mktemp("runs") / "kept")
    embedded_run.run(folder)
    embedded_run.run(folder, "budget.attempts=2", out=FEWER, reuse=[folder / "out"])
    (folder / "out").rename(folder / FULL)
    return folder


@pytest.fixture(scope="module")
def address(runs: Path) -> Iterator[str]:
    with serving(runs / FULL, runs / FEWER) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(address: str, browser: Browser) -> Iterator[Page]:
    """A page, none of which may say anything on its console."""
    complaints = Complaints()
    with browser.new_context(base_url=address) as context:
        page = context.new_page()
        complaints.listen(page)
        yield page
    assert complaints == []


def tab_to(page: Page, target: Locator) -> None:
    """Press tab until the element has the focus."""
    for _ in range(80):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"{target} cannot be reached by tab")


def test_a_rewritten_prompt_is_found_and_read(page: Page) -> None:
    page.goto("/r/0")
    page.keyboard.press("/")
    page.wait_for_url("**/dialogues#search")
    expect(page.get_by_label("Search")).to_be_focused()
    tab_to(page, page.get_by_label("Outcome"))
    page.keyboard.type("after")
    page.wait_for_url("**/dialogues?outcome=rewritten")
    expect(page.get_by_role("status")).to_contain_text("2 dialogues")

    page.keyboard.press("j")
    expect(page.get_by_role("link", name="puppy")).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/dialogue?id=zoo-day&outcome=rewritten")
    expect(page.get_by_role("heading", level=1)).to_have_text("zoo-day")
    burger = page.get_by_role("article").filter(has=page.get_by_role("heading", name="a hamburger"))
    prompts = burger.locator(".prompt")
    expect(prompts).to_have_text(["a hamburger", re.compile("burgers"), re.compile("a sandwich")])
    expect(prompts.nth(1).get_by_role("insertion")).to_have_text(["burgers"])
    expect(prompts.nth(1).get_by_role("deletion")).to_have_text(["a hamburger"])
    expect(burger.get_by_text("aesthetics 0.399 against 0.500")).to_be_visible()

    page.keyboard.press("k")
    page.wait_for_url("**/dialogue?id=puppy&outcome=rewritten")
    page.keyboard.press("Escape")
    page.wait_for_url("**/dialogues?outcome=rewritten#puppy")
    expect(page.get_by_role("link", name="puppy")).to_be_focused()


def test_a_call_is_opened_where_it_stands(page: Page) -> None:
    page.goto("/r/0/dialogue?id=zoo-day")
    calls = page.locator("details.calls").last
    calls.locator("summary").first.click()
    call = calls.locator("details.call").first
    expect(call.locator("pre")).to_have_count(0)
    call.locator("summary").click()
    expect(call.get_by_role("heading", name="answer")).to_be_visible()
    expect(call.locator("pre").filter(has_text="How was your day off?").first).to_be_visible()


def test_a_search_is_typed_and_left(page: Page) -> None:
    page.goto("/r/0/dialogues")
    page.keyboard.press("/")
    page.keyboard.type("pengui?")
    page.keyboard.press("Enter")
    page.wait_for_url("**/dialogues?text=pengui%3F")  # a question mark in a field is no key
    expect(page.get_by_role("status")).to_contain_text("1 dialogue")
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.wait_for_url("**/dialogues?text=pengui%3F&form=grid")


PUPPY, BURGER, PENGUIN = (
    "puppy: a brown dog with floppy ears",
    "zoo-day: a hamburger",
    "zoo-day: a penguin walking up to people",
)


@pytest.mark.parametrize(
    ("check", "keys", "setting", "flips"),
    [
        (
            "aesthetics",
            ["ArrowRight"] * 40,
            "scorers.aesthetics.threshold",
            {PUPPY: "unknown", BURGER: "lost"},
        ),
        ("critique", ["ArrowLeft", "Home"], "critic.threshold", {PUPPY: "replaced", PENGUIN: "gained"}),
    ],
)
def test_a_threshold_moved_by_keys_says_which_images_flip(
    page: Page, check: str, keys: list[str], setting: str, flips: dict[str, str]
) -> None:
    page.goto("/r/0")
    slider = page.get_by_label(f"Threshold of {check}")
    tab_to(page, slider)
    for key in keys:
        page.keyboard.press(key)
    value = float(slider.input_value())
    expect(page.locator(".sets code")).to_have_text(f"--set {setting}={float(f'{value:.3g}'):g}")
    listed = page.locator("#flips li")
    for name, change in flips.items():
        expect(listed.filter(has_text=name)).to_contain_text(change)
    expect(listed).to_have_count(len(flips))
    tab_to(page, page.get_by_role("button", name="Reset"))
    page.keyboard.press("Enter")
    expect(page.locator("#flips")).to_be_hidden()


def test_a_run_that_goes_on_is_followed(tmp_path: Path, runs: Path, browser: Browser) -> None:
    shutil.copytree(runs / FULL, tmp_path / "out")
    manifest = tmp_path / "out" / "run.json"
    finished = manifest.read_text()
    manifest.write_text(finished.replace('"status": "finished"', '"status": "running"'))
    with serving(tmp_path / "out") as address, browser.new_context(base_url=address) as context:
        page = context.new_page()
        page.goto("/r/0")
        expect(page.locator(".state")).to_have_text("running")
        manifest.write_text(finished)
        expect(page.locator(".state")).to_have_text("finished", timeout=30_000)


def test_two_runs_are_compared_and_each_side_opened(page: Page) -> None:
    page.goto("/r/0")
    tab_to(page, page.get_by_role("link", name="Compare"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/compare/0/1")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{FULL} and {FEWER}")
    expect(page.get_by_role("status")).to_contain_text("1 dialogue")
    (pair,) = page.locator(".pair.differs").all()
    expect(pair.locator(".half").nth(0)).to_contain_text("3 attempts")
    expect(pair.locator(".half").nth(1)).to_contain_text("given up")
    page.keyboard.press("j")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/r/1/dialogue?id=zoo-day")


def test_the_keys_are_shown(page: Page) -> None:
    page.goto("/r/0/dialogue?id=puppy")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("heading", level=1)).to_have_text("puppy")  # the dialog alone was closed


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_shuts_anyone_out(
    address: str, browser: Browser, scheme: Literal["light", "dark"], width: int
) -> None:
    found, complaints = list[str](), Complaints()
    size: ViewportSize = {"width": width, "height": 900}
    with browser.new_context(base_url=address, color_scheme=scheme, viewport=size) as context:
        page = context.new_page()
        complaints.listen(page)
        for path in PAGES:
            page.goto(path)
            for violation in Axe().run(page).response["violations"]:
                if violation["impact"] in ("serious", "critical"):
                    places = [node["target"] for node in violation["nodes"]]
                    found.append(f"{path}: {violation['id']} at {places}")
            wide = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            found += [f"{path}: is {wide} pixels wider than the window"] * (wide > 0)
    assert found + complaints == []


def test_without_scripts_the_pages_list_filter_and_show(address: str, browser: Browser) -> None:
    with browser.new_context(base_url=address, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto("/r/0")
        page.get_by_role("link", name="Dialogues", exact=True).click()
        page.get_by_label("Outcome").select_option("rewritten")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_role("status")).to_contain_text("2 dialogues")
        page.get_by_role("link", name="puppy").click()
        expect(page.get_by_role("deletion").first).to_have_text("a brown")
