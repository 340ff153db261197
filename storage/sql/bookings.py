"""How rooms and resources answer, and what they offer."""

from __future__ import annotations

from collections.abc import Collection as Members, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from storage.batches import batches
from storage.rows import Beyond, Booking, BookingPolicy
from storage.sql.names import checked_text
from storage.sql.schema import bookings

if TYPE_CHECKING:
    from storage.sql.transaction import SqlTransaction

#: Parts of a degree that are kept.
_DEGREE = 1_000_000
_OF = select(
    bookings.c.principal_id,
    bookings.c.policy,
    bookings.c.beyond,
    bookings.c.window_days,
    bookings.c.capacity,
    bookings.c.equipment,
    bookings.c.place,
    bookings.c.latitude,
    bookings.c.longitude,
    bookings.c.delegate_id,
).where(bookings.c.principal_id.in_(bindparam("principals", expanding=True)))
# Which columns it sets follows from the parameters that it is run with.
_UPDATE = update(bookings).where(bookings.c.principal_id == bindparam("principal"))
_INSERT = insert(bookings)


class SqlBookings:
    """See :class:`storage.store.Bookings`."""

    def __init__(self, transaction: SqlTransaction) -> None:
        self._tx = transaction

    def of(self, principal_ids: Members[int]) -> Mapping[int, Booking]:
        """See :class:`storage.store.Bookings`."""
        return {
            row.principal_id: _booking(row)
            for batch in batches(dict.fromkeys(principal_ids))
            for row in self._tx.execute(_OF, {"principals": batch})
        }

    def set(self, booking: Booking) -> None:
        """See :class:`storage.store.Bookings`."""
        self._tx.writing()
        values = _values(booking)
        if self._tx.execute(_UPDATE, {**values, "principal": booking.principal_id}).rowcount == 0:
            self._tx.execute(_INSERT, {**values, "principal_id": booking.principal_id})


def _booking(row: Any) -> Booking:
    return Booking(
        principal_id=row.principal_id,
        policy=BookingPolicy(row.policy) if row.policy else None,
        beyond=Beyond(row.beyond) if row.beyond else None,
        window_days=row.window_days or None,
        capacity=row.capacity,
        equipment=tuple(filter(None, row.equipment.split("\n"))),
        place=row.place,
        latitude=None if row.latitude is None else row.latitude / _DEGREE,
        longitude=None if row.longitude is None else row.longitude / _DEGREE,
        delegate_id=row.delegate_id,
    )


def _values(booking: Booking) -> dict[str, object]:
    return {
        "policy": booking.policy or "",
        "beyond": booking.beyond or "",
        "window_days": booking.window_days or 0,
        "capacity": booking.capacity,
        "equipment": "\n".join(checked_text(" ".join(name.split()), "equipment") for name in booking.equipment),
        "place": checked_text(booking.place, "place"),
        "latitude": None if booking.latitude is None else round(booking.latitude * _DEGREE),
        "longitude": None if booking.longitude is None else round(booking.longitude * _DEGREE),
        "delegate_id": booking.delegate_id,
    }
