"""What abidw's output says, as text that can be compared: functions with their types, and structs
with places and types of their fields. Typedefs are what they stand for.

abidiff, which prints differences well, judges them too mildly where it is told that structs may
grow (libabigail 2.2 then lets types of their fields change as well).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import NamedTuple


class Interface(NamedTuple):
    """Functions by name, structs by name: (bits, [field at bit: type])."""

    functions: dict[str, str]
    structs: dict[str, tuple[int, list[str]]]


def read(xml: str) -> Interface:
    root = ET.fromstring(xml)
    types = {node.attrib["id"]: node for node in root.iter() if "id" in node.attrib}

    def text(identity: str) -> str:
        node = types[identity]
        of = node.get("type-id")
        if node.tag in ("class-decl", "union-decl", "enum-decl"):
            return f"{node.tag.removesuffix('-decl')} {node.get('name')}"
        if node.tag == "typedef-decl" and of is not None:
            return text(of)
        if node.tag == "qualified-type-def" and of is not None:
            const = "const " if node.get("const") == "yes" else ""
            return const + text(of)
        if node.tag == "pointer-type-def" and of is not None:
            return f"pointer to {text(of)}"
        if node.tag == "array-type-def" and of is not None:
            lengths = [part.get("length") for part in node.iter("subrange")]
            return f"array {lengths} of {text(of)}"
        if node.tag == "function-type":
            return "function " + signature(node)
        return str(node.get("name"))

    def signature(node: ET.Element) -> str:
        parameters = [text(part.attrib["type-id"]) for part in node.findall("parameter")]
        (result,) = (text(part.attrib["type-id"]) for part in node.findall("return"))
        return f"({', '.join(parameters)}) -> {result}"

    functions = {node.attrib["name"]: signature(node) for node in root.iter("function-decl")}
    structs = {
        node.attrib["name"]: (
            int(node.get("size-in-bits", "0")),
            [
                f"{field[0].get('name')} at {field.get('layout-offset-in-bits')}: "
                + text(field[0].attrib["type-id"])
                for field in node.findall("data-member")
            ],
        )
        for node in root.iter("class-decl")
        if node.get("is-declaration-only") != "yes"
    }
    return Interface(functions, structs)


def breaks(old: Interface, new: Interface, growable: list[str]) -> list[str]:
    """What programs that were built for the old one would not survive."""
    found = []
    for name, signature in old.functions.items():
        if new.functions.get(name) != signature:
            found.append(f"{name} was {signature} and is {new.functions.get(name, 'gone')}")
    for name, (bits, fields) in old.structs.items():
        new_bits, new_fields = new.structs.get(name, (0, []))
        if name in growable:
            new_bits, new_fields = min(new_bits, bits), new_fields[: len(fields)]
        if (new_bits, new_fields) != (bits, fields):
            lost = [field for field in fields if field not in new_fields]
            found.append(f"struct {name} has {new_bits} bits for {bits}; changed or moved: {lost}")
    return found
