"""Rasterise every concept of every vendor into one array per style.

`python -m training.build_data` writes concepts.json and sprites-<style>.npy, (n, 128, 128, 4) uint8.
Concepts that a style lacks have no row: sprites-<style>-index.npy holds each concept's row, or -1. Besides
the vendors' own drawings, a style `<vendor>-ink` draws every shape with a dark outline, an augmentation in
vector space that no pixel filter can make. The held-out vendor's drawings are also written as pictures on
white, pictures-<vendor>/<concept>.png: a folder for the retrieval baseline.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import resvg_py
from PIL import Image
from tqdm import tqdm

from training import concepts as concept_list
from training import sources, work

SIDE = 128
INKED = ("noto", "twemoji", "fluent-flat", "emojione")
INK = (
    "path,circle,ellipse,rect,polygon {{stroke:#1a1a1a;stroke-width:{width};"
    "stroke-linejoin:round;stroke-linecap:round}}"
)


def rasterise(svg: str, style_sheet: str | None = None) -> np.ndarray:
    """Rasterise SVG text to a (SIDE, SIDE, 4) uint8 array, scaled and centred on a transparent square."""
    png = resvg_py.svg_to_bytes(svg_string=svg, width=SIDE, style_sheet=style_sheet, skip_system_fonts=True)
    image = Image.open(io.BytesIO(bytes(png))).convert("RGBA")
    if image.size != (SIDE, SIDE):
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        square = Image.new("RGBA", (SIDE, SIDE))
        square.paste(image, ((SIDE - image.width) // 2, (SIDE - image.height) // 2))
        image = square
    return np.asarray(image)


def view_width(svg: str) -> float:
    return float(svg.split('viewBox="')[1].split('"')[0].split()[2])


def write_style(name: str, svgs: list[str | None], out: Path, ink: bool = False) -> None:
    """Rasterise one style; svgs[i] is the drawing of concept i, or None."""
    index = np.full(len(svgs), -1, dtype=np.int32)
    rows: list[np.ndarray] = []
    for i, svg in enumerate(tqdm(svgs, desc=name, unit="picture")):
        if svg is None:
            continue
        sheet = INK.format(width=view_width(svg) / 36) if ink else None
        index[i] = len(rows)
        rows.append(rasterise(svg, sheet))
    np.save(out / f"sprites-{name}.npy", np.stack(rows))
    np.save(out / f"sprites-{name}-index.npy", index)


def write_pictures(name: str, listed: Sequence[concept_list.Concept], out: Path) -> None:
    """Write a style's drawings as PNG files on white, one per concept."""
    folder = out / f"pictures-{name}"
    folder.mkdir(exist_ok=True)
    sprites, index = np.load(out / f"sprites-{name}.npy"), np.load(out / f"sprites-{name}-index.npy")
    for concept, row in zip(listed, index, strict=True):
        if row >= 0:
            picture = Image.new("RGBA", (SIDE, SIDE), "white")
            picture.alpha_composite(Image.fromarray(sprites[row]))
            picture.convert("RGB").save(folder / f"{concept.slug}.png")


def main() -> None:
    args = work.parser(__doc__ or "").parse_args()
    work.start(args)
    downloads = args.work / "downloads"
    names, version = sources.NAMES
    listed = concept_list.load_emojibase(sources.npm(names, version, downloads) / "en" / "data.json")
    concept_list.save(listed, args.work / "concepts.json")
    print(f"{len(listed)} concepts")

    for vendor in sources.VENDORS:
        drawings = sources.iconify(vendor, downloads)
        svgs = [drawings.get(c.slug) for c in listed]
        write_style(vendor.name, svgs, args.work)
        if vendor.name in INKED:
            write_style(f"{vendor.name}-ink", svgs, args.work, ink=True)

    held_out = sources.openmoji(downloads)
    svgs = [held_out.get(c.hexcode, held_out.get(c.hexcode.replace("-FE0F", ""))) for c in listed]
    write_style(sources.HELD_OUT.name, svgs, args.work)
    write_pictures(sources.HELD_OUT.name, listed, args.work)
    for network in sources.IMAGENET:
        sources.imagenet(network, downloads)


if __name__ == "__main__":
    main()
