"""The options of a codec: checked, in one canonical form, and as the C library's parameters."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np

from qsgd import _core
from qsgd import options as opt
from qsgd.errors import QsgdError
from qsgd.shared_tables import SharedTables
from qsgd.types import Levels


def canonical(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options as `Codec` holds them: of one type each, so that equal ones compare equal.

    Parameters
    ----------
    given : mapping
        All of `Codec`'s arguments.

    Raises
    ------
    QsgdError
        For a value outside its range; names and combinations are for `build_params` to check.
    """
    options = opt.filled(given)
    options["levels"], options["s"] = opt.level_set(options)
    if isinstance(given["classes"], (bool, np.bool_)):
        options["classes"] = "on" if given["classes"] else "off"
    if given["step"] is not None:
        options["step"] = opt.float32("step", given["step"], "None or a number")
    if given["clip"] is not None:
        options["clip"] = opt.float32("clip", given["clip"], "None or a number") or None
    zone_range = "a number from 0 to below 0.5"
    zone = opt.number("dead_zone", given["dead_zone"], zone_range)
    if not 0 <= zone < 0.5:
        raise opt.refuse("dead_zone", zone, zone_range)
    options["dead_zone"] = zone
    for name, low, high in (("bits", 0.25, 12.0), ("error", 1e-6, 0.9)):
        if given[name] is None:
            continue
        target_range = f"None or a number from {low:g} to {high:g}"
        options[name] = opt.number(name, given[name], target_range)
        if not low <= options[name] <= high:
            raise opt.refuse(name, given[name], target_range)
    decay_range = "a number from 0 to 1"
    decay = opt.number("feedback_decay", given["feedback_decay"], decay_range)
    if not 0 <= decay <= 1:
        raise opt.refuse("feedback_decay", decay, decay_range)
    options["feedback_decay"] = decay
    if given["reference"] is not None:
        options["reference"] = (
            opt.number("reference", given["reference"], "None or a number") or None
        )
    for name in ("slot", "strict", "zero", "rotation", "rescale", "checksum"):
        options[name] = opt.flag(name, given[name])
    bucket_range = "an integer from 0 (the whole tensor) to 2**47"
    options["bucket"] = opt.integer("bucket", given["bucket"], 0, 1 << 47, bucket_range)
    if given["seed"] is not None:
        seed_range = "None or an integer from 0 to 2**64 - 1"
        options["seed"] = opt.integer("seed", given["seed"], 0, (1 << 64) - 1, seed_range)
    if given["threads"] is not None:
        thread_range = "None or an integer from 1 to 256"
        options["threads"] = opt.integer("threads", given["threads"], 1, 256, thread_range)
    chunk_range = "a power of two from 1024 to 2**18"
    chunk = opt.integer("chunk", given["chunk"], 1 << 10, 1 << 18, chunk_range)
    if chunk & (chunk - 1):
        raise opt.refuse("chunk", chunk, chunk_range)
    options["chunk"] = chunk
    shared = given["shared_tables"]
    if shared is not None and not isinstance(shared, SharedTables):
        options["shared_tables"] = SharedTables(shared)  # digits, as `Codec.options` gives them
    return options


def replaced(held: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`Codec.replace`: options in full, of which some change.

    Where the level set changes, what belonged to the old one goes.
    """
    options = {**held, **changes}
    was_open = held["levels"] == "open"
    steps = ("step", "bits", "error")
    new_steps = any(held[name] != options[name] for name in steps)
    turned = (was_open and options["s"] not in (None, held["s"])) or (
        (options["norm"] in opt.OPEN_NORMS) != was_open and options["norm"] is not None
    )
    if not ("levels" in changes or new_steps or turned):
        return options
    had_s = held["levels"] in ("uniform", "exponential")  # others bring their own
    keeps_s = had_s and isinstance(changes.get("levels", ""), str) and not new_steps
    options |= dict.fromkeys(("levels", *steps)) | {"s": held["s"] if keeps_s else None}
    options |= changes
    goes_with_them = opt.filled({**options, "norm": None})["norm"]
    fits = (options["norm"] in opt.OPEN_NORMS) == (goes_with_them in opt.OPEN_NORMS)
    return options if fits or "norm" in changes else {**options, "norm": None}


def build_params(options: Mapping[str, Any]) -> _core.Params:
    """The C library's parameters of canonical options, with a drawn seed where none is given.

    Raises
    ------
    QsgdError
        For an unknown name, and for options that make no sense together.
    """
    kind, table = _level_set(options["levels"])
    shared = options["shared_tables"]
    try:
        return _core.Params(
            norm=opt.choice("norm", options["norm"], opt.NORMS),
            levels=opt.LEVELS[kind],
            s=options["s"],
            step=options["step"] or 0.0,
            target_bits=options["bits"] or 0.0,
            target_error=options["error"] or 0.0,
            slot=options["slot"],
            strict=options["strict"],
            zero=options["zero"],
            bucket=options["bucket"],
            rounding=opt.choice("rounding", options["rounding"], opt.ROUNDINGS),
            code=opt.choice("code", options["code"], opt.CODES),
            classes=opt.choice("classes", options["classes"], opt.CLASSES),
            rotation=options["rotation"],
            dead_zone=options["dead_zone"],
            rescale=options["rescale"],
            clip=options["clip"] or 0.0,
            scale_dtype=opt.choice("scale_dtype", options["scale_dtype"], opt.SCALE_DTYPES),
            feedback_decay=options["feedback_decay"],
            reference=options["reference"] or 0.0,
            exact_zeros=opt.choice("zeros", options["zeros"], opt.ZEROS),
            nonfinite=opt.choice("nonfinite", options["nonfinite"], opt.NONFINITE),
            checksum=options["checksum"],
            chunk_log2=options["chunk"].bit_length() - 1,
            level_table=table,
            seed=secrets.randbits(64) if options["seed"] is None else options["seed"],
            shared_tables=b"" if shared is None else shared.blob,
        )
    except QsgdError as error:
        if error.parameter is None or "got" in error.reason:
            raise
        # The C library knows the range, Python the value.
        value = options.get(error.parameter)
        error.args = (f"{error.args[0]}, got {error.parameter}={value!r}",)
        raise


def _level_set(levels: Levels | tuple[float, ...]) -> tuple[opt.LevelSet, list[float]]:
    """The level set as the C library names it, and the table if it is one."""
    if isinstance(levels, str):
        return levels, []
    return "signed" if levels[0] < 0 else "table", list(levels)
