"""selftest.html: one page without anything from elsewhere, that says what its colours say in words, too."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from selftest.records import label
from selftest.results import Result, Status
from selftest.table import seen_on

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1d2430; }
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; }
p { margin: .2rem 0; color: #4a5261; }
table { border-collapse: collapse; width: 100%; margin-top: 1.2rem; }
td, th { text-align: left; padding: .35rem .7rem; }
th { color: #4a5261; font-weight: 600; border-bottom: 2px solid #d8dde5; }
th.group { color: #1d2430; font-size: 1.05rem; padding-top: 1.3rem; border-bottom: 1px solid #d8dde5; }
td { border-bottom: 1px solid #e8ebf0; vertical-align: top; } td.saw { font-variant-numeric: tabular-nums; }
.status { font-weight: 600; padding: .05rem .55rem; border-radius: .6rem; white-space: nowrap; }
.green { background: #d9f2e3; color: #0b5a2f; } .amber { background: #fdecc8; color: #6b4500; }
.red { background: #fbd9d7; color: #8c1510; }
"""


def html(found: dict[str, Any], others: Sequence[dict[str, Any]]) -> str:
    """The page of what was found, beside what other chips found."""
    results = [Result.from_json(held) for held in found["results"]]
    counts = ", ".join(f"{sum(each.status is status for each in results)} {status}" for status in Status)
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    machine = found["machine"]
    facts = f"{machine['cores']} cores, {machine['memory_gb']} GB, {machine['architecture']}"
    lines = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><title>selftest</title>',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{escape(label(found))}</h1>",
        f"<p>{escape(facts)}. {escape(versions)}.</p>",
        f"<p>{escape(counts)}, in {found['seconds']:.0f} s{' (quick)' if found['quick'] else ''}, "
        f"on {escape(found['date'])}.</p>",
    ]
    headings = ("what should hold", "", "seen here", *(label(other) for other in others))
    lines.append(f"<table><tr>{''.join(f'<th>{escape(each)}</th>' for each in headings)}</tr>")
    for group in dict.fromkeys(each.group for each in results):
        lines.append(f'<tr><th class="group" colspan="{len(headings)}">{escape(group)}</th></tr>')
        lines += [_row(each, others) for each in results if each.group == group]
    return "\n".join([*lines, "</table>", "</body></html>", ""])


def _row(result: Result, others: Sequence[dict[str, Any]]) -> str:
    cells = [
        f"<td>{escape(result.claim)}</td>",
        f'<td><span class="status {result.status}">{result.status}</span></td>',
        f'<td class="saw">{escape(result.saw)}</td>',
        *(f'<td class="saw">{escape(seen_on(other, result))}</td>' for other in others),
    ]
    return f"<tr>{''.join(cells)}</tr>"
