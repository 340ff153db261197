"""A request on one page, and the only ``except``.

Authenticate, locate, read the body, then run the method's handler in one transaction that may be run again from its
start; what goes wrong becomes a status here and nowhere else.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

import webob

from caldavd import errors, express, kinds, public
from caldavd.access import Access, Memberships
from caldavd.auth import Authenticated, Authenticator, Challenge, Unconfirmed
from caldavd.compression import compress
from caldavd.context import Context, Limits
from caldavd.directory import Directory
from caldavd.errors import DavError
from caldavd.locking import check_if
from caldavd.locks import HeldLocks
from caldavd.methods import METHODS, Method
from caldavd.proxy import Proxies, Seen
from caldavd.request import Request, read_body
from caldavd.resources import resolve
from caldavd.response import XML_TYPE, Response
from caldavd.router import PUBLIC_ROOT, BadPath, Location, OtherServer, Router, Space
from caldavd.spool import Outlets
from caldavd.statuses import with_phrase
from config import log as logs
from scheduling.delivery.running import run_locked
from scheduling.delivery.scheduler import Scheduler
from scheduling.finding.finder import Finder
from scheduling.freebusy.diaries import FreeBusy
from storage.errors import StoreError
from storage.rows import Principal
from storage.store import Store, Transaction

log = logging.getLogger(__name__)

StartResponse = Callable[..., Any]
Environ = dict[str, Any]
#: Says in the transaction of a request who sent it.
Login = Callable[[Transaction], Principal]

#: On every answer: clients must not keep what another user of the same browser or proxy could see (RFC 9111 5.2.2).
_COMMON: Final = {"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class _Visit:
    """A request that has not been read yet, and where it goes."""

    raw: webob.BaseRequest
    seen: Seen
    router: Router
    path: str
    location: Location
    id: str

    @property
    def space(self) -> public.Space | None:
        """The space that answers without a login; ``None``: the request is for WebDAV."""
        return public.SPACES.get(self.location.names[0]) if self.location.space is Space.PUBLIC else None

    @property
    def accept_language(self) -> str:
        """The header (RFC 9110 section 12.5.4); empty where it is missing."""
        return str(self.raw.headers.get("Accept-Language") or "")

    def request(self, *, max_body: int) -> Request:
        """Reads it. Raises 413, 415, 411 or 400 for a body that is not taken."""
        raw, seen = self.raw, self.seen
        if raw.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
            raise DavError(
                415, "Send the body as it is, without a Content-Encoding.", headers={"Accept-Encoding": "identity"}
            )
        return Request(
            method=raw.method,
            path=self.path,
            environ=raw.environ,
            body=read_body(raw, limit=max_body),
            authorities=seen.authorities,
            base_url=seen.base_url,
            remote_address=seen.remote_address,
            id=self.id,
            query=dict(parse_qsl(raw.query_string, keep_blank_values=True, errors="replace")),
        )


@dataclass(frozen=True, slots=True)
class Application:
    """The WSGI callable.

    ``router`` holds the prefix that is set; ``proxies`` decides whose ``X-Forwarded-*`` count; ``access_log``: whether
    every request is a line in the log; ``outlets``: who of those whose answers are long may have them piece by piece.
    """

    store: Store
    authenticator: Authenticator
    router: Router = field(default_factory=Router)
    limits: Limits = field(default_factory=Limits)
    proxies: Proxies = field(default_factory=Proxies)
    access_log: bool = False
    memberships: Memberships = field(default_factory=Memberships)
    scheduler: Scheduler | None = None
    freebusy: FreeBusy = field(default_factory=FreeBusy)
    finder: Finder = field(default_factory=Finder)
    outlets: Outlets = field(default_factory=Outlets)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answers one request (PEP 3333)."""
        began = time.perf_counter()
        trusted = self.proxies.is_trusted(str(environ.get("REMOTE_ADDR") or ""))
        with logs.request(environ.get("HTTP_X_REQUEST_ID") if trusted else None) as request_id:
            response = self._answer(environ, request_id)
            if self.access_log:
                milliseconds = (time.perf_counter() - began) * 1000
                log.info("%s %r %d in %.1f ms", *_told(environ), response.status, milliseconds)
        return _send(response, environ, start_response, request_id, self.outlets)

    @property
    def _dav(self) -> str:
        return kinds.DAV_HEADER if self.scheduler is None else kinds.DAV_HEADER_SCHEDULING

    def _answer(self, environ: Environ, request_id: str) -> Response:
        refusal: Callable[[DavError], Response] = _of_error
        common: Mapping[str, str] = {"DAV": self._dav}
        try:
            visit = self._visit(environ, request_id)
            space = visit.space
            if space is None:
                response = self._respond(visit)
            else:
                common, refusal = public.HEADERS, lambda error: space.refused(error, visit.accept_language)
                response = self._respond_publicly(visit, space)
        except DavError as error:
            response = refusal(error)
        except StoreError as error:
            response = refusal(errors.of_store(error))
        except Exception:
            log.exception("failed: %s %r", *_told(environ))
            message = f"Something went wrong on the server. Its log says more under {request_id}."
            response = refusal(DavError(500, message))
        response.headers = {**common, **response.headers}
        return response

    def _visit(self, environ: Environ, request_id: str) -> _Visit:
        raw = webob.BaseRequest(environ)
        seen = self.proxies.see(environ)
        router = Router(seen.prefix) if seen.prefix != self.router.prefix else self.router
        try:
            path = _path(environ, router)
            return _Visit(raw, seen, router, path, router.locate(path), request_id)
        except BadPath as error:
            raise errors.bad_request(str(error)) from error

    def _respond(self, visit: _Visit) -> Response:
        raw, seen, location = visit.raw, visit.seen, visit.location
        if location.space is Space.WELL_KNOWN:
            # RFC 6764 section 5: for every method and before authentication; 301 is what all clients follow.
            return Response(301, {"Location": f"{visit.router.prefix}/", "Content-Type": "text/plain"})
        method = METHODS.get(raw.method)
        authorization = raw.environ.get("HTTP_AUTHORIZATION")
        request = expected = None
        if method is not None and not method.write:
            expected = self.authenticator.expected(authorization=authorization, remote_address=seen.remote_address)
        if method is not None and expected is not None:
            request = visit.request(max_body=self.limits.max_body_size)
            with suppress(Unconfirmed):
                quick = express.answer(self.store, visit.router, expected, location, request)
                return quick or self._run(request, visit.router, location, method, expected.confirmed)
        who = self.authenticator.authenticate(
            authorization=authorization, remote_address=seen.remote_address, environ=raw.environ
        )
        if not isinstance(who, Authenticated):
            return _refuse(who)
        if method is None:
            raise DavError(501, f"The method {raw.method[:32]!r} is not known here.")
        request = request or visit.request(max_body=self.limits.max_body_size)
        return self._run(request, visit.router, location, method, lambda _: who.principal)

    def _respond_publicly(self, visit: _Visit, space: public.Space) -> Response:
        """Answers what needs no login: the secret in the path decides (:mod:`caldavd.public`)."""
        method = space.method(visit.raw.method)
        request = visit.request(max_body=method.max_body)
        names = visit.location.names[1:]

        def work(tx: Transaction, held: frozenset[str]) -> Response:
            parts = (tx, self.store, visit.router, self.limits, self.scheduler, held, self.freebusy)
            return method.run(public.Public(request, names, *parts))

        return run_locked(self.store, (), work, write=method.write)

    def _run(self, request: Request, router: Router, location: Location, method: Method, login: Login) -> Response:
        write = method.write and not method.only_reads(location, request.body)
        destination = _destination(request, router) if method.destination else None
        owners = {place.owner for place in (location, destination) if place is not None and place.space is Space.HOME}

        def work(tx: Transaction, held: frozenset[str]) -> Response:
            user = login(tx)
            hidden = kinds.OF_SCHEDULING if self.scheduler is None else frozenset()
            access = Access(tx, user, epoch=self.store.epoch, memberships=self.memberships, hidden=hidden)
            context = Context(
                request,
                user,
                tx,
                self.store,
                router,
                access,
                self.limits,
                HeldLocks(tx),
                Directory(tx),
                destination,
                self.scheduler,
                held,
                self.freebusy,
                self.finder,
            )
            resource = resolve(tx, router, location, columns=method.columns)
            access.require(resource)  # before anything else: what the user may not know of is 404, whatever is asked
            if request.method not in resource.kind.methods:
                if resource.kind is kinds.UNMAPPED and request.method not in _CREATING:
                    raise errors.not_found()
                raise not_allowed(resource.kind, request.method)
            if request.body and not method.body:
                raise DavError(415, f"{request.method} takes no body here.")
            if not write:
                check_if(context, resource)  # RFC 4918 section 10.4; a write does it after its privileges
            return method.run(context, resource)

        # Deliveries reach further than the request says: again then, with all of those homes locked.
        return run_locked(self.store, owners, work, write=write)


_CREATING: Final = frozenset({"MKCOL", "MKCALENDAR", "PUT", "LOCK"})


def not_allowed(kind: kinds.Kind, method: str) -> DavError:
    """405 with ``Allow``; for MKCOL and MKCALENDAR on what exists with its precondition (RFC 4791 5.3.1.1)."""
    allow = {"Allow": ", ".join(kind.methods)}
    if method in ("MKCOL", "MKCALENDAR"):
        condition = errors.RESOURCE_MUST_BE_NULL
        return DavError(405, "There is something at this URL already.", condition=condition, headers=allow)
    return DavError(405, f"{method} is not possible on this kind of resource.", headers=allow)


def _destination(request: Request, router: Router) -> Location:
    """The ``Destination`` header (RFC 4918 section 10.3)."""
    value = request.header("Destination")
    if value is None:
        raise errors.bad_request("COPY and MOVE need a Destination header.")
    try:
        return router.locate_href(value, authorities=request.authorities)
    except OtherServer as error:
        raise DavError(502, "The Destination is on another server.") from error
    except BadPath as error:
        raise errors.bad_request(f"The Destination cannot be used: {error}") from error


def _path(environ: Environ, router: Router) -> str:
    """The decoded path below the prefix. Servers pass it as latin-1 (PEP 3333).

    A request target has no fragment (RFC 9112 section 3.2): acting on what is before it could delete a collection
    for something in it. Gunicorn and uWSGI tell the target as it came; granian has cut the fragment off by then.
    """
    if "#" in str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""):
        raise BadPath("The URL holds a fragment (#), which is not for the server.")
    try:
        path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8")
    except UnicodeError as error:
        raise BadPath("The path is not UTF-8.") from error
    if environ.get("SCRIPT_NAME") or not router.prefix or path.startswith("/.well-known/"):
        return path or "/"
    return router.strip_prefix(path)


#: What follows the name of a public space; a calendar may have the same name.
_SECRET: Final = re.compile(rf"^((?:/(?!calendars/|principals/)[^/]+)*?/+(?:{'|'.join(sorted(PUBLIC_ROOT))})/).+")


def _told(environ: Environ) -> tuple[str, str]:
    """Method and path for the log; of a public path only so much that it opens nothing to who reads the log."""
    path = str(environ.get("PATH_INFO") or "")
    return str(environ.get("REQUEST_METHOD")), _SECRET.sub(r"\1…", path)


def _refuse(who: Challenge | Any) -> Response:
    if isinstance(who, Challenge):
        response = _of_error(DavError(401, "Log in with your user name and password."))
        response.headers["WWW-Authenticate"] = f'Basic realm="{who.realm}", charset="UTF-8"'
        return response
    error = DavError(429, "Too many failed logins: wait a little.", headers={"Retry-After": str(who.retry_after)})
    return _of_error(error)


def _of_error(error: DavError) -> Response:
    return Response(error.status, {"Content-Type": XML_TYPE, **error.headers}, error.body())


def _send(
    response: Response, environ: Environ, start_response: StartResponse, request_id: str, outlets: Outlets
) -> Iterable[bytes]:
    response = compress(response, environ.get("HTTP_ACCEPT_ENCODING", ""))
    headers = {**_COMMON, "X-Request-Id": request_id, **response.headers}
    body = response.body
    if response.status not in (204, 304) or body:
        headers.setdefault("Content-Length", str(len(body)))
    # A list, and of one: granian sends that straight away, and whatever else there could be through a queue.
    chunks: Iterable[bytes] = []
    if body and environ["REQUEST_METHOD"] != "HEAD":
        chunks = [body] if isinstance(body, bytes) else outlets.send(body)
    start_response(with_phrase(response.status), list(headers.items()))
    return chunks
