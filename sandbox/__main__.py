"""Run the sandbox's commands: python -m sandbox up."""

import sys

from sandbox.cli import main

sys.exit(main())
