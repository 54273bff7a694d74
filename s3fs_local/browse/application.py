"""The pages of one store, put together as an ASGI application."""

import logging
from http import HTTPStatus
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from s3fs_local import errors
from s3fs_local.browse import (
    change_pages,
    chart_pages,
    file_pages,
    overview_pages,
    restore_pages,
    tree_pages,
)
from s3fs_local.browse.answers import Answers
from s3fs_local.browse.site import Site, site_of

log = logging.getLogger(__name__)

_STATUS: Final = (
    (errors.NoSuchName, HTTPStatus.NOT_FOUND),
    (errors.NoSuchVersion, HTTPStatus.NOT_FOUND),
    (errors.NothingToRestore, HTTPStatus.NOT_FOUND),
    (errors.IsADirectory, HTTPStatus.NOT_FOUND),
    (errors.InvalidArgument, HTTPStatus.BAD_REQUEST),
    (errors.InvalidTime, HTTPStatus.BAD_REQUEST),
    (errors.NotPermitted, HTTPStatus.FORBIDDEN),
    (errors.DaemonUnreachable, HTTPStatus.SERVICE_UNAVAILABLE),
)
_STATIC: Final = Path(__file__).with_name("static")


class _AnyPath(Convertor[str]):
    """What starlette's own `path` takes, and names with a line break too."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        """Pages read the bytes of the URL instead; see `site.path_of`."""
        return value

    def to_string(self, value: str) -> str:
        """Not used."""
        return value


register_url_convertor("any", _AnyPath())


def make_pages(answers: Answers, folder: str) -> Starlette:
    """All pages, below the folder; whoever may see them is let in by an `Entrance`."""
    routes = [
        Route(f"{folder}/", _start),
        Route(f"{folder}/tree/{{path:any}}", tree_pages.tree),
        Route(f"{folder}/file/{{path:any}}", file_pages.file),
        Route(f"{folder}/raw/{{path:any}}", file_pages.raw),
        Route(f"{folder}/picture/{{path:any}}", file_pages.picture),
        Route(f"{folder}/diff/{{path:any}}", file_pages.difference),
        Route(f"{folder}/changes/{{path:any}}", change_pages.changes),
        Route(f"{folder}/events/{{path:any}}", change_pages.events),
        Route(f"{folder}/chart/{{path:any}}", chart_pages.chart),
        Route(f"{folder}/numbers/{{path:any}}", chart_pages.numbers),
        Route(f"{folder}/overview/", overview_pages.overview),
        Route(f"{folder}/restore/{{path:any}}", restore_pages.preview, methods=["GET"]),
        Route(f"{folder}/restore/{{path:any}}", restore_pages.carry_out, methods=["POST"]),
        Route(f"{folder}/restored/{{path:any}}", restore_pages.restored),
        Mount(f"{folder}/static", StaticFiles(directory=_STATIC)),
    ]
    application = Starlette(
        routes=routes,
        exception_handlers={
            errors.S3fsLocalError: _told,
            HTTPException: _not_there,
            Exception: _bug,
        },
    )
    application.state.site = Site(answers, folder)
    return application


async def _start(request: Request) -> Response:
    return RedirectResponse(f"{site_of(request).folder}/tree/", status_code=303)


async def _told(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), HTTPStatus.CONFLICT)
    return site_of(request).page(
        "trouble.html", title="Not done", status=status, sentence=str(error)
    )


async def _not_there(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.NOT_FOUND
    return site_of(request).page(
        "trouble.html", title="No such page", status=status, sentence="There is no such page."
    )


async def _bug(request: Request, error: Exception) -> Response:
    log.error("a page failed by a bug: %s", request.url.path, exc_info=error)
    return site_of(request).page(
        "trouble.html",
        title="A bug",
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        sentence="This page failed by a bug of ours. The terminal of `browse` says more.",
    )
