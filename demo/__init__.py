"""The main job on real data: a year of flights through Kafka and two pipelines, killed on the way, and the proof.

`make demo` starts a broker and a registry on this machine, publishes five data sets with `penstock produce`, runs two
pipelines over them with `penstock run`, and kills the producer of the flights three times and each pipeline's worker
six times. The directory of airlines that one of them asks lacks an airline, whose flights end as dead letters; it is
mended, and `penstock dlq redrive`, killed once, brings them back. Then the demo compares what the topics hold with what
the files say. Read `run` first.

The proof shares no parsing with what it proves: `expected` computes the records from the CSV files in SQL (DuckDB),
`observed` reads the topics with a bare consumer and a decoder of its own. `verdict` compares the two row by row, `fold`
commit by commit, `atomicity` transaction by transaction, `redrive` letter by letter.
"""
