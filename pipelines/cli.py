"""The `groundwork` command: one verb a function, no logic.

Exit code 0 done, 1 failed, 2 the caller can mend it; `gate` exits 3 when the verdict is not PASS.
Imports stay inside the verbs: `groundwork --help` loads nothing of the pipeline.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli_findings import add_findings_verbs
from pipelines.cli_garak import add_garak_verb
from pipelines.cli_judge import add_judge_verb
from pipelines.cli_prompts import add_prompt_verbs
from pipelines.cli_release import add_release_verbs
from pipelines.cli_review import add_review_verbs
from pipelines.cli_scan import add_scan_verb
from pipelines.cli_suite import add_suite_verbs
from pipelines.cli_trace import add_trace_verb
from pipelines.cli_tune import add_tune_verb
from pipelines.console import emit, emit_lines, fail, progress, say, settle_vendors
from pipelines.errors import GroundworkError
from pipelines.options import AsJson, Config, Profile, Workspace, at

app = typer.Typer(
    help="Documents in; a grounded, fine-tuned, judged and approved language model out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data = typer.Typer(help="Data under version control.", no_args_is_help=True)
index = typer.Typer(help="The search index.", no_args_is_help=True)
sources_app = typer.Typer(help="Where documents come from.")
retrieval = typer.Typer(help="How well passages are found.", no_args_is_help=True)
redteam = typer.Typer(help="Attacks on the candidate.", no_args_is_help=True)
app.add_typer(data, name="data")
app.add_typer(redteam, name="redteam")
app.add_typer(sources_app, name="sources")
app.add_typer(index, name="index")
app.add_typer(retrieval, name="retrieval")
add_release_verbs(app)
add_review_verbs(app)
add_judge_verb(app)
add_findings_verbs(app)
add_suite_verbs(app)
add_scan_verb(redteam)
add_garak_verb(redteam)
add_trace_verb(app)
add_prompt_verbs(app)
add_tune_verb(app)

STOPPED = 130
"""Exit code after Ctrl-C."""

SOURCES = "Folder, file, glob, archive, https://, s3:// or git+https:// address; may be repeated."
COMPARED = "Two of: settings file (YAML) of the keys that differ, folder of a workspace, `current`."
FILTERS = "tenant=, labels=a,b, language=, since=, until=, under=, superseded=true|false; may be repeated."
KEEP = "Train nothing in this run: the candidate has the adapter of the release in production."
VERSION = "Tag or its beginning, or `current`."
Refresh = Annotated[bool, typer.Option(help="Fetch what has changed of remote sources first.")]
Queries = Annotated[Path | None, typer.Option(help="JSON Lines of id and query.")]


@app.command()
def run(
    workspace: Workspace = None,
    config: Config = None,
    profile: Profile = None,
    sources: Annotated[list[str] | None, typer.Option(help=SOURCES)] = None,
    qa: Annotated[Path | None, typer.Option(help="Question file (JSON Lines).")] = None,
    refresh: Refresh = True,
    keep_adapter: Annotated[bool, typer.Option("--keep-adapter", help=KEEP)] = False,
    as_json: AsJson = False,
) -> None:
    """Documents -> a release that waits for a reviewer: the whole lifecycle, as a Prefect flow."""
    from pipelines import telling, verbs
    from pipelines.workspaces import Choices

    choices = Choices(workspace, config, profile, tuple(sources or ()), qa, keep_adapter)
    summary = verbs.run(choices, refresh=refresh)
    emit(summary.plain()) if as_json else print(telling.told(summary))


@app.command()
def stage(
    name: str, workspace: Workspace = None, config: Config = None, profile: Profile = None, as_json: AsJson = False
) -> None:
    """Bring one stage up to date."""
    from pipelines import verbs

    with progress(name) as report:
        outcome = verbs.run_one(name, at(workspace, config, profile), report)
    say(outcome.told)
    if as_json:
        emit({"stage": name, "ran": outcome.ran, "key": outcome.key, "seconds": round(outcome.seconds, 2)})


@app.command()
def ask(
    question: Annotated[str | None, typer.Argument(help="The question.")] = None,
    queries: Queries = None,
    workspace: Workspace = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Answer from the current release (or the pending one, said so), with citations."""
    from pipelines import doors, telling

    lines = doors.ask(at(workspace, config), question, queries)
    emit_lines(lines) if as_json or queries else print("\n".join(telling.told_answer(line) for line in lines))


@app.command()
def search(
    query: Annotated[str | None, typer.Argument(help="The query.")] = None,
    queries: Queries = None,
    k: Annotated[int, typer.Option("--k", min=1, max=1000, help="Hits per query.")] = 10,
    filters: Annotated[list[str] | None, typer.Option("--filter", help=FILTERS)] = None,
    workspace: Workspace = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Find passages; hits show every part of their score."""
    from pipelines import doors, telling

    lines = doors.search(at(workspace, config), query, queries, k, filters or ())
    emit_lines(lines) if as_json or queries else telling.show_hits(lines[0], str(query))


@app.command()
def parse(paths: list[str], as_json: AsJson = False) -> None:
    """Parse files, folders, globs or archives: one JSON line a file, quarantined ones with their reason."""
    from pipelines import doors

    emit_lines(doors.parse(paths))


@app.command()
def ground(
    items: Annotated[Path, typer.Option(help="JSON Lines of id, answer, contexts (list of texts).")],
    as_json: AsJson = False,
) -> None:
    """Score answers by their contexts, claim by claim, with the evidence for each: one JSON line an answer."""
    from pipelines import doors

    emit_lines(doors.ground(items))


@index.command("build")
def index_build(
    sources: Annotated[list[str], typer.Option(help=SOURCES)],
    workspace: Workspace = None,
    config: Config = None,
    refresh: Refresh = True,
    as_json: AsJson = False,
) -> None:
    """Ingest, chunk and embed documents."""
    from pipelines import doors
    from pipelines.workspaces import Choices

    emit(doors.build_index(Choices(workspace, config, None, tuple(sources)), refresh=refresh))


@index.command("list")
def index_list(workspace: Workspace = None, config: Config = None, as_json: AsJson = False) -> None:
    """List the index's versions, newest first, and what uses them."""
    from pipelines import index_doors, telling

    versions = index_doors.listed(at(workspace, config))
    emit({"versions": versions}) if as_json else print(telling.told_versions(versions))


@index.command("diff")
def index_diff(
    old: Annotated[str, typer.Argument(help=VERSION)],
    new: Annotated[str, typer.Argument(help=VERSION)] = "current",
    workspace: Workspace = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Compare two versions: chunks added, removed and changed, by document."""
    from pipelines import index_doors, telling

    found = index_doors.compared(at(workspace, config), old, new)
    emit(found) if as_json else print(telling.told_difference(found))


@index.command("restore")
def index_restore(
    tag: Annotated[str, typer.Argument(help=VERSION)],
    workspace: Workspace = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Search in an older version again; `current` goes back to the newest. A damaged one is rebuilt first."""
    from pipelines import index_doors, telling

    done = index_doors.restored(at(workspace, config), tag)
    emit(done) if as_json else print(telling.told_restored(done))


@index.command("verify")
def index_verify(
    tag: Annotated[str | None, typer.Argument(help=VERSION)] = None,
    workspace: Workspace = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Read a version, or each, again and say what is wrong; exits 1 when something is."""
    from pipelines import index_doors, telling

    found = index_doors.verified(at(workspace, config), tag)
    emit({"versions": found}) if as_json else print(telling.told_verified(found))
    raise typer.Exit(1 if any(each["wrong"] for each in found) else 0)


@index.command("compact")
def index_compact(workspace: Workspace = None, config: Config = None, as_json: AsJson = False) -> None:
    """Merge small files of the index; nothing that is searched changes."""
    from pipelines import index_doors

    emit(index_doors.compacted(at(workspace, config)))


@index.command("prune")
def index_prune(
    keep: Annotated[int, typer.Option(min=1, help="Newest versions that stay in any case.")],
    workspace: Workspace = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Drop older versions that no stage and no release uses."""
    from pipelines import index_doors

    emit(index_doors.pruned(at(workspace, config), keep))


@retrieval.callback()
def retrieval_verbs() -> None:
    """How well passages are found."""


@retrieval.command("eval")
def retrieval_eval(
    qa: Annotated[Path, typer.Option(help="Question file (JSON Lines).")],
    compare: Annotated[list[str] | None, typer.Option(metavar="A B", help=COMPARED)] = None,
    second: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    sources: Annotated[list[str] | None, typer.Option(help=SOURCES)] = None,
    k: Annotated[int | None, typer.Option("--k", min=1, max=1000, help="Hits that count.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page to look at failures.")] = None,
    workspace: Workspace = None,
    config: Config = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Rank the right passages with one or two ways to chunk, embed or rank; differences come with intervals."""
    from pipelines import doors, telling
    from pipelines.workspaces import Choices

    choices = Choices(workspace, config, profile, tuple(sources or ()))
    done = doors.retrieval_eval(choices, qa, [*(compare or ()), *(second or ())], k, html)
    emit(done) if as_json else print(telling.told_retrieval(done, html))


@sources_app.callback(invoke_without_command=True)
def sources_list(
    ctx: typer.Context, workspace: Workspace = None, config: Config = None, as_json: AsJson = False
) -> None:
    """List where documents come from, and what is there of it."""
    if ctx.invoked_subcommand is None:
        from pipelines import doors, telling

        listed = doors.sources(at(workspace, config))
        emit({"sources": listed}) if as_json else print(telling.told_sources(listed))


@sources_app.command("refresh")
def sources_refresh(workspace: Workspace = None, config: Config = None, as_json: AsJson = False) -> None:
    """Fetch what has changed of web pages, buckets and repositories."""
    from pipelines import doors

    done = doors.refresh(at(workspace, config))
    if as_json:
        emit({"sources": done})
    elif not done:
        say("sources: none of them has to be fetched.")


@app.command()
def gate(
    candidate: Annotated[Path, typer.Option(help="Item table of the candidate (Parquet or JSON Lines).")],
    champion: Annotated[Path, typer.Option(help="Item table of what it must beat.")],
    policy: Annotated[Path, typer.Option(help="Gate policy (YAML).")],
    look: Annotated[
        int, typer.Option(help="Which comparison on this golden set it is: later ones spend less of alpha.", min=1)
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Decide on two item tables; exits 3 when the verdict is not PASS."""
    from pipelines import doors, telling

    decision = doors.gate(candidate, champion, policy, look)
    emit(decision) if as_json else print(telling.told_decision(decision))
    raise typer.Exit(0 if decision["verdict"] == "PASS" else 3)


@redteam.callback()
def redteam_verbs() -> None:
    """Attacks on the candidate."""


@redteam.command("keep")
def redteam_keep(
    to: Annotated[Path | None, typer.Option(help="File to add to (default: in the state folder).")] = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
) -> None:
    """Keep every success of the last red team, to be tried again: name the file in redteam.regressions."""
    from pipelines import doors

    kept = doors.keep_successes(at(workspace), to)
    emit(kept) if as_json else print(f"{kept['added']} added, {kept['known']} known before: {kept['regressions']}")


@app.command()
def up(workspace: Workspace = None, config: Config = None, profile: Profile = None) -> None:
    """Start Prefect, its worker, MLflow and the review console on this machine; Ctrl-C stops them all."""
    from pipelines import verbs

    verbs.up(at(workspace, config, profile))


@data.command("add")
def data_add(folder: Path) -> None:
    """Put a folder of documents under DVC and among the sources."""
    from pipelines import doors

    say(doors.add_data(folder))


@data.command("pipeline")
def data_pipeline() -> None:
    """Write dvc.yaml anew from the stages and the settings."""
    from pipelines import doors

    doors.write_pipeline()


def main() -> None:
    """Run the command; what the caller can mend ends in a message and exit code 2."""
    settle_vendors()
    try:
        app()
    except GroundworkError as error:
        fail(error)
    except SystemExit as ended:
        if ended.code == STOPPED:  # typer's word for Ctrl-C
            say("groundwork: stopped; the same command goes on from here.")
        raise
    except BrokenPipeError:
        sys.exit(0)
