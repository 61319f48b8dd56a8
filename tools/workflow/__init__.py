"""Run GitHub workflows on this machine, step by step, with stand-ins for the actions that only GitHub can run."""

from .expressions import ExpressionError, evaluate, interpolate
from .runner import JobResult, Run, Step, WorkflowError

__all__ = ["ExpressionError", "JobResult", "Run", "Step", "WorkflowError", "evaluate", "interpolate"]
