"""ECR repositories: immutable tags, and retention for rollbacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from checkov.common.models.enums import CheckCategories
from lca_pack import HIGH, UNKNOWN, Verdict, check, document, number, text, value

MIN_IMAGES = 10


@check(
    "CKV_LCA_6",
    "Repository's tags are immutable",
    ["aws_ecr_repository"],
    HIGH,
    CheckCategories.SUPPLY_CHAIN,
)
def immutable_tags(conf: Mapping[str, Any]) -> Verdict:
    """ECR's default is mutable."""
    setting = text(conf, "image_tag_mutability")
    return None if setting is UNKNOWN else setting == "IMMUTABLE"


@check(
    "CKV_LCA_7",
    f"Retention is by count, of at least {MIN_IMAGES} images: images that run or that a rollback needs do not expire",
    ["aws_ecr_lifecycle_policy"],
    HIGH,
    CheckCategories.BACKUP_AND_RECOVERY,
)
def retention_by_count(conf: Mapping[str, Any]) -> Verdict:
    """ECR does not know which images Lambda runs, so age is no criterion."""
    policy = document(value(conf, "policy"))
    if not isinstance(policy, Mapping):
        return None
    rules = policy.get("rules", [])
    verdicts = [_keeps_enough(rule) for rule in (rules if isinstance(rules, list) else [rules])]
    return False if False in verdicts else None if None in verdicts else True


def _keeps_enough(rule: Any) -> Verdict:
    count_type, count = text(rule, "selection.countType"), number(rule, "selection.countNumber")
    if count_type is UNKNOWN or count_type is None:
        return None
    if count_type != "imageCountMoreThan":
        return False
    return None if count is UNKNOWN or count is None else count >= MIN_IMAGES
