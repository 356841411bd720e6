"""The documents say what is: their commands compose, their links lead somewhere, what they name exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import yaml

from jdrec.config import Task, load
from jdrec.features.functions import find
from jdrec.features.resolve import resolve
from tests.composing import composed

REPO = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([REPO / "README.md", *(REPO / "docs").glob("*.md")])


ONLY_OPENMLDB = ("array_contains", "split_array")  # functions in the example of openmldb_only


def commands() -> Iterator[Any]:
    """Every `python -m jdrec ...` on a line of its own, comments cut off."""
    for document in DOCUMENTS:
        if document.name == "own-model.md":  # of what its reader has written; tests/test_how_tos.py runs them
            continue
        for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
            match = re.match(r"(?: {4})?python -m jdrec (.*)", line)
            if match:
                yield pytest.param(shlex.split(match[1], comments=True), id=f"{document.name}:{number}")


def first_of_sweep(override: str) -> str:
    """`key=1,2,3` as `key=1`; values in brackets or braces stay whole."""
    key, equals, value = override.partition("=")
    return override if not equals or value[:1] in "[{" else f"{key}={value.split(',')[0]}"


@pytest.mark.parametrize("arguments", list(commands()))
def test_commands_of_the_documents_compose_and_resolve(arguments: list[str]) -> None:
    flags = [argument for argument in arguments if argument.startswith("-")]
    assert flags in ([], ["-m"], ["--help"], ["--config-dir"])
    if flags and flags != ["-m"]:
        return
    overrides = [first_of_sweep(argument) if flags else argument for argument in arguments if argument not in flags]
    tasks = [override.removeprefix("task=") for override in overrides if override.startswith("task=")]
    assert set(tasks) <= set(get_args(Task))
    resolve(composed(*(override for override in overrides if not override.startswith(("hydra.", "task=", "run=")))))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.is_file(), f"{document.name} links to {target}, which is not there"
        if anchor and file.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}, target


def test_functions_named_in_the_documents_exist() -> None:
    text = (REPO / "docs" / "features.md").read_text(encoding="utf-8")
    spans = re.findall(r"`([^`\n]+)`", text) + re.findall(r'expr: ("[^"]*"|[^,}\n]+)', text)
    named = {name for span in spans for name in re.findall(r"\b([a-z_][a-z0-9_]*)\(", span)} - {"cast", "bigint", "f", *ONLY_OPENMLDB}
    assert len(named) > 8
    assert {name for name in named if find(name) is None} == set()


def test_the_first_example_is_a_whole_feature_set() -> None:
    """The first indented block of features.md resolves against the real tables' schema."""
    text = (REPO / "docs" / "features.md").read_text(encoding="utf-8")
    match = re.search(r"(?:^ {4}.*\n|^\n)+", text[text.index("    request:") :], re.MULTILINE)
    assert match is not None
    values = msgspec.to_builtins(composed())
    feature_set = resolve(load({**values, "features": yaml.safe_load(_dedented(match[0]))}))
    assert [feature.name for feature in feature_set.features] == [
        "reqId_1",
        "weekday",
        "user_pairs_14d",
        "reqId_2",
        "bought",
        "brand",
        "reqId_3",
        "pair_types_7d",
    ]


def _dedented(block: str) -> str:
    return "".join(line[4:] if line.startswith("    ") else line for line in block.splitlines(keepends=True))
