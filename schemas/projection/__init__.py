"""The log → the tables, as a pure function: `project` turns one record into idempotent writes."""

from schemas.projection.place import Place, Record
from schemas.projection.project import project
from schemas.projection.registers import Rule, Write, merged

__all__ = ["Place", "Record", "Rule", "Write", "merged", "project"]
