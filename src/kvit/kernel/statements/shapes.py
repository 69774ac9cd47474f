"""XML elements by shape: a bank's records carry the same tags, so where each text stands is found once."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

DEEPEST: Final = 256
"""How deep elements may be nested."""

_TAG: Final = re.compile(
    r"<(?P<end>/?)(?P<name>[^\s/>!?\"'=]++)"
    r"(?P<attributes>(?:\s++[^\s/>\"'=]++\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'))*+)\s*+(?P<empty>/?)>"
)
_ATTRIBUTE: Final = re.compile(r"([^\s=\"']++)\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)')")
_REFERENCE: Final = re.compile(r"&(?:#x([0-9A-Fa-f]{1,6})|#([0-9]{1,7})|(lt|gt|amp|apos|quot));")
_NAMED: Final = {"lt": "<", "gt": ">", "amp": "&", "apos": "'", "quot": '"'}
_NOWHERE: Final = -1
"""The last of the texts is always empty."""
_MOST_SHAPES: Final = 256
_MOST_PATTERNS: Final = 16
_OFTEN: Final = 8
"""How often a shape must come before compiling a pattern of it pays."""
_LARGEST_SHAPE: Final = 8192
"""Characters of the tags; a batch of more payments has a shape that hardly comes again."""
_NO_ATTRIBUTES: Final[dict[str, str]] = {}

type _Getter = Callable[[tuple[str, ...]], tuple[str, ...]]


class Shapes:
    """The shapes seen in one file: a frequent one becomes a pattern that takes its like in one step."""

    def __init__(self) -> None:
        self._known: dict[str, _Shape] = {}
        self._patterns: list[tuple[re.Pattern[str], Node]] = []
        """The last used comes first."""

    def next_element(self, window: str, at: int) -> tuple[str, Element] | None:
        """Take the element that begins there, if it has a frequent shape: its own text, and what it is."""
        for place, (pattern, node) in enumerate(self._patterns):
            match = pattern.match(window, at)
            if match is not None:
                if place:
                    self._patterns.insert(0, self._patterns.pop(place))
                raw = match[0]
                texts = match.groups()
                return raw, Element(node, tuple(map(resolved, texts)) if "&" in raw else texts)
        return None

    def element(self, tags: list[str], texts: list[str]) -> Element | None:
        """Return the element of these tags and the text behind each; None where they are not one element."""
        key = "".join(tags)
        shape = self._known.get(key) or _shape(tags)
        if shape is None:
            return None
        if len(key) <= _LARGEST_SHAPE:
            self._remember(key, shape, tags)
        return Element(shape.root, (*map(texts.__getitem__, shape.leaves), ""))

    def _remember(self, key: str, shape: _Shape, tags: list[str]) -> None:
        if len(self._known) >= _MOST_SHAPES:
            self._known.clear()
        self._known[key] = shape
        shape.times_seen += 1
        if shape.times_seen == _OFTEN and len(self._patterns) < _MOST_PATTERNS:
            self._patterns.append((_pattern(tags, shape), shape.root))


class Element:
    """One element of a file; its parts are named by paths of local names such as `BookgDt/Dt`.

    A path may lead to several elements: the first of them counts, except where a method says “all”. Texts are
    without outer blanks; an absent one is empty, and so is that of an element with children.
    """

    __slots__ = ("_node", "_texts")

    def __init__(self, node: Node, texts: tuple[str, ...]) -> None:
        self._node = node
        self._texts = texts

    @property
    def name(self) -> str:
        """The name without the prefix of its namespace."""
        return self._node.name

    def own_text(self) -> str:
        """Return the text of the element itself."""
        return self._texts[self._node.place].strip()

    def texts(self, paths: tuple[str, ...]) -> Iterator[str]:
        """Yield the text at each of several paths (two at least)."""
        return map(str.strip, self._node.getter(paths)(self._texts))

    def text(self, path: str) -> str:
        """Return the text at the path."""
        found = self._node.all(path)
        return self._texts[found[0].place].strip() if found else ""

    def all_texts(self, path: str) -> list[str]:
        """Return the texts of all elements at the path."""
        texts = self._texts
        return [texts[node.place].strip() for node in self._node.all(path)]

    def attribute(self, path: str, name: str) -> str:
        """Return an attribute of the element at the path, else nothing."""
        found = self._node.all(path)
        return found[0].attributes.get(name, "") if found else ""

    def all(self, path: str) -> list[Element]:
        """Return all elements at the path."""
        return [Element(node, self._texts) for node in self._node.all(path)]


class Node:
    """An element of a shape: its tag, its children, and which text of the whole is its own."""

    __slots__ = ("_all", "_getters", "attributes", "children", "name", "place")

    def __init__(self, name: str, attributes: dict[str, str], place: int) -> None:
        self.name = sys.intern(name)
        self.attributes = attributes
        self.place = place
        # A large batch has a hundred thousand nodes, and most are leaves that nobody asks.
        self.children: list[Node] | None = None
        self._all: dict[str, list[Node]] | None = None
        self._getters: dict[tuple[str, ...], _Getter] | None = None

    def add(self, child: Node) -> None:
        if self.children is None:
            self.children = []
        self.children.append(child)

    def all(self, path: str) -> list[Node]:
        """Return the nodes at a path below this one, in their order."""
        if self._all is None:
            self._all = {}
        found = self._all.get(path)
        if found is None:
            found = [self]
            for name in path.split("/"):
                found = [child for node in found for child in node.children or () if child.name == name]
            self._all[path] = found
        return found

    def getter(self, paths: tuple[str, ...]) -> _Getter:
        """Return what picks the texts at several paths (two at least) out of all."""
        if self._getters is None:
            self._getters = {}
        getter = self._getters.get(paths)
        if getter is None:
            found = [self.all(path) for path in paths]
            getter = itemgetter(*(nodes[0].place if nodes else _NOWHERE for nodes in found))
            self._getters[paths] = getter
        return getter


def resolved(text: str) -> str:
    """Put the characters in that references such as `&amp;` and `&#353;` stand for."""
    return _REFERENCE.sub(_character, text) if "&" in text else text


def _character(reference: re.Match[str]) -> str:
    hexadecimal, number, name = reference.groups()
    if name:
        return _NAMED[name]
    code = int(hexadecimal, 16) if hexadecimal else int(number)
    # No text has surrogates, and what is beyond Unicode is no character.
    return chr(code) if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else reference[0]


@dataclass(slots=True)
class _Shape:
    root: Node
    leaves: list[int]
    """The numbers of the start tags that have text behind them instead of children."""
    times_seen: int = 0


def _shape(tags: list[str]) -> _Shape | None:
    """Return the shape that the tags make up; None where they are not exactly one element."""
    root: Node | None = None
    opened: list[tuple[str, Node]] = []
    leaves: list[int] = []
    for number, text in enumerate(tags):
        tag = _TAG.fullmatch(text)
        if tag is None or (root is not None and not opened):
            return None
        if tag["end"]:
            if not opened or opened.pop()[0] != tag["name"]:
                return None
            continue
        is_leaf = not tag["empty"] and tags[number + 1 : number + 2] == [f"</{tag['name']}>"]
        place = len(leaves) if is_leaf else _NOWHERE
        leaves += [number] if is_leaf else []
        node = Node(local_name(tag["name"]), _attributes(tag["attributes"]), place)
        if opened:
            opened[-1][1].add(node)
        root = root or node
        if not tag["empty"]:
            opened.append((tag["name"], node))
    return None if root is None or opened else _Shape(root, leaves)


def _pattern(tags: list[str], shape: _Shape) -> re.Pattern[str]:
    """Match any element of the shape; the groups are the texts of its leaves, and at last an empty one."""
    leaves = frozenset(shape.leaves)
    texts = ("([^<]*+)" if number in leaves else "[^<]*+" for number in range(len(tags) - 1))
    parts = (re.escape(tag) + text for tag, text in zip(tags, (*texts, "()"), strict=True))
    return re.compile("".join(parts))


def _attributes(text: str) -> dict[str, str]:
    if not text:
        return _NO_ATTRIBUTES
    return {local_name(name): resolved(double or single) for name, double, single in _ATTRIBUTE.findall(text)}


def local_name(name: str) -> str:
    """Return a name without the prefix of its namespace."""
    return name.rpartition(":")[2]
