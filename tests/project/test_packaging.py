"""What users install agrees with itself: pyproject, locks, environment.yml, versions, changelog."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import workbench

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PYTHONS = ("3.11", "3.12", "3.13")
PLATFORMS = ("linux", "darwin")


def where(python: str, platform: str) -> dict[str, str]:
    """Return what markers look at."""
    return {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": platform,
    }


def locked(lock: str, python: str, platform: str = "linux") -> dict[str, Version]:
    """Return what a lock installs on one Python and platform."""
    place = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": platform,
    }
    found = {}
    for line in (ROOT / lock).read_text(encoding="utf-8").splitlines():
        if not line.startswith((" ", "#")) and line.strip():
            requirement = Requirement(line.removesuffix("\\").strip())
            if requirement.marker is None or requirement.marker.evaluate(place):
                (pin,) = requirement.specifier
                assert pin.operator == "==", line
                assert requirement.name not in found, f"{requirement.name} twice on {python}"
                found[requirement.name] = Version(pin.version)
    return found


def canonical(name: str) -> str:
    """Return a package's name as locks spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements.lock", PROJECT["dependencies"]),
        ("requirements.lock", PROJECT["optional-dependencies"]["dev"]),
        ("requirements.lock", PROJECT["optional-dependencies"]["reference"]),
        ("requirements-peers.lock", PROJECT["optional-dependencies"]["peers"]),
    ],
    ids=["users", "dev", "reference", "peers"],
)
def test_each_requirement_is_locked_at_a_version_that_satisfies_it(
    lock: str, wanted: list[str], python: str, platform: str
) -> None:
    pins = locked(lock, python, platform)
    for line in wanted:
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate(where(python, platform)):
            continue
        pin = pins[canonical(requirement.name)]
        assert requirement.specifier.contains(pin, prereleases=True), f"{line}: locked at {pin}"


@pytest.mark.parametrize("python", PYTHONS)
def test_peers_change_no_version_that_users_install(python: str) -> None:
    mine, peers = locked("requirements.lock", python), locked("requirements-peers.lock", python)
    assert {name: mine[name] for name in peers if name in mine} == {
        name: pin for name, pin in peers.items() if name in mine
    }


def test_no_peer_is_in_what_users_install() -> None:
    users = locked("requirements.lock", "3.12")
    names = {
        canonical(Requirement(line).name) for line in PROJECT["optional-dependencies"]["peers"]
    }
    assert names.isdisjoint(users)


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-peers.lock"])
def test_every_locked_package_has_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text)
    pins = [block for block in blocks if re.match(r"[A-Za-z0-9][^ ]*==", block)]
    assert len(pins) > 50
    assert [block.split()[0] for block in pins if "--hash=sha256:" not in block] == []
    assert "://" not in text
    assert "--index-url" not in text


def test_the_build_tools_are_locked_so_that_no_build_isolation_works() -> None:
    system = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
    pins = locked("requirements.lock", "3.11")
    for line in system["requires"]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(pins[canonical(requirement.name)])


def test_conda_gets_the_same_python_and_the_same_lock() -> None:
    tree = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, pip, through_pip = tree["dependencies"]
    assert python.replace("python ", "") == PROJECT["requires-python"]
    assert pip == "pip"
    assert through_pip == {"pip": ["-r requirements.lock"]}


def test_the_version_is_the_same_everywhere_and_in_the_changelog() -> None:
    number = PROJECT["version"]
    assert version("quant-workbench") == number
    assert workbench.__version__ == number
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(number)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE)


def test_the_licence_is_the_declared_one() -> None:
    assert PROJECT["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
