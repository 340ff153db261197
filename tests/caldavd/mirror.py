"""What a client that syncs has, by what it was told."""

from __future__ import annotations

from tests.caldavd.client import NS, Answer


class Mirror:
    """What one client has of one collection."""

    def __init__(self, path: str, *, level: str) -> None:
        self.path = path
        self.level = level
        self.token = ""
        self.has: dict[str, str] = {}

    def take(self, answer: Answer) -> bool:
        """Takes a page over; returns whether there is more."""
        more = False
        for response in answer.xpath("/D:multistatus/D:response"):
            href = response.findtext("{DAV:}href")
            status = response.findtext("{DAV:}status")
            if status is None:
                self.has[href] = response.xpath("string(D:propstat/D:prop/D:getetag)", namespaces=NS)
            elif " 507 " in status:
                assert href == self.path
                more = True
            else:
                assert " 404 " in status
                self._forget(href)
        self.token = answer.xpath("string(/D:multistatus/D:sync-token)")
        return more

    def _forget(self, href: str) -> None:
        bare = href.rstrip("/")
        for known in [name for name in self.has if name.rstrip("/") == bare or name.startswith(bare + "/")]:
            del self.has[known]
