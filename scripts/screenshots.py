"""Take the README's pictures of the page.

`python -m scripts.screenshots RUN_DIR DIALOGUE_ID` writes docs/view-run.png and docs/view-dialogue.png.
"""

import argparse
from pathlib import Path
from urllib.parse import urlencode

from tests.viewer.browser import chromium
from tests.viewer.pages import serving

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=Path)
    parser.add_argument("dialogue")
    args = parser.parse_args()
    pages = {
        "view-run.png": "/r/0",
        "view-dialogue.png": f"/r/0/dialogue?{urlencode({'id': args.dialogue})}",
    }
    with serving(args.directory) as address, chromium() as browser:
        page = browser.new_page(
            base_url=address, color_scheme="light", viewport={"width": 1440, "height": 900}
        )
        for name, path in pages.items():
            page.goto(path, wait_until="networkidle")
            page.screenshot(path=DOCS / name)


if __name__ == "__main__":
    main()
