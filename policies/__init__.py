"""A checkov pack for Python APIs on Lambda, behind an HTTP API: `checkov --external-checks-dir policies`.

Every check works on HCL and on plans. If a value is known in neither, the result is "unknown", which is not a finding.
docs/policy.md lists what each check requires.
"""

from pathlib import Path

__all__ = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__")
