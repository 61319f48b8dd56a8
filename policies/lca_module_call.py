"""Module calls: attributes that have no effect."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from checkov.common.models.enums import CheckCategories
from lca_interface import Tree, read_module, read_shipped, unknown_attributes
from lca_pack import HIGH, Verdict, check, text

MODULE = "lambda_container_api"
RELEASE = re.compile(rf"/{MODULE}\?(?:.*&)?ref=(?:(?:refs/)?tags/)?v(\d+\.\d+\.\d+)(?:&|$)")


@check(
    "CKV_LCA_17",
    "Module call sets only attributes that the module knows: Terraform drops others without a message",
    ["module"],
    HIGH,
    CheckCategories.GENERAL_SECURITY,
)
def known_attributes(conf: Mapping[str, Any]) -> Verdict:
    """Needs the module's variables: of a local folder, or of a release that interface.json has."""
    inputs = _inputs(conf)
    return None if inputs is None else unknown_attributes(inputs, conf)


def _inputs(conf: Mapping[str, Any]) -> Mapping[str, Tree] | None:
    # The files that checkov found for the source.
    for resolved in conf.get("__resolved__") or []:
        if inputs := _read(Path(resolved.file_path).parent):
            return inputs
    source = text(conf, "source")
    release = RELEASE.search(source) if isinstance(source, str) else None
    return read_shipped(release[1]) if release else None


@cache
def _read(folder: Path) -> Mapping[str, Tree]:
    return read_module(folder)
