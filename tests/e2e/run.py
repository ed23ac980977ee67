"""Runs the end-to-end tests: run.py LAPIDARY_BINARY [pytest arguments].

Exits with 77, which ctest shows as skipped, where the Python packages of scripts/setup --tests are
missing."""
import os
import pathlib
import sys

if len(sys.argv) < 2:
    sys.exit(__doc__)
try:
    import anthropic  # noqa: F401
    import httpx  # noqa: F401
    import openai  # noqa: F401
    import pytest
except ImportError as missing:
    print(f"SKIPPED: {missing}; scripts/setup --tests installs it")
    sys.exit(77)

os.environ["LAPIDARY_BINARY"] = sys.argv[1]
here = pathlib.Path(__file__).parent
sys.exit(pytest.main([str(here), "-q", "-p", "no:cacheprovider", *sys.argv[2:]]))
