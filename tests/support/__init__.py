"""What tests share: small fakes of the rooms, and real parts started for a test."""
