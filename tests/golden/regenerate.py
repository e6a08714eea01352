"""Writes the golden frames and the malformed ones, with the reference encoder alone.

Run by hand, only when the format changes on purpose: `python tests/golden/regenerate.py`. What the
frames are is said in tests/python/golden_frames.py and golden_bad.py; this file stores them, with a
manifest.json beside each set. Tests never call it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python"))


def store(folder: Path, frames: dict[str, bytes], manifest: dict[str, Any]) -> None:
    """Replaces the .qsgd files and the manifest of a folder."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.qsgd"):
        old.unlink()
    for name, frame in frames.items():
        (folder / f"{name}.qsgd").write_bytes(frame)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def main() -> None:
    from golden_bad import bad_frames
    from golden_bad_codes import KNOWN_TABLES
    from golden_frames import GOLDEN, INPUTS, encoded, entry

    frames = {golden.name: encoded(golden) for golden in GOLDEN}
    entries = [entry(golden, frames[golden.name]) for golden in GOLDEN]
    about = (
        "decoded_sha256: of float32, little-endian; of raw frames of integers in their own type."
    )
    store(HERE, frames, {"about": about, "inputs": INPUTS, "frames": entries})
    bad = bad_frames()
    statuses = {name: f"QSGD_ERR_{status}" for name, status, _ in bad}
    store(
        HERE / "bad",
        {name: frame for name, _, frame in bad},
        {"shared_tables": [blob.hex() for blob in KNOWN_TABLES], "statuses": statuses},
    )
    total = sum(map(len, frames.values()))
    print(f"{len(frames)} frames of {total} bytes, {len(bad)} malformed ones")


if __name__ == "__main__":
    main()
