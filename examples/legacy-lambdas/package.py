"""Pack one function with its requirements: `python3 package.py AddUser` writes build/AddUser.zip."""

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(name: str) -> None:
    source, target = HERE / "functions" / name, HERE / "build" / name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    # uv takes a tenth of pip's time.
    uv = shutil.which("uv")
    pip = [uv, "pip"] if uv else [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "install", "--quiet", "--target", str(target), "--requirement", str(source / "requirements.txt")],
        check=True,
    )
    shutil.make_archive(str(target), "zip", target)


if __name__ == "__main__":
    main(sys.argv[1])
