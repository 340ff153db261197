"""What the mail server in front of us found out about the sender of a mail.

Owns RFC 8601 (Authentication-Results), with the results of RFC 6376 (DKIM), RFC 7208 (SPF) and RFC 7489 (DMARC), read
for one question: does the domain in From stand behind this mail?

Anybody can write such a field into a mail. Only the topmost one counts, and only if it bears the name of our own mail
server (the authserv-id of the settings): a server puts its own on top of what came in, and has to take away what bears
its name (RFC 8601 5). A signature that does not fit is as good as none (RFC 6376 6.1), and so speaks neither for nor
against.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from scheduling.imip.mime import MAX_FIELD, Head

#: More methods than this are not looked at.
_MAX_RESULTS: Final = 50
_NAME: Final = re.compile(r"[a-z0-9-]+(?:/\d+)?")
_PROPERTY: Final = re.compile(r"(?:header|smtp|policy)\.[a-z0-9_-]+")


class Verdict(StrEnum):
    """Whether the domain in From stands behind the mail."""

    PASS = "pass"  # noqa: S105 - the word of RFC 8601
    """It does: DMARC passed, or a DKIM signature or the envelope sender that was allowed to send is of this domain."""
    CONTRADICTION = "contradiction"
    """It says that it does not."""
    NONE = "none"
    """Nobody knows."""


@dataclass(frozen=True, slots=True)
class Result:
    """One method and what came out, with its properties (``header.d`` and so on), all in lower case."""

    method: str
    value: str
    properties: dict[str, str]


def verdict(head: Head, domain: str, *, authserv_id: str) -> Verdict:
    """What our mail server says of mail from ``domain``; ``NONE`` where it says nothing, or none is named."""
    if not authserv_id or not domain:
        return Verdict.NONE
    topmost = next(head.all("authentication-results"), "")
    if len(topmost) > MAX_FIELD:  # nor does the next one count then
        return Verdict.NONE
    results = _results(topmost, authserv_id)
    return _judged(results, domain.casefold().rstrip("."))


def _judged(results: list[Result], domain: str) -> Verdict:
    dmarc = [one for one in results if one.method == "dmarc"]
    if any(one.value == "pass" and _same_from(one, domain) for one in dmarc):
        return Verdict.PASS
    if any(one.value == "fail" for one in dmarc):
        return Verdict.CONTRADICTION
    signed = any(one.method == "dkim" and one.value == "pass" and _aligned(_signer(one), domain) for one in results)
    spf = [one for one in results if one.method == "spf" and _aligned(_domain(_envelope(one)), domain)]
    if signed or any(one.value == "pass" for one in spf):
        return Verdict.PASS
    return Verdict.CONTRADICTION if any(one.value in ("fail", "hardfail") for one in spf) else Verdict.NONE


def _results(field: str, authserv_id: str) -> list[Result]:
    clauses = _clauses(field)
    if not clauses or not clauses[0] or clauses[0][0].casefold() != authserv_id.casefold():
        return []
    return [found for one in clauses[1 : _MAX_RESULTS + 1] if (found := _result(one)) is not None]


def _result(words: list[str]) -> Result | None:
    """``method = value`` and then any number of ``property = value``; what stands between is passed over."""
    said = [one.casefold() for one in words]
    if len(said) < 3 or said[1] != "=" or not _NAME.fullmatch(said[0]):
        return None
    properties: dict[str, str] = {}
    for index in range(3, len(said) - 2):
        if said[index + 1] == "=" and said[index - 1] != "=" and _PROPERTY.fullmatch(said[index]):
            properties.setdefault(said[index], said[index + 2])
    return Result(said[0].partition("/")[0], said[2], properties)


def _clauses(field: str) -> list[list[str]]:
    """The words between semicolons (RFC 8601 2.2), ``=`` being one; without comments.

    What stands in quotation marks is one word, whatever is in it: parts of it were chosen by who sent the mail.
    """
    clauses: list[list[str]] = [[]]
    word, quoted, comments, escaped = "", False, 0, False
    for sign in field:
        if escaped:
            word, escaped = word + (sign if not comments else ""), False
        elif sign == "\\" and (quoted or comments):
            escaped = True
        elif comments or (sign == "(" and not quoted):
            comments += {"(": 1, ")": -1}.get(sign, 0)
        elif sign == '"':
            quoted = not quoted
        elif quoted or not (sign.isspace() or sign in "=;"):
            word += sign
        else:
            clauses[-1] += [one for one in (word, "=" if sign == "=" else "") if one]
            word = ""
            if sign == ";":
                clauses.append([])
    clauses[-1] += [word] if word else []
    return clauses


def _same_from(result: Result, domain: str) -> bool:
    """DMARC is about the domain in From; where the field does not name it, it is taken to be that."""
    named = _domain(result.properties.get("header.from", ""))
    return not named or named == domain


def _signer(result: Result) -> str:
    return result.properties.get("header.d") or _domain(result.properties.get("header.i", ""))


def _envelope(result: Result) -> str:
    return result.properties.get("smtp.mailfrom") or result.properties.get("smtp.envelope-from") or ""


def _domain(text: str) -> str:
    return text.rpartition("@")[2].strip("<>").rstrip(".")


def _aligned(found: str, domain: str) -> bool:
    """The same domain, or one that ``domain`` is below of (RFC 7489 3.1, as far as that can be told without a list)."""
    return bool(found) and (found == domain or ("." in found and domain.endswith(f".{found}")))
