"""Stands in for a node that ends with an error."""


def main() -> int:
    print("no camera")
    return 3
