"""Which objects may lie in a stretch of time, found in an index: what lies elsewhere costs nothing.

An index on when objects start says little as long as they may last for any time. So they are told apart by how long
their bounds are (``objects.extent``, which the database computes): whatever is of one extent and meets a stretch of
time starts at most so long before it. A question has one branch for each extent, and each branch is one range of the
index ``(collection_id, extent, starts_at, ends_at, component)``, which has all that decides.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, literal_column, or_, select, union_all

from storage.sql.direct import Direct
from storage.sql.schema import ENDLESS, LONGEST, STARTLESS, objects

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, CompoundSelect

#: Before and after every bound of an object, and small enough that ``LONGEST`` can be added.
ALWAYS: Final = (-(1 << 62), 1 << 62)
_START: Final = bindparam("start", type_=objects.c.starts_at.type)
_END: Final = bindparam("end", type_=objects.c.ends_at.type)


def chosen(of: ColumnElement[bool], components: ColumnElement[bool] | None) -> CompoundSelect[Any]:
    """The ids of the objects whose bounds meet ``start`` to ``end`` (parameters, included); an open bound meets it.

    ``of`` says of which collections, ``components`` of which kinds (None: any).
    """
    kinds = () if components is None else (components,)
    starts, ends = objects.c.starts_at <= _END, objects.c.ends_at >= _START
    reaches = or_(objects.c.ends_at.is_(None), ends)
    found = [
        # Written into the text: how each branch is best answered does not depend on what is asked.
        select(objects.c.id).where(of, objects.c.extent == literal_column(str(extent)), *rest, *kinds)
        for extent, rest in (
            *((at, (_begins_after(longest), starts, ends)) for at, longest in enumerate(LONGEST)),
            (ENDLESS, (starts, reaches)),
            (STARTLESS, (reaches,)),
        )
    ]
    return union_all(*found)


def _begins_after(longest: int) -> ColumnElement[bool]:
    """It starts late enough to reach the stretch if it is no longer than that."""
    seconds: ColumnElement[int] = literal_column(str(longest))
    return objects.c.starts_at >= _START - seconds


@lru_cache(maxsize=16)
def choosing(components: int) -> Direct:
    """The question for the ids in one ``collection``, of so many components (``component_0`` …; 0: of any)."""
    kinds = [bindparam(f"component_{at}", type_=objects.c.component.type) for at in range(components)]
    return Direct(
        chosen(
            objects.c.collection_id == bindparam("collection"), objects.c.component.in_(kinds) if components else None
        )
    )
