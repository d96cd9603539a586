"""The flights that left New York in 2013, with weather, planes, airports and airlines, published from CSV files.

One module per topic: `flights`, `weather`, `planes`, `airports`, `airlines`; `load` makes endless flights for load
tests. They stand on `table` (numbered rows of a file), `fields` (text to numbers) and `zone` (clock times to instants).
Which rows are refused, and why, stands in docs/reference/impossible-rows.md. Start with `airlines`, the smallest.
"""
