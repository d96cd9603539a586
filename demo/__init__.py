"""The main job on real data: a year of flights into Kafka, the producer killed on the way, and the proof.

`make demo` starts a broker and a registry on this machine, publishes the five data sets with `penstock produce`, kills
the flights producer three times, and compares what the topics hold with what the files say. Read `run` first.

The proof shares no parsing with what it proves: `expected` computes the records from the CSV files in SQL (DuckDB),
`observed` reads the topics with a bare consumer and a decoder of its own, `verdict` compares the two row by row.
"""
