"""From addresses to snapshots: what `files.sources` names beyond this machine is brought here.

One file a kind: web.py, s3.py, git.py; refresh.py calls them. Nothing here is part of a stage: what it brings is.
"""
