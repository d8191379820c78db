"""How a syntax node is changed: the operators of mutmut, and three that it lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import libcst as cst
from mutmut.mutation.mutators import mutation_operators, operator_arg_removal, operator_string

Operator = Callable[[Any], Iterable[cst.CSTNode]]

_OPPOSITES = [
    ("min", "max"),
    ("minimum", "maximum"),
    ("nanmin", "nanmax"),
    ("argmin", "argmax"),
    ("floor", "ceil"),
    ("any", "all"),
    ("zeros", "ones"),
    ("zeros_like", "ones_like"),
]
OPPOSITE = {**dict(_OPPOSITES), **{second: first for first, second in _OPPOSITES}}

#: Names of arguments that change no result: texts for people, and the check that ``zip`` makes.
UNTESTED_ARGUMENTS = {"description", "help", "metavar", "title", "strict"}


def opposite_function(node: cst.Call) -> Iterable[cst.CSTNode]:
    """``np.minimum(a, b)`` → ``np.maximum(a, b)``, and the like."""
    name = node.func.attr if isinstance(node.func, cst.Attribute) else node.func
    if isinstance(name, cst.Name) and name.value in OPPOSITE:
        yield node.with_deep_changes(name, value=OPPOSITE[name.value])


def negated_condition(node: cst.If | cst.While) -> Iterable[cst.CSTNode]:
    """``if a:`` → ``if not a:``. Comparisons and boolean operators have operators of their own."""
    if isinstance(node.test, cst.Name | cst.Attribute | cst.Call | cst.Subscript):
        negated = cst.UnaryOperation(operator=cst.Not(), expression=node.test)
        yield node.with_changes(test=negated)


def dropped_call(node: cst.Expr) -> Iterable[cst.CSTNode]:
    """A call whose value is not used → ``pass``."""
    if isinstance(node.value, cst.Call):
        yield cst.Pass()


def removed_argument(node: cst.Call) -> Iterable[cst.CSTNode]:
    """Calls without one of their arguments, as mutmut makes them; arguments that change no result stay."""
    for changed in operator_arg_removal(node):
        kept = {id(argument) for argument in changed.args}
        gone = [argument for argument in node.args if id(argument) not in kept]
        if not all(is_untested(argument) for argument in gone):
            yield changed


def is_untested(argument: cst.Arg) -> bool:
    """Whether an argument changes no result, such as ``description=`` of a setting."""
    return argument.keyword is not None and argument.keyword.value in UNTESTED_ARGUMENTS


def first_string(node: cst.BaseString) -> Iterable[cst.CSTNode]:
    """One change of a text; mutmut's changes of case add nothing to it."""
    yield from list(operator_string(node))[:1]


#: Type of node, name, function.
OPERATORS: list[tuple[type, str, Operator]] = [
    (kind, operator.__name__.removeprefix("operator_"), operator)
    for kind, operator in mutation_operators
    if operator not in {operator_string, operator_arg_removal}
]
OPERATORS += [
    (cst.BaseString, "string", first_string),
    (cst.Call, "removed_argument", removed_argument),
    (cst.Call, "opposite_function", opposite_function),
    (cst.If, "negated_condition", negated_condition),
    (cst.While, "negated_condition", negated_condition),
    (cst.Expr, "dropped_call", dropped_call),
]
