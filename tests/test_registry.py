"""Registries: what ships, what packages add by entry points, and what is named by its module and class."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magid_agents.errors import ConfigError
from magid_agents.registry import Registry, import_object

SHIPPED = Registry("magid_agents.tests", {"decimal": "decimal:Decimal"})
BROKEN = "raise OSError('the disk is on fire\\nall of it')"


def install(path: Path, package: str, names: Mapping[str, str]) -> None:
    """Put a package's metadata into a folder that is on the path."""
    info = path / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = "".join(f"{name} = {value}\n" for name, value in names.items())
    (info / "entry_points.txt").write_text(
        f"[magid_agents.tests]\n{lines}\n[others]\nforeign = decimal:Decimal\n"
    )


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_name_is_what_ships_or_what_a_package_adds(path: Path) -> None:
    install(path, "adder", {"half": "fractions:Fraction", "deep": "os:path.join"})
    assert SHIPPED.names() == ["decimal", "deep", "half"]
    loaded = [SHIPPED.load("x", name) for name in ("decimal", "half", "deep", "fractions:Fraction")]
    assert [one.__name__ for one in loaded] == ["Decimal", "Fraction", "join", "Fraction"]


def test_nothing_is_imported_until_it_is_asked_for(path: Path) -> None:
    install(path, "breaker", {"broken": "burning_module:Thing"})
    (path / "burning_module.py").write_text(BROKEN)
    assert SHIPPED.names() == ["decimal", "broken"]
    SHIPPED.check("x", "broken")
    SHIPPED.load("x", "decimal")
    with pytest.raises(ConfigError) as caught:
        SHIPPED.load("painter.backend", "broken")
    assert str(caught.value) == (
        "painter.backend=broken: module burning_module cannot be imported: OSError: the disk is on fire"
    )


def test_a_name_that_is_taken_is_refused_with_both_packages_and_only_that_name(path: Path) -> None:
    install(path, "taker", {"decimal": "fractions:Fraction", "half": "fractions:Fraction"})
    install(path, "other", {"half": "fractions:Fraction", "mine": "fractions:Fraction"})
    with pytest.raises(
        ConfigError, match="by magid-agents and taker; uninstall one of them, or write package"
    ):
        SHIPPED.load("x", "decimal")
    with pytest.raises(ConfigError, match=r"^x=half: .* by (taker and other|other and taker);"):
        SHIPPED.check("x", "half")
    SHIPPED.load("x", "mine")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        pytest.param("decimel", "Unknown x 'decimel'. Did you mean 'decimal'?", id="typo"),
        pytest.param(
            "zzz", "Unknown x 'zzz'. Choose from decimal, or package.module:Class.", id="unlike any"
        ),
        pytest.param("no_such:A", "x=no_such:A: there is no module no_such; install its pa", id="no module"),
        pytest.param("json.no_such:A", "there is no module json.no_such", id="no module in a package"),
        pytest.param(
            "needy:A", "module needy cannot be imported: ModuleNotFoundError: No", id="a module's own need"
        ),
        pytest.param("json:Loads", "module json has no 'Loads'. Did you mean 'loads'?", id="no attribute"),
        pytest.param("json:", "x=json:: must be of the form package.module:Class", id="no class"),
        pytest.param("a/b.py:A", "must be of the form package.module:Class", id="a file"),
    ],
)
def test_what_cannot_be_used_is_one_line_with_the_fix(path: Path, name: str, says: str) -> None:
    (path / "needy.py").write_text("import needed_but_not_there\n")
    with pytest.raises(ConfigError) as caught:
        SHIPPED.load("x", name)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(alphabet="ab.:/ 1\n-é", max_size=12))
def test_no_reference_raises_anything_else(reference: str) -> None:
    with pytest.raises(ConfigError):
        import_object(reference, "x")
