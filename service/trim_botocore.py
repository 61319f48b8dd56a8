"""Keep of botocore only what describes the services that are used: the build's step, `python trim_botocore.py FOLDER SERVICE …`.

For its first client botocore lists some 440 folders of service descriptions, and reads a file with the endpoints of all of them.
The folders of services that are not used may go (its maintainers say so: boto/botocore#1629); whoever asks for one of them gets
botocore's UnknownServiceError.
"""

import json
import shutil
import sys
from pathlib import Path


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
    endpoints = data / "endpoints.json"
    stated = json.loads(endpoints.read_text())
    for partition in stated["partitions"]:
        partition["services"] = {name: value for name, value in partition["services"].items() if name in services}
    # A new file: installers may have linked the old one to their cache, which is not ours to change.
    endpoints.unlink()
    endpoints.write_text(json.dumps(stated, separators=(",", ":")))


if __name__ == "__main__":
    trim(Path(sys.argv[1]), set(sys.argv[2:]))
