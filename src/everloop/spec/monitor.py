"""Phase 6 of the lifecycle file: monitoring, and what it leads to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from everloop.core.errors import UsageFault
from everloop.core.units import parse_duration
from everloop.spec.detectors import DetectorField
from everloop.spec.fields import AlarmBudget, AlarmField, Count, Duration, Time, Trigger, TriggerField
from everloop.spec.part import Part
from everloop.spec.secret import AddressField, SecretField

_WINDOW = "expected a duration such as 1d, or {predictions: 1000}"


class WindowSpec(Part):
    """How predictions are judged together: a time such as `1d`, or `{predictions: 1000}`."""

    time: Duration | None = Field(None, description="A span of time.")
    predictions: Count | None = Field(None, description="A number of predictions.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            try:
                value = {"time": parse_duration(value)}
            except UsageFault as fault:
                raise ValueError(_WINDOW) from fault
        if not isinstance(value, (dict, cls)):
            raise ValueError(_WINDOW)
        return value

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.time is None) == (self.predictions is None):
            raise ValueError(_WINDOW)
        if self.time is not None and self.time.total_seconds() <= 0:
            raise ValueError("expected a window longer than nothing")
        return self

    @property
    def length(self) -> timedelta:
        """How long a window is; a day where it is a number of predictions."""
        return self.time or timedelta(days=1)


class DriftSpec(Part):
    """When a change of the inputs is an alert."""

    alarm: AlarmField = Field(AlarmBudget(1, 100), description="How many false alarms are acceptable.")
    multivariate: bool = Field(
        default=False,
        description="Whether a learner shall also try to tell a window's rows from the reference's, which "
        "finds what no column shows alone; it gets half of the false alarms.",
    )
    detectors: tuple[DetectorField, ...] = Field(
        (),
        description="Detectors that answer at each event, beside the windows: `adwin`, `page_hinkley`, "
        "`kswin`, or with options such as `{adwin: {delta: 0.001}}`.",
    )
    segments: tuple[str, ...] = Field(
        (),
        description="Columns of a row; within each of their values (the 8 most frequent, or the quarters of "
        "a number) the inputs and the score are watched, too, within the same false alarms.",
    )

    @property
    def budget(self) -> AlarmBudget:
        """The false alarms of each look at a window, where there are several."""
        return AlarmBudget(self.alarm.alarms, self.alarm.windows * (2 if self.multivariate else 1))


class AlertPart(Part):
    """What every receiver of alerts can be told."""

    every: Duration | None = Field(
        None, description="At most one message in this time; alerts wait and come together."
    )


class WebhookAlert(AlertPart):
    """Posts JSON to an address."""

    webhook: SecretField = Field(description="The address, as env:NAME or file:PATH.")


class SlackAlert(AlertPart):
    """Writes to a channel, by an incoming webhook of Slack (or of what takes the same form)."""

    slack: SecretField = Field(description="The webhook's address, as env:NAME or file:PATH.")


class EmailAlert(AlertPart):
    """Sends a message."""

    email: str = Field(description="The receiver; several are divided by commas.")
    smtp: SecretField = Field(
        description="The mail server's address, as env:NAME or file:PATH: smtp://user:password@host:587."
    )
    sender: str = Field("", description="Whom it is from; left out: everloop at the mail server's host.")


class PagerDutyAlert(AlertPart):
    """Opens an incident, by the Events API v2."""

    pagerduty: SecretField = Field(description="The routing key, as env:NAME or file:PATH.")
    url: str = Field("https://events.pagerduty.com/v2/enqueue", description="The API's address.")


class AlertmanagerAlert(AlertPart):
    """Posts to Prometheus' Alertmanager."""

    alertmanager: AddressField = Field(description="Its address, such as http://localhost:9093.")


class FileAlert(AlertPart):
    """Appends a JSON line to a file."""

    file: str = Field(description="The path, beside the lifecycle file.")


ALERT_KINDS: dict[str, type[AlertPart]] = {
    "webhook": WebhookAlert,
    "slack": SlackAlert,
    "email": EmailAlert,
    "pagerduty": PagerDutyAlert,
    "alertmanager": AlertmanagerAlert,
    "file": FileAlert,
}


def _kind(value: Any) -> str | None:
    if isinstance(value, Part):
        return next((kind for kind, part in ALERT_KINDS.items() if isinstance(value, part)), None)
    return next((kind for kind in ALERT_KINDS if isinstance(value, dict) and kind in value), None)


AlertTarget = Annotated[
    Annotated[WebhookAlert, Tag("webhook")]
    | Annotated[SlackAlert, Tag("slack")]
    | Annotated[EmailAlert, Tag("email")]
    | Annotated[PagerDutyAlert, Tag("pagerduty")]
    | Annotated[AlertmanagerAlert, Tag("alertmanager")]
    | Annotated[FileAlert, Tag("file")],
    Discriminator(
        _kind,
        custom_error_type="alert_kind",
        custom_error_message="expected a receiver with one of the keys " + ", ".join(ALERT_KINDS),
    ),
]


class SilenceSpec(Part):
    """Alerts that nobody is told of for a while, since their cause is known; they stay on record."""

    alert: Literal["drift", "contract", "value", "rollout", "retrain", "log"] = Field(
        description="The kind of alert."
    )
    since: Time | None = Field(None, description="From when; left out: already.")
    until: Time = Field(description="Until when; a silence always ends.")
    reason: str = Field(min_length=1, description="Why, as the record keeps it.")

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.since is not None and self.since >= self.until:
            raise ValueError("expected `since` before `until`")
        return self

    def covers(self, kind: str, at: datetime) -> bool:
        """Says whether an alert that is raised at a time is one of these."""
        return kind == self.alert and (self.since is None or self.since <= at) and at < self.until


_HISTORY = "expected growing, {last: 180d} or {half_life: 90d}"


class HistorySpec(Part):
    """What a training learns from: `growing` (all there is), `{last: 180d}` or `{half_life: 90d}`."""

    last: Duration | None = Field(None, description="Rows of this time before the latest, and no older ones.")
    half_life: Duration | None = Field(None, description="A row that is so much older counts half as much.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if value == "growing":
            return {}
        if not isinstance(value, (dict, cls)):
            raise ValueError(_HISTORY)
        return value

    @model_validator(mode="after")
    def _some(self) -> Self:
        if any(span is not None and span <= timedelta() for span in (self.last, self.half_life)):
            raise ValueError("expected a time longer than nothing")
        return self


class RetrainSpec(Part):
    """When the loop considers a retrain, and who approves a promotion."""

    on: tuple[TriggerField, ...] = Field(
        (Trigger("drift"), Trigger("performance"), Trigger("value")),
        description="`drift`, `performance`, `value`, `contract`, `schedule: every Monday at 6`, "
        "`labels: 5000`, `rule: drift > 1.5 and days >= 14`, `python: policy.py:when`.",
    )
    if_it_pays: bool = Field(
        True,
        description="Whether what drift, performance and value ask for must also be expected to pay.",
    )
    history: HistorySpec = Field(
        default_factory=HistorySpec,
        description="What each training learns from: `growing` (all there is), `{last: 180d}` (a sliding "
        "window) or `{half_life: 90d}` (older rows count less).",
    )
    approve: Literal["automatic", "manual"] = Field(
        "automatic", description="Whether a promotion waits for a person."
    )
    approvers: tuple[str, ...] = Field(
        (), description="Who may approve, promote or reject by hand; left out: whoever gives a name."
    )


class AfterReleaseSpec(Part):
    """How long a version is held against the one before it, once it was promoted."""

    windows: int = Field(
        10,
        ge=0,
        description="For the predictions of so many windows; the version before it serves again where it "
        "is shown to be worse. 0 does without.",
    )


class MonitorSpec(Part):
    """How the model is watched."""

    window: WindowSpec = Field(
        default_factory=lambda: WindowSpec.model_validate("1d"),
        description="What is judged together: `1d`, or `{predictions: 1000}`.",
    )
    drift: DriftSpec = Field(default_factory=DriftSpec, description="When a change is an alert.")
    estimate: Literal["cbpe", "pape"] = Field(
        "cbpe",
        description="How performance is estimated before the actuals: by what scores meant on the whole "
        "reference (`cbpe`), or on those of its rows that are like the window's (`pape`; binary tasks).",
    )
    alerts: tuple[AlertTarget, ...] = Field((), description="Who is told.")
    silences: tuple[SilenceSpec, ...] = Field((), description="What nobody is told of for a while.")
    after_release: AfterReleaseSpec = Field(
        default_factory=AfterReleaseSpec,
        description="How long a version that was promoted is held against the one before it.",
    )
    retrain: RetrainSpec = Field(default_factory=RetrainSpec, description="When a retrain is considered.")
