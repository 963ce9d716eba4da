"""One of a group gets everything, and keeps it."""

from typing import Any

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

from infra.tracking.leading import AllToOne

TOPICS = ("a", "b")


class Cluster:
    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return {"a": {1, 0}, "b": {0}}.get(topic)


def assigned(members: dict[str, AllToOne]) -> dict[str, Any]:
    """What each member gets, told to it as the group would."""
    told = AllToOne().assign(Cluster(), {name: member.metadata(TOPICS) for name, member in members.items()})
    for name, member in members.items():
        member.on_assignment(told[name])
    return {name: sorted((tp.topic, tp.partition) for tp in one.partitions()) for name, one in told.items()}


def test_the_first_gets_everything_and_the_others_nothing() -> None:
    members = {"z": AllToOne(), "a": AllToOne()}
    assert assigned(members) == {"z": [("a", 0), ("a", 1), ("b", 0)], "a": []}


def test_who_leads_goes_on_whoever_comes() -> None:
    members = {"old": AllToOne()}
    assigned(members)
    for name in ("a", "b"):
        members = {name: AllToOne(), **members}
        told = assigned(members)
        assert [name for name in told if told[name]] == ["old"]
    del members["old"]
    assert [name for name, parts in assigned(members).items() if parts] == ["a"], "the one who has waited for longest"


def test_a_leader_that_was_left_out_comes_back_as_the_last() -> None:
    members = {"first": AllToOne()}
    assigned(members)
    members["first"].on_assignment(ConsumerProtocolMemberAssignment(0, [], b""))
    members = {"second": AllToOne(), **members}
    assigned({"second": members["second"]})
    assert [name for name, parts in assigned(members).items() if parts] == ["second"]
