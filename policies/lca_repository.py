"""ECR repositories: what was deployed stays what it was, and stays there for a rollback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from checkov.common.models.enums import CheckCategories
from lca_pack import HIGH, UNKNOWN, Verdict, check, document, number, text, value

KEPT = 10


@check(
    "CKV_LCA_6",
    "Repository's tags are immutable",
    ["aws_ecr_repository"],
    HIGH,
    CheckCategories.SUPPLY_CHAIN,
)
def immutable_tags(conf: Mapping[str, Any]) -> Verdict:
    """Judge the setting; ECR's default is mutable."""
    setting = text(conf, "image_tag_mutability")
    return None if setting is UNKNOWN else setting == "IMMUTABLE"


@check(
    "CKV_LCA_7",
    f"Retention is by count, of at least {KEPT} images: what runs and what a rollback needs is not expired",
    ["aws_ecr_lifecycle_policy"],
    HIGH,
    CheckCategories.BACKUP_AND_RECOVERY,
)
def retention_by_count(conf: Mapping[str, Any]) -> Verdict:
    """Judge every rule; ECR does not know which images Lambda runs, so age says nothing."""
    policy = document(value(conf, "policy"))
    if not isinstance(policy, Mapping):
        return None
    rules = policy.get("rules", [])
    verdicts = [_keeps_enough(rule) for rule in (rules if isinstance(rules, list) else [rules])]
    return False if False in verdicts else None if None in verdicts else True


def _keeps_enough(rule: Any) -> Verdict:
    kind, kept = text(rule, "selection.countType"), number(rule, "selection.countNumber")
    if kind is UNKNOWN or kind is None:
        return None
    if kind != "imageCountMoreThan":
        return False
    return None if kept is UNKNOWN or kept is None else kept >= KEPT
