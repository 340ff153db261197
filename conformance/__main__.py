"""`python -m conformance` is `python -m conformance.run`."""

from __future__ import annotations

import sys

from conformance.run import main

sys.exit(main())
