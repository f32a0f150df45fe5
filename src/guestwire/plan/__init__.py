"""From two pictures to the steps that lead from one to the other, in an order in which the kernel takes them."""

from guestwire.plan.plan import Plan, make_plan
from guestwire.plan.step import REST, Act, Step

__all__ = ["REST", "Act", "Plan", "Step", "make_plan"]
