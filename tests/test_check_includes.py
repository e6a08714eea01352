"""Shows that each rule of check_includes.py fails where it is broken, and passes elsewhere."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from unittest import mock

import check_includes

# A small house in which every rule holds.
GOOD = {
    "libqsgd/src/base/bits.h": """\
/* Comments may say #include "nothing.h" and f(); as they like. */
#define NOT_A_FUNCTION(x) \\
    int declared_by_a_macro(int x);
static inline int bits_of(int x) { return x; }
""",
    "libqsgd/src/base/status.c": """\
#include "qsgd.h"
const char *qsgd_status_name(int a, int b, int c, int d, int e, int f, int g, int h, int i) {
    return "public: { as wide as it likes";
}
""",
    "libqsgd/src/grid/levels.h": """\
#include "qsgd.h"
struct levels {
    int (*member)(int a); /* a pointer, no function */
};
typedef int chosen(int a);
int levels_count(const struct levels *levels,
                 int (*of)(int, int));
""",
    "libqsgd/src/grid/levels.c": """\
#include "grid/levels.h"

#include <string.h>

#include "base/bits.h"

static const int table[2] = {1, 2};

static int one(void) { return table[0]; }

int levels_count(const struct levels *levels, int (*of)(int, int)) { return of(one(), 2); }
""",
    "libqsgd/src/kernels/types.h": "struct job { int n; };\n",
    "libqsgd/src/kernels/norm.h": '#include "kernels/types.h"\nBODY int norm(int x) {}\n',
    "libqsgd/src/simd/scalar.h": "static inline int v_add(int a) { return a; }\n",
    "libqsgd/src/simd/warp.cuh": "static inline int v_add(int a) { return a; }\n",
    "libqsgd/src/backends/scalar.c": '#include "simd/scalar.h"\n#include "kernels/norm.h"\n',
    "libqsgd/src/codes/codes.h": '#include "grid/levels.h"\nextern const int code_fixed;\n',
    "libqsgd/src/codes/rans/rans.c": '#include "codes/codes.h"\nconst int code_rans = 1;\n',
    "libqsgd/src/quantize/quantize.c": '#include "grid/levels.h"\n',
    "cuda/check.cu": """\
extern "C" {
#include "kernels/types.h"
}
#include "simd/warp.cuh"
#include "kernels/norm.h"
int main() { return norm(0); }
""",
    "tests/c/test_levels.c": '#include "grid/levels.h"\nint main(void) { return 0; }\n',
}


def long_function(name: str, lines: int) -> str:
    """A function of so many lines."""
    return f"int {name}(void) {{\n" + "    g();\n" * (lines - 2) + "}\n"


class Rules(unittest.TestCase):
    """One method a rule."""

    def found(self, changes: dict[str, str], exceptions: dict[str, str] | None = None) -> list[str]:
        """What is wrong with the good house after some files are added to it or replaced."""
        with (
            tempfile.TemporaryDirectory() as folder,
            mock.patch.object(check_includes, "EXCEPTIONS", exceptions or {}),
        ):
            for name, text in {**GOOD, **changes}.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            return check_includes.check(Path(folder))

    def assert_one(self, changes: dict[str, str], start: str, *parts: str) -> None:
        """Exactly one line of output, which starts and reads as it should."""
        found = self.found(changes)
        assert len(found) == 1, found
        assert found[0].startswith(start), found[0]
        for part in parts:
            assert part in found[0]

    def test_a_house_with_all_its_walls_passes(self) -> None:
        assert self.found({}) == []

    def test_an_empty_repository_is_no_house(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            assert len(check_includes.check(Path(folder))) == 1

    def test_a_room_that_the_table_forbids(self) -> None:
        changes = {"libqsgd/src/quantize/source.c": '\n#include "codes/codes.h"\n'}
        start = "libqsgd/src/quantize/source.c:2: room: "
        self.assert_one(changes, start, "quantize may not include 'codes/codes.h'")

    def test_simd_is_for_backends_and_its_warp_for_cuda(self) -> None:
        changes = {"libqsgd/src/codes/fixed.c": '#include "simd/scalar.h"\n'}
        self.assert_one(changes, "libqsgd/src/codes/fixed.c:1: room: ")
        self.assert_one({"cuda/more.cu": '#include "simd/scalar.h"\n'}, "cuda/more.cu:1: room: ")

    def test_public_headers_are_not_for_every_room(self) -> None:
        changes = {"libqsgd/src/kernels/round.h": '#include "qsgd.h"\n'}
        self.assert_one(changes, "libqsgd/src/kernels/round.h:1: room: ")

    def test_a_folder_that_is_no_room(self) -> None:
        changes = {"libqsgd/src/attic/old.h": '#include "base/bits.h"\n'}
        self.assert_one(changes, "libqsgd/src/attic/old.h:1: room: ", "'attic'")

    def test_an_include_that_is_not_spelled_from_src(self) -> None:
        for spelled in ("levels.h", "./levels.h", "../grid/levels.h", "grid/missing.h"):
            changes = {"libqsgd/src/grid/layout.c": f'# include "{spelled}"\n'}
            self.assert_one(changes, "libqsgd/src/grid/layout.c:1: spelling: ", repr(spelled))

    def test_an_include_of_ours_without_quotes(self) -> None:
        for name in ("codes/codes.h", "qsgd.h"):
            changes = {"libqsgd/src/quantize/topk.c": f"#include <stdint.h>\n#include <{name}>\n"}
            self.assert_one(changes, "libqsgd/src/quantize/topk.c:2: spelling: ", repr(name))

    def test_a_file_that_does_not_begin_as_all_do(self) -> None:
        begin = '#include "base/begin.h"\n'
        house = {n: begin + t for n, t in GOOD.items() if n.startswith("libqsgd/src/")}
        house["libqsgd/src/base/begin.h"] = '#include "base/names.h"\n'
        house["libqsgd/src/base/names.h"] = "#define levels_count qsgd_internal_levels_count\n"
        assert self.found(house) == []
        by_another = {"libqsgd/src/grid/levels.c": GOOD["libqsgd/src/grid/levels.c"]}
        assert self.found({**house, **by_another}) == []
        for late in ("", '#include "base/bits.h"\n', '#include "qsgd.h"\n#include <string.h>\n'):
            changes = {**house, "libqsgd/src/base/bits.h": late, "libqsgd/src/grid/a.h": begin}
            self.assert_one(changes, "libqsgd/src/base/bits.h:1: begin: ")
        changes = {**house, "libqsgd/src/simd/neon.h": "#include <arm_neon.h>\n" + begin}
        self.assert_one(changes, "libqsgd/src/simd/neon.h:1: begin: ")

    def test_shared_names_that_another_library_may_have(self) -> None:
        names = "libqsgd/src/base/names.h"
        line = "#define levels_count qsgd_internal_levels_count\n"
        assert self.found({names: line}) == []
        self.assert_one({names: ""}, "libqsgd/src/grid/levels.h:6: names: ", "levels_count")
        wrong = "#define levels_count qsgd_levels_count\n"
        self.assert_one({names: wrong}, f"{names}:1: names: ", "levels_count")
        for extra in ("#define aa qsgd_internal_aa\n", "#define zz qsgd_internal_zz\n"):
            self.assert_one({names: extra + line if "aa" in extra else line + extra}, names)
        two = "#define table qsgd_internal_table\n" + line
        self.assert_one({names: two}, f"{names}:1: names: levels_count ")

    def test_a_circle_of_headers(self) -> None:
        changes = {
            "libqsgd/src/grid/a.h": '#include "grid/b.h"\n',
            "libqsgd/src/grid/b.h": '#include "grid/c.h"\n',
            "libqsgd/src/grid/c.h": '#include "grid/a.h"\n',
        }
        start = "libqsgd/src/grid/a.h:1: circle: "
        self.assert_one(changes, start, "grid/a -> grid/b -> grid/c -> grid/a")

    def test_a_circle_that_closes_in_sources(self) -> None:
        changes = {
            "libqsgd/src/grid/a.h": "int a(void);\n",
            "libqsgd/src/grid/a.c": '#include "grid/a.h"\n#include "grid/b.h"\nint a(void) {}\n',
            "libqsgd/src/grid/b.h": "int b(void);\n",
            "libqsgd/src/grid/b.c": '#include "grid/a.h"\n#include "grid/b.h"\nint b(void) {}\n',
        }
        start = "libqsgd/src/grid/a.c:2: circle: "
        self.assert_one(changes, start, "grid/a -> grid/b -> grid/a")

    def test_a_circle_of_rooms_even_where_the_table_allows_it(self) -> None:
        changes = {
            "libqsgd/src/grid/a.h": '#include "quantize/b.h"\n',
            "libqsgd/src/quantize/b.h": "struct b;\n",
        }
        allowed = {**check_includes.ROOMS, "grid": {"quantize", "base", "qsgd.h"}}
        with mock.patch.object(check_includes, "ROOMS", allowed):
            start = "libqsgd/src/grid/a.h:1: circle: "
            self.assert_one(changes, start, "grid -> quantize -> grid")

    def test_a_header_that_declares_what_its_twin_does_not_define(self) -> None:
        header = GOOD["libqsgd/src/grid/levels.h"] + "void levels_print(const struct levels *l);\n"
        start = "libqsgd/src/grid/levels.h:8: twin: levels_print "
        self.assert_one({"libqsgd/src/grid/levels.h": header}, start, "levels.c")

    def test_a_header_without_a_twin(self) -> None:
        changes = {"libqsgd/src/frame/size.h": "\n\nunsigned long\nsize_of(int a);\n"}
        self.assert_one(changes, "libqsgd/src/frame/size.h:3: twin: size_of ", "size.c")

    def test_a_definition_that_its_twin_does_not_declare(self) -> None:
        source = GOOD["libqsgd/src/grid/levels.c"] + "int *hidden(void) { return 0; }\n"
        start = "libqsgd/src/grid/levels.c:12: twin: hidden "
        self.assert_one({"libqsgd/src/grid/levels.c": source}, start, "levels.h")

    def test_a_file_of_more_than_400_lines(self) -> None:
        for name in ("libqsgd/src/base/error.h", "tests/c/test_error.c"):
            assert self.found({name: "\n" * 400}) == []
            self.assert_one({name: "\n" * 401}, f"{name}:401: file: ", "401 lines")

    def test_a_function_of_more_than_60_lines(self) -> None:
        for name in ("libqsgd/src/kernels/round.h", "tests/c/test_round.c"):
            assert self.found({name: "BODY " + long_function("f", 60)}) == []
            changes = {name: "\nBODY " + long_function("f", 61)}
            self.assert_one(changes, f"{name}:2: function: f ", "61 lines")

    def test_an_internal_function_with_more_than_8_parameters(self) -> None:
        eight = ", ".join(f"int {p}" for p in "abcdefg") + ", int (*h)(int, int)"
        name = "libqsgd/src/base/wide.c"
        assert self.found({name: f"static int f({eight}) {{}}\n"}) == []
        changes = {name: f"static int f({eight}, int i) {{}}\n"}
        self.assert_one(changes, f"{name}:1: width: f ", "9 parameters")

    def test_exceptions_are_heard_and_those_that_nothing_needs_are_not(self) -> None:
        changes = {
            "libqsgd/src/base/error.h": "\n" * 401,
            "libqsgd/src/kernels/round.h": "BODY " + long_function("f", 61),
        }
        exceptions = {"base/error.h": "a reason", "kernels/round.h:f": "another"}
        assert self.found(changes, exceptions) == []
        exceptions["base/bits.h"] = "of old"
        assert len(self.found(changes, exceptions)) == 1


if __name__ == "__main__":
    unittest.main()
