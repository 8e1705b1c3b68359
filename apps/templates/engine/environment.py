"""The language that customers get: python-liquid 2.3.6 with the guard built in, once with escaping and once without.

The classes of a few parsed nodes are changed after parsing, because the library has no other place for these limits.
tests/templates/test_bombs.py holds one test per limit, so that an update of the library cannot open one unnoticed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import StringIO
from typing import Any

from liquid import Environment
from liquid.ast import BlockNode, Node
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.expressions.logical import (
    ContainsExpression,
    EqExpression,
    GeExpression,
    GtExpression,
    LeExpression,
    LtExpression,
    NeExpression,
)
from liquid.builtin.expressions.primitive import Blank, Empty, Nil, RangeLiteral
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.case_tag import CaseNode
from liquid.builtin.tags.cycle_tag import CycleNode, CycleTag
from liquid.builtin.tags.echo_tag import EchoTag
from liquid.builtin.tags.for_tag import ForNode
from liquid.exceptions import UnknownFilterError
from liquid.expression import Expression
from liquid.stringify import to_liquid_string
from liquid.tag import Tag
from liquid.token import TOKEN_COMMENT, TOKEN_CONTENT, TOKEN_EXPRESSION, TOKEN_ILLEGAL, TOKEN_OUTPUT, TOKEN_TAG, Token

from apps.templates.engine.context import GuardedContext, Missing, TooMuch
from apps.templates.engine.filters import guard
from apps.templates.engine.limits import MAX_RANGE, STEPS_PER_EXPRESSION, STEPS_PER_NODE
from apps.templates.engine.places import Place
from apps.templates.engine.scanner import TAGS, Kind, Piece, stripped

# What the library calls its own nodes; the scanner lets no template name them.
_OWN = {TOKEN_CONTENT, TOKEN_OUTPUT, TOKEN_ILLEGAL}
COMPARISONS = (
    EqExpression,
    NeExpression,
    LtExpression,
    GtExpression,
    LeExpression,
    GeExpression,
    ContainsExpression,
)


class GuardedEnvironment(Environment):
    block_nesting_limit = 30
    context_depth_limit = 30

    def __init__(self, *, autoescape: bool) -> None:
        super().__init__(autoescape=autoescape)
        self.tags = {name: tag for name, tag in self.tags.items() if name in TAGS | _OWN}
        self.tags |= {name: tag(self) for name, tag in WRITERS.items()}
        # Blanks may stand between two attributes: in HTML they are always written, so that `places` knows what is.
        self.suppress_blank_control_flow_blocks = not autoescape
        guard(self)

    def tokenizer(self) -> Callable[[str], Iterator[Token]]:
        return tokens


class PlacedOutput(OutputNode):
    """`{{ ... }}` and `{% echo ... %}`. What it writes does not leave its place in the HTML, if it has one."""

    __slots__ = ("place",)

    def __init__(self, token: Token, expression: Expression) -> None:
        super().__init__(token, expression)
        self.place: Place | None = None

    def render_to_output(self, context: Any, buffer: Any) -> int:
        text = to_liquid_string(self.expression.evaluate(context), context.autoescape)
        if self.place is not None and self.place.leaves_by in text:
            text = self.place.kept(text, context.spend)
        return int(buffer.write(text))


class PlacedCycle(CycleNode):
    """`{% cycle ... %}`, which writes values as well."""

    __slots__ = ("place",)

    def __init__(self, token: Token, group: Expression | None, args: list[Expression]) -> None:
        super().__init__(token, group, args)
        self.place: Place | None = None

    def render_to_output(self, context: Any, buffer: Any) -> int:
        written = StringIO()
        super().render_to_output(context, written)
        text = written.getvalue()
        if self.place is not None and self.place.leaves_by in text:
            text = self.place.kept(text, context.spend)
        return int(buffer.write(text))


class OutputTag(Output):
    node_class = PlacedOutput


class PlacedEchoTag(EchoTag):
    node_class = PlacedOutput  # type: ignore[assignment]  # it differs in how it prints itself alone


class PlacedCycleTag(CycleTag):
    node_class = PlacedCycle


WRITERS: dict[str, type[Tag]] = {TOKEN_OUTPUT: OutputTag, "echo": PlacedEchoTag, "cycle": PlacedCycleTag}


class BoundedRange(RangeLiteral):
    """`(1..n)` of at most a thousand numbers."""

    __slots__ = ()

    def _make_range(self, start: Any, stop: Any) -> range:
        made = super()._make_range(start, stop)
        if made.stop - made.start > MAX_RANGE:
            raise TooMuch(f"a range has more than {MAX_RANGE:,} numbers")
        return made


class NeededPath(Path):
    """A variable whose value is compared, and so has to be there."""

    __slots__ = ()

    def evaluate(self, context: Any) -> object:
        found = super().evaluate(context)
        if isinstance(found, Missing):
            found.note()
        return found


class BlankEq(EqExpression):
    """`x == blank`, which is so where there is no `x` at all; the library would say that it is not."""

    __slots__ = ()

    def evaluate(self, context: Any) -> object:
        asked = self.left if isinstance(self.right, Blank) else self.right
        return _is_absent(asked.evaluate(context)) or super().evaluate(context)


class BlankNe(NeExpression):
    __slots__ = ()

    def evaluate(self, context: Any) -> object:
        asked = self.left if isinstance(self.right, Blank) else self.right
        return not _is_absent(asked.evaluate(context)) and super().evaluate(context)


def _is_absent(value: object) -> bool:
    return value is None or isinstance(value, Missing)


class PaidBlock(BlockNode):
    """The body of a loop: each round costs what it holds."""

    __slots__ = ("steps",)

    def __init__(self, block: BlockNode, steps: int) -> None:
        super().__init__(block.token, block.nodes)
        self.blank = block.blank
        self.steps = steps

    def render_to_output(self, context: Any, buffer: Any) -> int:
        paying: GuardedContext = context
        paying.spend(self.steps)
        return super().render_to_output(context, buffer)


def limit(nodes: list[Node], places: Mapping[int, Place]) -> int:
    """Puts limits into parsed nodes, and their places in the HTML; returns the steps that they cost, once through."""
    return sum(_limit(node, places) for node in nodes)


def _limit(node: Node, places: Mapping[int, Place]) -> int:
    steps = STEPS_PER_NODE
    if isinstance(node, PlacedOutput | PlacedCycle):
        node.place = places.get(node.token.start_index)
    if isinstance(node, CaseNode):
        _need([node.expression, *(value for block in node.blocks for value in _alternatives(block))])
    for expression in node.expressions():
        steps += _limit_expression(expression)
    nothing: Any = None  # only tags that load other templates ask for a context, and there are none
    for child in node.children(nothing, include_partials=False):
        steps += _limit(child, places)
    if isinstance(node, ForNode):
        node.block = PaidBlock(node.block, steps)
    return steps


def _limit_expression(expression: Expression) -> int:
    steps, stack = 0, [expression]
    while stack:
        item = stack.pop()
        steps += STEPS_PER_EXPRESSION
        if isinstance(item, FilteredExpression):
            _check_filters(item)
        elif isinstance(item, RangeLiteral):
            item.__class__ = BoundedRange
        elif isinstance(item, COMPARISONS):
            _need([item.left, item.right])
            if isinstance(item.left, Blank) or isinstance(item.right, Blank):
                _ask(item)
        stack.extend(item.children())
    return steps


def _alternatives(block: Node) -> Iterable[Expression]:
    """What a `when` compares the value of its `case` with; nothing for an `else`."""
    return (value for expression in block.expressions() for value in expression.children())


def _ask(comparison: Expression) -> None:
    if type(comparison) is EqExpression:
        comparison.__class__ = BlankEq
    elif type(comparison) is NeExpression:
        comparison.__class__ = BlankNe


def _need(compared: Sequence[Expression]) -> None:
    """What is compared has to be there, unless it is with `nil`, `blank` or `empty`, which asks whether it is."""
    if any(isinstance(side, Nil | Empty | Blank) for side in compared):
        return
    for side in compared:
        if type(side) is Path:
            side.__class__ = NeededPath


def _check_filters(expression: FilteredExpression) -> None:
    """The library looks filters up when it renders; a template with an unknown one is not to be saved at all."""
    for used in expression.filters or ():
        if used.name not in ESCAPED.filters:
            raise UnknownFilterError(f"unknown filter '{used.name[:40]}'", token=used.token)


def tokens(source: str) -> Iterator[Token]:
    """The pieces of the source as the library's parser expects them. Raises MarkupError."""
    for piece, text in stripped(source):
        if piece.kind not in (Kind.TEXT, Kind.RAW):
            yield from _markup(piece, source)
        elif text:
            yield Token(TOKEN_CONTENT, text, piece.inner_start, source)


def _markup(piece: Piece, source: str) -> Iterator[Token]:
    if piece.kind is Kind.OUTPUT:
        yield Token(TOKEN_OUTPUT, source[piece.start : piece.end], piece.start, source)
        yield Token(TOKEN_EXPRESSION, piece.inner, piece.inner_start, source)
    elif piece.kind is Kind.COMMENT:
        yield Token(TOKEN_TAG, "comment", piece.start, source)
        yield Token(TOKEN_COMMENT, "", piece.start, source)
        yield Token(TOKEN_TAG, "endcomment", piece.end, source)
    else:
        yield Token(TOKEN_TAG, piece.name, piece.start, source)
        if piece.inner:
            yield Token(TOKEN_EXPRESSION, piece.inner, piece.inner_start, source)


ESCAPED = GuardedEnvironment(autoescape=True)
PLAIN = GuardedEnvironment(autoescape=False)
