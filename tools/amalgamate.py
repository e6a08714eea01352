"""Makes qsgd.c and qsgd.h: the whole C library in one source and one header.

    python3 tools/amalgamate.py [FOLDER]        # default: build/amalgamation
    cc -O2 -c qsgd.c

All internals are static. Every backend is inside: what kernels and vocabularies call alike gets the
backend's name where two would clash. The text is otherwise that of libqsgd/src, in the order of
libqsgd/CMakeLists.txt; the same sources always give the same bytes. Plain Python without packages.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import check_includes as c_files  # type: ignore[import-not-found,unused-ignore] # noqa: E402

SRC = ROOT / "libqsgd" / "src"
PUBLIC = ROOT / "libqsgd" / "include"
HEADERS = ("qsgd.h", "qsgd_stages.h", "qsgd_fit.h")
BEGIN = "base/begin.h"

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">].*\n', re.MULTILINE)
WORDS = re.compile(
    r"""(?P<skip>/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'
      | (?:\.|->)\s*[A-Za-z_]\w* | \d\w*) | (?P<word>[A-Za-z_]\w*)""",
    re.VERBOSE | re.DOTALL,
)


def unguarded(text: str) -> str:
    """A header without its guard, and without the comment that names it first."""
    found = re.search(r"^#ifndef (\w+_H)\n#define \1\n", text, re.MULTILINE)
    if found is None:
        return text
    return (
        text[: found.start()] + text[found.end() :].rstrip().removesuffix("#endif").rstrip() + "\n"
    )


def read(name: str) -> str:
    """A file of src."""
    return unguarded((SRC / name).read_text(encoding="utf-8"))


def includes(text: str) -> list[str]:
    """Files of src that a file includes, in order."""
    return [t for mark, t in INCLUDE.findall(text) if mark == '"' and t not in HEADERS]


def closure(names: list[str]) -> list[str]:
    """Headers that files reach, each behind those that it includes itself."""
    found: list[str] = []

    def visit(name: str) -> None:
        for target in includes(read(name)):
            if target not in found:
                visit(target)
                if target not in found:
                    found.append(target)

    for name in names:
        visit(name)
    return found


def without_includes(text: str) -> str:
    """Without those of src and of public headers: what is meant stands before."""
    return INCLUDE.sub(lambda m: "" if m[1] == '"' else m[0], text)


def made_static(text: str) -> str:
    """Functions and objects that files share, as they are within one file."""
    lines = text.splitlines(keepends=True)
    for function in c_files.functions(text):
        if not function.local and not function.name.startswith("qsgd_"):
            lines[function.line - 1] = "static " + lines[function.line - 1]
    text = re.sub(r"^extern ", "static ", "".join(lines), flags=re.MULTILINE)
    objects = (
        r"^(?=(?:const|_Alignas\(\d+\) const) [\w ]+"
        r"\b(?:\w+|BACKEND_SYMBOL\(\w+\))(?:\[\w*\])* = )",
        r"^(?= +const struct \w+ \w+##[\w#]+ = )",  # of a macro that makes several
    )
    return re.sub("|".join(objects), "static ", text, flags=re.MULTILINE)


# ---- names -----------------------------------------------------------------------------------


def pieces(code: str) -> Iterator[str]:
    """Text at file scope, up to each ';' or '}': bodies of functions and values left out."""
    depth, start = 0, 0
    for at, letter in enumerate(code):
        if letter == "{":
            depth += 1
        elif letter == "}":
            depth -= 1
        ends = letter == ";" or (
            letter == "}" and c_files.function_name(code[start:at].split("{")[0])
        )
        if depth == 0 and ends:
            yield code[start : at + 1]
            start = at + 1


def names(text: str) -> set[str]:
    """Functions, objects, types and constants that a text defines at file scope."""
    found = {f.name for f in c_files.functions(text) if f.lines > 0}
    for piece in pieces(c_files.blank(text)):
        if c_files.function_name(piece.split("{")[0]) is not None:
            continue
        found |= set(re.findall(r"\b(?:struct|union|enum)\s+(\w+)\s*\{", piece))
        for inside in re.findall(r"\benum(?:\s+\w+)?\s*\{([^}]*)\}", piece):
            found |= set(re.findall(r"(?:^|,)\s*([A-Za-z_]\w*)", inside))
        head = re.sub(r"\{.*\}", "", piece.split("=")[0], flags=re.DOTALL).rstrip("; \n")
        pointer = re.search(r"\(\s*\*\s*(\w+)\s*\)", head)
        last = pointer or re.search(r"(\w+)\s*(?:\[[^]]*\]\s*)*$", head)
        if re.match(r"\s*(?:typedef|static)\b", head) and last is not None:
            found.add(last[1])
    return found


def macros(text: str) -> list[str]:
    """Macros that a text defines, in order."""
    return list(dict.fromkeys(re.findall(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", text, re.MULTILINE)))


def renamed(text: str, clashes: set[str], suffix: str) -> str:
    """Names that clash, with a suffix; not members, comments or strings."""

    def other(m: re.Match[str]) -> str:
        return f"{m[0]}_{suffix}" if m["word"] in clashes else m[0]

    return WORDS.sub(other, text)


# ---- files -----------------------------------------------------------------------------------


def sources() -> dict[str, str]:
    """The library's sources, as CMakeLists.txt lists them, and what each is under, if anything."""
    text = (ROOT / "libqsgd" / "CMakeLists.txt").read_text(encoding="utf-8")
    switches = {"sources": "", "encoder_sources": "QSGD_ENCODER", "fit_sources": "QSGD_FIT"}
    lists = re.findall(r"^set\((\w*sources)\n(.*?)\)$", text, re.MULTILINE | re.DOTALL)
    return {
        name: switches[which] for which, files in lists for name in re.findall(r"src/(\S+)", files)
    }


def title(name: str) -> str:
    """A line that says where a piece is from."""
    return f"/* ==== {name} {'=' * (84 - len(name))} */\n\n"


def banner(what: str) -> str:
    """How both files start."""
    text = (PUBLIC / "qsgd.h").read_text(encoding="utf-8")
    version = ".".join(re.findall(r"#define QSGD_VERSION_\w+ (\d+)", text))
    return (
        "/* SPDX-License-Identifier: Apache-2.0 */\n"
        f"/* libqsgd {version}: {what}. "
        "Made by tools/amalgamate.py; change its sources instead. */\n"
    )


def header() -> str:
    """All public headers in one."""
    parts = [banner("its interface, in one header"), "#ifndef QSGD_ALL_H\n#define QSGD_ALL_H\n\n"]
    for name in HEADERS:
        if (PUBLIC / name).exists():
            text = (PUBLIC / name).read_text(encoding="utf-8")
            parts += [
                title(name),
                re.sub(r'^#include "[^"]+"\n\n?', "", text, flags=re.MULTILINE),
                "\n",
            ]
    return "".join([*parts, "#endif\n"])


def body() -> str:
    """The library in one file."""
    files = sources()
    backends = [
        f for f in files if re.fullmatch(r"backends/\w+\.c", f) and f != "backends/dispatch.c"
    ]
    shared = closure([f for f in files if f not in backends])
    own = {f: [h for h in closure([f]) if h not in shared] if f in backends else [] for f in files}
    begin = re.sub(r'#include "base/names.h"\n\n?', "", read(BEGIN))
    parts = {h: without_includes(read(h)) for h in shared if h not in {BEGIN, "base/names.h"}}
    sections = {f: whole(f, own[f]) for f in files}
    seen = Counter(n for text in [*sections.values(), *parts.values()] for n in names(text))
    clashes = {n for n, times in seen.items() if times > 1}
    text = [banner("the library, in one file"), "\n", title(BEGIN), begin, "\n"]
    text += ["/* Parts may need only some of what others do. */\n"]
    text += ['#pragma GCC diagnostic ignored "-Wunused-function"\n\n', '#include "qsgd.h"\n']
    for name, part in parts.items():
        text += [title(name), made_static(part), "\n"]
    for name, part in sections.items():
        used = clashes & names(part)
        stem = re.sub(r"\W", "_", name.removesuffix(".c"))
        stem = stem.removeprefix("backends_") if name in backends else stem
        switch = files[name]
        text += [title(name), f"#if {switch}\n" if switch else ""]
        text += [made_static(renamed(part, used, stem)), "\n"]
        text += [f"#undef {m}\n" for m in macros(part)]
        text += [f"#endif /* {switch} */\n\n" if switch else "\n"]
    return re.sub(r"\n{3,}", "\n\n", "".join(text)).rstrip() + "\n"


def whole(name: str, own: list[str]) -> str:
    """A source with the headers that are its own where it includes them, each once."""
    left = list(own)

    def expand(text: str) -> str:
        def put(m: re.Match[str]) -> str:
            if m[1] == "<":
                return m[0]
            if m[2] not in left:
                return ""
            left.remove(m[2])
            return "\n" + title(m[2]) + expand(read(m[2])) + "\n"

        return INCLUDE.sub(put, text)

    return expand(read(name))


def main(arguments: list[str]) -> int:
    """Writes both files."""
    folder = Path(arguments[0]) if arguments else ROOT / "build" / "amalgamation"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("qsgd.h", header()), ("qsgd.c", body())):
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
