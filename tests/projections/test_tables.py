"""Two versions of a read model exist side by side while the new one is built."""

from projections.tables import metadata


def test_every_index_carries_the_versioned_name_of_its_table() -> None:
    """Index names are unique in a schema: one without the version would collide with the version before."""
    names = [(str(index.name), table.name) for table in metadata.sorted_tables for index in table.indexes]

    assert names
    assert [index for index, table in names if not index.startswith(f"{table}_")] == []
