"""The MV-Director: what was heard and what was asked for become a shot plan, every choice with its reason."""

from director.planner import direct

__all__ = ["direct"]
