"""A checkov pack for Python APIs on Lambda, behind an HTTP API: `checkov --external-checks-dir policies`.

Every check works on HCL and on plans, and says "unknown", which is no finding, where a value is known to neither.
What each asks for, and how to meet it: docs/policy.md.
"""

from pathlib import Path

__all__ = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__")
