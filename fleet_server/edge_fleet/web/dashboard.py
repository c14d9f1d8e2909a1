"""The dashboard's pages by address. Each reads, renders, and changes nothing; forms post to `forms.py`."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from sqlalchemy import select
from sqlalchemy.orm import Session

from edge_contracts.ids import ModelName, ProfileName
from edge_contracts.operations import DeviceStatus, RolloutView
from edge_fleet.records.identities import DeviceRow
from edge_fleet.records.observations import AlertRow
from edge_fleet.records.rollouts import DeploymentRow, RolloutRow
from edge_fleet.services import alerts, devices, rollouts, tallies
from edge_fleet.services.news import HEADERS, MEDIA_TYPE, news
from edge_fleet.services.overview import overview, status_column
from edge_fleet.services.release_telemetry import release_telemetry, releases_with_inferences
from edge_fleet.web import charts, forms, troubles
from edge_fleet.web.parts import TheFleet, silent_before
from edge_fleet.web.rendering import FOLDER, render
from edge_fleet.web.routes import PageRoute
from edge_fleet.web.sessions import TheVisitor

PAGE: Final = 100
"""Rows on one page."""

router: Final = APIRouter(include_in_schema=False, route_class=PageRoute)


def add_to(app: FastAPI) -> None:
    """Give the operator door its pages."""
    app.include_router(router)
    app.include_router(forms.router)
    app.mount("/static", StaticFiles(directory=FOLDER / "static"))


@router.get("/")
def fleet_page(
    request: Request,
    fleet: TheFleet,
    visitor: TheVisitor,
    profile: ProfileName | None = None,
    status: DeviceStatus | None = None,
    after: Annotated[str | None, Query(max_length=64)] = None,
) -> HTMLResponse:
    """The devices, in numbers and one by one."""
    before = silent_before(fleet)
    query = select(DeviceRow).order_by(DeviceRow.id)
    if profile is not None:
        query = query.where(DeviceRow.profile == profile)
    if status is not None:
        query = query.where(status_column(before) == status.value)
    if after is not None:
        query = query.where(DeviceRow.id > after)
    with fleet.database.read() as session:
        rows = session.scalars(query.limit(PAGE + 1)).all()
        values: dict[str, Any] = {
            "overview": overview(session, before),
            "devices": devices.view_devices(session, rows[:PAGE], before),
            "more": rows[PAGE - 1].id if len(rows) > PAGE else None,
            "current": _latest_rollout(session),
        }
    return render(request, "fleet.html", visitor, "devices rollouts alerts", profile=profile, status=status, **values)


@router.get("/rollouts")
def rollouts_page(request: Request, fleet: TheFleet, visitor: TheVisitor) -> HTMLResponse:
    """The latest rollouts."""
    with fleet.database.read() as session:
        rows = session.scalars(select(RolloutRow).order_by(RolloutRow.created.desc()).limit(PAGE)).all()
        views = [tallies.view(session, row) for row in rows]
    found = [(view, charts.stacked_waves(view.waves)) for view in views]
    return render(request, "rollouts.html", visitor, "rollouts", rollouts=found)


@router.get("/rollouts/{rollout}")
def rollout_page(
    request: Request,
    fleet: TheFleet,
    visitor: TheVisitor,
    rollout: str,
    after: Annotated[str | None, Query(max_length=64)] = None,
) -> HTMLResponse:
    """One rollout: its waves, what went wrong and why, and each device."""
    query = select(DeploymentRow).where(DeploymentRow.rollout == rollout).order_by(DeploymentRow.device)
    if after is not None:
        query = query.where(DeploymentRow.device > after)
    with fleet.database.read() as session:
        row = rollouts.find(session, rollout)
        view = tallies.view(session, row)
        rows = session.scalars(query.limit(PAGE + 1)).all()
        found = troubles.troubles(session, rollout)
    return render(
        request,
        "rollout.html",
        visitor,
        "rollouts",
        rollout=view,
        waves=[(wave, charts.stacked(wave)) for wave in view.waves],
        whole=charts.stacked_waves(view.waves),
        verbs=forms.verbs_for(view.state),
        deployments=rows[:PAGE],
        more=rows[PAGE - 1].device if len(rows) > PAGE else None,
        troubles=found,
    )


@router.get("/telemetry")
def telemetry_page(request: Request, fleet: TheFleet, visitor: TheVisitor) -> HTMLResponse:
    """The releases, with what they inferred in the last day."""
    with fleet.database.read() as session:
        found = releases_with_inferences(session, fleet.clock())
    return render(request, "telemetry.html", visitor, "telemetry releases", releases=found)


@router.get("/telemetry/{model}/{version}")
def release_page(
    request: Request, fleet: TheFleet, visitor: TheVisitor, model: ModelName, version: int
) -> HTMLResponse:
    """What a release saw and answered, beside its baseline."""
    with fleet.database.read() as session:
        telemetry = release_telemetry(session, model, version, fleet.clock())
        open_alerts = session.scalars(
            select(AlertRow).where(AlertRow.model == model, AlertRow.version == version, ~AlertRow.acknowledged)
        ).all()
    return render(
        request,
        "release.html",
        visitor,
        "telemetry alerts",
        telemetry=telemetry,
        cohorts=[(cohort, charts.of_cohort(cohort, telemetry.labels)) for cohort in telemetry.cohorts],
        alerts=[alerts.view(row) for row in open_alerts],
    )


@router.get("/alerts")
def alerts_page(request: Request, fleet: TheFleet, visitor: TheVisitor) -> HTMLResponse:
    """What a person should look at, then what somebody has looked at."""
    newest = select(AlertRow).order_by(AlertRow.acknowledged, AlertRow.raised.desc()).limit(PAGE)
    with fleet.database.read() as session:
        rows = session.scalars(newest).all()
    return render(request, "alerts.html", visitor, "alerts", alerts=[alerts.view(row) for row in rows])


@router.get("/live")
async def live(request: Request, fleet: TheFleet, _visitor: TheVisitor) -> Response:
    """Tells an open page that something has changed."""
    return StreamingResponse(news(fleet.changes, request.is_disconnected), media_type=MEDIA_TYPE, headers=HEADERS)


def _latest_rollout(session: Session) -> tuple[RolloutView, charts.Chart] | None:
    row = session.scalar(select(RolloutRow).order_by(RolloutRow.updated.desc()).limit(1))
    if row is None:
        return None
    view = tallies.view(session, row)
    return view, charts.stacked_waves(view.waves)
