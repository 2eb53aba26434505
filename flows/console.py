"""The review console as `groundwork up` starts it: `python -m flows.console WORKSPACE HOST PORT`."""

import sys
from pathlib import Path

from pipelines.evaluation.review_server import serve
from pipelines.review_doors import findings_desk
from pipelines.verbs import database
from pipelines.workspaces import Choices, open_workspace


def main(workspace: str, host: str, port: str) -> None:
    """Serve a workspace's console on the address that `up` gave out."""
    opened = open_workspace(Choices(Path(workspace)))
    store = database(opened)
    serve(store, findings_desk(opened, store), host=host, port=int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])
