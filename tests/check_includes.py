"""Checks the walls of the C library: what each room may include, and that no file is too large.

Rooms are the folders of libqsgd/src, and cuda. A line of output names file, line and rule. Plain
Python without packages, so that ctest can run it wherever there is an interpreter:

    python3 tests/check_includes.py [repository]

The rules
---------
room      a room includes what ROOMS allows it and no more
begin     the first file of src that a file includes is base/begin.h, or one that begins so; in
          vocabularies (simd) nothing stands before it
names     base/names.h renames every function that files share, in order, and nothing else
spelling  includes are written from libqsgd/src ("grid/levels.h"), never relative
circle    no circle of modules (x.h with its x.c), and none of rooms
twin      a function that x.h declares is defined in x.c, and what x.c shows others is in x.h
file      at most 400 lines; in tests/c too
function  at most 60 lines; in tests/c too
width     at most 8 parameters, unless the function is public (qsgd_*); in tests/c too

What breaks a rule for a reason stands in EXCEPTIONS; one that nothing needs is an error too.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

SRC = "libqsgd/src"
TESTS = "tests/c"
PUBLIC = {"qsgd.h", "qsgd_stages.h", "qsgd_fit.h"}

# What every file begins with, and what that is made of.
BEGIN = "base/begin.h"
NAMES = "base/names.h"
BEGIN_PARTS = {BEGIN, NAMES}

# From the ground up. A room may always include itself, and BEGIN.
ROOMS: dict[str, set[str]] = {
    "base": {"qsgd.h"},
    "simd": set(),
    "kernels": {"base"},
    "backends": {"kernels", "simd", "base", "qsgd.h"},
    "grid": {"base", "qsgd.h"},
    "quantize": {"kernels", "backends", "grid", "base", "qsgd.h"},
    "codes": {"kernels", "grid", "base", "qsgd.h", "qsgd_stages.h"},
    "codes/rans": {"codes", "kernels", "grid", "base", "qsgd.h"},
    "codes/lossless": {"codes", "codes/rans", "kernels", "grid", "base", "qsgd.h"},
    "frame": {"codes", "backends", "grid", "base", "qsgd.h"},
    "pipeline": {
        *("frame", "codes", "codes/rans", "codes/lossless", "quantize"),
        *("backends", "kernels", "grid", "base", "qsgd.h", "qsgd_stages.h"),
    },
    "fit": {
        *("frame", "codes", "codes/rans", "codes/lossless", "quantize"),
        *("backends", "kernels", "grid", "base", "qsgd.h", "qsgd_fit.h"),
    },
    # Of simd only the vocabularies of a warp and of its threads.
    "cuda": {"kernels", "simd/warp*.cuh", "qsgd.h"},
}

# Rooms whose functions are bodies that others instantiate: they have no .c files.
BODIES = {"kernels", "simd"}

FILE_LINES = 400
FUNCTION_LINES = 60
PARAMETERS = 8

# "file" or "file:function", and why.
EXCEPTIONS: dict[str, str] = {}

# Words that make a function local to the file that includes it.
LOCAL = {"static", "BITS", "BODY", "KERNEL", "KERNEL_APART", "ELIAS_BODY"}


class Include(NamedTuple):
    """One #include line of a file; `target` as it is written within its marks."""

    line: int
    target: str
    quoted: bool


class Function(NamedTuple):
    """A function's definition, or its declaration (then `lines` is 0)."""

    name: str
    line: int
    lines: int
    parameters: int
    local: bool


class Source(NamedTuple):
    """What is to be known of a file."""

    path: str  # from the repository
    name: str  # as includes spell it: from libqsgd/src, or "cuda/..."
    room: str
    lines: int
    includes: list[Include]
    defined: list[Function]
    declared: list[Function]

    @property
    def module(self) -> str:
        """The name of the file and its twin."""
        return str(PurePosixPath(self.name).with_suffix(""))


# ---- reading C -------------------------------------------------------------------------------


def blank(text: str) -> str:
    """The text without comments, strings and preprocessor lines; line numbers stay."""
    parts = re.compile(
        r"""/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'
          | ^[ \t]*\#(?:[^\n\\]|\\.|\\\n)*""",
        re.VERBOSE | re.DOTALL | re.MULTILINE,
    )
    return parts.sub(lambda m: "\n" * m[0].count("\n") or " ", text)


def top_level(code: str) -> Iterator[tuple[str, int, int]]:
    """Pieces at file scope: what stands before a ';' or a body, its line, lines of it and body.

    A piece without a body counts 0 lines.
    """
    start, depth = 0, 0
    head = ""
    for at, letter in enumerate(code):
        if letter == "{":
            if depth == 0:
                head = code[start:at]
                if head.strip() == "extern":  # "C"
                    start = at + 1
                    continue
            depth += 1
        elif letter == "}" and depth > 0:
            depth -= 1
            if depth == 0 and function_name(head) is not None:
                first = start + len(head) - len(head.lstrip())
                lines = code.count("\n", first, at) + 1
                yield head.strip(), code.count("\n", 0, first) + 1, lines
                start = at + 1
        elif letter == "}":
            start = at + 1
        elif letter == ";" and depth == 0:
            piece = code[start:at]
            first = start + len(piece) - len(piece.lstrip())
            yield piece.strip(), code.count("\n", 0, first) + 1, 0
            start = at + 1


def parameter_list(head: str) -> tuple[str, str] | None:
    """What stands before and within the last parentheses of a head that ends with them."""
    head = head.rstrip()
    if not head.endswith(")"):
        return None
    depth = 0
    for at in range(len(head) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(head[at], 0)
        if depth == 0:
            return head[:at], head[at + 1 : -1]
    return None


def function_name(head: str) -> str | None:
    """The function that a head declares, if it is one's: a type, a name, parameters."""
    found = parameter_list(head)
    if found is None or "=" in head or re.match(r"\s*typedef\b", head):
        return None
    named = re.search(r"[\w*]\s*\b(?<=[\s*])(\w+)\s*$", found[0])
    return named[1] if named else None


def parameter_count(head: str) -> int:
    """How many parameters a function's head lists."""
    found = parameter_list(head)
    inside = found[1].strip() if found else ""
    if inside in {"", "void"}:
        return 0
    depth, count = 0, 1
    for letter in inside:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        count += letter == "," and depth == 0
    return count


def functions(text: str) -> Iterator[Function]:
    """Definitions and declarations at file scope."""
    for head, line, lines in top_level(blank(text)):
        name = function_name(head)
        if name is None or re.match(r"\s*(?:struct|union|enum)\s+\w+\s*\{", head):
            continue
        local = bool(LOCAL & set(re.findall(r"\w+", head.split("(")[0])))
        yield Function(name, line, lines, parameter_count(head), local)


def read_source(root: Path, path: Path) -> Source:
    """Reads one file below the repository."""
    text = path.read_text(encoding="utf-8")
    relative = path.relative_to(root).as_posix()
    name = relative.removeprefix(SRC + "/")
    lines = text.splitlines()
    includes = [
        Include(number, found[2], found[1] == '"')
        for number, line in enumerate(lines, 1)
        if (found := re.match(r"""\s*#\s*include\s*(["<])([^">]+)[">]""", line))
    ]
    known = list(functions(text))
    return Source(
        path=relative,
        name=name,
        room=str(PurePosixPath(name).parent),
        lines=len(lines),
        includes=includes,
        defined=[f for f in known if f.lines > 0],
        declared=[f for f in known if f.lines == 0],
    )


def read_all(root: Path, *folders: str) -> dict[str, Source]:
    """All files below folders of the repository, by the name that includes spell."""
    suffixes = {".c", ".cpp", ".h", ".cu", ".cuh"}
    found = [p for f in folders for p in (root / f).rglob("*") if p.suffix in suffixes]
    sources = [read_source(root, p) for p in sorted(found)]
    return {s.name: s for s in sources}


# ---- rules -----------------------------------------------------------------------------------


def may_include(room: str, target: str) -> bool:
    """True if the table lets a room include a file."""
    allowed = ROOMS[room]
    if target in PUBLIC:
        return target in allowed
    if target == BEGIN:
        return True
    path = PurePosixPath(target)
    return str(path.parent) in allowed | {room} or any(path.match(a) for a in allowed)


def check_includes(sources: Mapping[str, Source]) -> Iterator[str]:
    """Rules `room` and `spelling`."""
    for s in sources.values():
        if s.room not in ROOMS:
            yield f"{s.path}:1: room: there is no room {s.room!r} in the table"
            continue
        for line, target, quoted in s.includes:
            ours = target in PUBLIC or target in sources
            if ours != quoted:
                seen = "is no file as seen from" if quoted else "wants quotes: it is of"
                yield f"{s.path}:{line}: spelling: {target!r} {seen} {SRC}"
            elif ours and not may_include(s.room, target):
                yield f"{s.path}:{line}: room: {s.room} may not include {target!r}"


def check_begin(sources: Mapping[str, Source], used: set[str]) -> Iterator[str]:
    """Rule `begin`; `used` receives the exceptions that were needed."""

    def begins(s: Source, seen: frozenset[str] = frozenset()) -> bool:
        if s.room == "simd" and s.includes and not s.includes[0].quoted:
            return False
        first = next((i.target for i in s.includes if i.target in sources), None)
        if first is None or first in seen:
            return False
        return first == BEGIN or first in EXCEPTIONS or begins(sources[first], seen | {first})

    for s in sources.values() if BEGIN in sources else ():
        if s.room == "cuda" or s.name in BEGIN_PARTS or begins(s):
            continue
        used.add(s.name)
        if s.name not in EXCEPTIONS:
            yield f"{s.path}:1: begin: {BEGIN} is not what it includes first"


def check_names(root: Path, sources: Mapping[str, Source]) -> Iterator[str]:
    """Rule `names`; objects that files share are seen by ctest `symbols`."""
    if NAMES not in sources:
        return
    path = sources[NAMES].path
    renamed = re.findall(r"^#define (\w+) (\w+)$", (root / path).read_text("utf-8"), re.MULTILINE)
    for before, name in zip([("", ""), *renamed], renamed, strict=False):
        if before >= name or name[1] != f"qsgd_internal_{name[0]}":
            yield f"{path}:1: names: {name[0]} stands in the wrong place, or has another name"
    missing = {
        f.name: f"{s.path}:{f.line}"
        for s in sources.values()
        for f in s.declared
        if s.name.endswith(".h") and s.room not in BODIES and not f.name.startswith("qsgd_")
    }
    for name, where in sorted(missing.items()):
        if name not in dict(renamed):
            yield f"{where}: names: {path} lacks #define {name} qsgd_internal_{name}"
    others = [(root / s.path).read_text("utf-8") for s in sources.values() if s.name != NAMES]
    known = set(re.findall(r"\w+", "\n".join(others)))
    for name, _ in renamed:
        if name not in known:
            yield f"{path}:1: names: {name} is nowhere else"


def first_circle(graph: Mapping[str, Mapping[str, str]]) -> list[str] | None:
    """Names along one circle, or None. Values of the inner mapping are not looked at."""
    done: set[str] = set()
    for root in sorted(graph):
        path: list[str] = []
        open_edges = [(root, iter(sorted(graph[root])))] if root not in done else []
        while open_edges:
            node, edges = open_edges[-1]
            if len(path) < len(open_edges):
                path.append(node)
            following = next(edges, None)
            if following is None:
                done.add(node)
                open_edges.pop()
                path.pop()
            elif following in path:
                return [*path[path.index(following) :], following]
            elif following not in done:
                open_edges.append((following, iter(sorted(graph.get(following, {})))))
    return None


def check_circles(sources: Mapping[str, Source]) -> Iterator[str]:
    """Rule `circle`: of modules, then of rooms. Edges know a line where they come from."""
    modules: dict[str, dict[str, str]] = {}
    rooms: dict[str, dict[str, str]] = {}
    for s in sources.values():
        for line, target, _ in s.includes:
            if target not in sources:
                continue
            to, where = sources[target], f"{s.path}:{line}"
            if to.module != s.module:
                modules.setdefault(s.module, {}).setdefault(to.module, where)
            if to.room != s.room:
                rooms.setdefault(s.room, {}).setdefault(to.room, where)
    for graph in (modules, rooms):
        circle = first_circle(graph)
        if circle is not None:
            yield f"{graph[circle[0]][circle[1]]}: circle: {' -> '.join(circle)}"


def check_twins(sources: Mapping[str, Source]) -> Iterator[str]:
    """Rule `twin`."""
    for s in sources.values():
        if s.room in BODIES or s.room == "cuda":
            continue
        module = PurePosixPath(s.name)
        if module.suffix == ".h":
            twin = sources.get(str(module.with_suffix(".c")))
            defined = {f.name for f in twin.defined if not f.local} if twin else set()
            for f in s.declared:
                if f.name not in defined:
                    where = f"{module.stem}.c does not define it"
                    yield f"{s.path}:{f.line}: twin: {f.name} is declared, but {where}"
        elif module.suffix == ".c":
            header = sources.get(str(module.with_suffix(".h")))
            declared = {f.name for f in header.declared} if header else set()
            for f in s.defined:
                if not f.local and f.name not in declared and not f.name.startswith("qsgd_"):
                    where = f"{module.stem}.h does not declare it"
                    yield f"{s.path}:{f.line}: twin: {f.name} is not static, but {where}"


def check_sizes(sources: Mapping[str, Source], used: set[str]) -> Iterator[str]:
    """Rules `file`, `function` and `width`; `used` receives the exceptions that were needed."""
    for s in sources.values():
        if s.lines > FILE_LINES:
            used.add(s.name)
            if s.name not in EXCEPTIONS:
                yield f"{s.path}:{FILE_LINES + 1}: file: {s.lines} lines"
        for f in s.defined:
            key = f"{s.name}:{f.name}"
            wide = f.parameters > PARAMETERS and not f.name.startswith("qsgd_")
            if f.lines > FUNCTION_LINES or wide:
                used.add(key)
                if key in EXCEPTIONS:
                    continue
                if f.lines > FUNCTION_LINES:
                    yield f"{s.path}:{f.line}: function: {f.name} has {f.lines} lines"
                if wide:
                    yield f"{s.path}:{f.line}: width: {f.name} has {f.parameters} parameters"


def check(root: Path) -> list[str]:
    """All that is wrong below a repository's root."""
    sources = read_all(root, SRC, "cuda")
    if not sources:
        return [f"{root / SRC}: there are no sources"]
    used: set[str] = set()
    problems = [
        *check_includes(sources),
        *check_begin(sources, used),
        *check_names(root, sources),
        *check_circles(sources),
        *check_twins(sources),
        *check_sizes({**sources, **read_all(root, TESTS)}, used),
    ]
    problems += [f"{e}: exception: nothing needs it" for e in sorted(EXCEPTIONS.keys() - used)]
    return problems


def main(arguments: list[str]) -> int:
    """Prints what is wrong; 1 if anything is."""
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parents[1]
    problems = check(root)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
