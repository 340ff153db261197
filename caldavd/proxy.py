"""What is seen through a reverse proxy: ``X-Forwarded-*`` from trusted addresses only, ``SCRIPT_NAME``, the prefix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Seen:
    """The request as its client made it: address, prefix, ``scheme://host[:port]`` and the authorities that are us."""

    remote_address: str
    prefix: str
    base_url: str
    authorities: frozenset[str]


@dataclass(frozen=True, slots=True)
class Proxies:
    """``trusted``: networks whose ``X-Forwarded-For``, ``-Proto``, ``-Host`` and ``-Prefix`` are believed.

    ``prefix``: the path below which the server lives; ``base_url``: what the administrator says it is called.
    """

    trusted: tuple[IPv4Network | IPv6Network, ...] = ()
    prefix: str = ""
    base_url: str = ""

    def is_trusted(self, address: str) -> bool:
        """Whether ``address`` is one of the trusted proxies."""
        if not self.trusted:
            return False
        try:
            parsed = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(parsed in network for network in self.trusted)

    def see(self, environ: Mapping[str, object]) -> Seen:
        """Reads the environment of a WSGI request."""
        remote = str(environ.get("REMOTE_ADDR") or "")
        scheme = str(environ.get("wsgi.url_scheme") or "http")
        host = str(environ.get("HTTP_HOST") or environ.get("SERVER_NAME") or "localhost")
        prefix = str(environ.get("SCRIPT_NAME") or "") or self.prefix
        authorities = {host.lower()}
        if self.is_trusted(remote):
            scheme = _last(environ, "HTTP_X_FORWARDED_PROTO") or scheme
            host = _last(environ, "HTTP_X_FORWARDED_HOST") or host
            prefix = _last(environ, "HTTP_X_FORWARDED_PREFIX") or prefix
            remote = self._client(str(environ.get("HTTP_X_FORWARDED_FOR") or ""), remote)
            authorities.add(host.lower())
        base = self.base_url.rstrip("/") or f"{scheme}://{host}"
        if self.base_url:
            authorities.add(urlsplit(self.base_url).netloc.lower())
        prefix = "/" + prefix.strip("/") if prefix.strip("/") else ""
        return Seen(remote, prefix, base, frozenset(authorities))

    def _client(self, forwarded: str, remote: str) -> str:
        """The rightmost address that is not one of ours: what lies left of it, a client may have written itself."""
        for hop in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
            if not self.is_trusted(hop):
                return hop
            remote = hop
        return remote


def _last(environ: Mapping[str, object], key: str) -> str:
    return str(environ.get(key) or "").split(",")[-1].strip()
