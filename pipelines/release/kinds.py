"""Two manifests -> what kind of release the newer one is: of prompts, index, policies, settings alone, or a full one.

The kind follows from digests, so that nobody states it; what a part leads to (dataset, reports, the gate's decision)
says nothing about what was changed.
"""

from collections.abc import Mapping

FULL = "full"
"""The first release, and every one with other weights than the one before it."""
SAME = "same parts, judged anew"
WEIGHTS = ("adapter", "base_model")
CHANGES = {
    "prompt": ("prompt", "rewrite_prompt"),
    "index": ("index", "embedding"),
    "policy": ("guardrail_policy", "gate_policy", "rollout_policy", "release_policy", "targets"),
    "settings": ("retrieval", "generation"),
}
"""What may change without training, and the parts that show it."""


def kind_of(parts: Mapping[str, str], against: Mapping[str, str] | None) -> str:
    """`prompt-only`, `index and policy`, `full`, ...; `against`: parts of the release in production before it."""
    if against is None or _differ(WEIGHTS, parts, against):
        return FULL
    changed = [name for name, named in CHANGES.items() if _differ(named, parts, against)]
    if len(changed) < 2:
        return f"{changed[0]}-only" if changed else SAME
    return f"{', '.join(changed[:-1])} and {changed[-1]}"


def _differ(named: tuple[str, ...], parts: Mapping[str, str], against: Mapping[str, str]) -> bool:
    return any(parts.get(name) != against.get(name) for name in named)
