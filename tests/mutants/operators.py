"""Mutants of a source file: small edits, found in its syntax tree and spliced into its text."""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

ARITHMETIC = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "/"), ast.Mod: ("%", "//"), ast.Pow: ("**", "*"),
    ast.BitOr: ("|", "&"), ast.BitAnd: ("&", "|"),
    ast.LShift: ("<<", ">>"), ast.RShift: (">>", "<<"),
}  # fmt: skip
COMPARISONS = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"), ast.IsNot: (r"is\s+not", "is"),
    ast.In: ("in", "not in"), ast.NotIn: (r"not\s+in", "in"),
}  # fmt: skip
OPPOSITES = {
    "min": "max", "amin": "amax", "minimum": "maximum", "argmin": "argmax", "any": "all",
    "nanmin": "nanmax", "floor": "ceil",
}  # fmt: skip
OPPOSITES |= {value: key for key, value in OPPOSITES.items()}
METHODS = OPPOSITES | {"mean": "sum", "sum": "mean"}
SYMMETRIC = {
    "isinstance", "issubclass", "getattr", "setattr", "hasattr", "min", "max", "minimum", "maximum",
    "gcd", "isclose", "equal",
}  # fmt: skip
"""Calls whose first two arguments mean the same swapped, or fail at once."""
MESSAGES = {"warn", "print", "cast", "TypeVar", "NewType", "namedtuple"}
PLAIN_KEYWORDS = {
    "strict", "encoding", "errors", "newline", "stacklevel", "daemon", "ensure_ascii", "slots",
    "frozen", "kw_only", "repr", "usedforsecurity", "help", "description", "metavar",
}  # fmt: skip
"""Keyword arguments that say nothing about a number."""
UNREAD = {"__repr__", "__str__", "__rich__"}
LISTS = {"__all__", "__slots__", "__match_args__"}
UNTOUCHED = (ast.Raise, ast.Assert, ast.JoinedStr, ast.Import, ast.ImportFrom)
"""Messages, and what only says what the code takes for granted."""
ENDS = (ast.Return, ast.Raise, ast.Continue, ast.Break)


@dataclass(frozen=True)
class Mutant:
    """One edit of one file; its id depends on the line's text, not on where the line stands."""

    id: str
    path: str
    function: str
    line: int
    operator: str
    start: int
    end: int
    new: str
    change: str
    reach: tuple[int, int]
    """First and last line of the statement; a test that executes none of them cannot notice."""
    names: tuple[str, ...]
    """For a statement that runs at import: the names that it defines."""

    def apply(self, source: str) -> str:
        """Source with the edit; positions count bytes, as ast does."""
        raw = source.encode()
        return (raw[: self.start] + self.new.encode() + raw[self.end :]).decode()


def mutants(source: str, path: str) -> list[Mutant]:
    """Every mutant of `source`, in the order of the file."""
    finder = _Finder(source)
    finder.visit(ast.parse(source))
    found, seen = [], Counter[tuple[str, ...]]()
    for edit in sorted(set(finder.found), key=lambda it: (it.start, it.end, it.new)):
        line, before, after = finder.shown(edit)
        key = (path, edit.function, before, edit.operator, edit.old, edit.new)
        name = sha256("\0".join((*key, str(seen[key]))).encode()).hexdigest()[:8]
        seen[key] += 1
        found.append(
            Mutant(
                f"{path}:{name}", path, edit.function, line, edit.operator, edit.start, edit.end,
                edit.new, f"{before}  →  {after}", edit.reach, edit.names,
            )
        )  # fmt: skip
    return found


@dataclass(frozen=True)
class _Edit:
    operator: str
    start: int
    end: int
    old: str
    new: str
    function: str
    reach: tuple[int, int]
    names: tuple[str, ...]


class _Finder(ast.NodeVisitor):
    """Walks over the code that decides something: no annotations, messages, decorators."""

    def __init__(self, source: str) -> None:
        self.raw = source.encode()
        ends = (match.end() for match in re.finditer(b"\n", self.raw))
        self.starts = [0, *ends, len(self.raw) + 1]
        self.found: list[_Edit] = []
        self.scope: list[str] = []
        self.functions = 0
        self.reach = (1, 1)
        self.names: tuple[str, ...] = ()

    def add(self, operator: str, start: int, end: int, new: str) -> None:
        names = () if self.functions else self.names
        old, function = self.text(start, end), ".".join(self.scope)
        self.found.append(_Edit(operator, start, end, old, new, function, self.reach, names))

    def shown(self, edit: _Edit) -> tuple[int, str, str]:
        """Number of the edited line, its text, and its text with the edit."""
        line = bisect_right(self.starts, edit.start)
        begin = self.starts[line - 1]
        before = self.text(begin, self.starts[line])
        rest = self.text(edit.end, self.starts[bisect_right(self.starts, edit.end)])
        after = self.text(begin, edit.start) + edit.new + rest
        return line, before.strip(), " ".join(after.split())

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Bytes of a node, its own parentheses left out."""
        return (
            self.starts[node.lineno - 1] + node.col_offset,
            self.starts[node.end_lineno - 1] + node.end_col_offset,
        )

    def text(self, start: int, end: int) -> str:
        return self.raw[start:end].decode()

    def between(self, left: ast.AST, right: ast.AST, pattern: str) -> tuple[int, int]:
        """Place of an operator between its operands."""
        start, end = self.span(left)[1], self.span(right)[0]
        match = re.search(pattern.encode(), _without_comments(self.raw[start:end]))
        assert match, (pattern, self.text(start, end))
        return start + match.start(), start + match.end()

    # statements

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, UNTOUCHED):
            return
        if isinstance(node, ast.stmt):
            self.reach = (node.lineno, _last_line(node))
            if not self.functions and not isinstance(node, ast.ClassDef):
                self.names = tuple(_defined(node)) + tuple(self.scope[-1:])
        super().visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name in UNREAD:
            return
        # a default is met by whoever runs the body, of which a docstring is no part
        first = node.body[ast.get_docstring(node) is not None and len(node.body) > 1]
        self.reach = (first.lineno, first.end_lineno)
        self.scope.append(node.name)
        self.functions += 1
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(default)
        for statement in node.body:
            self.visit(statement)
        self.functions -= 1
        self.scope.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.scope.append(node.name)
        for statement in node.body:
            self.visit(statement)
        self.scope.pop()

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        if not LISTS & set(_defined(node)):
            self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" in ast.dump(node.test) or "'__main__'" in ast.dump(node.test):
            return
        named = any(isinstance(part, ast.NamedExpr) for part in ast.walk(node.test))
        if isinstance(node.body[-1], ENDS) and not node.orelse and not named:
            self.add("guard", *self.span(node.test), "False")
        self.generic_visit(node)

    # expressions

    def visit_match_case(self, node: ast.match_case) -> None:
        self.reach = (node.pattern.lineno, node.body[0].end_lineno)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        start, end = self.span(node)
        stop = self.between(node.body, node.test, r"\bif\b")[0]
        self.add("guard", start, end, self.text(start, stop).rstrip())
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for condition in node.ifs:
            self.add("guard", *self.span(condition), "True")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        sides = (node.left, node.right)
        if type(node.op) in ARITHMETIC and not any(map(_is_text, sides)):
            old, new = ARITHMETIC[type(node.op)]
            if old != "|" or not all(map(_is_type, sides)):
                self.add("arithmetic", *self.between(*sides, re.escape(old)), new)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if type(node.op) in ARITHMETIC and not _is_text(node.value):
            old, new = ARITHMETIC[type(node.op)]
            place = self.between(node.target, node.value, re.escape(old + "="))
            self.add("arithmetic", *place, new + "=")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        start, _ = self.span(node)
        match = re.match(rb"(-|~|not\b)\s*", self.raw[start:])
        if match:
            operator = "not" if isinstance(node.op, ast.Not) else "arithmetic"
            self.add(operator, start, start + match.end(), "")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        word, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        pairs = zip(node.values, node.values[1:], strict=False)
        tokens = [self.between(left, right, rf"\b{word}\b") for left, right in pairs]
        for token in tokens:
            self.add("boolean", *token, other)
        start, end = self.span(node)
        stops = [start, *(self._next(stop) for _, stop in tokens)]
        self.add("guard", start, stops[1], "")
        for token, stop in zip(tokens, [*(begin for begin, _ in tokens[1:]), end], strict=True):
            begin = len(self.raw[: token[0]].rstrip())
            self.add("guard", begin, len(self.raw[:stop].rstrip()), "")
        self.generic_visit(node)

    def _next(self, place: int) -> int:
        return place + len(self.raw[place:]) - len(self.raw[place:].lstrip())

    def visit_Compare(self, node: ast.Compare) -> None:
        sides = [node.left, *node.comparators]
        for operator, left, right in zip(node.ops, sides, sides[1:], strict=False):
            old, new = COMPARISONS[type(operator)]
            old = rf"\b{old}\b" if old[0].isalpha() else re.escape(old)
            self.add("comparison", *self.between(left, right, old), new)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self.add("constant", *self.span(node), str(not value))
        elif isinstance(value, int):
            self.add("constant", *self.span(node), str(value + 1))
        elif isinstance(value, float):
            self.add("constant", *self.span(node), repr(value * 2 or 1.0))

    def visit_Slice(self, node: ast.Slice) -> None:
        for bound, step in ((node.lower, "+ 1"), (node.upper, "- 1")):
            if bound is not None and not _is_number(bound):
                self.add("off by one", *self.span(bound), f"{self.text(*self.span(bound))} {step}")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = _name(node.func)
        if name in MESSAGES:
            return
        self._arguments(node, name)
        self._keywords(node)
        opposites = METHODS if isinstance(node.func, ast.Attribute) else OPPOSITES
        if name in opposites:
            end = self.span(node.func)[1]
            self.add("opposite", end - len(name), end, opposites[name])
        if name == "abs" and isinstance(node.func, ast.Name):
            self.add("opposite", *self.span(node.func), "")
        self.visit(node.func)
        for argument in node.args:
            self.visit(argument)
        for keyword in node.keywords:
            if keyword.arg not in PLAIN_KEYWORDS:
                self.visit(keyword.value)

    def _arguments(self, node: ast.Call, name: str) -> None:
        if any(isinstance(argument, ast.Starred) for argument in node.args):
            return
        if name == "range" and not _is_number(stop := node.args[:2][-1]):
            self.add("off by one", *self.span(stop), f"{self.text(*self.span(stop))} - 1")
        if len(node.args) > 1 and name not in SYMMETRIC:
            (start, stop), (begin, end) = map(self.span, node.args[:2])
            first, second = self.text(start, stop), self.text(begin, end)
            if first != second:
                new = second + self.text(stop, begin) + first
                self.add("swapped arguments", start, end, new)

    def _keywords(self, node: ast.Call) -> None:
        for keyword in node.keywords:
            if keyword.arg and keyword.arg not in PLAIN_KEYWORDS:
                start, end = self.span(keyword)
                after = re.match(rb"\s*,\s*", self.raw[end:])
                before = re.search(rb",\s*$", self.raw[:start])
                if after:
                    end += after.end()
                elif before:
                    start = before.start()
                self.add("dropped keyword", start, end, "")


def _without_comments(raw: bytes) -> bytes:
    return re.sub(rb"#[^\n]*", lambda it: b" " * len(it[0]), raw)


def _last_line(node: ast.stmt) -> int:
    """Of a simple statement its last line, of a compound one that of its head."""
    body = getattr(node, "body", None)
    if isinstance(node, ast.Match):
        return node.cases[0].pattern.lineno - 1
    return max(node.lineno, body[0].lineno - 1) if body else node.end_lineno


def _defined(node: ast.AST) -> Iterator[str]:
    """Names that a statement assigns."""
    targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
    for target in filter(None, targets):
        for part in ast.walk(target):
            if isinstance(part, ast.Name):
                yield part.id
            elif isinstance(part, ast.Attribute):
                yield part.attr


def _name(function: ast.expr) -> str:
    return getattr(function, "id", None) or getattr(function, "attr", "")


def _is_text(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return _is_text(node.left) or _is_text(node.right)
    return isinstance(node, ast.JoinedStr) or isinstance(getattr(node, "value", None), str)


def _is_number(node: ast.expr) -> bool:
    node = node.operand if isinstance(node, ast.UnaryOp) else node
    return isinstance(node, ast.Constant)


def _is_type(node: ast.expr) -> bool:
    """A name as in `int | None` or `Path | Tensor`."""
    if isinstance(node, ast.BinOp):
        return _is_type(node.left) and _is_type(node.right)
    if isinstance(node, ast.Subscript):
        return _is_type(node.value)
    name = _name(node)
    types = {"int", "float", "str", "bool", "bytes", "list", "dict", "tuple", "set"}
    none = isinstance(node, ast.Constant) and node.value is None
    return none or name in types or (name[:1].isupper() and not name.isupper())
