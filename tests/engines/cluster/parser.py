"""OpenMLDB's own SQL parser, from the library inside its wheel (0.9.2), in a child process.

The wheel has no public call that parses any statement. Its library exports two functions that the SDK uses itself, by their C++
names: one says whether a statement parses, the other gives a query as the parser writes it, which is how DEPLOY stores it.
Strings are passed as that library lays them out (libstdc++'s old reference-counted strings).
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys

CHECK = "_ZN8openmldb3sdk16SQLClusterRouter14CheckSQLSyntaxERKSs"  # bool SQLClusterRouter::CheckSQLSyntax(const std::string&)
REWRITE = "_ZN8hybridse8rewriter7RewriteESt17basic_string_viewIcSt11char_traitsIcEE"  # StatusOr<std::string> Rewrite(std::string_view)


def accepted(statements: list[str]) -> list[bool]:
    """Whether each statement parses."""
    return _ask("check", statements)


def unparsed(queries: list[str]) -> list[str | None]:
    """Each query as the parser writes it; None: it does not parse."""
    return _ask("unparse", queries)


def _ask(what: str, texts: list[str]) -> list:
    done = subprocess.run(
        [sys.executable, __file__, what], input=json.dumps(texts), capture_output=True, text=True, timeout=120, check=True
    )
    return json.loads(done.stdout)


def _old_string(text: str) -> tuple[ctypes.Array, ctypes.c_void_p]:
    """The characters behind length, capacity and reference count; the string itself is a pointer to the characters."""
    data = text.encode()
    buffer = ctypes.create_string_buffer(24 + len(data) + 1)
    ctypes.c_uint64.from_buffer(buffer, 0).value = len(data)
    ctypes.c_uint64.from_buffer(buffer, 8).value = len(data)
    ctypes.c_int32.from_buffer(buffer, 16).value = 1000  # shared, so that nobody frees it
    buffer[24 : 24 + len(data)] = data
    return buffer, ctypes.c_void_p(ctypes.addressof(buffer) + 24)


def main() -> None:
    import importlib.util

    package = importlib.util.find_spec("openmldb")
    assert package is not None and package.submodule_search_locations
    sys.path.insert(0, f"{package.submodule_search_locations[0]}/native")
    import _sql_router_sdk

    library = ctypes.CDLL(_sql_router_sdk.__file__)
    check, rewrite = getattr(library, CHECK), getattr(library, REWRITE)
    check.restype, check.argtypes = ctypes.c_bool, [ctypes.c_void_p, ctypes.c_void_p]
    rewrite.restype, rewrite.argtypes = None, [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
    answers: list[object] = []
    for text in json.load(sys.stdin):
        if sys.argv[1] == "check":
            buffer, string = _old_string(text)
            answers.append(check(None, ctypes.byref(string)))
            del buffer
        else:
            result = (ctypes.c_uint64 * 4)()  # status (even pointer bits: an error), then the string
            data = text.encode()
            rewrite(ctypes.addressof(result), len(data), data)
            answers.append(ctypes.string_at(result[1]).decode() if result[0] <= 1 else None)
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
