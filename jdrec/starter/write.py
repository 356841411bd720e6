"""The starter configuration as commented YAML files."""

from __future__ import annotations

from pathlib import Path

from jdrec.starter.guess import Guess
from jdrec.starter.look import SAMPLE_ROWS, TableLook


def texts(guess: Guess, name: str, root: Path) -> dict[Path, str]:
    """The files, relative to the folder that `--config-dir` names."""
    return {
        Path("dataset") / f"{name}.yaml": _dataset(guess, name, root),
        Path("features") / f"{name}.yaml": _features(guess),
        Path("experiment") / f"{name}.yaml": _experiment(name),
    }


def _dataset(guess: Guess, name: str, root: Path) -> str:
    lines = [
        "# The tables, as found. Look at the types: a number that only names something may as well be a string.",
        f"root: {_quoted(str(root))}",
        f"database: {name}_db",
        "timezone: UTC # of times that have none, in CSV files; calendar functions count in UTC+8, as OpenMLDB's",
        "",
        "tables:",
    ]
    for table in guess.tables:
        sampled = f"the first {table.rows:,} rows" if table.rows >= SAMPLE_ROWS else f"{table.rows:,} rows"
        role = ", one row a request" if table is guess.request else ""
        lines += [f"  {table.name}: # {sampled} were looked at{role}", f"    path: {_quoted(table.path)}"]
        if table.time is not None:
            lines.append(f"    time: {table.time.name}{_other_times(table)}")
        lines += [f"    # left out, OpenMLDB has no such type: {column} ({type_})" for column, type_ in table.skipped.items()]
        lines.append("    columns:")
        lines += [f"      {column.name}: {column.type.value}{_what(column.unique)}" for column in table.columns.values()]
    return "\n".join(lines) + "\n"


def _other_times(table: TableLook) -> str:
    others = [column.name for column in table.columns.values() if column.is_time and column is not table.time]
    return f" # or {', '.join(others)}" if others else ""


def _what(unique: bool) -> str:
    return " # unique" if unique else ""


def _features(guess: Guess) -> str:
    lines = [
        "# What is known of a request, up to its moment. docs/features.md has the language, docs/functions.md the functions.",
        "",
        f"request: {{table: {guess.request.name}, key: {guess.key}, time: {guess.time}}}",
        "",
    ]
    lines += [f"# {note}." for note in guess.notes] + [""] * bool(guess.notes)
    if guess.label is not None:
        note = f" # {guess.label_note}" if guess.label_note else ""
        lines += [
            f"label: {{feature: {guess.label}}}{note}",
            "# horizon: 1d says that a label is open for so long; newer requests are left out.",
            "",
        ]
    if guess.joins:
        lines += ["joins:", *(f"  {name}: {value}" for name, value in guess.joins.items()), ""]
    if guess.windows:
        lines += ["windows: # end: 0s open leaves the request's own moment out"]
        lines += [*(f"  {name}: {value}" for name, value in guess.windows.items()), ""]
    lines.append("features:")
    for group, features in guess.features.items():
        lines += [f"  # {group}", *(f"  {name}: {value}" for name, value in features.items())]
    return "\n".join(lines) + "\n"


def _experiment(name: str) -> str:
    return f"""\
# @package _global_
# python -m jdrec --config-dir THIS_FOLDER +experiment={name}
defaults:
  - override /dataset: {name}
  - override /features: {name}

serving: {{triton: {{model: {name}}}}}

model: {{embedding_dim: 8, dnn: [64, 32], dropout: 0.2}}
trainer: {{batch_size: 500, train_batches: 5_000, learning_rate: 1e-3}}
"""


def _quoted(text: str) -> str:
    return (
        text
        if text and all(letter.isalnum() or letter in "_-./" for letter in text)
        else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    )
