"""Principals, memberships and homes of many at once, as listings need them: the statements do not grow in number."""

from __future__ import annotations

from storage.rows import Address, PrincipalKind
from storage.store import Store, Transaction


def _furnish(tx: Transaction) -> dict[str, int]:
    people = {
        name: tx.principals.add(
            name=name,
            kind=PrincipalKind.INDIVIDUAL,
            addresses=[
                Address(f"mailto:{name.lower()}{number}@example.org", preferred=number == 0) for number in (0, 1)
            ],
        ).id
        for name in ("anna", "Anna!", "bert", "carl")
    }
    groups = {name: tx.principals.add(name=name, kind=PrincipalKind.GROUP).id for name in ("all", "few", "none")}
    tx.principals.set_members(groups["all"], [people["carl"], people["bert"], people["anna"], groups["few"]])
    tx.principals.set_members(groups["few"], [people["anna"]])
    return people | groups


def test_by_names(store: Store) -> None:
    ids = store.run(_furnish, write=True)
    found = store.run(lambda tx: tx.principals.by_names(["bert", "anna", "ANNA", "nobody", "a\0", "bert"]), write=False)
    assert {name: one.id for name, one in found.items()} == {"anna": ids["anna"], "bert": ids["bert"]}
    assert [address.uri for address in found["anna"].addresses] == [
        "mailto:anna0@example.org",
        "mailto:anna1@example.org",
    ]
    assert store.run(lambda tx: tx.principals.by_names([]), write=False) == {}


def test_by_more_names_than_a_statement_takes(store: Store) -> None:
    ids = store.run(_furnish, write=True)
    names = [*(f"x{number}" for number in range(1200)), "carl"]
    found = store.run(lambda tx: tx.principals.by_names(names), write=False)
    assert {name: one.id for name, one in found.items()} == {"carl": ids["carl"]}


def test_members_of_many_groups(store: Store) -> None:
    ids = store.run(_furnish, write=True)
    groups = [ids["all"], ids["few"], ids["none"], ids["bert"], 10**9]
    found = store.run(lambda tx: tx.principals.members_of(groups), write=False)
    assert {id_: [one.name for one in members] for id_, members in found.items()} == {
        ids["all"]: ["anna", "bert", "carl", "few"],
        ids["few"]: ["anna"],
        ids["none"]: [],
        ids["bert"]: [],
        10**9: [],
    }


def test_groups_of_many_principals(store: Store) -> None:
    ids = store.run(_furnish, write=True)
    found = store.run(lambda tx: tx.principals.groups_of([ids["anna"], ids["few"], ids["Anna!"]]), write=False)
    assert {id_: [one.name for one in groups] for id_, groups in found.items()} == {
        ids["anna"]: ["all", "few"],
        ids["few"]: ["all"],
        ids["Anna!"]: [],
    }


def test_homes_with_their_roots(store: Store) -> None:
    store.run(_furnish, write=True)

    def work(tx: Transaction) -> list[tuple[str, bool, bool]]:
        ids = [one.home_id for one in tx.principals.by_names(["carl", "anna", "none"]).values()]
        roots = tx.collections.roots([*ids, 10**9])
        return [(home.owner, root.path == (), root.home_id == home.id) for home, root in roots]

    assert store.run(work, write=False) == [("anna", True, True), ("carl", True, True), ("none", True, True)]
