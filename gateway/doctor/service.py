"""Whether the program starts by itself, as `passerelle install` left it."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.doctor import findings
from gateway.doctor.findings import Finding, found
from gateway.doctor.machine import output_of
from gateway.install.linux import UNIT
from gateway.installing import Installed
from gateway.settings import Settings


async def service(settings: Settings) -> Sequence[Finding]:
    """What is listed as installed, whether it is still so, and whether it runs."""
    listed = Installed.read(settings.home)
    if listed is None:
        return [found(findings.NOT_INSTALLED)]
    changed = listed.changed()
    if changed:
        names = ", ".join(path.name for path in changed)
        return [
            found(
                findings.INSTALLED_CHANGED, {"files": len(listed.files), "of_them": len(changed)}, names=names
            )
        ]
    by_systemd = any(command[0] == "systemctl" for command in listed.end)
    runs = not by_systemd or await output_of("systemctl", "--user", "is-active", UNIT) is not None
    facts = {"files": len(listed.files), "by_systemd": by_systemd}
    return [found(findings.INSTALLED if runs else findings.INSTALLED_STOPPED, facts)]
