"""The child process of `compiler`: reads tables and queries as JSON, writes one line of JSON for each query.

The native library writes to standard output as it likes, so answers go to a copy of it and the original is silenced.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import json
import os
import sys
from types import ModuleType
from typing import Any, TextIO


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    question = json.load(sys.stdin)
    try:
        compiler = _Compiler(question["database"], question["tables"])
    except ImportError as error:
        _say(answers, {"missing": str(error)})
        return
    for query in question["queries"]:
        _say(answers, compiler.answer(query, question["modes"]))


def _say(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()  # the next query may crash the process


def _native() -> Any:
    """The wheel's native module, without the rest of its package (SQLAlchemy, IPython), which takes longer than compiling a query."""
    spec = importlib.util.find_spec("openmldb")
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("No module named 'openmldb'")
    package = ModuleType("openmldb")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["openmldb"] = package
    return importlib.import_module("openmldb.native.sql_router_sdk")


class _Compiler:
    """OpenMLDB's compiler over a catalog of tables."""

    def __init__(self, database: str, tables: dict[str, list[tuple[str, str]]]):
        sdk = _native()
        self._sdk, self._database = sdk, database
        self._types = {
            "bool": sdk.kTypeBool,
            "smallint": sdk.kTypeInt16,
            "int": sdk.kTypeInt32,
            "bigint": sdk.kTypeInt64,
            "float": sdk.kTypeFloat,
            "double": sdk.kTypeDouble,
            "string": sdk.kTypeString,
            "date": sdk.kTypeDate,
            "timestamp": sdk.kTypeTimestamp,
        }
        self._type_names = {number: name for name, number in self._types.items()}
        self._tables = sdk.TableColumnDescPairVector()
        for name, columns in tables.items():
            self._tables.append(sdk.TableColumnDescPair(name, self._columns(columns)))
        self._databases = sdk.DBTableColumnDescPairVector()
        self._databases.append(sdk.DBTableColumnDescPair(database, self._tables))

    def answer(self, query: str, modes: list[str]) -> dict[str, Any]:
        validate = {"batch": self._sdk.ValidateSQLInBatch, "request": self._sdk.ValidateSQLInRequest}
        for mode in modes:
            complaint = list(validate[mode](query, self._database, self._databases))
            if complaint:
                return {"refused": mode, "message": complaint[0]}
        schema = self._sdk.GenOutputSchema(query, self._database, self._databases)
        if schema is None:  # it compiles in request mode, which need not take what batch mode does
            return {"columns": None, "ddl": []}
        columns = [(schema.GetColumnName(n), self._type_names[schema.GetColumnType(n)]) for n in range(schema.GetColumnCnt())]
        return {"columns": columns, "ddl": list(self._sdk.GenDDL(query, self._tables))}

    def _columns(self, columns: list[tuple[str, str]]) -> Any:
        """A native vector of columns.

        Its append() refuses the pairs of the same binding, so the vector is made with empty pairs and each is swapped in place.
        """
        vector = self._sdk.ColumnDescVector(len(columns))
        first = ctypes.c_void_p.from_address(int(vector.this)).value
        assert first is not None
        for slot, (name, type_) in zip((_Pair * len(columns)).from_address(first), columns, strict=True):
            pair = self._sdk.ColumnDescPair(name, self._types[type_])
            filled = _Pair.from_address(int(pair.this))
            slot.name, filled.name = filled.name, slot.name
            slot.type, filled.type = filled.type, slot.type
        if [pair[0] for pair in vector] != [name for name, _ in columns]:
            raise RuntimeError("the layout of the native column pair is not the expected one")
        return vector


class _Pair(ctypes.Structure):
    """The memory of a ColumnDescPair: a string's pointer and the number of a type."""

    _fields_ = (("name", ctypes.c_void_p), ("type", ctypes.c_int32), ("padding", ctypes.c_int32))


if __name__ == "__main__":
    main()
