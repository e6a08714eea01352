"""Describes the machine and the software that was measured, without naming hosts or paths."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import Any

import numpy as np

import qsgd

CPU_FLAGS = (
    "sse4_2", "avx", "avx2", "bmi2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl",
    "avx512vbmi", "avx512_vbmi2", "avx512_bf16", "gfni", "vaes", "asimd", "sve", "fphp", "crc32",
)  # fmt: skip
PACKAGES = (
    "numpy", "torch", "pypiquant", "bitsandbytes", "zstandard", "numcodecs", "pcodec",
    "constriction", "matplotlib",
)  # fmt: skip
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def describe() -> dict[str, Any]:
    """CPU, caches, memory, load, system and versions; what cannot be found is left out."""
    info = _cpuinfo()
    flags = set((info.get("flags") or info.get("Features") or "").split())
    description: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cpu": info.get("model name") or platform.processor() or platform.machine(),
        "cpu family, model, stepping": [
            info[key] for key in ("cpu family", "model", "stepping") if key in info
        ],
        "architecture": platform.machine(),
        "flags": [flag for flag in CPU_FLAGS if flag in flags],
        "virtual": "hypervisor" in flags,
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "caches": _caches(),
        "memory GiB": _memory(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": _system(),
        "python": platform.python_version(),
        "qsgd": qsgd.__version__,
        "backends": list(qsgd.backends()),
        "versions": {},
    }
    for package in PACKAGES:
        try:
            description["versions"][package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    description["versions"].setdefault("numpy", np.__version__)
    return description


def _cpuinfo() -> dict[str, str]:
    """The first core's entries of /proc/cpuinfo; empty elsewhere than on Linux."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def _caches() -> dict[str, str]:
    """As {"L1 Data": "48K", ...}: what one core sees."""
    caches = {}
    for index in sorted(CACHES.glob("index*")):
        try:
            level, kind, size = (
                (index / name).read_text().strip() for name in ("level", "type", "size")
            )
        except OSError:
            continue
        caches[f"L{level} {kind}"] = size
    return caches


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _system() -> str:
    """Distribution and kernel, cut to major and minor numbers: the rest may name an owner."""
    kernel = re.match(r"\d+\.\d+", platform.release())
    name = platform.system() + (f" {kernel[0]}" if kernel else "")
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {name}"
    except (OSError, KeyError):
        return name
