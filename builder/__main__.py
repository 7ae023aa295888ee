"""``python -m builder`` is ``boardwright``."""

import sys

from builder.cli import main

sys.exit(main())
