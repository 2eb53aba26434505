"""The webhook's receiver as `groundwork up` starts it: `python -m flows.webhook WORKSPACE HOST PORT MLFLOW`."""

import sys
from pathlib import Path

from pipelines.console import settle_vendors
from pipelines.release_doors import Receiver, serve
from pipelines.workspaces import Choices


def main(workspace: str, host: str, port: str, mlflow: str) -> None:
    """Receive for a workspace on the address that `up` gave out, and tell its MLflow server of it."""
    settle_vendors()
    serve(Choices(Path(workspace)), Receiver(host, int(port), mlflow))


if __name__ == "__main__":
    main(*sys.argv[1:])
