"""From two pictures to the steps that lead from one to the other, in an order in which the kernel takes them."""

from guestwire.plan.plan import Plan, make_plan
from guestwire.plan.step import Step

__all__ = ["Plan", "Step", "make_plan"]
