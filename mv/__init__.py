"""MV Studio: a song in, a music video out.

from mv import analyze, direct, generate, assemble
"""

__version__ = "0.1.0"
__all__ = ["analyze", "assemble", "direct", "generate", "make_film"]


def __getattr__(name: str):
    # The verbs are looked up when first used, so that importing mv loads nothing.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mv import make

    return getattr(make, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
