"""What a program of a test begins with, so that it trains without loading torch's compiler."""

from __future__ import annotations

NO_COMPILER = """
import sys
from types import ModuleType, SimpleNamespace
compiler = sys.modules["torch._dynamo"] = ModuleType("torch._dynamo")
compiler.disable, compiler.graph_break = lambda function, *_, **__: function, lambda *_, **__: None
compiler.OptimizedModule = type("OptimizedModule", (), {})
compiler.utils = SimpleNamespace(get_optimize_ddp_mode=lambda: "ddp_optimizer")
compiler.trace_rules = SimpleNamespace(clear_lru_cache=lambda: None)
"""
"""Torch's optimisers and Lightning load the compiler to say that it leaves them alone, which is a third of the time. The
class, the mode and the cache are what Lightning and torch's data parallel training ask it for.
"""
