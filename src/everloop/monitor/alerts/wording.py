"""Alerts in words that people read: a title, and a line or two for each."""

from __future__ import annotations

from collections.abc import Sequence

from everloop.monitor.alerts.receiver import Alert


def title(alerts: Sequence[Alert]) -> str:
    """Says in a line what a group of alerts is about."""
    names = ", ".join(dict.fromkeys(str(alert.get("lifecycle", "")) for alert in alerts))
    kinds = ", ".join(dict.fromkeys(str(alert.get("kind", "alert")) for alert in alerts))
    if len(alerts) == 1:
        return f"[{names}] {kinds}: {alerts[0].get('message', '')}"
    return f"[{names}] {len(alerts)} alerts: {kinds}"


def text(alerts: Sequence[Alert]) -> str:
    """Says everything that a person needs to look further, a paragraph for each alert."""
    return "\n\n".join(_paragraph(alert) for alert in alerts)


def _paragraph(alert: Alert) -> str:
    facts = alert.get("facts") or {}
    lines = [f"{alert.get('kind', 'alert')} ({alert.get('severity', 'warning')}): {alert.get('message', '')}"]
    if "since" in facts and "until" in facts:
        lines.append(f"window: {facts['since']} to {facts['until']}")
    if "version" in facts:
        lines.append(f"version: v{facts['version']}")
    return "\n".join([*lines, f"everloop why {alert.get('id', '')}"])
