"""Module calls: the version of the source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from checkov.common.models.enums import CheckCategories
from lca_pack import HIGH, UNKNOWN, Verdict, check, text

GIT = re.compile(r"^git::|^git@|^github\.com/|^bitbucket\.org/|\.git(//|\?|$)")
PINNED = re.compile(r"[?&]ref=(v?\d+\.\d+\.\d+[\w.+-]*|[0-9a-f]{40})(&|$)")
REGISTRY = re.compile(r"^([\w.-]+/)?[\w-]+/[\w-]+/[\w-]+(//.*)?$")
BOUNDED = re.compile(r"^\s*(=\s*)?v?\d+\.\d+\.\d+|~>|<")


@check(
    "CKV_LCA_14",
    "Module's source is pinned to a version",
    ["module"],
    HIGH,
    CheckCategories.SUPPLY_CHAIN,
)
def pinned(conf: Mapping[str, Any]) -> Verdict:
    """git needs a version tag or a commit, a registry a version with an upper bound; a local folder passes."""
    source = text(conf, "source")
    if not isinstance(source, str):
        return None
    if source.startswith((".", "/")):
        return True
    if GIT.search(source):
        return bool(PINNED.search(source))
    if REGISTRY.match(source):
        version = text(conf, "version")
        return None if version is UNKNOWN else isinstance(version, str) and bool(BOUNDED.search(version))
    return None
