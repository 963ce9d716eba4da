"""`python -m infra.cli`: how the supervisor starts its children, whatever PATH says."""

from infra.cli.main import main

main()
