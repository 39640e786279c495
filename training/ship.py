"""Copy finished models into the package, and record their sizes and digests.

`python -m training.ship painter quality` copies from the working folder to magid_agents/weights/ and
rewrites each entry's files in manifest.toml. The model card in each folder is written by hand.
"""

import hashlib
import re
import shutil
from pathlib import Path

from magid_agents.models.manifest import SHIPPED
from training import work

CARD = "README.md"


def ship(source: Path, target: Path) -> list[Path]:
    """Replace the target's files by copies, readable by everyone; keep its model card."""
    target.mkdir(exist_ok=True)
    for old in [p for p in target.rglob("*") if p.is_file() and p.name != CARD]:
        old.unlink()
    out = []
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(0o644)
        out.append(copy)
    return out


def state(manifest: str, name: str, folder: Path, files: list[Path]) -> str:
    """Return the manifest's text with the entry's files updated. Raises ValueError if there is no entry."""
    lines = [
        f'    {{ path = "{p.relative_to(folder).as_posix()}", bytes = {p.stat().st_size}, '
        f'sha256 = "{hashlib.sha256(p.read_bytes()).hexdigest()}" }},'
        for p in files
    ]
    block = "files = [\n" + "\n".join(lines) + "\n]"
    new, count = re.subn(
        rf"(^\[{re.escape(name)}\]\n(?:(?!\[)[^\n]*\n)*?)files = \[\n(?:[ \t]+[^\n]*\n)*\]",
        lambda found: found[1] + block,
        manifest,
        count=1,
        flags=re.MULTILINE,
    )
    if not count:
        raise ValueError(f"manifest.toml has no entry {name} with files; write it first")
    return new


def main() -> None:
    parser = work.parser(__doc__ or "")
    parser.add_argument("names", nargs="+")
    args = parser.parse_args()
    path = SHIPPED / "manifest.toml"
    for name in args.names:
        files = ship(args.work / name, SHIPPED / name)
        path.write_text(
            state(path.read_text(encoding="utf-8"), name, SHIPPED / name, files), encoding="utf-8"
        )
        print(f"{name}: {sum(p.stat().st_size for p in files):,} bytes in {len(files)} files")


if __name__ == "__main__":
    main()
