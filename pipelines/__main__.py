"""`python -m pipelines`: the same as `groundwork`."""

from pipelines.cli import main

main()
