"""The command line of seegrasp and what starts its nodes; `seegrasp --help`."""
