"""What a pickle would build, found out without building it: its opcodes are followed on a stack of sketches."""

from __future__ import annotations

import io
import pickletools
from dataclasses import dataclass, field
from typing import Any

TENSOR = ("torch._utils._rebuild", "torch._tensor._rebuild")
"""How the functions begin that make tensors out of a torch file."""
MAPPINGS = ("collections.OrderedDict", "collections.defaultdict", "__builtin__.dict", "builtins.dict")
MOST_STEPS = 20_000_000
"""Steps that are followed; the weights of the largest networks take a twentieth of it."""
BREAKS = (ValueError, UnicodeError, IndexError, KeyError, TypeError, OverflowError, MemoryError, RecursionError)
"""What is raised where opcodes are none, or do not go together."""


@dataclass(eq=False, slots=True)
class Sketch:
    """What one object of a pickle would be.

    Args:
        name: of the class or function that makes it, such as ``torch._utils._rebuild_tensor_v2``; empty for plain
            values.
        value: the text or number, of a plain one.
        items: arguments, or entries of a list or tuple.
        entries: of a mapping, by their keys.
        states: what its attributes are set to after it was made.
    """

    name: str = ""
    value: Any = None
    items: list[Sketch] = field(default_factory=list)
    entries: dict[Any, Sketch] | None = None
    states: list[Sketch] = field(default_factory=list)

    @property
    def is_tensor(self) -> bool:
        """Whether it is a tensor or a parameter."""
        return self.name.startswith(TENSOR)

    @property
    def is_module(self) -> bool:
        """Whether it is a network: an object that gets what every torch.nn.Module has."""
        return any(one.entries is not None and {"_modules", "_parameters"} <= one.entries.keys() for one in self.states)

    @property
    def is_state_dict(self) -> bool:
        """Whether it is a mapping of names to tensors."""
        return bool(self.entries) and all(
            isinstance(key, str) and value.is_tensor for key, value in (self.entries or {}).items()
        )


@dataclass(frozen=True)
class Sketched:
    """What a file of one or several pickles would build.

    Args:
        roots: the outermost objects, one for each pickle that is whole.
        names: all classes and functions that they ask for, in order, each once.
    """

    roots: tuple[Sketch, ...]
    names: tuple[str, ...]


def sketch(pickles: bytes) -> Sketched:
    """Follow pickles, one behind the other, until they end or are none.

    Example:
        >>> import pickle
        >>> found = sketch(pickle.dumps({"epoch": 3, "where": Sketch}))
        >>> found.roots[0].entries["epoch"].value, found.names
        (3, ('isotherm.models.weights.skeleton.Sketch',))
    """
    stream = io.BytesIO(pickles)
    roots: list[Sketch] = []
    follower = _Follower()
    try:
        while stream.tell() < len(pickles):
            roots.append(follower.root(stream))
    except BREAKS:
        pass  # the rest is no pickle: a torch file of the older form goes on with raw numbers
    return Sketched(tuple(roots), tuple(dict.fromkeys(follower.names)))


class _Mark(Sketch):
    """The place on the stack down to which several entries are taken at once."""


class _Follower:
    """A stack machine that makes sketches; whatever it is fed, it calls nothing and imports nothing.

    Attributes:
        names: the classes and functions that were asked for until now.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._stack: list[Sketch] = []
        self._left = MOST_STEPS  # a crafted file can ask for the same entries again and again

    def root(self, stream: io.BytesIO) -> Sketch:
        """The object that the next pickle builds."""
        memo: dict[int, Sketch] = {}
        stack = self._stack = []
        for opcode, argument, _ in pickletools.genops(stream):
            self._take(1)
            name = opcode.name
            if name == "STOP":
                return stack.pop()
            if name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
                memo[len(memo) if argument is None else int(argument)] = stack[-1]
            elif name in ("GET", "BINGET", "LONG_BINGET"):
                stack.append(memo[int(argument or 0)])
            elif name in ("GLOBAL", "STACK_GLOBAL"):
                if argument is None:
                    last, module = stack.pop(), stack.pop()
                    argument = f"{module.value}.{last.value}"
                self.names.append(str(argument).replace(" ", "."))
                stack.append(Sketch(self.names[-1]))
            elif name == "BUILD":
                state = stack.pop()
                stack[-1].states += [state, *state.items[:2]]  # a plain state, or a pair of one and of slots
            elif name in ("INST", "OBJ", "REDUCE", "NEWOBJ", "NEWOBJ_EX"):
                self._make(name, argument)
            else:
                self._plain(opcode, argument)
        raise ValueError("the pickle has no end")

    def _take(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise ValueError("more steps than any network takes")

    def _make(self, opcode: str, argument: Any) -> None:
        """An object out of what makes it and its arguments."""
        stack = self._stack
        if opcode in ("INST", "OBJ"):
            items = self._to_mark()
            name = str(argument).replace(" ", ".") if opcode == "INST" else items.pop(0).name
            if opcode == "INST":
                self.names.append(name)
        else:
            if opcode == "NEWOBJ_EX":
                stack.pop()
            items, name = stack.pop().items, stack.pop().name
        if name not in MAPPINGS:
            stack.append(Sketch(name, items=items))
            return
        pairs = items[0].items if items else []  # as older protocols write what is in a mapping
        self._take(len(pairs))
        entries = {one.items[0].value: one.items[1] for one in pairs if len(one.items) == 2}
        stack.append(Sketch(name, entries=entries))

    def _plain(self, opcode: Any, argument: Any) -> None:
        """Numbers, texts, lists, tuples, mappings, and what is done with them."""
        name, stack = opcode.name, self._stack
        if name == "MARK":
            stack.append(_Mark())
        elif name in ("EMPTY_DICT", "DICT"):
            items = self._to_mark() if name == "DICT" else []
            stack.append(Sketch(entries={}))
            self._set(items)
        elif name in ("SETITEM", "SETITEMS"):
            self._set(self._to_mark() if name == "SETITEMS" else [stack.pop(-2), stack.pop()])
        elif name in ("APPEND", "APPENDS", "ADDITEMS"):
            items = [stack.pop()] if name == "APPEND" else self._to_mark()
            stack[-1].items.extend(items)
        elif name in ("TUPLE", "LIST", "FROZENSET"):
            stack.append(Sketch(items=self._to_mark()))
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            items = [stack.pop() for _ in range(int(name[-1]))][::-1]
            stack.append(Sketch(items=items))
        elif name == "POP_MARK":
            self._to_mark()
        elif name == "POP":
            stack.pop()
        elif name == "DUP":
            stack.append(stack[-1])
        elif name in ("BINPERSID", "PERSID"):
            items = stack.pop().items if name == "BINPERSID" else []
            # the older form of torch files names classes so too, with their source
            a_class = len(items) > 1 and items[0].value == "module"
            stack.append(items[1] if a_class else Sketch("storage"))
        elif not opcode.stack_before:  # texts, numbers, empty lists and the like
            stack.extend(Sketch(value=argument) for _ in opcode.stack_after)
        else:
            for _ in opcode.stack_before:
                stack.pop()
            stack.extend(Sketch("unknown") for _ in opcode.stack_after)

    def _set(self, items: list[Sketch]) -> None:
        """Keys and values, one after the other, into the mapping on top of the stack."""
        mapping = self._stack[-1]
        if mapping.entries is None:
            mapping.entries = {}
        for key, value in zip(items[::2], items[1::2], strict=False):
            mapping.entries[key.value if isinstance(key.value, str | int | float) else key] = value

    def _to_mark(self) -> list[Sketch]:
        items: list[Sketch] = []
        while not isinstance(one := self._stack.pop(), _Mark):
            items.append(one)
        return items[::-1]
