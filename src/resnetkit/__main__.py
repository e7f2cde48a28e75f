"""`python -m resnetkit` is the command `resnetkit`."""

import sys

from resnetkit.cli import main

sys.exit(main())
