"""A watched rollout of an API's next version, through Terraform only: docs/delivery.md.

The command is `python -m delivery`. As a library, `Rollout` does the same from `Settings`.
"""

from .errors import DeliveryError, RefusedError, UnknownError
from .rollout import Rollout, Settings
from .terraform import Names, Terraform

__all__ = ["DeliveryError", "Names", "RefusedError", "Rollout", "Settings", "Terraform", "UnknownError"]
