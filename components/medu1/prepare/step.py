"""The step prepare: raw rows in, four splits and the demonstrations out, and a report of what became of every row.

One malformed row refuses the lot, after all of them are named: a benchmark with rows missing is another benchmark. The
demonstrations are always built-in and never capped, so that the tiny base is the same whatever it is trained on later.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medu1 import dataset, record
from medu1.errors import Stop
from medu1.manifest import DatasetManifest, TokenizerManifest
from medu1.params import Prepare
from medu1.prepare import data_page, licence_gate
from medu1.prepare.location import CACHE
from medu1.prepare.prompt_length import prompt_lengths
from medu1.prepare.rawdata import Digests
from medu1.prepare.report import PrepareReport, begun
from medu1.prepare.rows import sifting, writing
from medu1.prepare.rows.sifting import Read, refusal
from medu1.prepare.selection import Selection, select
from medu1.prepare.sources import Source, parse
from medu1.stage import Output, Stage, fetch, produce


def run(prepare: str, data: str, tokenizer: str, code: str, page: str) -> str:
    """The step as the chain calls it: JSON in, JSON out, and the report for people at the path `page`."""
    manifest = TokenizerManifest.model_validate_json(tokenizer)
    return prepared(Prepare.parse(prepare), Digests.parse(data), manifest, code, Path(page)).text()


def prepared(params: Prepare, data: Digests, tokenizer: TokenizerManifest, code: str, page: Path) -> DatasetManifest:
    """The dataset of these parameters, raw bytes and tokenizer, made once, and its report for people at `page`.

    Raises Stop that names every bad row.
    """
    sources = [parse(entry) for entry in params.sources]
    licence_gate.require(sources, params.allowed, params.tables)
    inputs = {"tokenizer": tokenizer.digest, "data": data.pin, **_files(sources, data)}

    def make(stage: Stage, folder: Path) -> Mapping[str, Any]:
        beside = folder.with_name(f"{folder.name}-rows")  # in the folder, the dataset's digest would be of it as well
        with sifting.read(params, sources, data, beside, stage.workspace.home / CACHE) as found:
            report = begun(params, found, data)
            _refuse_malformed(stage, folder, report, page)
            lengths = prompt_lengths(fetch(tokenizer.key, stage.workspace).folder)
            selection = select(found.ledger, found.spool, params, lengths, found.generated, stage.progress)
            return _written(stage, folder, found, selection, report.after(selection, found))

    output = produce("prepare", _identity(params, sources), inputs, code, make)
    shutil.copyfile(output.folder / data_page.NAME, page)  # also where the output was there before
    return _manifest(output, data)


def _files(sources: Sequence[Source], data: Digests) -> dict[str, str]:
    """The digests of the source files in order: where a file lies is not part of an identity."""
    files = [source for source in sources if source.path]
    if unknown := [source.path for source in files if source.path not in data.files]:
        raise Stop(
            f"prepare.sources names {unknown[0]}, whose digest is not among those of the raw data.",
            "Without it nothing could tell when the file changes.",
            "Start the chain with medu1 run, which takes the digests.",
        )
    return {f"source {number} ({file.format})": data.files[file.path] for number, file in enumerate(files, start=1)}


def _identity(params: Prepare, sources: Sequence[Source]) -> dict[str, Any]:
    """The parameters that change the result; where the bytes come from does not."""
    named = params.model_dump(mode="json", exclude={"repository", "revision", "dvc_remote", "allowed"})
    return {**named, "sources": [source.identity for source in sources], **_tables(params, sources)}


def _tables(params: Prepare, sources: Sequence[Source]) -> dict[str, Any]:
    """The mappings in the sources' order: where a table lies is no part of what it is."""
    mappings = [params.tables[source.path] for source in sources if source.path in params.tables]
    return {"tables": [mapping.model_dump(mode="json") for mapping in mappings]}


def _manifest(output: Output, data: Digests) -> DatasetManifest:
    facts = output.record.facts
    return DatasetManifest(
        key=output.key,
        digest=facts["digest"],
        frozen=facts["frozen"],
        sets=facts["sets"],
        rows=facts["rows"],
        data=data.identity(),
    )


def _refuse_malformed(stage: Stage, folder: Path, report: PrepareReport, page: Path) -> None:
    if not report.malformed:
        return
    _log_report(stage, folder, report)
    shutil.copyfile(folder / data_page.NAME, page)
    raise refusal(report.malformed, report.read, f"{data_page.REPORT} of the run {stage.run} names every one.")


def _log_report(stage: Stage, folder: Path, report: PrepareReport) -> None:
    for path in data_page.write(report, folder):
        stage.tracking.artifact(stage.run, path)


def _written(stage: Stage, folder: Path, found: Read, selection: Selection, report: PrepareReport) -> dict[str, Any]:
    """Write the dataset, tell of it, and give the facts of its record."""
    frozen = writing.write(folder, found.ledger, found.spool)
    digest = record.content_digest(folder)  # what is told of it, and names paths, is not there yet
    writing.write_left_out(folder, found.ledger, found.spool, selection)
    stage.tracking.artifact(stage.run, folder / writing.LEFT_OUT)
    _log_report(stage, folder, report)
    rows = {split: report.rows().get(split, 0) for split in dataset.SPLITS}
    _log(stage, digest, rows, report)
    return {
        "digest": digest,
        "frozen": frozen.whole(),
        "sets": frozen.sets(),
        "rows": rows,
        "demonstrations": report.demonstrations,
    }


def _log(stage: Stage, digest: str, rows: Mapping[str, int], report: PrepareReport) -> None:
    entries = ", ".join(source.entry for source in report.sources)
    stage.tracking.dataset(stage.run, "medu1", digest, entries, rows, "training")
    left_out = report.left_out()
    kept = sum(rows.values())
    stage.metrics(
        {
            **{f"rows/{split}": count for split, count in rows.items()},
            **{f"rows/{reason}": count for reason, count in left_out.items()},
            "rows/read": report.read,
            "rows/kept": kept,
            "rows/demonstrations": report.demonstrations,
            "phi/rows": sum(report.phi.flagged.values()) if report.phi else 0,
            "labels/disagreeing": sum(len(each.disagreements) for each in report.labels.values()),
        }
    )
    stage.note(
        f"kept {kept:,} of {kept + sum(left_out.values()):,} questions; "
        f"{left_out['too_long']:,} prompts longer than {report.max_prompt_tokens} tokens left out, "
        f"{left_out['over_cap']:,} over the cap, {left_out['duplicates']:,} asked in another split, "
        f"{left_out['repeated']:,} repeated, {left_out['contaminated']:,} contaminated, "
        f"{left_out['phi'] + left_out['labels']:,} with an identifier or a wrong label"
    )
    stage.note(", ".join(f"{split} {count:,}" for split, count in rows.items()))
