"""An adapter that was trained before -> the output of stage `train`, byte for byte: a release without training.

Whether it may be kept (nothing golden was seen by it) is found out before this runs (release/keeping.py).
"""

import shutil

from pipelines.artifacts import RUN_FILE, STAGE_FILE, StageJob, files_of, read_json


def keep(job: StageJob) -> None:
    """Copy what the training of a release left. Who trained it then is who trained it now."""
    source, origin = job.inputs["kept"] / "training", read_json(job.inputs["kept"] / "kept.json")
    for place in files_of(source):
        name = place.relative_to(source)
        if name.name not in (STAGE_FILE, RUN_FILE):
            (job.output / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(place, job.output / name)
    job.notes.update(actor=origin["trained_by"], kept_from=origin["release"])
    job.report(1, 1, f"nothing is trained: the adapter of release {origin['release'][:12]} is kept")
