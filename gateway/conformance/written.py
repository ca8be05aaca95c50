"""What a check found, as JUnit XML for a build server and as a page to read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from xml.etree import ElementTree as ET

from gateway.conformance import Checked, State

Translate = Callable[..., str]
"""A sentence and its fields, in the reader's language."""


def junit(checked: Sequence[Checked], tr: Translate) -> str:
    """One suite for each profile, one case for each finding."""
    root = ET.Element("testsuites")
    for one in checked:
        wrong = sum(finding.state is State.FAILED for finding in one.findings)
        suite = ET.SubElement(
            root, "testsuite", name=one.profile, tests=str(len(one.findings)), failures=str(wrong)
        )
        for finding in one.findings:
            case = ET.SubElement(suite, "testcase", classname=one.profile, name=finding.check)
            said = tr(finding.seen, **finding.fields)
            if finding.state is State.FAILED:
                change = tr(finding.change, **finding.fields)
                ET.SubElement(case, "failure", message=said).text = f"{finding.clause}: {change}"
            else:
                ET.SubElement(case, "system-out").text = f"{finding.clause}: {said}"
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


def html(checked: Sequence[Checked], tr: Translate) -> str:
    """A table for each profile."""
    parts = ["<!doctype html><meta charset=utf-8><title>Passerelle</title>"]
    for one in checked:
        parts.append(f"<h1>{escape(one.profile)}</h1><table>")
        for finding in one.findings:
            said = tr(finding.seen, **finding.fields), tr(finding.change, **finding.fields)
            cells = (finding.state, finding.check, finding.clause, *(said if finding.change else said[:1]))
            parts.append("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>")
        parts.append("</table>")
    return "\n".join(parts)
