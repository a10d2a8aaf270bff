"""`gatewright traces to-test`: a trace as a case of the corpus, so that what went wrong once is a test from then on."""

from pathlib import Path

import typer

from gatewright.cli.source import give_up
from gatewright.record.export_case import Leg, NoCase, case_folder, case_name, case_of, write_case
from gatewright.record.traces import Trace


def write(trace: Trace, out: Path | None, leg: Leg, note: str = "") -> None:
    """Write it, and say what is to be done with it. `out`: a file, or the folder of a corpus. None: standard output."""
    try:
        if out is None:
            typer.echo(write_case(case_of(trace, leg, note=note)).decode(), nl=False)
            return
        file = out if out.suffix == ".json" else out / case_folder(trace, leg) / f"{case_name(trace)}.json"
        text = write_case(case_of(trace, leg, name=file.stem, note=note))
    except NoCase as error:
        give_up(str(error))
    if file.exists():
        give_up(f"{file} is there already; name another: --out {file.with_name(file.stem + '_2.json')}")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text)
    typer.echo(f"written: {file}")
    typer.echo(
        "Read it before it is committed: it holds what people wrote. Then `make golden`, and the laws judge it: "
        f"python -m tests.laws.report --case {file.stem}",
        err=True,
    )
