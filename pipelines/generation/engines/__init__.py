"""Engines behind one protocol: a new one is one file here and one line in `open_engine`."""

from pathlib import Path

from pipelines.generation.engine import Engine
from pipelines.settings import Generation


def open_engine(generation: Generation, *, adapter: Path | None, state: Path, threads: int) -> Engine:
    """The engine that the settings name, with the base and, if given, an adapter. `threads` 0: all cores."""
    if generation.engine == "openai":
        from pipelines.generation.engines.upstream import UpstreamEngine

        return UpstreamEngine(generation)
    from pipelines.generation.export import merged_folder
    from pipelines.generation.models import base_folder

    folder = merged_folder(base_folder(generation.base_model, state), adapter, state)
    if generation.engine == "openvino":
        from pipelines.generation.engines.openvino import OpenVINOEngine

        return OpenVINOEngine(folder, generation, threads=threads)
    from pipelines.generation.engines.local import TransformersEngine

    return TransformersEngine(folder, generation, threads=threads)
