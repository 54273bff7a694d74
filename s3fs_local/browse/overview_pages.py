"""The store as a whole: whether it is well, and what it holds."""

from starlette.requests import Request
from starlette.responses import Response

from s3fs_local.browse.site import site_of
from s3fs_local.charts.drawing import can_draw
from s3fs_local.control.requests import DescribeStatus
from s3fs_local.control.results.store import Status


async def overview(request: Request) -> Response:
    """As `status` tells it."""
    site = site_of(request)
    return site.page(
        "overview.html",
        title="Overview",
        section="overview",
        drawn=can_draw(),
        found=await site.answers.ask(DescribeStatus(), Status),
    )
