def test_cursors_keep_the_headers_of_files(tiny_release):
    """A setting of the session would be that of the connection alone."""
    asked = "SELECT current_setting('parquet_metadata_cache')"
    with tiny_release._connection.cursor() as cursor:
        assert cursor.execute(asked).fetchall() == [(True,)]
