"""Outside suites and real clients, run against a live server on this machine, with a verdict a test.

`python -m conformance.run` is the way in; README.md in this folder says what is run and what it needs.
"""
