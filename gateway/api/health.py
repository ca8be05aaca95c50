"""Whether a gateway that serves is well: the only thing it tells over HTTP, and only that."""

from __future__ import annotations

from fastapi import FastAPI

from gateway.api import problems
from storage.database import Database


def create_health_app(database: Database) -> FastAPI:
    """An application with `/health` and nothing else."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    problems.install(app)

    @app.get("/health")
    async def health() -> dict[str, str]:
        await database.health()
        return {"status": "ok"}

    return app
