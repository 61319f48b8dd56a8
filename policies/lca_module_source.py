"""Module calls: the version of the source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from checkov.common.models.enums import CheckCategories
from lca_pack import HIGH, UNKNOWN, Verdict, check, text

LOCAL = re.compile(r"^(\.{1,2}(/|$)|/)")
GIT = re.compile(r"^git::|^[\w.-]+@[\w.-]+:|^(github\.com|bitbucket\.org|gitlab\.com)/|\.git(//|\?|$)")
ARCHIVE = re.compile(r"^(s3|gcs)::|^https?://[^?]+\.(zip|tar|tgz|tbz2|txz|tar\.(gz|bz2|xz|zst))(//|\?|$)|[?&]archive=")
REGISTRY = re.compile(r"^([\w.-]+(:\d+)?/)?[\w-]+/[\w-]+/[\w-]+(//.*)?$")
BOUNDED = re.compile(r"^\s*=?\s*v?\d+(\.\d+){0,2}[\w.+-]*\s*$|~>|<|,\s*=\s*\d")
# Three numbers, as in v1.2.3, vpc-1.2.3, vpc/v1.2.3, vpc@1.2.3, release-1.2.3, 2024.10.1 or 2024-10-01, with a pre-release or
# build. One or two (v1, release-1.2) usually name a branch, or a tag that moves.
VERSION = re.compile(
    r"^(.*[/@_-])?[a-z]*[.-]?(\d+\.\d+\.\d+|\d{4}-\d\d-\d\d)([.+_-]?[a-z0-9][\w.+-]*)?$", re.IGNORECASE
)
# All of its digits: a branch or tag can have the name of a shortened hash.
COMMIT = re.compile(r"^([0-9a-f]{40}|[0-9a-f]{64})$")
DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")
BRANCH = re.compile(r"^(refs/)?heads/|^(bugfix|feature|feat|fix|hotfix)/")


@check(
    "CKV_LCA_14",
    "Module's source is pinned to a version",
    ["module"],
    HIGH,
    CheckCategories.SUPPLY_CHAIN,
)
def pinned(conf: Mapping[str, Any]) -> Verdict:
    """A local folder passes; every other source needs a version, a commit or a digest, a registry an upper bound."""
    source = text(conf, "source")
    if not isinstance(source, str):
        return None
    if LOCAL.match(source):
        return True
    address, arguments = _split(source)
    if source.startswith("oci://"):
        return _is_version(arguments.get("tag", "")) or bool(DIGEST.match(arguments.get("digest", "")))
    if source.startswith("hg::"):
        return _is_version(arguments.get("rev", ""))
    if GIT.search(source):
        return _is_version(arguments.get("ref", ""))
    if ARCHIVE.search(source):
        # A version in the path, a checksum, or the version of the object in S3.
        return bool({"checksum", "version"} & arguments.keys()) or any(_is_version(part) for part in _names(address))
    if REGISTRY.match(source):
        version = text(conf, "version")
        # checkov reads ">= 1.2, < 2.0" as a comparison without a result.
        if version is UNKNOWN or conf.get("version") == [None]:
            return None
        return isinstance(version, str) and bool(BOUNDED.search(version))
    return None


def _split(source: str) -> tuple[str, dict[str, str]]:
    """Return a source's address, and the arguments of its query; of several with one name the first, as go-getter does."""
    address, _, query = source.partition("?")
    pairs = [argument.partition("=") for argument in query.split("&")]
    return unquote(address), {name: unquote(value) for name, _, value in reversed(pairs) if value}


def _names(address: str) -> list[str]:
    """Return the folders and the file of an address, without the file's extension."""
    return [re.sub(r"\.(zip|tgz|tbz2|txz|tar(\.\w+)?)$", "", name) for name in address.split("/")]


def _is_version(name: str) -> bool:
    """Return whether a tag has a version in it, or the name is a commit."""
    tag = re.sub(r"^(refs/)?tags/", "", name)
    return bool(COMMIT.match(name) or VERSION.match(tag)) and not BRANCH.match(name)
