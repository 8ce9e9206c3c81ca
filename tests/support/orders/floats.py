"""A static check that no float comes near an amount: what makes or takes one is refused wherever it is not allowed.

Every module that ships is looked at, whatever it is about (`modules`). `floats_in` tells each place where the source
could make, take or fetch a float, by its kind; a kind that `ALLOWED` does not list for that module is an error, and so
is one that it lists and the module no longer needs. Floats are for time, rates, progress and metrics; a module that
is allowed one for these and names amounts as well must say why that is harmless (`BESIDE_AMOUNTS`).

What it catches: the ordinary ways, written in the open or under another name. What it cannot: it reads one module at a
time and knows no types, so it can be evaded on purpose. A float that a function elsewhere returns is seen where that
function is written and not where it is called (`infra.clock.monotonic_s` is known by its name); `type(some_float)(x)`,
names that are put together when the program runs, and libraries nobody thought of are not seen; what pydantic reads is
as strict as the types that are declared; and a module that is allowed a kind may use it once more. So there is a proof
by running beside it: `tests/test_no_floats_at_run_time.py`.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[3]
PACKAGES: Final = ("domain", "command_api", "query_api", "projections", "infra", "examples")

LITERAL: Final = "a float literal"
FLOAT: Final = "a float by name"
ROUND: Final = "round"
POWER: Final = "a power that may be negative"
DIVISION: Final = "true division"
SECONDS: Final = "seconds or chance as a float"
JSON: Final = "JSON whose fractions become floats"
EVALUATION: Final = "code or a module by its text"

_MODULES: Final = frozenset(
    {
        *("array", "builtins", "cmath", "ctypes", "decimal", "fractions", "importlib", "marshal", "math", "numbers"),
        *("numpy", "operator", "pickle", "random", "statistics", "struct", "time", "tomllib"),
        *("_decimal", "_operator", "_pydecimal", "_random", "_struct"),
    }
)
_KIND_OF_NAME: Final = (
    dict.fromkeys(("complex", "__complex__", "double", "fsum", "atof"), FLOAT)
    | dict.fromkeys(("round", "__round__"), ROUND)
    | dict.fromkeys(("pow", "ipow", "__pow__", "__rpow__", "__ipow__"), POWER)
    | dict.fromkeys(("truediv", "itruediv", "__truediv__", "__rtruediv__", "__itruediv__"), DIVISION)
    | dict.fromkeys(
        ("eval", "exec", "__import__", "import_module", "__builtins__", "globals", "literal_eval"), EVALUATION
    )
    | {"monotonic_s": SECONDS}
)
_KIND_OF_MEMBER: Final = _KIND_OF_NAME | dict.fromkeys(
    (
        *("total_seconds", "time", "monotonic", "perf_counter", "process_time", "thread_time"),
        *("random", "uniform", "st_mtime", "st_atime", "st_ctime"),
    ),
    SECONDS,
)
_JSON_READERS: Final = frozenset({"loads", "JSONDecoder", "from_json"})
_JSON_MODULES: Final = frozenset({"json", "orjson"})


class Found(NamedTuple):
    """One place where a float could come from."""

    line: int
    kind: str


def an_import(module: str) -> str:
    """Return the kind of an import of a module that makes floats, or reaches what does."""
    return f"an import of {module}"


def modules() -> list[Path]:
    """Return every module that ships; what a build leaves in the client's folder is not ours."""
    found = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return sorted(path for path in found if "build" not in path.relative_to(ROOT).parts)


def floats_in(source: str) -> Iterator[Found]:
    """Return each place where a program could make, take or fetch a float."""
    tree = ast.parse(source)
    exact = {
        id(call.func)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and "parse_float" in {each.arg for each in call.keywords}
    }
    for node in ast.walk(tree):
        for kind in _kinds_of(node):
            if not (kind == JSON and id(node) in exact):
                yield Found(getattr(node, "lineno", 0), kind)


def _kinds_of(node: ast.AST) -> Iterator[str]:  # noqa: C901, PLR0912  # one case for each kind of node
    match node:
        case ast.Constant(value=float() | complex()):
            yield LITERAL
        case ast.Constant(value=str(text)) if text.startswith("__"):
            yield from _kind(text, _KIND_OF_NAME)  # getattr(amount, "__truediv__")
        case ast.BinOp(op=ast.Div(), right=right):
            if not _is_text(right):  # a path joined with a name
                yield DIVISION
        case ast.AugAssign(op=ast.Div()):
            yield DIVISION
        case ast.BinOp(op=ast.Pow(), right=power) | ast.AugAssign(op=ast.Pow(), value=power):
            if not _is_whole(power):
                yield POWER
        case ast.Name(id=name):
            yield from _kind(name, _KIND_OF_NAME)
        case ast.Attribute(attr=name, value=owner):
            yield from _kind(name, _KIND_OF_MEMBER)
            if isinstance(owner, ast.Name):
                yield from _kind_in_module(owner.id, name)
        case ast.Call(func=ast.Attribute(attr="timestamp")):
            yield SECONDS
        case ast.Import(names=names):
            yield from (an_import(root) for root in {each.name.split(".")[0] for each in names} & _MODULES)
            if any(each.asname and each.name in _JSON_MODULES | {"sys"} for each in names):
                yield JSON  # under another name nobody would see what is taken from it
        case ast.ImportFrom(module=str(module), names=names):
            root = module.split(".")[0]
            if root in _MODULES:
                yield an_import(root)
            for each in names:
                yield from _kind(each.name, _KIND_OF_NAME)
                yield from _kind_in_module(root, each.name)


def _kind(name: str, kinds: dict[str, str]) -> Iterator[str]:
    if "float" in name.lower():
        yield FLOAT
    elif name in _JSON_READERS:
        yield JSON
    elif name in kinds:
        yield kinds[name]


def _kind_in_module(module: str, name: str) -> Iterator[str]:
    if (module, name) == ("sys", "modules"):
        yield EVALUATION
    if module in _JSON_MODULES and name == "load":
        yield JSON


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _is_whole(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int
