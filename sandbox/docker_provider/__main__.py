"""Entry point; Terraform runs it through the script that `install` wrote."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sandbox.docker_provider.provider import DockerProvider
from sandbox.docker_provider.serve import serve

serve(DockerProvider())
