"""POST /candidates: one request's context with many products, each made a row of the request table; the best are answered."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jdrec.errors import ConfigError, nearest
from jdrec.serving.failures import InvalidRequest
from jdrec.serving.rows import Row, RowReader, parse_json

if TYPE_CHECKING:
    from jdrec.config import CandidatesConfig
    from jdrec.features.spec import FeatureSet

_KEYS = ("context", "candidates", "top")


@dataclass(frozen=True)
class Candidates:
    """A call: the rows to score, what each candidate was given as, and how many are wanted."""

    rows: list[Row]
    given: list[Any]
    top: int


class CandidateReader:
    """Reads bodies {"context": {column: value}, "candidates": [value or {column: value}, ...], "top": k}.

    A row is the context, over it the candidate's own columns, over it the derived columns that neither has. Rows are then checked as those
    of /predict are.

    Args:
        reader: checks rows. config: how a plain value becomes a column, and which columns are made of others.

    Raises:
        ConfigError: a column that the request table has not.
    """

    def __init__(self, feature_set: FeatureSet, reader: RowReader, config: CandidatesConfig):
        self._reader, self._column, self._default_top = reader, config.column, config.top
        columns = feature_set.request.columns
        for name, where in [(config.column, "column"), *((name, "derive") for name in config.derive)]:
            if name is not None and name not in columns:
                message = f"the request table {feature_set.request_table!r} has no column {name!r}."
                raise ConfigError(message, where=f"serving.candidates.{where}", hint=nearest(name, columns))
        self._derive = [(name, _template(name, text, columns)) for name, text in config.derive.items()]

    def read(self, body: bytes) -> Candidates:
        """Raises:
        InvalidRequest: with all that is wrong, up to a limit; a detail's row is the candidate's position.
        """
        call = parse_json(body)
        if not isinstance(call, dict):
            raise InvalidRequest('The body must be an object with "context" and "candidates".', status=400, kind="not_candidates")
        if unknown := [key for key in call if key not in _KEYS]:
            message = f"There is no key {unknown[0][:50]!r} in a call of /candidates. {nearest(unknown[0], _KEYS)}".strip()
            raise InvalidRequest(message, status=400, kind="not_candidates")
        context, given, top = call.get("context", {}), call.get("candidates"), call.get("top", self._default_top)
        if not isinstance(context, dict) or not isinstance(given, list) or type(top) is not int or top < 1:
            raise InvalidRequest(
                '"context" must be an object, "candidates" a list, and "top" a positive integer.', status=400, kind="not_candidates"
            )
        self._reader.check_count(len(given), "candidates")
        rows = self._alike(context, given)
        if rows is None:
            rows = self._reader.check([self._row(context, number, item) for number, item in enumerate(given)])
        return Candidates(rows, given, top)

    def _alike(self, context: Row, given: list[Any]) -> list[Row] | None:
        """The rows where candidates are plain values, so that only few columns differ: the others are checked once.

        None where something is wrong or of another form: then every row is looked at.
        """
        column = self._column
        if column is None or column in context or any(isinstance(candidate, dict) for candidate in given):
            return None
        try:
            first = self._reader.check([self._row(context, 0, given[0])])[0]
            values = self._reader.check_column(column, given)
        except InvalidRequest:
            return None
        made = [(name, pieces) for name, pieces in self._derive if name not in context]
        if any(field not in (None, column) and field not in context for _, pieces in made for _, field in pieces):
            return None
        if not all(type(value) in (str, int) for value in values) or any(type(first[name]) is not str for name, _ in made):
            return None
        fixed = [
            (
                name,
                [text if field in (None, column) else text + str(context[field]) for text, field in pieces],
                [field == column for _, field in pieces],
            )
            for name, pieces in made
        ]
        rows = []
        for value in values:
            row = {**first, column: value}
            for name, texts, varies in fixed:
                row[name] = "".join([text + str(value) if here else text for text, here in zip(texts, varies, strict=True)])
            rows.append(row)
        return rows

    def _row(self, context: Row, number: int, candidate: Any) -> Row:
        if isinstance(candidate, dict):
            row = {**context, **candidate}
        elif self._column is not None:
            row = {**context, self._column: candidate}
        else:
            raise InvalidRequest(
                f"Candidate {number} is no object, and serving.candidates.column does not say which column a value fills.",
                status=400,
                kind="not_candidates",
            )
        for name, pieces in self._derive:
            if name not in row and (value := _made(pieces, row)) is not None:
                row[name] = value
        return row


Pieces = list[tuple[str, str | None]]  # literal text, and the column that follows it


def _template(name: str, text: str, columns: Any) -> Pieces:
    where = f"serving.candidates.derive.{name}"
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ConfigError(f"{text!r} is no template: {error}", where=where) from None
    for _, field, spec, conversion in parsed:
        if field is not None and (field not in columns or spec or conversion):
            raise ConfigError(f"{{{field}}} is no column of the request table.", where=where, hint=nearest(field, columns))
    return [(literal, field) for literal, field, _, _ in parsed]


def _made(pieces: Pieces, row: Row) -> str | None:
    """A column's text of others; None where one of them is missing, which the check of rows then tells."""
    made = []
    for literal, field in pieces:
        made.append(literal)
        if field is not None:
            value = row.get(field)
            if type(value) not in (str, int):
                return None
            made.append(str(value))
    return "".join(made)
