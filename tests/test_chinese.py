"""The Chinese documents keep step with the English ones: the same headings' levels and numbers, and the same code."""

from __future__ import annotations

import re

import pytest

from scripts.chinese import PAIRS, ROOT, blocks, levels, with_blocks


@pytest.mark.parametrize("english", PAIRS)
def test_they_have_the_same_headings_and_code(english: str) -> None:
    source, target = ((ROOT / name).read_text(encoding="utf-8") for name in (english, PAIRS[english]))
    assert levels(target) == levels(source)
    assert blocks(target) == blocks(source), "run python scripts/chinese.py"
    assert len(re.findall(r"^\|", target, re.MULTILINE)) == len(re.findall(r"^\|", source, re.MULTILINE))  # rows of tables


@pytest.mark.parametrize("english", PAIRS)
def test_they_link_to_the_same_places(english: str) -> None:
    def places(text: str) -> set[str]:
        found = {target.partition("#")[0] for target in re.findall(r"\]\(([^)]+)\)", text)}
        return {target.replace(".zh.md", ".md") for target in found} - {"README.md", ""}

    source, target = ((ROOT / name).read_text(encoding="utf-8") for name in (english, PAIRS[english]))
    assert places(target) == places(source)


def test_blocks_and_headings_are_found_and_replaced() -> None:
    text = "# A\n\ntext\n\n    one\n\n    two\n\n## 2.1 B\n\n```yaml\n# no heading\nx: 1\n```\n\n- item\n  goes on\n"
    assert blocks(text) == ["    one\n\n    two\n", "```yaml\n# no heading\nx: 1\n```\n"]
    assert levels(text) == [(1, ""), (2, "2.1")]
    assert blocks(with_blocks(text, ["    three\n", "    four\n"])) == ["    three\n", "    four\n"]
    with pytest.raises(ValueError, match="2 code blocks, not 1"):
        with_blocks(text, ["    three\n"])
