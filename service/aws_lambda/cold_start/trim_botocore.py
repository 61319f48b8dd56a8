"""Keep of botocore only what describes the services that are used: the build's step, `python trim_botocore.py FOLDER SERVICE …`.

For its first client botocore lists some 440 folders of service descriptions, and reads a file with the endpoints of all of them.
The folders of services that are not used may go (its maintainers say so: boto/botocore#1629); whoever asks for one of them gets
botocore's UnknownServiceError. Of the others only the prose goes, most of their text, which botocore reads to write its manual.
"""

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any


def trim(packages: Path, services: set[str]) -> None:
    """Trim botocore and boto3 in a folder of packages. FileNotFoundError names a service that botocore does not describe."""
    data = packages / "botocore" / "data"
    for service in services:
        if not (data / service).is_dir():
            raise FileNotFoundError(f"botocore describes no service {service}")
    for folder in (data, packages / "boto3" / "data"):
        for path in folder.iterdir():
            if path.is_dir() and path.name not in services:
                shutil.rmtree(path)
    for path in data.glob("*/*/*.json.gz"):
        _write(path.with_suffix(""), _without_prose(json.loads(gzip.decompress(path.read_bytes()))))
        path.unlink()
    endpoints = json.loads((data / "endpoints.json").read_text())
    for partition in endpoints["partitions"]:
        partition["services"] = {name: value for name, value in partition["services"].items() if name in services}
    _write(data / "endpoints.json", endpoints)


def _without_prose(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_prose(each) for each in value]
    if not isinstance(value, dict):
        return value
    # A text: something that is called "documentation" has a description of its own, and stays.
    return {
        name: _without_prose(each)
        for name, each in value.items()
        if not (name == "documentation" and isinstance(each, str))
    }


def _write(path: Path, value: Any) -> None:
    # A new file: installers may have linked the old one to their cache, which is not ours to change.
    path.unlink(missing_ok=True)
    path.write_text(json.dumps(value, separators=(",", ":")))


if __name__ == "__main__":
    trim(Path(sys.argv[1]), set(sys.argv[2:]))
