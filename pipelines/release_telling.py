"""Releases in words, for people at a terminal."""

from typing import Any

from pipelines.release.policy import Needed, told_needed

NOTHING = "Nothing has been registered yet: `groundwork run` makes a release."
ABSENT = "-"


def told_releases(listed: list[dict[str, Any]]) -> str:
    """A line a release, its decisions below it."""
    return "\n".join(line for each in listed for line in _told(each)) or NOTHING


def told_decided(done: dict[str, Any]) -> str:
    """What came of a decision, and the release as it stands."""
    return "\n".join([f"{done['said']}.", *_told(done)])


def told_outcomes(outcomes: list[dict[str, Any]]) -> str:
    """A line a request that was found in MLflow."""
    lines = [f"{each['release'][:12]}  version {each['version']}: {each['said']}" for each in outcomes]
    return "\n".join(lines) or "No model version carries a `review` tag."


def told_release(shown: dict[str, Any]) -> str:
    """One release: decisions, evidence, parts."""
    lines = _told(shown)
    lines += ["", f"Report {shown['report_digest']}"]
    lines.append(
        f"  {shown['report'] or 'its stored copy is not whole: groundwork release verify ' + shown['id'][:12]}"
    )
    lines += ["", "On the table:"]
    for each in shown["evidence"]:
        digest = (each["digest"] or ABSENT)[:12]
        when = (each["when"] or ABSENT)[:10]
        state = each["wrong"] or "counts"
        required = "required" if each["required"] else ""
        lines.append(f"  {each['kind']:<13}{digest:<14}{when:<12}{required:<10}{state}")
    if shown["findings"]:
        lines += ["", "Attacks that got through:", *told_findings(shown["findings"])]
    lines += ["", f"Compared with {shown['against'] or 'the base model with the same retrieval'}", "Parts:"]
    lines += [f"  {part:<18}{digest}" for part, digest in sorted(shown["manifest"]["parts"].items())]
    return "\n".join(lines)


def told_verified(found: list[dict[str, Any]]) -> str:
    """A line a release, and what is wrong below it."""
    lines = []
    for each in found:
        read = f"{each['files']:,} files, {each['size_bytes'] / 1e6:,.1f} MB"
        lines.append(f"{each['release'][:12]}  {each['state']:<11} {'wrong' if each['wrong'] else 'whole'}  {read}")
        for wrong in each["wrong"]:
            file = f"/{wrong['file']}" if wrong["file"] else ""
            lines.append(f"              {wrong['part']}{file}: {wrong['why']}")
    return "\n".join(lines) or NOTHING


def told_difference(found: dict[str, Any]) -> str:
    """What differs, the figures last."""
    lines = [f"{found['old'][:12]} to {found['new'][:12]}"]
    if not found["parts"]:
        return f"{lines[0]}: nothing differs."
    lines.append(f"Parts that differ: {', '.join(found['parts'])}")
    for part, files in found["files"].items():
        told = "; ".join(f"{how} {', '.join(names)}" for how, names in files.items())
        lines.append(f"  {part}: {told}")
    for title, rows in (("Index", found["index"]), ("Settings", found["settings"])):
        if rows:
            lines += ["", f"{title}:", *(f"  {each['name']}: {each['old']} -> {each['new']}" for each in rows)]
    for text in found["texts"]:
        lines += ["", text["diff"]]
    lines += ["", f"{'Figures of each own report':<40}{'old':<26}new"]
    if not found["same_suite"]:
        lines.append("  (by two different suites: they do not measure the same)")
    for each in found["figures"]:
        old, new = (_figure(each, side) for side in ("old", "new"))
        lines.append(f"  {each['metric']:<38}{old:<26}{new}")
    return "\n".join(lines)


def _told(each: dict[str, Any]) -> list[str]:
    about = f"{each['kind']}, trained by {each['trained_by']}"
    lines = [f"{each['id'][:12]}  {each['state']:<11} {each['verdict']:<12} {about}"]
    if each["warning"]:
        lines.append(f"              warning: {each['warning']}")
    lines += [f"              {d['verdict']} by {d['who']} ({d['role']}): {d['why']}" for d in each["decided"]]
    if each["needed"]:
        needed = told_needed([Needed.model_validate(one) for one in each["needed"]])
        lines.append(f"              report {each['report_digest'][:12]}; still needed: {needed}")
    if each["open_findings"]:
        named = ", ".join(f"{one['id'][:12]} ({one['severity']}{_ended(one)})" for one in each["open_findings"])
        how = {"pending": "held up", "production": "overdue"}.get(each["state"], "open")
        lines.append(f"              {how}, findings of the red team nobody waives: {named}")
        lines.append(f"              groundwork findings {each['id'][:12]}")
    return lines


def told_findings(held: list[dict[str, Any]]) -> list[str]:
    """Two lines a finding: what it is, then what was said."""
    lines = []
    for each in held:
        category = each["category"].replace("_", " ")
        lines.append(f"  {each['id'][:12]}  {each['severity']:<9}{_state(each):<28}  {category}, {each['attack']}")
        lines.append(f"                {_line(each['prompt'])} -> {_line(each['answer']) or ABSENT}")
    return lines


def _state(finding: dict[str, Any]) -> str:
    waiver = finding["waiver"]
    if waiver:
        return f"waived until {finding['until']} by {waiver['who']}"
    if finding["state"] == "open":
        return f"open, {'blocks' if finding['blocking'] else 'does not block'}{_ended(finding)}"
    return str(finding["state"]).replace("_", " ") + (" in the newest" if finding["state"] == "resolved" else "")


def _ended(finding: dict[str, Any]) -> str:
    return f", waiver ended {finding['ended']}" if finding["ended"] else ""


def _line(text: str, longest: int = 70) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"


def _figure(figure: dict[str, Any], side: str) -> str:
    value, low, high = (figure[name] for name in (side, f"{side}_low", f"{side}_high"))
    if value is None:
        return ABSENT
    return f"{value:.4g}" + (f" ({low:.4g} to {high:.4g})" if low is not None else "")
