"""Where objects were seen: intervals, merged in memory and written in batches to a database."""
