"""A file of accounts: what it may say, and what is said about mistakes in it."""

from __future__ import annotations

import pytest

from caldavd.cli.accounts_file import Account, Accounts, Mistakes, Right, read
from storage.rows import PrincipalKind

HASH = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzYWx0$S4e0cnpmTXPhCzXcCdnYsw"

TOML = f"""
[[person]]
name = "alice"
displayname = "Alice A."
email = ["Alice@Example.org", "urn:uuid:2A"]
password = "s p a c e d"
timezone = "Europe/Berlin"
language = "de"
quota = "500M"

[[person]]
name = "bob"
hash = "{HASH}"
admin = true

[[group]]
name = "team"
members = ["alice", "bob"]

[[room]]
name = "blue"
email = "blue@example.org"

[[resource]]
name = "beamer"

[[right]]
on = "alice/calendar"
who = ["bob", "@authenticated"]
privileges = ["read", "write-content"]
"""

CELL = "calendar:bob:read+write-content calendar:@authenticated:read+write-content"
CSV = f"""name,kind,displayname,email,password,hash,timezone,language,admin,quota,members,rights
alice,person,Alice A.,Alice@Example.org urn:uuid:2A,s p a c e d,,Europe/Berlin,de,,500M,,{CELL}
bob,,,,,{HASH.replace(",", "COMMA")},,,yes,,,
team,group,,,,,,,,,alice;bob,

blue,room,,blue@example.org
beamer,resource
"""

ALICE = Account(
    place="",
    name="alice",
    kind=PrincipalKind.INDIVIDUAL,
    displayname="Alice A.",
    addresses=("mailto:alice@example.org", "urn:uuid:2a"),
    password="s p a c e d",
    timezone="Europe/Berlin",
    language="de",
    quota=500 * 1024**2,
)
PRIVILEGES = ("{DAV:}read", "{DAV:}write-content")
RIGHTS = (
    Right("alice", ("calendar",), "bob", PRIVILEGES),
    Right("alice", ("calendar",), "@authenticated", PRIVILEGES),
)


def without_places(accounts: Accounts) -> dict[str, dict[str, object]]:
    return {
        one.name: {key: getattr(one, key) for key in Account.__dataclass_fields__ if key != "place"}
        for one in accounts.accounts
    }


def test_toml() -> None:
    accounts = read(TOML.encode(), toml=True)
    assert accounts.rights == RIGHTS
    told = without_places(accounts)
    assert list(told) == ["alice", "bob", "team", "blue", "beamer"]
    assert told["alice"] == {key: getattr(ALICE, key) for key in told["alice"]}
    assert (told["bob"]["hash"], told["bob"]["admin"], told["bob"]["password"]) == (HASH, True, None)
    assert (told["team"]["kind"], told["team"]["members"]) == (PrincipalKind.GROUP, ("alice", "bob"))
    assert (told["blue"]["kind"], told["blue"]["addresses"]) == (PrincipalKind.ROOM, ("mailto:blue@example.org",))
    assert told["beamer"]["kind"] is PrincipalKind.RESOURCE


def test_csv_says_the_same() -> None:
    data = CSV.replace(HASH.replace(",", "COMMA"), f'"{HASH}"')
    accounts = read(data.encode(), toml=False)
    told = without_places(accounts)
    assert accounts.rights == RIGHTS
    expected = without_places(read(TOML.encode(), toml=True))
    expected["bob"]["kind"] = None  # an empty cell says nothing
    assert told == expected


@pytest.mark.parametrize("start", ["\ufeff", ""])
def test_csv_of_a_spreadsheet(start: str) -> None:
    """Excel writes a byte order mark, semicolons and CRLF."""
    accounts = read(f'{start}Name;DisplayName\r\nalice;"A; B"\r\n'.encode(), toml=False)
    assert [(one.name, one.displayname) for one in accounts.accounts] == [("alice", "A; B")]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("who\nalice", "line 1: the first line has to name the columns"),
        ("name,nick\nalice,al", "line 2: 'nick' is not known here; there are name, kind,"),
        ("name\na:b", "line 2: name = 'a:b': a name has to be 1 to 128 characters without spaces"),
        ("name,kind\na,robot", "line 2: kind = 'robot': there are person, group, room, resource"),
        ("name,timezone\na,Mars/Base", "line 2: timezone = 'Mars/Base': this is no time zone"),
        ("name,email\na,nobody", "line 2: 'nobody' is neither a mail address nor a URI"),
        ("name,hash\na,{SSHA}abc", "line 2: hash: this is no argon2 hash"),
        (f'name,hash,password\na,"{HASH}",b', "line 2: there is a password and a hash"),
        ("name,admin\na,maybe", "line 2: admin = 'maybe': say true or false"),
        ("name,quota\na,much", "line 2: quota = 'much': write a number of bytes"),
        ("name,members\na,b", "line 2: only a group has members"),
        ("name,rights\na,calendar:bob", "line 2: rights = 'calendar:bob': write COLLECTION:WHO:PRIVILEGE"),
        ("name,rights\na,calendar:bob:fly", "line 2: there is no privilege 'fly'; there are all,"),
        ("name\na\na", "line 3: 'a' is in line 2 already"),
        ("name\na,b", "line 2: there are 2 cells below 1 columns"),
        ('name\n"a', "line 2: this is no CSV"),
    ],
)
def test_mistakes_in_csv(text: str, line: str) -> None:
    with pytest.raises(Mistakes) as caught:
        read(text.encode(), toml=False)
    (said,) = caught.value.lines
    assert said.startswith(line)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[[persn]]\nname='a'", "[[persn]] is not known here; there are [[person]], [[group]]"),
        ("person = 1", "[[person]] is not known here"),
        ("person = ['a']", "[[person]] number 1: this has to be a table"),
        ("[[person]]\nname='a'\ndisplayname=1", "[[person]] number 1: displayname = 1: this has to be a text"),
        ("[[person]]\nname='a'\nemail=[1]", "[[person]] number 1: [1]: this has to be a list of texts"),
        ("[[right]]\non='a'\nwho='b'", "[[right]] number 1: a right has on, who and privileges"),
        ("[[right]]\non='a'\nwho='b'\nprivileges=[]", "[[right]] number 1: a right without a privilege is none"),
        ("[[", "This is no TOML: "),
    ],
)
def test_mistakes_in_toml(text: str, line: str) -> None:
    with pytest.raises(Mistakes) as caught:
        read(text.encode(), toml=True)
    (said,) = caught.value.lines
    assert said.startswith(line)


def test_every_mistake_is_told() -> None:
    with pytest.raises(Mistakes) as caught:
        read(b"name,quota\n:,1\nb,x\nc,1\nd,y\n", toml=False)
    assert [line.split(":")[0] for line in caught.value.lines] == ["line 2", "line 3", "line 5"]


def test_a_file_that_is_not_utf8() -> None:
    with pytest.raises(Mistakes, match="not UTF-8: byte 6"):
        read(b"name\n\xff\n", toml=False)
