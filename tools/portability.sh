#!/usr/bin/env bash
# The same bytes on every platform that is at hand: builds the library by each platform's plain
# compiler (-O2 and nothing else, but for 32-bit x86), runs the golden vectors with every backend
# and the fitted levels, and prints a line a platform with the SHA-256 over all of them.
#
#   tools/portability.sh [--install] [PLATFORM..]     # default: all
#
# Platforms are this machine, by several compilers, and what tests/toolchains has. --install gets
# tools that are missing by apt; without it their platforms are named and left out. Fails if any
# platform gives other bytes.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export WINEPREFIX=$work/wine WINEDEBUG=-all
jobs=$(nproc)
golden=tests/golden
failed=0

install=no
if [ "${1:-}" = --install ]; then
  install=yes
  shift
fi
wanted=("$@")

get() { # packages
  local sudo
  sudo=$(command -v sudo || true)
  [ "$(id -u)" = 0 ] && sudo=
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >"$work/apt" 2>&1 ||
    tail -n 3 "$work/apt" >&2
}

hash() { tr -d '\r' | sha256sum | cut -d ' ' -f 1; }
expected=$(cat $golden/vectors.txt $golden/fitted.txt | hash)

# A program of tests/c, with all sources; objects are shared by the programs of a platform.
program() { # folder, test, compiler and flags
  local dir=$1 test=$2
  shift 2
  if [ ! -d "$dir" ]; then
    mkdir -p "$dir"
    find libqsgd/src -name '*.c' -print0 | xargs -0 -P "$jobs" -I{} sh -c '
      out=$1/$(echo "$2" | tr / _).o
      shift 2
      exec "$@" -c "$0" -o "$out"' {} "$dir" {} "$@" -Ilibqsgd/include -Ilibqsgd/src
  fi
  "$@" -Ilibqsgd/include -Ilibqsgd/src -Itests/c "tests/c/test_$test.c" "$dir"/*.o \
    -o "$dir/test_$test.exe" $link # wine wants it so
}

platform() { # name, packages, emulator, compiler and flags
  local name=$1 packages=$2 emulator=$3 tool sum dir
  shift 3
  local w skip=
  for w in ${wanted[@]+"${wanted[@]}"}; do
    skip=yes
    [ "$w" = "$name" ] && skip= && break
  done
  [ -z "$skip" ] || return 0
  for tool in "$1" $emulator; do
    if ! command -v "$tool" >/dev/null && [ $install = yes ]; then get $packages; fi
    if ! command -v "$tool" >/dev/null; then
      printf '%-22s skipped: there is no %s (Debian: %s)\n' "$name" "$tool" "$packages"
      return
    fi
  done
  dir=$work/${name// /-}
  if ! { program "$dir" vectors "$@" -O2 && program "$dir" fitted "$@" -O2; } 2>"$work/said"; then
    printf '%-22s DOES NOT COMPILE\n' "$name"
    head -n 20 "$work/said" >&2
    failed=1
  elif ! $emulator "$dir/test_vectors.exe" $golden/vectors.txt 2>"$work/said"; then
    printf '%-22s OTHER BYTES\n' "$name"
    head -n 5 "$work/said" >&2
    failed=1
  else # of the best backend; the others gave the same
    sum=$({
      $emulator "$dir/test_vectors.exe" --print
      $emulator "$dir/test_fitted.exe" --print
    } 2>"$work/said" | hash)
    printf '%-22s %s\n' "$name" "$sum"
    if [ "$sum" != "$expected" ]; then
      head -n 5 "$work/said" >&2
      failed=1
    fi
  fi
  rm -rf "$dir"
}

field() { sed -n "s/^ *set($1 \(.*\))/\1/p" "$2" | head -n 1; } # variable, toolchain file

printf '%-22s %s\n' "tests/golden" "$expected"
link=-lm # the tests look at fenv.h
platform "native gcc" gcc "" gcc
platform "native clang" clang "" clang
platform "native fenv.h" gcc "" gcc -DQSGD_FENV -DQSGD_SIMD=0
platform "native any flags" gcc "" gcc -march=native -ffp-contract=fast -fno-trapping-math
link=-static
platform "aarch64 clang" "clang gcc-aarch64-linux-gnu qemu-user" qemu-aarch64 \
  clang --target=aarch64-linux-gnu
for file in tests/toolchains/*.cmake; do
  name=$(basename "$file" .cmake)
  packages=$(sed -n '1s/.*Debian packages\{0,1\} \(.*\)\./\1/p' "$file" | sed 's/ and / /g; s/,//g')
  compiler=$(field CMAKE_C_COMPILER "$file")
  emulator=$(field CMAKE_CROSSCOMPILING_EMULATOR "$file")
  flags=()
  case $name in
  i686)
    flags=(-msse2 -mfpmath=sse) # begin.h asks for these
    [ "$(uname -m)" = x86_64 ] && emulator=
    ;;
  windows) flags=(-DQSGD_STATIC) ;; # the headers ask for it
  esac
  platform "$name" "$packages" "$emulator" "$compiler" ${flags[@]+"${flags[@]}"}
done
exit $failed
