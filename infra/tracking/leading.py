"""One of a group reads everything, the others stand by: for a reader whose writes cannot be told apart or fenced."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata


class AllToOne(AbstractPartitionAssignor):  # type: ignore[misc] # aiokafka ships no types
    """Gives every partition to the member that has led for longest; to the one that came first, where none leads.

    An instance for each consumer (aiokafka takes one as well as a class): it remembers whether this member leads.
    """

    name = "all-to-one"
    version = 0

    def __init__(self) -> None:
        # Sorts before everybody who does not lead; of those, the one who came first.
        self._rank = f"1 {time.time():020.6f}"
        self._leads = False

    def metadata(self, topics: Iterable[str]) -> Any:
        return ConsumerProtocolMemberMetadata(self.version, list(topics), self._rank.encode())

    def on_assignment(self, assignment: Any) -> None:
        leads = any(partitions for _, partitions in assignment.assignment)
        if leads != self._leads:
            self._leads, self._rank = leads, f"{'0' if leads else '1'} {time.time():020.6f}"

    def assign(self, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        first = min(members, key=lambda member: (members[member].user_data or b"2", member))
        topics = sorted({topic for member in members.values() for topic in member.subscription})
        everything = [(topic, sorted(cluster.partitions_for_topic(topic) or ())) for topic in topics]
        return {
            member: ConsumerProtocolMemberAssignment(self.version, everything if member == first else [], b"")
            for member in members
        }
