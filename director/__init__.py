"""The MV-Director: what was heard and what was asked for become a shot plan, every choice with its reason."""

from director.planner import direct, replan

__all__ = ["direct", "replan"]
